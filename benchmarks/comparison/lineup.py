"""The peers and their settings, tuned as their documentation advises.

Settings found by experiment say so under `chosen`; `benchmarks/studies/peers.md` has the results.
"""

from __future__ import annotations

from pathlib import Path

from comparison.contender import Launch, PeerSpec
from comparison.verdict import UNBATCHED
from tipstaff import Interaction

_PEERS = Path(__file__).parent / "peers"
_PATIENCE_MS = 60_000


def _joined(*texts: str | None) -> str:
    """Joins texts into one that has the tokens of Tipstaff's layout."""
    return " [SEP] ".join(text or "" for text in texts)


def _text(interaction: Interaction) -> dict[str, str]:
    return {"text": _joined(interaction.output, interaction.ground_truth, interaction.input)}


def _pair(interaction: Interaction) -> dict[str, object]:
    # The same tokens: the tokenizer puts [SEP] between the two texts of a pair.
    return {
        "model": "evaluator",
        "query": interaction.output or "",
        "documents": [_joined(interaction.ground_truth, interaction.input)],
    }


def _infinity(engine: str, batch_size: int, *flags: str, **why: str) -> PeerSpec:
    def command(launch: Launch) -> list[str]:
        return [
            *(str(launch.python.with_name("infinity_emb")), "v2", "--model-id", str(launch.model)),
            *("--served-model-name", "evaluator", "--engine", engine, "--device", "cpu"),
            *("--batch-size", str(batch_size), *flags, "--log-level", "error"),
            *("--host", "127.0.0.1", "--port", str(launch.port)),
        ]

    return PeerSpec(
        name=f"infinity-{engine}",
        requirements="infinity",
        command=command,
        path="/rerank",
        body=_pair,
        score=lambda reply: float(reply["results"][0]["relevance_score"]),
        settings={
            "engine": engine,
            "batch_size": batch_size,
            "flags": flags,
            "route": "/rerank, which is how Infinity takes a model with one logit",
            **why,
        },
    )


def _fastapi_command(launch: Launch) -> list[str]:
    return [
        *(str(launch.python), "-m", "uvicorn", "fastapi_app:app", "--app-dir", str(_PEERS)),
        *("--host", "127.0.0.1", "--port", str(launch.port), "--log-level", "warning"),
    ]


def _mosec(name: str, batch: int, wait_ms: int, **why: str) -> PeerSpec:
    def command(launch: Launch) -> list[str]:
        timeout = _PATIENCE_MS if launch.deadline is None else round(launch.deadline * 1e3)
        return [
            *(str(launch.python), str(_PEERS / "mosec_app.py"), "--timeout", str(timeout)),
            *("--address", "127.0.0.1", "--port", str(launch.port), "--log-level", "error"),
        ]

    return PeerSpec(
        name=name,
        requirements="mosec",
        command=command,
        environment=lambda launch: {
            "WORKERS": str(launch.cores),
            "MAX_BATCH": str(batch),
            "MAX_WAIT_MS": str(wait_ms),
        },
        path="/inference",
        body=_text,
        score=lambda reply: float(reply["score"]),
        settings={
            "workers": "one a core, each with an onnxruntime session of one thread",
            "max_batch_size": batch,
            "max_wait_time_ms": wait_ms,
            "timeout": "the deadline where there is one, else a minute",
            **why,
        },
    )


PEERS: tuple[PeerSpec, ...] = (
    _infinity(
        "torch",
        32,
        "--bettertransformer",
        "--no-compile",
        chosen="BetterTransformer is its default and half the processor time of going without; "
        "torch.compile takes three times as long; batches of 4 to 64 don't differ much",
    ),
    _infinity(
        "optimum",
        4,
        "--onnx-disable-optimize",
        chosen="the int8 graph has its fusions, and optimising it again made it slower; batches "
        "of 4 took less than 16, 32 and 64",
    ),
    PeerSpec(
        name="fastapi",
        requirements="fastapi",
        command=_fastapi_command,
        path="/score",
        body=_text,
        score=lambda reply: float(reply["score"]),
        settings={
            "endpoint": "def, so on FastAPI's own threads, as tutorials have it",
            "uvicorn": "one worker, uvloop and httptools",
            "torch": "fp32, inference mode, its own number of threads",
        },
    ),
    _mosec(
        "mosec",
        2,
        2,
        chosen="the fastest with batching on: padded batches of 4, 8 and 16 took 1.2, 1.6 and 2 "
        "times the processor time of pairs",
    ),
    _mosec(
        UNBATCHED,
        1,
        0,
        chosen="batching off, which is the strongest that can be built around this graph",
    ),
)
