"""Evaluators: training, versions and their metrics, named cases, promotion."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import groupby

from starlette.responses import Response
from starlette.routing import Route

from tipstaff.errors import TipstaffError
from tipstaff.types import FIELDS
from tipstaff_server.errors import PromotionRefused
from tipstaff_server.request_fields import RequestField, field_titles
from tipstaff_trainer.desk.context import RequestContext, local_address
from tipstaff_trainer.desk.forms import form_fields
from tipstaff_trainer.desk.routing import get, post
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.operations.train import TrainRequest
from tipstaff_trainer.workspace.db.models import Job, LabelSet
from tipstaff_trainer.workspace.evaluators.versions import EvaluatorVersion
from tipstaff_trainer.workspace.labels.cases import outcome_values

# Fields that the page asks for in its own way, or not at all.
_OWN_FIELDS = ("name", "criterion", "cases", "test_size", "restart")


def routes() -> list[Route]:
    """The routes for evaluators."""
    return [
        get("/evaluators", show_all),
        post("/evaluators", train),
        get("/evaluators/{name:str}/{version:int}", show),
        post("/evaluators/{name:str}/{version:int}/promote", promote),
        post("/evaluators/{name:str}/{version:int}/cases", run_cases),
        post("/evaluators/{name:str}/{version:int}/archive", archive),
        post("/evaluators/{name:str}/{version:int}/measure", measure),
    ]


def show_all(ctx: RequestContext) -> Response:
    """The list of evaluators and trainings, and the form to train one."""
    return _overview(ctx)


def train(ctx: RequestContext) -> Response:
    """Starts a training job."""
    try:
        dataset, criterion = _dataset_and_criterion(ctx)
        job = ctx.workspace.fine_tune(
            dataset,
            criterion=criterion,
            name=ctx.text("name"),
            columns=ctx.texts("columns"),  # type: ignore[arg-type]
            **ctx.entered(_fields()),
            who=ctx.who,
        )
    except TipstaffError as error:
        return _overview(ctx, error.describe(field_titles(TrainRequest)))
    return ctx.redirect(f"/jobs/{job.id}")


def show(ctx: RequestContext) -> Response:
    """A version: its metrics beside those of the Online version, its cases and its card."""
    return _version_page(ctx)


def _version_page(ctx: RequestContext, refused: PromotionRefused | None = None) -> Response:
    name, number = ctx.request.path_params["name"], ctx.path_number("version")
    ctx.stores.evaluators.find(name, number)
    card = ""
    # A damaged version may have no card.
    with suppress(WorkspaceError):
        card = ctx.stores.evaluators.card(name, number)
    versions = _versions(ctx, name)
    version = next(each for each in versions if each.version == number)
    jobs = ctx.stores.jobs
    measurements = [
        job
        for job in (*jobs.recent(kind="evaluate"), *jobs.recent(kind="train"))
        if job.result.get("measured")
        and job.result["name"] == name
        # A job's report is about its first version.
        and job.result["versions"][0] == number
    ]
    outcomes = ctx.stores.evaluators.last_outcomes(name, number) or ()
    return ctx.page(
        "evaluator.html",
        status=409 if refused else 200,
        refused=refused,
        cases=ctx.stores.evaluators.named_cases(version),
        outcomes=[outcome_values(each) for each in outcomes],
        version=version,
        serving=next((each for each in versions if each.serving), None),
        card=card,
        measurements=measurements[:4],
        label_sets=_label_sets(ctx),
    )


def promote(ctx: RequestContext) -> Response:
    """Puts a version online, or rolls back to it; its named cases must be met."""
    name, version = ctx.request.path_params["name"], ctx.path_number("version")
    outcomes = ctx.stores.evaluators.try_cases(name, version)
    try:
        before = ctx.workspace.promote(name, version, force=ctx.text("force") == "yes")
    except PromotionRefused as refused:
        return _version_page(ctx, refused)
    if ctx.stores.server.own:
        ctx.stores.server.start(who=ctx.who)
    replaced = f" in place of version {before}" if before and before != version else ""
    met = sum(each.met for each in outcomes)
    cases = f" {met} of {len(outcomes)} named cases met." if outcomes else ""
    return ctx.redirect(
        local_address(ctx.text("back"), "/evaluators"),
        f"{name} version {version} is online{replaced}.{cases}",
        "good" if met == len(outcomes) else "note",
    )


def run_cases(ctx: RequestContext) -> Response:
    """Runs a version's named cases."""
    name, version = ctx.request.path_params["name"], ctx.path_number("version")
    ctx.stores.evaluators.try_cases(name, version)
    return ctx.redirect(f"/evaluators/{name}/{version}#cases")


def archive(ctx: RequestContext) -> Response:
    """Archives a version."""
    name, version = ctx.request.path_params["name"], ctx.path_number("version")
    archived = ctx.workspace.archive_version(name, version)
    folder = archived.relative_to(ctx.workspace.folder)
    return ctx.redirect(
        "/evaluators", f"{name} version {version} is archived in the folder {folder}.", "note"
    )


def measure(ctx: RequestContext) -> Response:
    """Starts a job that measures a version, and the Online version, on a data set."""
    name, version = ctx.request.path_params["name"], ctx.path_number("version")
    serving = [each.version for each in _versions(ctx, name) if each.serving]
    dataset, criterion = _dataset_and_criterion(ctx)
    job = ctx.workspace.evaluate_dataset(
        dataset,
        name,
        criterion=criterion,
        versions=list(dict.fromkeys([version, *serving])),
        part=ctx.text("part"),
        human=ctx.text("human") == "yes",
        wait=False,
        who=ctx.who,
    )
    return ctx.redirect(f"/jobs/{job.id}")


def _fields() -> list[RequestField]:
    return form_fields(TrainRequest, without=_OWN_FIELDS)


def _versions(ctx: RequestContext, name: str) -> list[EvaluatorVersion]:
    return [each for each in ctx.workspace.list_evaluators() if each.name == name]


def _unfinished(trainings: Sequence[Job]) -> list[Job]:
    """The trainings that run, or that failed without a later one of the same evaluator."""
    names: set[str] = set()
    unfinished = []
    for job in trainings:
        name = job.parameters.get("name", "")
        if job.active or (job.state != "done" and name not in names):
            unfinished.append(job)
        names.add(name)
    return unfinished


def _label_sets(ctx: RequestContext) -> list[LabelSet]:
    return [each for dataset in ctx.stores.datasets.all() for each in dataset.label_sets]


def _dataset_and_criterion(ctx: RequestContext) -> tuple[int, str | None]:
    """The labels that a form names, as the data set's id, `/` and the criterion.

    Raises:
        WorkspaceError: The form names no data set.
    """
    number, separator, criterion = ctx.text("dataset").partition("/")
    if not number.isdecimal() or len(number) > 15:
        raise WorkspaceError("choose a data set")
    return int(number), criterion if separator else None


def _overview(ctx: RequestContext, error: str = "") -> Response:
    versions = ctx.workspace.list_evaluators()
    return ctx.page(
        "evaluators.html",
        status=400 if error else 200,
        evaluators=[(name, list(some)) for name, some in groupby(versions, lambda each: each.name)],
        training=_unfinished(ctx.stores.jobs.recent(kind="train", limit=10)),
        label_sets=_label_sets(ctx),
        cases=ctx.stores.cases.counts(),
        dataset=ctx.text("dataset"),
        fields=FIELDS,
        settings=_fields(),
        values={name: ctx.text(name) for name in ctx.form},
        columns=ctx.texts("columns") or list(FIELDS),
        error=error,
    )
