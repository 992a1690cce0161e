"""The Open Inference Protocol, version 2, without its transport: an evaluator as a model.

Inputs are tensors of texts named `input`, `output` and `ground_truth`, of shape [n] or [n, 1].
Outputs, of shape [n]: `score` (FP64), and as texts `verdict`, `reasons` (with commas between) and
`request_id`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tipstaff.types import FIELDS, EvaluatorInfo
from tipstaff_gateway.context import RequestContext
from tipstaff_gateway.doors.services import Services
from tipstaff_gateway.mapping import Exchange
from tipstaff_gateway.policy import Decision
from tipstaff_gateway.problems import ProblemError, invalid

PROTOCOL = "kserve"
PLATFORM = "tipstaff"
EXTENSIONS = ("binary_tensor_data",)
TEXTS = "BYTES"
OUTPUTS = {"score": "FP64", "verdict": TEXTS, "reasons": TEXTS, "request_id": TEXTS}


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input tensor of texts."""

    name: str
    shape: Sequence[int]
    texts: Sequence[str]


@dataclass(frozen=True, slots=True)
class Inference:
    """What a model answered.

    Attributes:
        model: The evaluator's name.
        version: The evaluator's version.
        values: The outputs by name, each a list of n scores or texts.
    """

    model: str
    version: str
    values: Mapping[str, Sequence[float] | Sequence[str]]


async def infer(
    services: Services,
    ctx: RequestContext,
    tensors: Sequence[Tensor],
    *,
    model: str,
    version: str,
    outputs: Sequence[str] = (),
    headers: Mapping[str, str] | None = None,
) -> Inference:
    """Scores the interactions in a request's tensors.

    Raises:
        ScoringError: One of them has no score.
        ProblemError: A tensor or the version is invalid.
    """
    texts = _checked(tensors)
    for name in outputs:
        if name not in OUTPUTS:
            raise invalid(f"outputs: there is no {name!r}; there are {', '.join(OUTPUTS)}")
    mapping = services.mappings[PROTOCOL]
    count = len(next(iter(texts.values())))
    mapped = [
        mapping.map(
            Exchange(
                texts={f"tensor:{name}": column[row] for name, column in texts.items()},
                headers=headers or {},
            )
        )
        for row in range(count)
    ]
    decisions = await services.judge(
        PROTOCOL,
        mapped,
        ctx,
        evaluator=mapping.evaluator or model,
        version=_version_number(version),
    )
    values: dict[str, Sequence[float] | Sequence[str]] = {
        "score": [each.score.score or 0.0 for each in decisions],
        "verdict": [each.verdict.value for each in decisions],
        "reasons": [",".join(each.score.reasons) for each in decisions],
        "request_id": [each.score.request_id for each in decisions],
    }
    first: Decision = decisions[0]
    return Inference(
        model or first.score.evaluator,
        str(first.score.version),
        {name: values[name] for name in (outputs or OUTPUTS)},
    )


async def find_model(
    services: Services, ctx: RequestContext, name: str, version: str
) -> EvaluatorInfo:
    """An evaluator by its name as a model.

    Raises:
        ScoringError: The server doesn't answer.
        ProblemError: It offers no such evaluator.
    """
    wanted = services.mappings[PROTOCOL].evaluator or name
    for each in await services.upstream.evaluators(ctx):
        if each.name == wanted and _version_number(version) in (0, each.version):
            return each
    which = f"model {name!r}" + (f" version {version}" if version else "")
    raise ProblemError(404, f"there is no {which}", code="NOT_FOUND")


def _version_number(version: str) -> int:
    if not version:
        return 0
    if version.isascii() and version.isdigit() and len(version) < 10:
        return int(version)
    raise ProblemError(404, "versions are whole numbers", code="NOT_FOUND")


def check_datatype(name: str, datatype: object) -> None:
    """Checks that a tensor holds texts, before it is read as such.

    Raises:
        ProblemError: It doesn't.
    """
    if datatype != TEXTS:
        raise invalid(f"inputs: {name!r} has datatype {datatype!r}; texts are {TEXTS}")


def _checked(tensors: Sequence[Tensor]) -> dict[str, Sequence[str]]:
    """The texts of each tensor by its name."""
    if not tensors:
        raise invalid("inputs: give at least one tensor of texts")
    columns: dict[str, Sequence[str]] = {}
    for each in tensors:
        where = f"inputs: {each.name!r}"
        if each.name in columns:
            raise invalid(f"{where} is given twice")
        size = 1
        for length in each.shape:
            size *= length
        if len(each.shape) not in (1, 2) or list(each.shape[1:]) not in ([], [1]) or size < 1:
            raise invalid(f"{where} has shape {list(each.shape)}; give [n] or [n, 1]")
        if size != len(each.texts):
            raise invalid(f"{where} has {len(each.texts)} texts, and a shape of {size}")
        columns[each.name] = each.texts
    if len({len(texts) for texts in columns.values()}) > 1:
        raise invalid("inputs: all tensors need as many texts")
    return columns


def input_names(info: EvaluatorInfo) -> tuple[str, ...]:
    """The tensors that an evaluator reads, in the order of fields."""
    return tuple(field for field in FIELDS if field in info.fields)
