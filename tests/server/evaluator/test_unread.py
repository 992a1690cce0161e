"""What an encoder can't read is counted, whatever the kind of its tokenizer."""

from __future__ import annotations

import string
import time
import timeit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

from tipstaff.types import Coverage, Interaction, Reason, Verdict
from tipstaff_server.evaluator.encoding import Encoder
from tipstaff_server.evaluator.manifest import Encoding, Policy, Windows
from tipstaff_server.evaluator.policy import decide, is_unreadable
from tipstaff_server.evaluator.unread import Unread, UnreadMeter

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
# Letters, as beginnings of words and inside; some Han, Cyrillic, Hebrew and Devanagari.
SIGNS = string.ascii_lowercase + string.digits + string.punctuation + "äß北京привет שלוםकर"
ENCODING = Encoding(
    order=("output", "ground_truth", "input"),
    marks="forms",
    max_length=64,
    cls_id=2,
    sep_id=3,
    pad_id=0,
)
THAI = "นาฬิกาจะมาถึงวันพฤหัสบดี", "นาฬิกาจะมาถึงวันอาทิตย์"


def word_pieces(**options: bool) -> Tokenizer:
    """A tokenizer of BERT's kind, which spells words of any of its signs."""
    pieces = (*SPECIAL, *SIGNS, *(f"##{sign}" for sign in SIGNS))
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(**options)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def unigram() -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram([*((each, 0.0) for each in SPECIAL), ("▁", -1.0)]
                                         + [(sign, -2.0) for sign in SIGNS], unk_id=1))  # fmt: skip
    tokenizer.normalizer = normalizers.Replace(Regex("\u200b"), " ")
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    return tokenizer


def byte_pairs() -> Tokenizer:
    """Every byte is a token, so that nothing is unknown."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {each: number for number, each in enumerate([*SPECIAL, *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return tokenizer


def letters_only() -> Tokenizer:
    """A model without an unknown token leaves out what it can't spell."""
    vocabulary = {each: number for number, each in enumerate((*SPECIAL, *string.ascii_lowercase))}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


def measure(text: str, tokenizer: Tokenizer | None = None) -> Unread:
    tokenizer = tokenizer or word_pieces()
    encoding = tokenizer.encode(text, add_special_tokens=False)
    return UnreadMeter(tokenizer).measure(text, encoding.ids, encoding.offsets)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\t\u00a0\u2028",
        "Plain text, in 2 lines.\nNo more.",
        "NAÏVE café",
        "caf\u0065\u0301 tie\u0302\u0301ng",
        "שָׁלוֹם",
        "Привет, 北京",
    ],
)
def test_what_is_read_counts_as_read(text):
    assert measure(text) == Unread()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (THAI[0], Unread(1, 5, 1.0)),
        ("👍", Unread(1, 0, 1.0)),
        ("yes 👍", Unread(1, 0, 0.25)),
        ("北京是中", Unread(2, 0, 0.5)),
        ("a" * 99, Unread()),
        ("yes " + "a" * 197, Unread(1, 0, 0.985)),
        ("re\u00adfund", Unread(0, 1, 1 / 7)),
        ("\u200b".join("refund"), Unread(0, 5, 5 / 11)),
        ("no" + "".join(chr(0xE0000 + ord(sign)) for sign in "yes all"), Unread(0, 7, 7 / 9)),
        ("no\ufe0f\U000e0101", Unread(0, 2, 0.5)),
        ("\u202eno\u202c", Unread(0, 2, 0.5)),
        ("no\x00\x1c\x7f", Unread(0, 3, 0.6)),
        ("\ue000\ufffd", Unread(0, 2, 1.0)),
        # A stroke changes what a person reads; so does a vowel that is no accent.
        ("n\u0336o\u0336t", Unread(0, 2, 0.4)),
        ("क\u0941र", Unread(0, 1, 1 / 3)),
        # Four accents belong to a letter, and more are decoration.
        ("no" + "\u0301" * 4, Unread()),
        ("no" + "\u0301" * 22, Unread(0, 18, 0.9)),
        ("\u0301\u0301", Unread(0, 2, 1.0)),
        ("no \u0301", Unread(0, 1, 1 / 3)),
        ("\u200b\u00ad\U000e0041", Unread(0, 3, 1.0)),
    ],
)
def test_what_is_unknown_or_dropped_is_counted(text, expected):
    assert measure(text) == (expected.unknown, expected.dropped, pytest.approx(expected.share))


