"""A user's own rewritings, and what is wrong with a file of them."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from probe_rows import POOLS, REFERENCE

from tipstaff_trainer.errors import DataError
from tipstaff_trainer.probes.augment import rewritten_row
from tipstaff_trainer.probes.own import read_rewritings

SIGNED = '[[rewriting]]\nname = "signed"\neffect = "keeps"\ntemplate = "{output} -- {input}"\n'


@pytest.fixture
def read(tmp_path):
    def read(text):
        file = tmp_path / "own.toml"
        file.write_text(text)
        return read_rewritings(file)

    return read


def test_a_template_is_filled(read):
    (signed,) = read(SIGNED)
    new = rewritten_row(signed, REFERENCE[7], POOLS["reference"], "probing", random.Random(0))
    assert new.interaction.output == "Kyiv -- what is the capital of Ukraine"
    assert new.label == 1


def test_braces_in_a_text_are_text(read):
    (own,) = read(SIGNED.replace("{output} -- {input}", "{wrong}: not {ground_truth}"))
    odd = replace(REFERENCE[1], interaction=replace(REFERENCE[1].interaction, output="{x} {}"))
    new = rewritten_row(own, odd, POOLS["reference"], "probing", random.Random(0))
    assert new.interaction.output.startswith("{x} {}: not ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not a list of rewritings"),
        ("a = 1", "is not a list of rewritings"),
        ("[[rewriting", "is not TOML"),
        (SIGNED.replace("{input}", "{reference}"), "{reference} is unknown: use {output}, "),
        (SIGNED.replace("keeps", "spoils"), "rewriting 1 (signed): effect: Input should be"),
        (SIGNED.replace('effect = "keeps"\n', ""), "rewriting 1 (signed): effect: is missing"),
        (SIGNED + 'rule = "x"\n', "rule: is no field of a rewriting, which has name, effect"),
        (SIGNED + SIGNED, "two rewritings are named signed; rename one"),
        (SIGNED.replace("signed", "greeting"), "two rewritings are named greeting"),
        (SIGNED.replace("signed", "My own"), "rewriting 1 (My own): name:"),
    ],
)
def test_a_mistake_is_named(read, text, said):
    with pytest.raises(DataError) as error:
        read(text)
    assert said in str(error.value)
    assert "own.toml" in str(error.value)
