"""The draw, the counts, the redaction and the writer, without a server."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from pathlib import Path

import pytest
from running_server import wait_until

from tipstaff import Interaction, Reason, Score, Verdict
from tipstaff_server.errors import FeedbackNotStored, InvalidRequest, SettingsError
from tipstaff_server.traffic import writer
from tipstaff_server.traffic.exporter import TrafficCollector
from tipstaff_server.traffic.open import load_redact, load_salt
from tipstaff_server.traffic.policy import Rule, SamplingPolicy, band_of, read_rules
from tipstaff_server.traffic.sampler import TrafficSampler
from tipstaff_server.traffic.segments import list_segments, read_segment
from tipstaff_server.traffic.writer import Limits

SECRET = "the card is 4111"


def score_of(value=0.9, request="r"):
    verdict = Verdict.PASS if value >= 0.5 else Verdict.BLOCK
    reasons = (Reason.UNCERTIFIED,)
    return Score(verdict, value, request_id=request, evaluator="judge", version=1, reasons=reasons)


def answer(sampler, output=SECRET, **values):
    sampler.answered(score_of(), Interaction(output=output), **values)


def records(folder, kind):
    return [
        each
        for segment in list_segments(folder)
        for each in read_segment(segment).records
        if each["kind"] == kind
    ]


def test_each_stratum_has_its_rate_and_the_draw_keeps_it(tmp_path):
    rules = (
        Rule(rate=0.5, verdict="PASS", low=0.5, high=0.7),
        Rule(rate=1.0, verdict="BLOCK"),
    )
    policy = SamplingPolicy(0.1, rules, b"salt")
    assert policy.rate("judge", "PASS", band_of(0.65)) == 0.5
    assert policy.rate("judge", "PASS", band_of(0.75)) == 0.1
    assert policy.rate("judge", "BLOCK", band_of(0.0)) == 1.0
    draws = [policy.draw(str(row)) for row in range(4000)]
    assert abs(sum(draw < 0.1 for draw in draws) / 4000 - 0.1) < 0.02
    # The salt and the rates are in the version, and the same row draws alike.
    assert policy.draw("1") == SamplingPolicy(0.2, (), b"salt").draw("1")
    other = SamplingPolicy(0.1, rules, b"another")
    assert policy.version != other.version
    assert policy.draw("1") != other.draw("1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[rule]]\nrate = 0", "rule.1.rate"),
        ("[[rule]]\nrate = 0.1\nlow = 0.55", "multiple of 0.1"),
        ("[[rule]]\nrate = 0.1\nverdit = 'PASS'", "verdit"),
        ("[[", "not TOML"),
    ],
)
def test_a_wrong_rule_is_named(tmp_path, text, message):
    file = tmp_path / "rules.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=message):
        read_rules(file)
    with pytest.raises(SettingsError, match="can't be read"):
        read_rules(tmp_path / "none.toml")


def test_a_redaction_that_raises_keeps_no_text_and_is_counted(tmp_path):
    def redact(text):
        if "4111" in text:
            raise ValueError(text)
        return text.upper()

    sampler = TrafficSampler(tmp_path, SamplingPolicy(1, (), b"s"), Limits(), redact=redact)
    answer(sampler)
    answer(sampler, output="paris", attributes={"a": "b"})
    sampler.close()
    assert sampler.redaction_failed == 1
    first, second = records(tmp_path, "row")
    assert (first["output"], first["redaction_failed"]) == (None, True)
    assert (second["output"], second["attributes"]) == ("PARIS", {"a": "B"})
    for path in tmp_path.iterdir():
        assert b"4111" not in path.read_bytes()
    with pytest.raises(SettingsError, match="traffic_redact"):
        load_redact("no.such:thing")


class PanicError(BaseException):
    """Stands in for a panic of a redaction that is written in Rust."""


def test_a_redaction_that_panics_ends_no_writer(tmp_path):
    """Once, it ended the writer's thread, and nothing was kept from then on."""

    def redact(text):
        if "4111" in text:
            raise PanicError
        return text

    sampler = TrafficSampler(tmp_path, SamplingPolicy(1, (), b"s"), Limits(), redact=redact)
    answer(sampler)
    answer(sampler, output="paris")
    sampler.close()
    assert [each["output"] for each in records(tmp_path, "row")] == [None, "paris"]
    assert (sampler.redaction_failed, sampler.keeping) == (1, True)


@pytest.mark.parametrize("error", [KeyError("a"), PanicError()])
def test_an_error_of_the_writer_s_own_code_stops_keeping_for_a_while(
    tmp_path, monkeypatch, caplog, error
):
    for name, seconds in (("_FLUSH", 0.01), ("_COUNTS", 0.0), ("_RETRY", 0.02)):
        monkeypatch.setattr(writer, f"{name}_SECONDS", seconds)
    faults = [error, error, error]
    failed = threading.Event()

    def collect():
        if faults:
            failed.set()
            raise faults.pop()
        return [{"kind": "counts", "n": 1}]

    kept = writer.SegmentWriter(
        tmp_path, Limits(), {}, record=dict, collect_counts=collect, on_lost=lambda _: None
    )
    assert failed.wait(20)
    wait_until(lambda: kept.keeping and not faults)
    kept.close()
    assert records(tmp_path, "counts")
    # Logged once, though it came three times.
    assert caplog.text.count("nothing is kept") == caplog.text.count("Traceback") == 1