def test_a_base_that_keeps_accents_and_signs_drops_none():
    keeps = word_pieces(clean_text=False, strip_accents=False)
    assert measure("no\u200b", keeps) == (1, 0, 1.0)


@pytest.mark.parametrize(
    ("tokenizer", "text", "expected"),
    [
        (unigram(), "no 👍 yes", (1, 0, 1 / 6)),
        (unigram(), "no\u200byes", (0, 1, 1 / 6)),
        (byte_pairs(), THAI[0] + "👍\u200b", (0, 0, 0.0)),
        (letters_only(), "plain words", (0, 0, 0.0)),
        (letters_only(), "no 42 é", (0, 3, 0.6)),
    ],
    ids=["unigram", "unigram drops", "bytes", "skips nothing", "skips"],
)
def test_every_kind_of_tokenizer_is_measured(tokenizer, text, expected):
    unread = measure(text, tokenizer)
    assert unread == (*expected[:2], pytest.approx(expected[2]))


def test_a_field_separator_in_a_text_is_not_read():
    """SentencePiece's vocabularies spell them as ordinary pieces, which the encoder removes."""
    encoder = Encoder(unigram().to_str(), ENCODING)
    coverage = encoder.encode(Interaction(output="no [SEP] yes")).coverage["output"]
    assert (coverage.unknown, coverage.unread) == (1, pytest.approx(0.5))


@pytest.mark.parametrize("tokenizer", [word_pieces(), unigram(), byte_pairs(), letters_only()])
@given(text=st.text(st.sampled_from("ab c\té\u0301\u200b\u00ad👍ก\u0e31北\x00\ufe0f\u0336\n[SEP]")))
def test_counts_are_consistent(tokenizer, text):
    encoding = tokenizer.encode(text, add_special_tokens=False)
    unread = UnreadMeter(tokenizer).measure(text, encoding.ids, encoding.offsets)
    assert 0 <= unread.unknown <= len(encoding.ids)
    assert 0 <= unread.dropped <= len(text)
    assert 0 <= unread.share <= 1
    assert (unread.share > 0) == (unread.unknown + unread.dropped > 0)


def words_by_form() -> Tokenizer:
    """Knows one word; one letter may become several words, which then share its place."""
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "no": 1}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


@pytest.mark.parametrize("tokenizer", [word_pieces(), unigram(), letters_only(), words_by_form()])
@given(text=st.text(st.sampled_from("no \t\u3000é👍ก北\x1c\ufdfaﷺ½[SEP]\u0301")))
def test_counts_are_those_of_the_characters(tokenizer, text):
    """Most texts are measured without looking at each character."""
    encoding = tokenizer.encode(text, add_special_tokens=False)
    meter = UnreadMeter(tokenizer)
    unread = meter.measure(text, encoding.ids, encoding.offsets)
    characters = meter.characters(text, encoding.ids, encoding.offsets)
    assert unread == (characters.unknown, characters.dropped.sum(), characters.share)


@pytest.mark.parametrize("tokenizer", [word_pieces(), unigram(), byte_pairs(), words_by_form()])
@pytest.mark.parametrize("characters", ["nо#👍\u0301\u200b", "ﾠ#＃﹟a", "\u200b\u00ad", "#"])
def test_characters_that_are_looked_up_together_are_those_looked_up_alone(tokenizer, characters):
    together, alone = UnreadMeter(tokenizer), UnreadMeter(tokenizer)
    ids, offsets = [9] * len(characters), [(0, 0)] * len(characters)
    together.measure(characters, ids, offsets)
    for each in characters:
        alone.measure(each, [9], [(0, 0)])
    codes = [ord(each) for each in characters]
    assert together._kinds[codes].all()
    assert (together._kinds[codes] == alone._kinds[codes]).all()


