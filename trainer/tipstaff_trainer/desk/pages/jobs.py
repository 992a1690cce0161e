"""Jobs: how far they are, their logs and curves, stopping and going on."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from tipstaff_trainer.desk.web import Asked, get, post
from tipstaff_trainer.workspace.evaluators import Curves
from tipstaff_trainer.workspace.tables import Job


def routes() -> list[Route]:
    """The addresses of jobs."""
    return [
        get("/jobs", show_all),
        get("/jobs/{job:int}", show),
        get("/jobs/{job:int}/live", live),
        post("/jobs/{job:int}/stop", stop),
        post("/jobs/{job:int}/resume", resume),
    ]


def show_all(asked: Asked) -> Response:
    """The latest jobs."""
    return asked.page("jobs.html", jobs=asked.workspace.jobs.recent())


def show(asked: Asked) -> Response:
    """One job."""
    return asked.page("job.html", **_values(asked))


def live(asked: Asked) -> Response:
    """What changes on a job's page while it runs."""
    return asked.part("job_live.html", **_values(asked))


def stop(asked: Asked) -> Response:
    """Stops a job."""
    job = asked.workspace.jobs.stop(asked.number("job"))
    return asked.go(f"/jobs/{job.id}", f"{job.title}: {job.state}.", "note")


def resume(asked: Asked) -> Response:
    """Goes on with a job."""
    job = asked.workspace.jobs.resume(asked.number("job"))
    return asked.go(f"/jobs/{job.id}")


def _values(asked: Asked) -> dict[str, Any]:
    job: Job = asked.workspace.jobs.get(asked.number("job"))
    curves = asked.workspace.curves(job) if job.kind == "train" else Curves()
    log = None if asked.text("log") == "no" else asked.workspace.jobs.log(job.id)
    return {"job": job, "log": log, "curves": curves}
