"""A real server keeps a sample of its traffic, and feedback beside it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from running_server import wait_until

from tipstaff import AsyncClient, Client, Interaction, InvalidRequestError, NotFoundError
from tipstaff_server.traffic.erase import erase
from tipstaff_server.traffic.segments import list_segments, read_segment

TEXTS = {"input": "capital of france", "output": "paris", "ground_truth": "paris is the capital"}


def records(folder: Path, kind: str) -> list[dict]:
    return [
        record
        for segment in list_segments(folder)
        for record in read_segment(segment).records
        if record["kind"] == kind
    ]


def test_what_is_scored_is_kept_and_counted(start, bundle, tmp_path):
    folder = tmp_path / "traffic"
    server = start(bundle, "--traffic", folder, "--traffic-rate", 1, "--cache-entries", 10)
    with Client(server.address, timeout=5) as client:
        first = client.score(**TEXTS, request_id="session", attributes={"model": "small"})
        client.score(**TEXTS, request_id="session")
        client.score_batch([Interaction(output="paris")] * 3)
        client.score(**TEXTS, version=0, explain=True)
        assert client.feedback("session", good=False, source="thumbs", note="no") == 2
        assert client.feedback("elsewhere", good=True) == 0
        with pytest.raises(InvalidRequestError, match="attributes"):
            client.score(**TEXTS, attributes={"model": "x" * 300})

        async def again() -> int:
            async with AsyncClient(server.address, timeout=5) as other:
                return await other.feedback("session", good=False, source="thumbs")

        assert asyncio.run(again()) == 2
        assert server.metric("tipstaff_traffic_counted_total") == 6
        assert server.metric("tipstaff_traffic_keeping") == 1
    assert server.stop() == 0

    rows = records(folder, "row")
    assert len(rows) == 6
    assert len({row["row"] for row in rows}) == 6
    assert rows[0] | TEXTS == rows[0]
    assert rows[0]["request"] == "session"
    assert rows[0]["attributes"] == {"model": "small"}
    assert rows[0]["score"] == first.score
    assert rows[0]["pi"] == 1
    assert 0 <= rows[0]["draw"] < 1
    assert rows[1]["cached"]
    assert not rows[0]["cached"]
    counts = records(folder, "counts")
    assert sum(each["n"] for each in counts) == sum(each["drawn"] for each in counts) == 6
    assert sum(each["sum_bad"] for each in counts) == pytest.approx(
        sum(1 - row["score"] for row in rows)
    )
    about, *_ = records(folder, "feedback")
    assert about["row"] == rows[1]["row"]
    assert about["good"] is False
    assert not any(secret in server.log for secret in TEXTS.values())


def test_a_call_that_names_a_version_is_no_traffic(start, bundle, tmp_path):
    from tipstaff_server import repository

    home = tmp_path / "repository"
    version = repository.publish(bundle, home)
    repository.promote(home, "tiny", version, force=True)
    server = start("--repository", home, "--traffic", tmp_path / "traffic", "--traffic-rate", 1)
    with Client(server.address, timeout=5) as client:
        client.score(**TEXTS, version=version)
        client.score(**TEXTS)
    assert server.metric("tipstaff_traffic_skipped_total") == 1
    assert server.metric("tipstaff_traffic_counted_total") == 1


def test_feedback_needs_traffic(server):
    with Client(server.address, timeout=5) as client, pytest.raises(NotFoundError) as caught:
        client.feedback("some", good=True, evaluator="tiny")
    assert caught.value.code == "FAILED_PRECONDITION"
    assert "keeps no traffic" in str(caught.value)


def test_a_folder_that_can_not_be_written_stops_keeping_and_never_serving(start, bundle, tmp_path):
    # Root may write to a read-only folder: a file in its place refuses everybody.
    folder = tmp_path / "traffic"
    folder.write_text("")
    server = start(bundle, "--traffic", folder, "--traffic-rate", 1)
    with Client(server.address, timeout=5) as client:
        for _ in range(3):
            client.score(**TEXTS)
        wait_until(lambda: server.metric("tipstaff_traffic_keeping") == 0)
        assert client.score(**TEXTS).score is not None
        assert server.metric("tipstaff_traffic_dropped_total") == 4
        folder.unlink()
        wait_until(lambda: server.metric("tipstaff_traffic_keeping") == 1, 30)
        client.score(**TEXTS)
    server.stop()
    counts = records(folder, "counts")
    # What was lost is accounted for, once there is room.
    assert sum(each["n"] for each in counts) == 5
    assert sum(each["dropped"] for each in counts) == 4
    assert len(records(folder, "row")) == 1


def test_erasing_reaches_what_is_sealed_and_what_is_still_open(start, bundle, tmp_path):
    folder = tmp_path / "traffic"
    server = start(bundle, "--traffic", folder, "--traffic-rate", 1)
    with Client(server.address, timeout=5) as client:
        client.score(**TEXTS, request_id="erase-me")
        client.score(**TEXTS, request_id="keep-me")
        wait_until(lambda: any(folder.glob("*.open")))
        done = erase(folder, ["erase-me"])
        assert done.rows == 0
        assert done.open == 1
    server.stop()
    assert [row["request"] for row in records(folder, "row")] == ["keep-me"]
    assert (folder / "salt").stat().st_mode & 0o77 == 0
