"""Evaluators: training, versions and their metrics, named cases, promotion."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import groupby

from starlette.responses import Response

from tipstaff.errors import TipstaffError
from tipstaff.types import FIELDS
from tipstaff_server.errors import PromotionRefused
from tipstaff_trainer.desk.context import RequestContext, local_address
from tipstaff_trainer.desk.forms import RequestForm
from tipstaff_trainer.desk.routing import Routes
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.operations.train import TrainRequest
from tipstaff_trainer.workspace.db.models import Job, LabelSet
from tipstaff_trainer.workspace.evaluators.versions import EvaluatorVersion
from tipstaff_trainer.workspace.labels.cases import outcome_values

routes = Routes()

_OWN = {"name": "Name of the evaluator", "columns": "Fields to read", "criterion": "Criterion"}


def _form() -> RequestForm:
    # A data set has its own test rows.
    return RequestForm(TrainRequest, own=_OWN | {"test_size": "Test set"})


@routes.get("/evaluators")
def list_page(ctx: RequestContext, error: TipstaffError | str = "") -> Response:
    """The list of evaluators and trainings, and the form to train one."""
    form = _form()
    versions = ctx.workspace.list_evaluators()
    label_sets = _label_sets(ctx)
    labelled = (f"{each.dataset_id}/{each.criterion}" for each in label_sets if each.labelled)
    return ctx.page(
        "evaluators.html",
        evaluators=[(name, list(some)) for name, some in groupby(versions, lambda each: each.name)],
        training=_unfinished(ctx.stores.jobs.recent(kind="train", limit=10)),
        label_sets=label_sets,
        cases=ctx.stores.cases.counts(),
        dataset=ctx.text("dataset") or next(labelled, ""),
        name=ctx.text("name"),
        fields=FIELDS,
        columns=ctx.texts("columns") if ctx.form else FIELDS,
        form=form,
        values=form.entered(ctx.texts) if ctx.form else {},
        error=error,
    )


@routes.post("/evaluators", again=list_page)
def train(ctx: RequestContext) -> Response:
    """Starts a training job."""
    dataset, criterion = _dataset_and_criterion(ctx)
    job = ctx.workspace.fine_tune(
        dataset,
        criterion=criterion,
        name=ctx.text("name"),
        columns=ctx.texts("columns"),  # type: ignore[arg-type]
        **_form().entered(ctx.texts),
        who=ctx.who,
    )
    return ctx.redirect(f"/jobs/{job.id}")


@routes.get("/evaluators/{name:str}/{version:int}")
def version_page(ctx: RequestContext) -> Response:
    """A version: its metrics beside those of the Online version, its cases and its card.

    With `refused` in the address, also the named cases that keep it from being promoted.
    """
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
    refused = ctx.stores.evaluators.refusal(name, number) if ctx.text("refused") else None
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


@routes.post("/evaluators/{name:str}/{version:int}/promote")
def promote(ctx: RequestContext) -> Response:
    """Puts a version online, or rolls back to it; its named cases must be met."""
    name, version = ctx.request.path_params["name"], ctx.path_number("version")
    outcomes = ctx.stores.evaluators.try_cases(name, version)
    try:
        before = ctx.workspace.promote(name, version, force=ctx.text("force") == "yes")
    except PromotionRefused:
        return ctx.redirect(f"/evaluators/{name}/{version}?refused=yes")
    if ctx.stores.server.own:
        ctx.stores.server.start(who=ctx.who)
    replaced = f" in place of version {before}" if before and before != version else ""
    met = sum(each.met for each in outcomes)
    cases = f" {met} of {len(outcomes)} named cases met." if outcomes else ""
    notice = f"{name} version {version} is online{replaced}.{cases}"
    back = local_address(ctx.text("back"), "/evaluators")
    return ctx.redirect(back, notice, "good" if met == len(outcomes) else "note")


@routes.post("/evaluators/{name:str}/{version:int}/cases")
def run_cases(ctx: RequestContext) -> Response:
    """Runs a version's named cases."""
    name, version = ctx.request.path_params["name"], ctx.path_number("version")
    ctx.stores.evaluators.try_cases(name, version)
    return ctx.redirect(f"/evaluators/{name}/{version}#cases")


@routes.post("/evaluators/{name:str}/{version:int}/archive")
def archive(ctx: RequestContext) -> Response:
    """Archives a version."""
    name, version = ctx.request.path_params["name"], ctx.path_number("version")
    folder = ctx.workspace.archive_version(name, version).relative_to(ctx.workspace.folder)
    notice = f"{name} version {version} is archived in the folder {folder}."
    return ctx.redirect("/evaluators", notice, "note")


@routes.post("/evaluators/{name:str}/{version:int}/measure")
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


def _versions(ctx: RequestContext, name: str) -> list[EvaluatorVersion]:
    return [each for each in ctx.workspace.list_evaluators() if each.name == name]


def _unfinished(trainings: Sequence[Job]) -> list[Job]:
    """The trainings that run, or that failed without a later one of the same evaluator."""
    latest = {job.parameters.get("name"): job for job in reversed(trainings)}.values()
    return [job for job in trainings if job.active or (job.state != "done" and job in latest)]


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
