"""Jobs: how far they are, their logs and curves, stopping and going on."""

from __future__ import annotations

from typing import Any

from starlette.responses import FileResponse, Response
from starlette.routing import Route

from tipstaff_trainer.desk.context import Asked
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
# They are one file each, with their styles and plots inside, and nothing that runs.
_REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"


def routes() -> list[Route]:
    """The addresses of jobs."""
    return [
        get("/jobs", show_all),
        get("/jobs/live", live_all),
        get("/jobs/{job:int}", show),
        get("/jobs/{job:int}/live", live),
        get("/jobs/{job:int}/{folder:str}/{file:str}", read),
        post("/jobs/{job:int}/stop", stop),
        post("/jobs/{job:int}/resume", resume),
    ]


def show_all(asked: Asked) -> Response:
    """The latest jobs."""
    return asked.page("jobs.html", jobs=asked.workspace.jobs.recent(), changed=False)


def live_all(asked: Asked) -> Response:
    """What changes on that page while some run; all of it when one has ended or begun."""
    jobs = asked.workspace.jobs.recent()
    changed = asked.whole("running") != len(asked.running)
    return asked.part("jobs_live.html", jobs=jobs, changed=changed)


def show(asked: Asked) -> Response:
    """One job."""
    return asked.page("job.html", **_values(asked))


def live(asked: Asked) -> Response:
    """What changes on a job's page while it runs."""
    return asked.part("job_live.html", **_values(asked))


def read(asked: Asked) -> Response:
    """A file of a report or a comparison; a page of its own, which may look as it likes."""
    folder, file = (asked.request.path_params[name] for name in ("folder", "file"))
    path = asked.workspace.jobs.folder(asked.number("job")) / folder / file
    if (folder, file) not in _READABLE or not path.is_file():
        raise WorkspaceError("there is no such report")
    return FileResponse(path, headers={"content-security-policy": _REPORT_POLICY})


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
    # A labelling job names its criterion in its request, other jobs their label set.
    judged_by = job.parameters.get("criterion" if job.kind == "label" else "judged_by", "")
    return {
        "job": job,
        "judged_by": judged_by,
        "log": log,
        "curves": curves,
    }
