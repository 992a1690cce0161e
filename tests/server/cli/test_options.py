from __future__ import annotations

import argparse
from typing import Literal

import pytest

from tipstaff.errors import UsageError
from tipstaff_server.cli.options import add_options, given
from tipstaff_server.requests import Request, setting

Precision = Literal["int8", "fp16"]


class ExampleRequest(Request):
    precisions: tuple[Precision, ...] = setting(("int8",), "graphs", min_length=1)
    size: Literal["full"] | int = setting("full", "how large")
    seed: int = setting(0, "seeds the draw", ge=0)
    dropout: float = setting(0.0, "while training")


def parser():
    made = argparse.ArgumentParser(exit_on_error=False)
    made.add_argument("data")
    flags = {"precisions": "--precision"}
    add_options(made, ExampleRequest, flags=flags, lists={"precisions": ("int8", "fp16")})
    return made


def test_several_words_after_one_flag():
    args = parser().parse_args(["rows.csv", "--precision", "int8", "fp16"])
    request = ExampleRequest.parse(given(ExampleRequest, args))
    assert request.precisions == ("int8", "fp16")


def test_a_positional_word_after_several_is_named():
    with pytest.raises(argparse.ArgumentError, match=r"invalid choice: 'rows.csv'.*'int8', 'fp16'"):
        parser().parse_args(["--precision", "int8", "fp16", "rows.csv"])


def test_help_shows_defaults_of_nought():
    text = " ".join(parser().format_help().split())
    assert "seeds the draw (default: 0)" in text
    assert "while training (default: 0.0)" in text


def test_a_wrong_item_is_one_error_and_not_also_one_of_its_list():
    with pytest.raises(UsageError) as raised:
        ExampleRequest.parse({"precisions": ["int9"]})
    assert str(raised.value) == "precisions int9: Input should be 'int8' or 'fp16'"


def test_a_value_that_fits_no_alternative_has_the_reason_of_each():
    with pytest.raises(UsageError, match=r"should be 'full'; or: .*valid integer"):
        ExampleRequest.parse({"size": "huge"})


def test_a_field_that_does_not_exist_is_named_before_one_that_is_missing():
    class NamedRequest(Request):
        name: str = setting(description="a name")

    with pytest.raises(UsageError, match="there is no such setting; there are name") as raised:
        NamedRequest.parse({"xname": "x"})
    assert raised.value.field == "xname"