def test_a_full_queue_drops_and_says_so_by_stratum(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "_FLUSH_SECONDS", 60)
    sampler = TrafficSampler(tmp_path, SamplingPolicy(1, (), b"s"), Limits(queue=3))
    for _ in range(10):
        answer(sampler)
    with pytest.raises(FeedbackNotStored):
        sampler.feedback("r", "judge", True, "", "")
    sampler.close()
    assert sampler.fates.dropped == 7
    (counts,) = records(tmp_path, "counts")
    assert (counts["n"], counts["drawn"], counts["dropped"]) == (10, 10, 7)
    assert counts["reasons"] == {"UNCERTIFIED": 10}
    assert len(records(tmp_path, "row")) == 3


def test_callers_beyond_a_bound_are_counted_together(tmp_path):
    sampler = TrafficSampler(tmp_path, SamplingPolicy(0.001, (), b"s"), Limits())
    for caller in range(100):
        answer(sampler, caller=str(caller))
    sampler.close()
    counts = records(tmp_path, "counts")
    assert sum(each["n"] for each in counts) == 100
    assert len({each["caller"] for each in counts}) <= 66
    assert sampler.overflow == 36


def test_old_segments_are_deleted_beyond_the_limit(tmp_path):
    for _ in range(3):
        sampler = TrafficSampler(tmp_path, SamplingPolicy(1, (), b"s"), Limits(max_bytes=1))
        answer(sampler)
        sampler.close()
    assert list_segments(tmp_path) == []
    assert sampler.deleted


def test_a_segment_that_another_server_deletes_meanwhile_stops_nothing(tmp_path, monkeypatch):
    def list_and_delete(folder):
        listed = list_segments(folder)
        for each in listed:
            each.path.unlink()
        return listed

    monkeypatch.setattr(writer, "list_segments", list_and_delete)
    sampler = TrafficSampler(tmp_path, SamplingPolicy(1, (), b"s"), Limits())
    answer(sampler)
    sampler.close()
    assert sampler.keeping


def test_what_a_killed_server_left_is_recovered(tmp_path):
    sampler = TrafficSampler(tmp_path, SamplingPolicy(1, (), b"s"), Limits())
    answer(sampler)
    deadline = time.monotonic() + 10
    while not (left := list(tmp_path.glob("*.open"))) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.2)
    (opened,) = left
    # As after a crash: the bytes so far, and nobody who holds the lock.
    copy = tmp_path / "later" / opened.name
    copy.parent.mkdir()
    copy.write_bytes(opened.read_bytes())
    sampler.close()
    after = TrafficSampler(copy.parent, SamplingPolicy(1, (), b"s"), Limits())
    after.close()
    (segment,) = list_segments(copy.parent)
    assert segment.checksum is None
    contents = read_segment(segment)
    assert "died" in contents.damage
    # Counts are written every ten seconds.
    assert [each["kind"] for each in contents.records] == ["row"]


def test_feedback_that_is_wrong_is_refused_by_name(tmp_path):
    sampler = TrafficSampler(tmp_path, SamplingPolicy(1, (), b"s"), Limits())
    for values, field in (
        (("", "judge", True, "", ""), "request_id"),
        (("r", "judge", True, "s" * 65, ""), "source"),
        (("r", "judge", True, "", "n" * 2001), "note"),
    ):
        with pytest.raises(InvalidRequest) as caught:
            sampler.feedback(*values)
        assert caught.value.field == field
    sampler.close()


def test_the_salt_stays_and_a_sealed_segment_is_checked(tmp_path):
    assert load_salt(tmp_path) == load_salt(tmp_path)
    sampler = TrafficSampler(tmp_path, SamplingPolicy(1, (), b"s"), Limits())
    answer(sampler)
    sampler.close()
    (segment,) = list_segments(tmp_path)
    assert segment.checksum == hashlib.sha256(segment.path.read_bytes()).hexdigest()[:16]
    segment.path.write_bytes(segment.path.read_bytes()[:-1] + b"x")
    assert "checksum differs" in read_segment(segment).damage


def test_the_listed_metrics_are_those_of_traffic(tmp_path):
    sampler = TrafficSampler(tmp_path, SamplingPolicy(1, (), b"s"), Limits())
    names = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in TrafficCollector(sampler).collect()
    }
    sampler.close()
    page = Path(__file__).parents[3] / "docs" / "reference" / "traffic.md"
    listed = re.findall(r"^\| `(tipstaff_\w+)`", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(listed) == names
