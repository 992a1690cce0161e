"""Evaluators: training, versions, how good each is, and which is online."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import groupby
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from tipstaff.errors import TipstaffError
from tipstaff.types import FIELDS
from tipstaff_server.errors import PromotionRefused
from tipstaff_trainer.desk.context import Asked, inside
from tipstaff_trainer.desk.routing import get, post
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace.db.models import Job, LabelSet
from tipstaff_trainer.workspace.labels.cases import told

_SETTINGS = ("size", "base", "epochs", "learning_rate", "max_length", "seed")


def routes() -> list[Route]:
    """The addresses of evaluators."""
    return [
        get("/evaluators", show_all),
        post("/evaluators", train),
        get("/evaluators/{name:str}/{version:int}", show),
        post("/evaluators/{name:str}/{version:int}/promote", promote),
        post("/evaluators/{name:str}/{version:int}/cases", run_cases),
        post("/evaluators/{name:str}/{version:int}/archive", archive),
        post("/evaluators/{name:str}/{version:int}/measure", measure),
    ]


def show_all(asked: Asked) -> Response:
    """What there is, what is in training, and where to start another."""
    return _overview(asked)


def train(asked: Asked) -> Response:
    """Starts a training."""
    settings: dict[str, Any] = {name: value for name in _SETTINGS if (value := asked.text(name))}
    try:
        number, criterion = _labels(asked)
        job = asked.workspace.fine_tune(
            number,
            criterion=criterion,
            name=asked.text("name"),
            columns=asked.texts("columns"),  # type: ignore[arg-type]
            settings=settings,
            relabel=asked.text("relabel") == "yes",
            who=asked.who,
        )
    except TipstaffError as error:
        return _overview(asked, str(error))
    return asked.go(f"/jobs/{job.id}")


def show(asked: Asked) -> Response:
    """One version: its numbers beside those of the one that serves, and its card."""
    return _version_page(asked)


def _version_page(asked: Asked, refused: PromotionRefused | None = None) -> Response:
    name, number = asked.request.path_params["name"], asked.number("version")
    asked.workspace.evaluators.find(name, number)
    card = ""
    # One that is damaged may have lost it, and is to be seen all the same.
    with suppress(WorkspaceError):
        card = asked.workspace.evaluators.card(name, number)
    found = [each for each in asked.workspace.list_evaluators() if each.name == name]
    shown = next(each for each in found if each.version == number)
    jobs = asked.workspace.jobs
    measured = [
        job
        for job in (*jobs.recent(kind="evaluate"), *jobs.recent(kind="train"))
        if job.result.get("measured")
        and job.result["name"] == name
        # A report is on the first of them.
        and job.result["versions"][0] == number
    ]
    outcomes = asked.workspace.evaluators.tried(name, number) or ()
    return asked.page(
        "evaluator.html",
        status=409 if refused else 200,
        refused=refused,
        cases=asked.workspace.evaluators.named_cases(shown),
        outcomes=[told(each) for each in outcomes],
        shown=shown,
        serving=next((each for each in found if each.serving), None),
        versions=found,
        card=card,
        measured=measured[:4],
        label_sets=_label_sets(asked),
    )


def promote(asked: Asked) -> Response:
    """Lets a version serve; an older one, to roll back. Its named cases must hold."""
    name, version = asked.request.path_params["name"], asked.number("version")
    outcomes = asked.workspace.evaluators.try_cases(name, version)
    try:
        before = asked.workspace.promote(name, version, force=asked.text("force") == "yes")
    except PromotionRefused as refused:
        return _version_page(asked, refused)
    if asked.workspace.server.own:
        asked.workspace.server.start(who=asked.who)
    was = f" in place of version {before}" if before and before != version else ""
    met = sum(each.met for each in outcomes)
    held = f" {met} of {len(outcomes)} named cases came out as expected." if outcomes else ""
    return asked.go(
        inside(asked.text("back"), "/evaluators"),
        f"{name} version {version} is online{was}.{held}",
        "good" if met == len(outcomes) else "note",
    )


def run_cases(asked: Asked) -> Response:
    """Runs a version's named cases, to be seen."""
    name, version = asked.request.path_params["name"], asked.number("version")
    asked.workspace.evaluators.try_cases(name, version)
    return asked.go(f"/evaluators/{name}/{version}#cases")


def archive(asked: Asked) -> Response:
    """Lays a version aside."""
    name, version = asked.request.path_params["name"], asked.number("version")
    aside = asked.workspace.archive_version(name, version)
    where = aside.relative_to(asked.workspace.folder)
    return asked.go(
        "/evaluators", f"{name} version {version} is laid aside, in the folder {where}.", "note"
    )


def measure(asked: Asked) -> Response:
    """Measures a version and the one that serves on a data set."""
    name, version = asked.request.path_params["name"], asked.number("version")
    found = [each for each in asked.workspace.list_evaluators() if each.name == name]
    serving = [each.version for each in found if each.serving]
    number, criterion = _labels(asked)
    job = asked.workspace.evaluate_dataset(
        number,
        name,
        criterion=criterion,
        versions=list(dict.fromkeys([version, *serving])),
        part=asked.text("part"),
        human=asked.text("human") == "yes",
        wait=False,
        who=asked.who,
    )
    return asked.go(f"/jobs/{job.id}")


def _not_done(trainings: Sequence[Job]) -> list[Job]:
    """Of trainings, the latest first: those that run, or ended in vain and were not done again."""
    names: set[str] = set()
    shown = []
    for job in trainings:
        name = job.parameters.get("name", "")
        if job.active or (job.state != "done" and name not in names):
            shown.append(job)
        names.add(name)
    return shown


def _label_sets(asked: Asked) -> list[LabelSet]:
    return [each for dataset in asked.workspace.datasets.all() for each in dataset.label_sets]


def _labels(asked: Asked) -> tuple[int, str | None]:
    """Which labels a form or an address names: the data set's number, `/` and the criterion.

    Raises:
        WorkspaceError: It names no data set.
    """
    number, named, criterion = asked.text("dataset").partition("/")
    if not number.isdecimal() or len(number) > 15:
        raise WorkspaceError("which data set? Choose one")
    return int(number), criterion if named else None


def _overview(asked: Asked, error: str = "") -> Response:
    found = asked.workspace.list_evaluators()
    return asked.page(
        "evaluators.html",
        status=400 if error else 200,
        evaluators=[(name, list(some)) for name, some in groupby(found, lambda each: each.name)],
        training=_not_done(asked.workspace.jobs.recent(kind="train", limit=10)),
        label_sets=_label_sets(asked),
        cases=asked.workspace.cases.counts(),
        chosen=asked.text("dataset"),
        fields=FIELDS,
        values={name: asked.text(name) for name in ("name", *_SETTINGS)},
        columns=asked.texts("columns") or list(FIELDS),
        relabel=asked.text("relabel") == "yes",
        error=error,
    )
