from __future__ import annotations

import pytest

from tipstaff import Interaction
from tipstaff_server.evaluator.manifest import UnreadText
from tipstaff_trainer.data import Row
from tipstaff_trainer.encoders.base import DEFAULT_BASE, find_base
from tipstaff_trainer.encoders.scripts import script_of
from tipstaff_trainer.encoders.unread import measure_unread, unread_in_words


@pytest.mark.parametrize(
    ("characters", "script"),
    [
        ("aÅﬁ", "Latin"),
        ("жЯ", "Cyrillic"),
        ("ก\u0e31๙", "Thai"),
        ("क\u0941", "Devanagari"),
        ("漢㐀", "Han"),
        ("あ", "Hiragana"),
        ("テ", "Katakana"),
        ("한", "Hangul"),
        ("שׁ", "Hebrew"),
        ("ب", "Arabic"),
        ("ጥ", "Ethiopic"),
        ("𐌀", "Old Italic"),
        ("👍❤≠€①½", "emoji and symbols"),
        ("\u200b\u00ad\ufe0f\U000e0041\ue000\x00\u0378", "invisible characters"),
        ("\u0301\u0336", "combining marks"),
        ("4", "digits"),
    ],
)
def test_a_character_has_its_script(characters, script):
    assert {script_of(character) for character in characters} == {script}


def rows(*outputs: str | None) -> list[Row]:
    return [
        Row(Interaction("why?", output, ""), label=1.0, id=str(number))
        for number, output in enumerate(outputs)
    ]


def test_shares_are_of_all_characters_and_by_script():
    tokenizer = find_base(DEFAULT_BASE).tokenizer
    some = rows("plain words", "yes 👍\u200b", "สวัสดี", None, "")
    assert measure_unread(tokenizer, rows("plain words", "naïve café"), ("input", "output")) == {}
    unread = measure_unread(tokenizer, some, ("input", "output", "ground_truth"))
    assert list(unread) == ["output"]
    # Six signs are Thai, two of which are vowels above the line; ten and three are Latin.
    total = 10 + 3 + 2 + 6
    assert unread["output"].share == pytest.approx(8 / total)
    assert unread["output"].scripts == pytest.approx(
        {"Thai": 6 / total, "emoji and symbols": 1 / total, "invisible characters": 1 / total}
    )
    assert unread_in_words(unread) == (
        "38% of output (Thai 29%, emoji and symbols 4.8%, invisible characters 4.8%)"
    )


def test_a_small_share_is_not_rounded_to_nothing():
    unread = {"input": UnreadText(share=0.00012, scripts={"Han": 0.00012})}
    assert unread_in_words(unread) == "0.012% of input (Han 0.012%)"
