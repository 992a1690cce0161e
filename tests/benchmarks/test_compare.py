"""The parts of `benchmarks/compare.py` that can be wrong without anyone noticing."""

from __future__ import annotations

import asyncio
import math
import os
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime
import psutil
import pytest
import torch
import transformers
from comparison.ceiling import measure_ceiling
from comparison.ideal import ideal_latencies
from comparison.lineup import PEERS
from comparison.loadgen import (
    Answer,
    NoAnswer,
    Outcomes,
    closed,
    once_each,
    open_loop,
    percentile_ms,
    poisson_arrivals,
)
from comparison.measure import Plan, differing, summary
from comparison.model_folder import GRAPH, WEIGHTS, write_model_folder
from comparison.processes import Processes, pinned, usable_cores
from comparison.report import draw, tables
from comparison.verdict import TARGETS, evaluate
from safetensors.torch import save_model
from tiny_bundle import make_bundle
from tiny_training import tiny_base
from tokenizers import Tokenizer

from tipstaff import Interaction
from tipstaff.errors import UsageError
from tipstaff_server.evaluator.layout import Tokens
from tipstaff_server.evaluator.session import collate
from tipstaff_trainer.distil.model import EvaluatorModel
from tipstaff_trainer.encoders.base import DEFAULT_BASE, find_base

PARIS = Interaction("capital of france", "paris is the capital", "paris")
TWO_CORES = pytest.mark.skipif(len(usable_cores()) < 2, reason="needs two cores")


class TestIdealQueue:
    def test_one_lane_by_hand(self) -> None:
        assert ideal_latencies([0, 1, 2, 9], [1.5] * 4, servers=1) == [1.5, 2.0, 2.5, 1.5]

    def test_a_second_server_takes_what_waits(self) -> None:
        assert ideal_latencies([0, 1, 2, 2.5], [3, 1, 1, 1], servers=2) == [3, 1, 1, 1.5]

    def test_waits_as_long_as_queueing_theory_says(self) -> None:
        """M/D/1 waits rho / (2 (1 - rho)) service times on average (Pollaczek-Khinchine)."""
        load = 0.8
        arrivals = poisson_arrivals(load, 200_000, seed=1)
        waits = np.array(ideal_latencies(arrivals, [1.0] * len(arrivals), servers=1)) - 1
        assert waits.mean() == pytest.approx(load / (2 * (1 - load)), rel=0.05)


class TestArrivals:
    def test_come_at_the_rate_and_the_same_for_a_seed(self) -> None:
        arrivals = poisson_arrivals(100, 50, seed=3)
        assert len(arrivals) == pytest.approx(5000, rel=0.06)
        gaps = np.diff(arrivals)
        assert gaps.std() == pytest.approx(gaps.mean(), rel=0.1)  # exponential
        assert arrivals == sorted(arrivals)
        assert max(arrivals) < 50
        assert arrivals == poisson_arrivals(100, 50, seed=3)
        assert arrivals != poisson_arrivals(100, 50, seed=4)


