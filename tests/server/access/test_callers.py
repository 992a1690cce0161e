from __future__ import annotations

import pytest

from tipstaff.errors import AccessFileError
from tipstaff_server.access.callers import ANYONE, load_callers
from tipstaff_server.access.current import charge, current_caller
from tipstaff_server.access.gate import Gate
from tipstaff_server.access.limits import Usage, check_rate
from tipstaff_server.access.tokens import check_hash, hash_token, new_token
from tipstaff_server.errors import Overloaded

TOKENS = [new_token() for _ in range(3)]
ONE, TWO, THREE = map(hash_token, TOKENS)


@pytest.fixture
def write(tmp_path):
    def write(text: str, mode: int = 0o600):
        path = tmp_path / "callers.toml"
        path.write_text(text)
        path.chmod(mode)
        return path

    return write


def test_a_caller_has_several_tokens_at_once(write):
    text = f'[callers.shop]\ntokens = ["{ONE}", "{TWO.upper().replace("SHA", "sha")}"]\nweight = 2'
    callers = load_callers(write(text))
    assert callers.need_tokens
    for token in TOKENS[:2]:
        caller = callers.with_token(token)
        assert caller is not None
        assert (caller.name, caller.weight) == ("shop", 2)
    assert callers.with_token(TOKENS[2]) is None
    assert ONE.removeprefix("sha256:") not in repr(callers)


def test_callers_without_tokens_name_themselves(write):
    callers = load_callers(write("[callers.shop]\nrequests_per_second = 3"))
    assert not callers.need_tokens
    assert callers.named("shop").requests_per_second == 3
    assert callers.named("") is ANYONE
    assert callers.named("x\n" * 100).name == "x?" * 32


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["is empty"]),
        ("callers = 3", ["callers: ", "dictionary"]),
        ("[callers", ["not TOML"]),
        ("[callers]", ["callers", "at least 1"]),
        ('[callers.shop]\ntokens = ["secret"]', ["callers.shop.tokens.0", "`tipstaff token`"]),
        ("[callers.shop]\nweight = 0", ["callers.shop.weight", "greater than 0"]),
        ("[callers.shop]\nwait = 0", ["callers.shop.wait"]),
        ('[callers.shop]\ncalls = ["Delete"]', ["callers.shop.calls", "'Score'"]),
        ('[callers."a b"]\nweight = 1', ["callers.a b", "letters, digits"]),
        (
            f'[callers.a]\ntokens = ["{ONE}"]\n[callers.b]\ntokens = ["{ONE}"]',
            ["callers a and b have the same token"],
        ),
    ],
)
def test_a_bad_file_is_named_with_what_is_wrong(write, text, words):
    path = write(text)
    with pytest.raises(AccessFileError) as raised:
        load_callers(path)
    assert all(word in str(raised.value) for word in ["callers", str(path), *words])
    assert "\n" not in str(raised.value)


def test_a_file_that_everybody_may_read_is_refused(write):
    with pytest.raises(AccessFileError, match="chmod o-r"):
        load_callers(write("[callers.shop]", 0o644))
    assert load_callers(write("[callers.shop]", 0o640)).by_name


def test_an_evaluator_that_does_not_exist_is_named(write, tmp_path):
    callers = load_callers(write('[callers.shop]\nevaluators = ["tiny", "tinny"]'))
    callers.check_evaluators(["tiny", "tinny"], tmp_path)
    with pytest.raises(AccessFileError, match=r"shop may ask 'tinny'.*there are tiny"):
        callers.check_evaluators(["tiny"], tmp_path)


@pytest.mark.parametrize("text", ["sha256:12", "12" * 32, "md5:" + "0" * 64, "sha256:" + "g" * 64])
def test_what_is_no_hash_is_refused(text):
    with pytest.raises(ValueError, match="not the hash"):
        check_hash(text)


def test_a_rate_allows_a_second_s_burst_and_says_when_there_is_more():
    usage = Usage()
    for _ in range(10):
        check_rate(usage, 10, 5.0)
    with pytest.raises(Overloaded) as raised:
        check_rate(usage, 10, 5.0)
    assert (raised.value.reason, raised.value.retry_after) == ("caller_rate", pytest.approx(0.1))
    check_rate(usage, 10, 5.11)


def test_the_gate_counts_what_is_under_way_and_charges_what_it_cost():
    now = [0.0]
    gate = Gate(workers=1, requests_under_way=1, clock=lambda: now[0])
    with gate.enter("tiny"):
        with pytest.raises(Overloaded, match="1 interactions under way"), gate.enter("tiny"):
            pass
        charge(0.25)
    with gate.enter("tiny"):
        pass
    load = gate._fair._loads[current_caller().name]
    assert load.level == pytest.approx(0.25)
