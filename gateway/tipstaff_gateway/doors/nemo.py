"""The three forms in which NeMo Guardrails asks a classifier (`hf_classifier`).

vLLM's `/classify`, KServe's v1 `:predict` and the detectors of the FMS guardrails. NeMo sends one
text at a time. Labels are PASS, REVIEW and BLOCK, with a probability of 1: the server has decided
already, by thresholds that may be certified, and a second threshold would undo that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tipstaff.types import Verdict
from tipstaff_gateway.context import RequestContext, parse_json
from tipstaff_gateway.doors.services import Services
from tipstaff_gateway.mapping import Exchange
from tipstaff_gateway.policy import Decision
from tipstaff_gateway.problems import invalid

PROTOCOL = "nemo"
LABELS = tuple(Verdict)
# As many as the server takes in one call by default.
_MOST_TEXTS = 128


def routes(services: Services) -> list[Route]:
    """The routes of this door."""

    async def classify(request: Request, ctx: RequestContext) -> Response:
        body = parse_json(ctx.body)
        model = body.get("model", "")
        texts = body.get("input")
        decisions = await _judge(
            services,
            request,
            ctx,
            field="input",
            # vLLM takes a single text too.
            texts=[texts] if isinstance(texts, str) else texts,
            evaluator=model if isinstance(model, str) else "",
        )
        data = [
            {
                "index": index,
                "label": label(each),
                "probs": [float(label(each) == name) for name in LABELS],
                "num_classes": len(LABELS),
                "tipstaff": details(each),
            }
            for index, each in enumerate(decisions)
        ]
        return JSONResponse({"object": "list", "model": model, "data": data})

    async def predict(request: Request, ctx: RequestContext) -> Response:
        body = parse_json(ctx.body)
        decisions = await _judge(
            services,
            request,
            ctx,
            field="instances",
            texts=body.get("instances"),
            evaluator=request.path_params["model"],
        )
        return JSONResponse(
            {
                "predictions": [
                    {name: float(label(each) == name) for name in LABELS} for each in decisions
                ],
                "tipstaff": [details(each) for each in decisions],
            }
        )

    async def contents(request: Request, ctx: RequestContext) -> Response:
        body = parse_json(ctx.body)
        texts: Any = body.get("contents")
        params = body.get("detector_params")
        evaluator = params.get("evaluator", "") if isinstance(params, Mapping) else ""
        decisions = await _judge(
            services, request, ctx, field="contents", texts=texts, evaluator=str(evaluator)
        )
        return JSONResponse(
            [
                [] if label(each) == Verdict.PASS else [_detection(each, text)]
                for each, text in zip(decisions, texts, strict=True)
            ]
        )

    return [
        services.route("/classify", PROTOCOL, classify),
        services.route("/v1/models/{model}:predict", PROTOCOL, predict),
        services.route("/api/v1/text/contents", PROTOCOL, contents),
    ]


def label(decision: Decision) -> Verdict:
    """The label of an answer: BLOCK if the answer is blocked, else its verdict."""
    return Verdict.BLOCK if decision.blocked else decision.verdict


def details(decision: Decision) -> dict[str, Any]:
    """What the label leaves out."""
    score = decision.score
    return {
        "verdict": decision.verdict,
        "score": score.score,
        "evaluator": score.evaluator,
        "version": score.version,
        "request_id": score.request_id,
        "reasons": list(score.reasons),
        "missing": list(decision.missing),
    }


def _detection(decision: Decision, text: str) -> dict[str, Any]:
    return {
        "start": 0,
        "end": len(text),
        "text": text,
        "detection": decision.score.evaluator,
        "detection_type": label(decision),
        "score": 1.0,
        "metadata": details(decision),
    }


async def _judge(
    services: Services,
    request: Request,
    ctx: RequestContext,
    *,
    field: str,
    texts: Any,
    evaluator: str,
) -> list[Decision]:
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise invalid(f"{field}: must be a list of texts")
    if not 0 < len(texts) <= _MOST_TEXTS:
        raise invalid(f"{field}: give from 1 to {_MOST_TEXTS} texts")
    mapping = services.mappings[PROTOCOL]
    headers = {name.lower(): value for name, value in request.headers.items()}
    mapped = [mapping.map(Exchange(texts={"text": text}, headers=headers)) for text in texts]
    # The mapping file comes first: callers' names of models need not be names of evaluators.
    chosen = mapping.evaluator or evaluator
    return await services.judge(PROTOCOL, mapped, ctx, evaluator=chosen)
