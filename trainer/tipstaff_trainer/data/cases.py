"""Reads named cases as people write them: a YAML list beside the data.

    - name: a late return is refused
      input: Can I return the kettle?
      output: Yes, within 30 days.
      ground_truth: Kitchen appliances can be returned within 14 days.
      expect: block
      note: the answer that started it all

`expect` is pass, review or block, or not-pass or not-block, in any case. Every value is text, so
that `output: no` means "no", except YAML's null (`output:`, `output: null`), which is as if the
line were absent; `output: ""` and `output: "null"` are texts.
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
from tipstaff_trainer.errors import DataError


class _Texts(yaml.BaseLoader):  # type: ignore[misc]
    """Reads plain words and numbers as text, and knows no tags that make objects."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """Refuses a repeated key: only its last value would count."""
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                line = key.start_mark.line + 1
                if key.value in lines:
                    raise ConstructorError(
                        problem=f'"{key.value}" stands here and in line {lines[key.value]} of one '
                        "case: keep one of the two",
                        problem_mark=key.start_mark,
                    )
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
        return parse_cases(path.read_bytes(), shown=str(path))
    except OSError as error:
        raise DataError(f"{path}: can't be read: {error.strerror}") from error


def parse_cases(content: bytes, *, shown: str) -> tuple[Case, ...]:
    """Parses the content of such a file, which messages call `shown`.

    Raises:
        DataError: It or a case can't be used; names the case and the field.
    """
    try:
        items = yaml.load(content.decode("utf-8"), Loader=_Texts)
    except RecursionError:
        raise DataError(f"{shown}: is nested too deeply for a list of cases") from None
    except ConstructorError as error:
        line = error.problem_mark.line + 1
        raise DataError(f"{shown}, line {line}: {error.problem}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"{shown}: is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(items, list) or not items:
        raise DataError(f"{shown}: holds no list of cases, as in `- name: …`")
    cases = tuple(
        make_case(value, place=f"{shown}, case {number}")
        for number, value in enumerate(items, start=1)
    )
    twice = [name for name, count in Counter(case.name for case in cases).items() if count > 1]
    if twice:
        raise DataError(f'{shown}: two cases are named "{twice[0]}": rename one')
    return cases


def make_case(value: object, *, place: str) -> Case:
    """Makes a case from its fields, all text; one that is None counts as absent.

    Raises:
        DataError: It can't be used; names the place, the case and the field.
    """
    if not isinstance(value, dict):
        raise DataError(f"{place}: is no case, as in `- name: …`")
    value = {
        key: text for key, text in value.items() if text is not None or key not in Case.model_fields
    }
    if name := " ".join(str(value.get("name", "")).split()):
        place += f" ({name})"
    try:
        return Case.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        why = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            why = f"is no field of a case, which has {', '.join(Case.model_fields)}"
        elif first["type"] in ("missing", "too_short"):
            why = "is missing or empty: each case has a name and says what to expect"
        raise DataError(f"{place}: {f'{field}: ' if field else ''}{why}") from None
