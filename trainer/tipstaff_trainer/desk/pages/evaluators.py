"""Evaluators: training, versions and their metrics, named cases, promotion."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import groupby
from urllib.parse import urlencode

from starlette.responses import Response

from tipstaff.errors import TipstaffError
from tipstaff.types import FIELDS
from tipstaff_server.errors import PromotionRefused
from tipstaff_server.repository.caveats import caveats
from tipstaff_trainer.desk.context import RequestContext, local_address
from tipstaff_trainer.desk.forms import RequestForm
from tipstaff_trainer.desk.options import LabelsOption, choose, labels_of_form
from tipstaff_trainer.desk.routing import Routes
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.operations.train import TrainRequest
from tipstaff_trainer.workspace.db.models import Job, LabelSet
from tipstaff_trainer.workspace.evaluators.versions import EvaluatorVersion
from tipstaff_trainer.workspace.labels.cases import outcome_values
from tipstaff_trainer.workspace.labels.label_sets import further_label_set

routes = Routes()

_OWN = {
    "name": "Name of the evaluator",
    "model_name": "Name of the evaluator",
    "selected_columns": "Fields to read",
    "criterion": "Criterion",
}


def _form() -> RequestForm:
    # A data set has its own test rows.
    return RequestForm(TrainRequest, own=_OWN | {"test_size": "Test set"})


@routes.get("/evaluators")
def list_page(ctx: RequestContext, error: TipstaffError | str = "") -> Response:
    """The list of evaluators and trainings, and the form to train one."""
    form = _form()
    versions = ctx.workspace.list_evaluators()
    options = [LabelsOption.for_training(each) for each in _label_sets(ctx)]
    chosen = choose(options, ctx.text("dataset"))
    # What the data set has is offered, and ticked unless somebody unticked it.
    fields = [name for name in FIELDS if chosen and name in chosen.labels.dataset.fields]
    keep = ctx.form and ctx.text("action") != "choose"
    return ctx.page(
        "evaluators.html",
        evaluators=[_with_doubts(list(some)) for _, some in groupby(versions, _name)],
        training=_unfinished(ctx.stores.jobs.recent(kind="train", limit=10)),
        options=options,
        chosen=chosen,
        cases=ctx.stores.cases.counts(),
        name=ctx.text("name"),
        fields=fields,
        columns=ctx.texts("columns") if keep else fields,
        others_to_train=_others(options, chosen),
        more=ctx.texts("more"),
        test_dataset=ctx.text("test_dataset"),
        form=form,
        values=form.entered(ctx.texts) if ctx.form else {},
        error=error,
    )


@routes.post("/evaluators", again=list_page)
def train(ctx: RequestContext) -> Response:
    """Starts a training job, or shows the form for another data set."""
    if ctx.text("action") == "choose":
        return list_page(ctx)
    dataset, criterion = labels_of_form(ctx.text("dataset"))
    test = ctx.text("test_dataset")
    job = ctx.workspace.fine_tune_model(
        [dataset, *(labels_of_form(each)[0] for each in ctx.texts("more"))],
        labels_of_form(test)[0] if test else None,
        criterion=criterion,
        model_name=ctx.text("name"),
        selected_columns=ctx.texts("columns"),
        **_form().entered(ctx.texts),
        who=ctx.who,
    )
    return ctx.redirect(f"/jobs/{job.id}")


@routes.get("/evaluators/{name:str}/{version:int}")
def version_page(ctx: RequestContext) -> Response:
    """A version: its metrics beside those of the Online version, its cases and its card.

    With `refused` in the address, also what keeps it from being promoted.
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
    reads = version.manifest.fields if version.manifest else ()
    options = [LabelsOption.for_measuring(each, reads) for each in _label_sets(ctx)]
    chosen = choose(options, ctx.text("dataset"))
    return ctx.page(
        "evaluator.html",
        status=409 if refused else 200,
        refused=refused,
        cases=ctx.stores.evaluators.named_cases(version),
        outcomes=[outcome_values(each) for each in outcomes],
        version=version,
        serving=next((each for each in versions if each.serving), None),
        doubts=next(doubts for each, doubts in _with_doubts(versions) if each is version),
        card=card,
        measurements=measurements[:4],
        options=options,
        chosen=chosen,
        parts=_parts(ctx, chosen),
    )


@routes.post("/evaluators/{name:str}/{version:int}/promote")
def promote(ctx: RequestContext) -> Response:
    """Puts a version online, or rolls back to it; it must have learnt and meet its named cases."""
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
    here = f"/evaluators/{name}/{version}"
    if ctx.text("action") == "choose":
        return ctx.redirect(f"{here}?{urlencode({'dataset': ctx.text('dataset')})}#measure")
    serving = [each.version for each in _versions(ctx, name) if each.serving]
    dataset, criterion = labels_of_form(ctx.text("dataset"))
    labels, part = ctx.workspace.label_set(dataset, criterion), ctx.text("part")
    human = ctx.text("human") == "yes"
    if not ctx.stores.datasets.labelled(labels, part=part, human=human):
        rows, whose = (f"{part} row" if part else "row"), (" from a person" if human else "")
        raise WorkspaceError(f"{labels.title}: no {rows} has a label{whose}: choose other rows")
    job = ctx.workspace.evaluate_dataset(
        dataset,
        name,
        criterion=criterion,
        versions=list(dict.fromkeys([version, *serving])),
        part=part,
        human=human,
        wait_for_completion=False,
        who=ctx.who,
    )
    return ctx.redirect(f"/jobs/{job.id}")


def _parts(ctx: RequestContext, chosen: LabelsOption | None) -> list[tuple[str, str, int]]:
    """The parts of a data set to measure on: the form's value, words, and labelled rows."""
    parts = (("test", "test rows"), ("", "all rows"))
    count = ctx.stores.datasets.labelled
    return [
        (part, words, count(chosen.labels, part=part) if chosen else 0) for part, words in parts
    ]


def _versions(ctx: RequestContext, name: str) -> list[EvaluatorVersion]:
    return [each for each in ctx.workspace.list_evaluators() if each.name == name]


def _name(version: EvaluatorVersion) -> str:
    return version.name


def _with_doubts(
    versions: Sequence[EvaluatorVersion],
) -> list[tuple[EvaluatorVersion, Sequence[str]]]:
    """An evaluator's versions, each with the doubts to read before it is promoted."""
    serving = next((each.manifest for each in versions if each.serving), None)
    return [
        (
            each,
            ()
            if each.serving or each.manifest is None
            else [f"Version {each.version} {why}." for why in caveats(each.manifest, serving)],
        )
        for each in versions
    ]


def _unfinished(trainings: Sequence[Job]) -> list[Job]:
    """The trainings that run, or that failed without a later one of the same evaluator."""
    latest = {job.parameters.get("name"): job for job in reversed(trainings)}.values()
    return [job for job in trainings if job.active or (job.state != "done" and job in latest)]


def _label_sets(ctx: RequestContext) -> list[LabelSet]:
    return [each for dataset in ctx.stores.datasets.all() for each in dataset.label_sets]


def _others(options: Sequence[LabelsOption], chosen: LabelsOption | None) -> list[LabelSet]:
    """The labels of other data sets that a training on the chosen ones would use too."""
    if chosen is None:
        return []
    others: dict[int, LabelSet] = {}
    for each in options:
        dataset = each.labels.dataset
        if dataset.id != chosen.labels.dataset_id:
            # A data set that training would refuse is not offered.
            with suppress(WorkspaceError):
                others[dataset.id] = further_label_set(dataset, chosen.labels.criterion)
    return [each for each in others.values() if each.labelled]
