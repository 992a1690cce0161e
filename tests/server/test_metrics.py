from __future__ import annotations

import subprocess
from itertools import pairwise

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tools import require

from tipstaff.v1 import scoring_pb2 as pb

REQUEST = pb.ScoreRequest(evaluator="tiny", input="paris", output="paris is it", ground_truth="a")


def test_promtool_has_nothing_to_say_against_them(server):
    server.stub().Score(REQUEST)
    for failing in (pb.ScoreRequest(evaluator="nobody", output="a"), pb.ScoreRequest(output="a")):
        with pytest.raises(grpc.RpcError):
            server.stub().Score(failing)
    done = subprocess.run(
        [require("promtool"), "check", "metrics"],
        input=server.scrape(),
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_one_score_is_counted_in_all_its_parts(server):
    names = (
        *(f"tipstaff_{part}_duration_seconds_count" for part in ("encode", "queue", "inference")),
        "tipstaff_batch_size_sum",
        "tipstaff_padding_ratio_count",
        "tipstaff_score_count",
        "tipstaff_verdicts_total",
    )
    before = {name: server.metric(name, evaluator="tiny") for name in names}
    uncertified = {"evaluator": "tiny", "reason": "UNCERTIFIED"}
    reasons = server.metric("tipstaff_reasons_total", **uncertified)
    server.stub().Score(REQUEST)
    after = {name: server.metric(name, evaluator="tiny") for name in names}
    assert after == {name: before[name] + 1 for name in names}
    assert server.metric("tipstaff_reasons_total", **uncertified) == reasons + 1


def test_partial_coverage_is_counted(server):
    partial = server.metric("tipstaff_partial_total", evaluator="pair")
    low = {"evaluator": "pair", "field": "output", "le": "0.9"}
    covered = server.metric("tipstaff_coverage_ratio_bucket", **low)
    server.stub().Score(pb.ScoreRequest(evaluator="pair", output="paris " * 100, input="a"))
    assert server.metric("tipstaff_partial_total", evaluator="pair") == partial + 1
    assert server.metric("tipstaff_coverage_ratio_bucket", **low) == covered + 1


def test_latency_buckets_resolve_1_to_500_ms(server):
    server.stub().Score(REQUEST)
    edges = {
        float(sample.labels["le"])
        for family in text_string_to_metric_families(server.scrape())
        for sample in family.samples
        if sample.name == "tipstaff_request_duration_seconds_bucket"
    }
    within = sorted(edge for edge in edges if 0.001 <= edge <= 0.5)
    assert (within[0], within[-1]) == (0.001, 0.5)
    assert all(high <= 2 * low for low, high in pairwise(within))


def test_names_that_requests_make_up_become_no_labels(server):
    for number in range(5):
        with pytest.raises(grpc.RpcError):
            server.stub().Score(pb.ScoreRequest(evaluator=f"made-up-{number}", output="a"))
    assert "made-up" not in server.scrape()
    counted = server.metric(
        "tipstaff_request_duration_seconds_count", evaluator="", code="NOT_FOUND"
    )
    assert counted >= 5


def test_the_state_of_the_server_shows(server):
    assert server.metric("tipstaff_lanes") >= 1
    assert server.metric("tipstaff_lanes_healthy") == 1
    assert server.metric("tipstaff_queue_depth") == 0
    shown = {"evaluator": "tiny", "version": "0", "engine": "fp32/cpu"}
    assert server.metric("tipstaff_evaluator_info", **shown) == 1
    assert server.metric("process_resident_memory_bytes") > 1e6
