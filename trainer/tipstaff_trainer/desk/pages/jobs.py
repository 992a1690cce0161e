"""Jobs: progress, logs, curves and reports; stopping and resuming."""

from __future__ import annotations

from typing import Any

from starlette.responses import FileResponse, Response
from starlette.routing import Route

from tipstaff_trainer.desk.context import RequestContext
from tipstaff_trainer.desk.routing import get, post
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace.db.models import Job
from tipstaff_trainer.workspace.evaluators.curves import Curves
from tipstaff_trainer.workspace.job_calls import COMPARISON_FOLDER, REPORT_FOLDER

_READABLE = {
    (REPORT_FOLDER, "index.html"),
    (REPORT_FOLDER, "report.json"),
    (REPORT_FOLDER, "card.md"),
    (COMPARISON_FOLDER, "index.html"),
    (COMPARISON_FOLDER, "comparison.json"),
}
# They are one file each, with their styles and plots local_address, and nothing that runs.
_REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"


def routes() -> list[Route]:
    """The routes for jobs."""
    return [
        get("/jobs", show_all),
        get("/jobs/live", live_all),
        get("/jobs/{job:int}", show),
        get("/jobs/{job:int}/live", live),
        get("/jobs/{job:int}/{folder:str}/{file:str}", read),
        post("/jobs/{job:int}/stop", stop),
        post("/jobs/{job:int}/resume", resume),
    ]


def show_all(ctx: RequestContext) -> Response:
    """The latest jobs."""
    return ctx.page("jobs.html", jobs=ctx.workspace.jobs.recent(), changed=False)


def live_all(ctx: RequestContext) -> Response:
    """The live part of the jobs' page; asks for a reload when a job has started or ended."""
    jobs = ctx.workspace.jobs.recent()
    changed = ctx.integer("running") != len(ctx.running_jobs)
    return ctx.fragment("jobs_live.html", jobs=jobs, changed=changed)


def show(ctx: RequestContext) -> Response:
    """A job."""
    return ctx.page("job.html", **_values(ctx))


def live(ctx: RequestContext) -> Response:
    """The live part of a job's page."""
    return ctx.fragment("job_live.html", **_values(ctx))


def read(ctx: RequestContext) -> Response:
    """A file of a report or a comparison."""
    folder, file = (ctx.request.path_params[name] for name in ("folder", "file"))
    path = ctx.workspace.jobs.folder(ctx.path_number("job")) / folder / file
    if (folder, file) not in _READABLE or not path.is_file():
        raise WorkspaceError("there is no such report")
    return FileResponse(path, headers={"content-security-policy": _REPORT_POLICY})


def stop(ctx: RequestContext) -> Response:
    """Stops a job."""
    job = ctx.workspace.jobs.stop(ctx.path_number("job"))
    return ctx.redirect(f"/jobs/{job.id}", f"{job.title}: {job.state}.", "note")


def resume(ctx: RequestContext) -> Response:
    """Resumes a job."""
    job = ctx.workspace.jobs.resume(ctx.path_number("job"))
    return ctx.redirect(f"/jobs/{job.id}")


def _values(ctx: RequestContext) -> dict[str, Any]:
    job: Job = ctx.workspace.jobs.get(ctx.path_number("job"))
    curves = ctx.workspace.curves(job) if job.kind == "train" else Curves()
    log = None if ctx.text("log") == "no" else ctx.workspace.jobs.log(job.id)
    # A labelling job names its criterion in its request, other jobs their label set.
    judged_by = job.parameters.get("criterion" if job.kind == "label" else "judged_by", "")
    return {
        "job": job,
        "judged_by": judged_by,
        "log": log,
        "curves": curves,
    }