class TestLoops:
    def test_open_loop_accounts_for_every_request(self) -> None:
        sent: list[tuple[int, float]] = []

        async def ask(request: int, seconds: float) -> Answer:
            sent.append((request, seconds))
            if request == 1:
                raise NoAnswer("RESOURCE_EXHAUSTED", refused=True)
            if request == 2:
                raise NoAnswer("DEADLINE_EXCEEDED")
            await asyncio.sleep(0.02 if request == 0 else 0.3)
            return Answer(request / 10, 0.001)

        arrivals = [0.01 * place for place in range(8)]
        outcomes = asyncio.run(open_loop(ask, [0, 1, 2, 3], arrivals, 0.1))

        assert outcomes.requests == [0, 1, 2, 3, 0, 1, 2, 3]
        assert all(0 < seconds <= 0.1 for _, seconds in sent)
        assert len(outcomes.answered) == 4
        assert outcomes.within(0.1) == 2
        assert outcomes.errors == {"RESOURCE_EXHAUSTED": 2, "DEADLINE_EXCEEDED": 2}
        assert len(outcomes.refusals) == 2
        assert outcomes.scores == {0: [0.0, 0.0], 3: [0.3, 0.3]}
        assert outcomes.service == {0: [0.001] * 2, 3: [0.001] * 2}
        assert outcomes.seconds >= 0.37

    def test_a_stalled_generator_flatters_nobody(self) -> None:
        async def ask(request: int, seconds: float) -> Answer:
            if request == 0:
                time.sleep(1.2)  # stalls the loop, so that the others are sent late
            return Answer(0.5)

        # The last is 0.05 s late, with 0.95 to spare for a busy machine.
        outcomes = asyncio.run(open_loop(ask, [0, 1, 2], [0.0, 0.01, 1.15], 1.0))
        assert outcomes.latency[0] is not None
        assert outcomes.latency[0] >= 1.2
        assert outcomes.latency[1] is None
        assert outcomes.errors == {"late before it was sent": 1}
        assert outcomes.latency[2] is not None
        assert outcomes.latency[2] >= 0.04
        assert max(outcomes.lateness) >= 1.18

    def test_closed_loop_keeps_so_many_under_way(self) -> None:
        under_way, most = 0, 0

        async def ask(request: int, seconds: float) -> Answer:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.02)
            under_way -= 1
            return Answer(0.0)

        outcomes = asyncio.run(closed(ask, range(5), 4, 0.3))
        assert most == 4
        assert 0.3 <= outcomes.seconds < 0.5
        assert len(outcomes.answered) == pytest.approx(4 * 0.3 / 0.02, rel=0.35)
        assert all(latency >= 0.02 for latency in outcomes.answered)

    def test_once_each_asks_for_each_once(self) -> None:
        sent: list[int] = []

        async def ask(request: int, seconds: float) -> Answer:
            sent.append(request)
            await asyncio.sleep(0.001 * (request % 3))
            return Answer(request)

        outcomes = asyncio.run(once_each(ask, range(50), 8))
        assert sorted(sent) == list(range(50))
        assert outcomes.scores == {request: [request] for request in range(50)}


class TestNumbers:
    def test_percentiles_are_in_milliseconds(self) -> None:
        assert percentile_ms([0.001 * n for n in range(1, 102)], 99) == pytest.approx(100.0)
        assert percentile_ms([], 99) is None

    def test_a_summary_counts(self) -> None:
        outcomes = Outcomes(seconds=2.0, refusals=[0.004, 0.002, 0.003])
        for latency in (0.01, None, 0.03):
            outcomes.latency[outcomes.begin(0, 0.0)] = latency
        found = summary(outcomes)
        assert (found["asked"], found["answered"], found["per_second"]) == (3, 2, 1.0)
        assert (found["p50_ms"], found["refused"], found["refusal_p50_ms"]) == (20.0, 3, 3.0)

    def test_a_score_differs_by_its_last_bit(self) -> None:
        outcomes = Outcomes(
            scores={0: [0.5, 0.5], 1: [0.5, math.nextafter(0.5, 1)], 2: [0.75], 9: [0.1]}
        )
        found = differing(outcomes, {0: 0.5, 1: 0.5, 2: 0.25})
        assert found == {"compared": 3, "differing": 2, "largest_difference": 0.5}


def _records(**changes: object) -> list[dict[str, object]]:
    """Records of a run that meets every target and every aim."""
    closed = {"phase": "closed", "concurrent": 32, "p50_ms": 1, "p99_ms": 2, "errors": {}}
    common = {"answered": 100, "memory_mb": 1, "differing": 0, "largest_difference": 0.0}
    speeds = {"tipstaff": 200, "infinity-torch": 20, "mosec": 100, "mosec-single": 250}
    opened = {"phase": "open", "contender": "tipstaff", "rate": 1.0, "refused": 1, "p50_ms": 1}
    opened |= {
        "p99_ms": 3.14159,
        "generator_late_p99_ms": 0.5,
        "errors": {"RESOURCE_EXHAUSTED": 1},
        "answered": 10,
        "cpu_seconds": 1,
    }
    records = [
        {"phase": "machine", "contender": ""},
        *(
            {"contender": name, "per_second": speed, "cpu_seconds": 1.0, **closed, **common}
            for name, speed in speeds.items()
        ),
        *(
            {"contender": name, "per_second": speed * pace, "cpu_seconds": 1.0, **closed, **common}
            | {"phase": "round", "round": number}
            # In one round the machine is slow for every contender.
            for number, pace in enumerate((1.0, 0.5, 1.0))
            for name, speed in speeds.items()
        ),
        *(
            {**closed, **common, "contender": "in-process", "phase": "round", "round": number}
            | {"cpu_seconds": cpu, "per_second": 1, "threads": 2}
            for number, cpu in enumerate((0.95, 0.5, 3.0))
        ),
        {**closed, **common, "contender": "in-process", "phase": "loop", "threads": 1, "cores": 1}
        | {"cpu_seconds": 0.2, "per_second": 1},
        {**closed, **common, "contender": "in-process", "phase": "loop", "threads": 2, "cores": 2}
        | {"cpu_seconds": 0.95, "per_second": 2},
        *(
            {"contender": "tipstaff", "phase": "unhurried", "p99_ms": p99, "ideal_p99_ms": 10.0}
            | {"bare_p99_ms": 5.0}
            for p99 in (90.0, 11.0, 10.0)
        ),
        {**opened, "load": 1.0, "goodput": 100.0, "refusal_p50_ms": 1.0},
        {**opened, "load": 3.0, "goodput": 95.0, "refusal_p50_ms": 1.5},
        {"contender": "tipstaff", "phase": "idle", "cpu_percent": 0.2},
    ]
    for record in records:
        if record["contender"] == "tipstaff":
            record |= {name: value for name, value in changes.items() if name in record}
    return records


