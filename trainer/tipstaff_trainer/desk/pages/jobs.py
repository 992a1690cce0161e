"""Jobs: progress, logs, curves and reports; stopping and resuming."""

from __future__ import annotations

from typing import Any

from starlette.responses import FileResponse, Response

from tipstaff_trainer.desk.context import RequestContext
from tipstaff_trainer.desk.routing import Routes
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace.evaluators.curves import Curves
from tipstaff_trainer.workspace.jobs.files import COMPARISON_FOLDER, REPORT_FOLDER

routes = Routes()

_READABLE = {
    REPORT_FOLDER: ("index.html", "report.json", "card.md"),
    COMPARISON_FOLDER: ("index.html", "comparison.json"),
}
# Each is one file, with its styles and plots inside, and without scripts.
_REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"


@routes.get("/jobs")
def show_all(ctx: RequestContext) -> Response:
    """The latest jobs."""
    return ctx.page("jobs.html", jobs=ctx.stores.jobs.recent(), changed=False)


@routes.get("/jobs/live")
def live_all(ctx: RequestContext) -> Response:
    """The live part of the jobs' page; asks for a reload when a job has started or ended."""
    jobs = ctx.stores.jobs.recent()
    changed = ctx.integer("running", None) != len(ctx.running_jobs)
    return ctx.fragment("jobs_live.html", jobs=jobs, changed=changed)


@routes.get("/jobs/{job:int}")
def show(ctx: RequestContext) -> Response:
    """A job."""
    return ctx.page("job.html", **_values(ctx))


@routes.get("/jobs/{job:int}/live")
def live(ctx: RequestContext) -> Response:
    """The live part of a job's page."""
    return ctx.fragment("job_live.html", **_values(ctx))


@routes.get("/jobs/{job:int}/{folder:str}/{file:str}")
def read(ctx: RequestContext) -> Response:
    """A file of a report or a comparison."""
    folder, file = (ctx.request.path_params[name] for name in ("folder", "file"))
    path = ctx.stores.jobs.folder(ctx.path_number("job")) / folder / file
    if file not in _READABLE.get(folder, ()) or not path.is_file():
        raise WorkspaceError("there is no such report")
    return FileResponse(path, headers={"content-security-policy": _REPORT_POLICY})


@routes.post("/jobs/{job:int}/stop")
def stop(ctx: RequestContext) -> Response:
    """Stops a job."""
    job = ctx.stores.jobs.stop(ctx.path_number("job"))
    return ctx.redirect(f"/jobs/{job.id}", f"{job.title}: {job.state}.", "note")


@routes.post("/jobs/{job:int}/resume")
def resume(ctx: RequestContext) -> Response:
    """Resumes a job."""
    job = ctx.stores.jobs.resume(ctx.path_number("job"))
    return ctx.redirect(f"/jobs/{job.id}")


def _values(ctx: RequestContext) -> dict[str, Any]:
    job = ctx.stores.jobs.get(ctx.path_number("job"))
    data = job.parameters.get("request", {}).get("data", {})
    on_traffic = job.result.get("traffic") or {}
    return {
        "job": job,
        "failed_rows": ctx.stores.traffic.find_rows([each["id"] for each in on_traffic["failures"]])
        if on_traffic
        else {},
        "judged_by": data.get("criterion") or "",
        "log": None if ctx.text("log") == "no" else ctx.stores.jobs.log(job.id),
        "curves": ctx.workspace.curves(job) if job.kind == "train" else Curves(),
    }