def test_a_warm_meter_looks_up_no_letter():
    meter = UnreadMeter(word_pieces())
    meter.warm_up()
    known = meter._kinds.copy()
    text = "".join(map(chr, range(0x3400, 0x9F00))) + string.printable + "שลอ"
    meter.measure(text, [], [])
    assert (known == meter._kinds).all()


def test_words_from_one_letter_count_its_place_once():
    assert measure("no ﷺ", words_by_form()) == (4, 0, pytest.approx(1 / 3))


def test_an_unknown_word_costs_little():
    tokenizer = words_by_form()
    meter = UnreadMeter(tokenizer)

    def seconds(text: str) -> float:
        encoding = tokenizer.encode(text, add_special_tokens=False)
        ids, offsets = encoding.ids, encoding.offsets
        return min(timeit.repeat(lambda: meter.measure(text, ids, offsets), number=100, repeat=20))

    assert seconds("no " * 8 + "yes " + "no " * 8) < 12 * seconds("no " * 17)


def test_a_windowed_text_is_measured_as_a_whole():
    windows = Windows(output=12, ground_truth=16, max_runs=2)
    encoder = Encoder(word_pieces().to_str(), ENCODING.model_copy(update={"windows": windows}))
    truth = "no refund. " * 40 + "👍" * 10
    encoded = encoder.encode(Interaction("a", "b c d " * 30, truth))
    assert len(encoded.runs) > 1
    assert encoded.partial
    share = 10 / (40 * len("norefund.") + 10)
    coverage = encoded.coverage["ground_truth"]
    assert (coverage.unknown, coverage.unread) == (1, pytest.approx(share))
    assert encoded.coverage["output"].unread == 0


def test_each_limit_is_for_its_fields():
    policy = Policy(max_unread_output=0.1, max_unread_other=0.4)
    for name, share, unreadable in (
        ("output", 0.1, False),
        ("output", 0.11, True),
        ("input", 0.4, False),
        ("input", 0.41, True),
        ("ground_truth", 0.41, True),
    ):
        coverage = {"output": Coverage(1, 1), name: Coverage(3, 3, unread=share)}
        assert is_unreadable(coverage, policy) == unreadable


def test_what_cannot_be_read_passes_only_where_the_policy_names_it():
    assert decide(0.9, [Reason.UNREADABLE], Policy()) is Verdict.REVIEW
    assert decide(0.9, [Reason.UNREADABLE], Policy(pass_on_unreadable=True)) is Verdict.PASS
    assert decide(0.1, [Reason.UNREADABLE], Policy()) is Verdict.BLOCK


def test_a_manifest_without_limits_has_the_defaults():
    old = {"pass_at": 0.7, "block_below": 0.3}
    policy = Policy.model_validate(old)
    assert 0 < policy.max_unread_output < policy.max_unread_other < 1
    assert not policy.pass_on_unreadable


@pytest.mark.parametrize(
    "pattern", ["\u200b", "\u0301", "👍", "ก\u0e31", "é", "a\u200b", "\U000e0041"]
)
def test_the_time_grows_with_the_length_of_the_text(pattern):
    tokenizer = word_pieces()
    meter = UnreadMeter(tokenizer)

    def seconds(size: int) -> float:
        text = pattern * (size // len(pattern))
        encoding = tokenizer.encode(text, add_special_tokens=False)
        ids, offsets = encoding.ids, encoding.offsets
        meter.measure(text, ids, offsets)
        started = time.thread_time()
        for _ in range(5):
            meter.measure(text, ids, offsets)
        return time.thread_time() - started

    assert seconds(80_000) < 10 * max(seconds(20_000), 0.001)