class TestVerdict:
    def test_values_by_hand(self) -> None:
        rows = evaluate(_records())
        assert [row["value"] for row in rows] == [10, 2, 0.8, 0, 0.95, 1.1, 2.2, 0.95, 1.5, 0.2]
        told = [row for row in rows if row["must"] is not None]
        assert all(row["must_met"] and row["aim_met"] for row in told)
        assert [row["target"] for row in rows if row["must"] is None] == [
            TARGETS[2].name,
            TARGETS[6].name,
        ]

    @pytest.mark.parametrize(
        ("change", "place"),
        [
            ({"per_second": 119}, 0),
            ({"per_second": 109}, 1),
            ({"differing": 1}, 3),
            ({"cpu_seconds": 1.2}, 4),
            ({"ideal_p99_ms": 7.0}, 5),
            ({"refusal_p50_ms": 5.1}, 8),
            ({"cpu_percent": 1.1}, 9),
        ],
    )
    def test_a_target_can_be_missed(self, change: dict[str, object], place: int) -> None:
        assert evaluate(_records(**change))[place]["must_met"] is False

    def test_goodput_that_breaks_down_misses(self) -> None:
        records = _records()
        next(r for r in records if r.get("load") == 3.0)["goodput"] = 79.0
        assert evaluate(records)[7]["must_met"] is False

    def test_what_was_not_measured_is_neither_met_nor_missed(self) -> None:
        records = [r for r in _records() if r["contender"] != "infinity-torch"]
        row = evaluate(records)[0]
        assert (row["value"], row["must_met"], row["aim_met"]) == (None, None, None)


class TestReport:
    def test_tables_and_plots(self, tmp_path: Path) -> None:
        said = tables(_records())
        assert "| mosec | 32 | 100 | 1 | 2 | 0 | 10.00 | 1 | 0 | 0 |" in said
        assert "| in-process | 2 on 2 |" in said
        assert "| tipstaff | 3.0 | 1.0 | 95.0 | 1 | 3.1 | 1 | 1.5 | 0 | 100.00 | 0.5 |" in said
        draw(_records(), tmp_path)
        assert {file.name for file in tmp_path.iterdir()} == {"closed.png", "open.png"}


def _int8_bundle(folder: Path) -> Path:
    return make_bundle(folder, precision="int8", batch_invariant=False)


