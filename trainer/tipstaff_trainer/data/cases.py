"""Reads named cases from a YAML list.

    - name: a late return is refused
      input: Can I return the kettle?
      output: Yes, within 30 days.
      ground_truth: Kitchen appliances can be returned within 14 days.
      expect: block
      note: the answer that started it all

`expect` is pass, review or block, or not-pass or not-block, in any case. Every value is text, so
that `output: no` means "no". YAML's null (`output:`, `output: null`) means that the field is
absent; `output: ""` and `output: "null"` are texts.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from yaml.constructor import ConstructorError

from tipstaff_server.evaluator.cases import Case
from tipstaff_trainer.errors import DataError, one_line


class _Texts(yaml.BaseLoader):  # type: ignore[misc]
    """Loads every scalar as text, and no tag that makes objects."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """Refuses a repeated key: only its last value would count."""
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                line = key.start_mark.line + 1
                if key.value in lines:
                    first = lines[key.value]
                    problem = f'the case has "{key.value}" here and in line {first}: keep one'
                    raise ConstructorError(problem=problem, problem_mark=key.start_mark)
                lines[key.value] = line
        return super().construct_mapping(node, deep=deep)


_NULL = "tag:yaml.org,2002:null"
_Texts.add_implicit_resolver(_NULL, re.compile("(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_Texts.add_constructor(_NULL, lambda loader, node: None)


def read_cases(path: Path) -> tuple[Case, ...]:
    """Reads a YAML file of cases.

    Raises:
        DataError: The file or a case can't be used; names the case and the field.
    """
    try:
        return parse_cases(path.read_bytes(), name=str(path))
    except OSError as error:
        raise DataError(f"{path}: can't be read: {error.strerror}") from error


def parse_cases(content: bytes, *, name: str) -> tuple[Case, ...]:
    """Parses the content of a YAML file of cases.

    Args:
        content: The file's bytes.
        name: The file's name in messages.

    Raises:
        DataError: The content or a case can't be used; names the case and the field.
    """
    try:
        items = yaml.load(content.decode("utf-8"), Loader=_Texts)
    except RecursionError:
        raise DataError(f"{name}: is nested too deeply for a list of cases") from None
    except ConstructorError as error:
        line = error.problem_mark.line + 1
        raise DataError(f"{name}, line {line}: {error.problem}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"{name}: is not YAML: {one_line(error)}") from error
    if not isinstance(items, list) or not items:
        raise DataError(f"{name}: is not a list of cases, as in `- name: …`")
    cases = tuple(
        make_case(item, place=f"{name}, case {number}")
        for number, item in enumerate(items, start=1)
    )
    ((most, count),) = Counter(case.name for case in cases).most_common(1)
    if count > 1:
        raise DataError(f'{name}: two cases are named "{most}": rename one')
    return cases


def make_case(value: object, *, place: str) -> Case:
    """Makes a case from its fields, all text; a field that is None counts as absent.

    Raises:
        DataError: It can't be used; names the place, the case and the field.
    """
    known = Case.model_fields
    if not isinstance(value, dict):
        raise DataError(f"{place}: is not a case, as in `- name: …`")
    fields = {key: text for key, text in value.items() if text is not None or key not in known}
    if name := " ".join(str(fields.get("name", "")).split()):
        place += f" ({name})"
    try:
        return Case.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        why = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            why = f"is not a field of a case, which has {', '.join(known)}"
        elif first["type"] in ("missing", "too_short"):
            why = "is missing or empty: each case has a name and says what to expect"
        raise DataError(f"{place}: {f'{field}: ' if field else ''}{why}") from None