class TestModelFolder:
    @pytest.fixture
    def model(self, tmp_path: Path) -> EvaluatorModel:
        torch.manual_seed(0)
        encoder = transformers.AutoModel.from_pretrained(tiny_base("bert", tmp_path / "base"))
        model = EvaluatorModel(encoder, marks="overlap").eval()
        torch.nn.init.normal_(model.head.weight)
        return model

    @pytest.fixture
    def folder(self, model: EvaluatorModel, tmp_path: Path) -> Path:
        bundle = _int8_bundle(tmp_path / "bundle")
        (bundle / WEIGHTS).parent.mkdir()
        save_model(model, str(bundle / WEIGHTS))
        return write_model_folder(bundle, tmp_path / "model", str(tmp_path / "base"))

    @pytest.fixture
    def batch(self) -> dict[str, np.ndarray]:
        """A padded batch with marks; peers get no evidence."""
        batch = collate(
            [Tokens(np.arange(1, 1 + length), np.arange(length) % 2) for length in (5, 12, 9)],
            pad_id=0,
        )
        del batch["evidence"]
        return batch

    def test_transformers_gives_the_models_logits(
        self,
        model: EvaluatorModel,
        folder: Path,
        batch: dict[str, np.ndarray],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(
            transformers.dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules")
        )
        served = transformers.AutoModelForSequenceClassification.from_pretrained(
            folder, trust_remote_code=True
        ).eval()
        feeds = {name: torch.from_numpy(value) for name, value in batch.items()}
        with torch.inference_mode():
            wanted = model(**feeds)["logit"]
            feeds["token_type_ids"] = feeds.pop("marks")
            found = served(**feeds).logits
        assert found.shape == (3, 1)
        assert wanted.std() > 0.1
        torch.testing.assert_close(found[:, 0], wanted, atol=1e-5, rtol=1e-5)

    def test_the_graph_gives_nearly_the_models_logits(
        self, model: EvaluatorModel, folder: Path, batch: dict[str, np.ndarray]
    ) -> None:
        with torch.inference_mode():
            wanted = model(**{name: torch.from_numpy(value) for name, value in batch.items()})
        batch["token_type_ids"] = batch.pop("marks")
        session = onnxruntime.InferenceSession(folder / GRAPH)
        (found,) = session.run(None, batch)
        assert [output.name for output in session.get_outputs()] == ["logits"]
        assert found.shape == (3, 1)
        assert np.abs(found[:, 0] - wanted["logit"].numpy()).max() < 0.1
        batch["token_type_ids"][:] = 0
        (unmarked,) = session.run(None, batch)
        assert np.abs(unmarked - found).max() > 0.01

    def test_says_what_is_missing(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"weights\.safetensors: missing"):
            write_model_folder(_int8_bundle(tmp_path / "bundle"), tmp_path / "model")

    def test_texts_have_tipstaffs_tokens(self) -> None:
        tokenizer = Tokenizer.from_str(find_base(DEFAULT_BASE).tokenizer.to_str())
        bodies = {spec.name: spec.body(PARIS) for spec in PEERS}
        pair, text = bodies["infinity-torch"], bodies["fastapi"]
        assert isinstance(pair, dict)
        assert isinstance(text, dict)
        wanted = ["[CLS]", *"paris is the capital [SEP] paris [SEP] capital of france".split()]
        wanted.append("[SEP]")
        assert tokenizer.encode(text["text"]).tokens == wanted
        assert tokenizer.encode(pair["query"], pair["documents"][0]).tokens == wanted


class TestProcesses:
    def test_counts_the_time_of_children_too(self, tmp_path: Path) -> None:
        burn = (
            "import time\nuntil = time.process_time() + 0.3\n"
            "while time.process_time() < until: pass"
        )
        script = (
            f"import subprocess, sys, time\nsubprocess.run([sys.executable, '-c', {burn!r}])\n"
            "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
            "print(child.pid, flush=True)\ntime.sleep(60)"
        )
        core = usable_cores()[-1]
        processes = Processes(
            [sys.executable, "-c", script],
            cores=[core],
            environment={},
            log=tmp_path / "log",
            piped=True,
        )
        try:
            assert processes.popen.stdout is not None
            child = psutil.Process(int(processes.popen.stdout.readline()))
            assert processes.cpu_seconds() >= 0.3
            assert child.cpu_affinity() == [core]
            assert processes.peak_bytes() >= processes.memory_bytes() > 5e6
        finally:
            processes.stop()
        assert not processes.running
        assert not child.is_running()

    @TWO_CORES
    def test_pins_for_a_while(self) -> None:
        before = usable_cores()
        with pinned(before[:1]):
            assert usable_cores() == before[:1]
        assert usable_cores() == before
        assert os.sched_getaffinity(0) == set(before)


def test_the_ceiling_runs_the_bundle(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle")
    plan = Plan(usable_cores()[:1], requests=2, seconds=0.2, seed=0)
    interactions = [PARIS, Interaction(output="no refund", ground_truth="refund in 14 days")]
    records = list(measure_ceiling(bundle, interactions, plan, tmp_path))
    assert [record["threads"] for record in records] == [1, 1, 1]
    assert all(record["answered"] and record["differing"] == 0 for record in records)
    assert not (tmp_path / "requests.jsonl").exists()
