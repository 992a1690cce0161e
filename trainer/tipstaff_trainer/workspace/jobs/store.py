"""Background jobs: each runs in a process of its own, which outlives the desk that started it.

A job's database row holds its request, so that a job that was killed can be resumed: labelling
continues from its ledger, training from its last checkpoint. A job's folder, `jobs/<id>/`, has its
log and its output.

All jobs of a workspace run on one machine. A job whose process is gone, by pid and start time, has
failed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from tipstaff_trainer.errors import JobError, WorkspaceError
from tipstaff_trainer.workspace.db.engine import Database
from tipstaff_trainer.workspace.db.models import Job, JobKind, JobState, now
from tipstaff_trainer.workspace.jobs.files import LOG_FILE
from tipstaff_trainer.workspace.jobs.processes import end, process_of

DATABASE_VARIABLE = "TIPSTAFF_DATABASE"
# By name: the operations stand above the jobs.
_RUNNER = "tipstaff_trainer.workspace.operations.runner"
_POLL_SECONDS = 0.1
# A progress bar rewrites its line hundreds of times: bytes to read for each character shown.
_BYTES_PER_CHARACTER = 20
# A process reports itself within a second; one that hasn't after this time never started.
_START_SECONDS = 60
_GONE = (
    "its process is gone: it was killed, the machine restarted, or the disk was full; resume the "
    "job to continue, nothing is lost"
)
STOPPED = "stopped; it can be resumed"
# The parameters of a scoring job that name the scorer.
_SCORER = ("name", "version", "other_rows_of")


class Jobs:
    """The jobs of a workspace.

    Args:
        database: The workspace's database.
        folder: The folder with a folder for each job.
        workspace: The workspace's folder, which a job's process opens.
    """

    def __init__(self, database: Database, folder: Path, workspace: Path) -> None:
        self._database = database
        self._folder = folder
        self._workspace = workspace
        # Polled, so that ended ones don't stay as zombies.
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(
        self,
        kind: JobKind,
        title: str,
        parameters: Mapping[str, Any],
        *,
        dataset: int | None = None,
        who: str = "",
    ) -> Job:
        """Starts a job in a process of its own.

        Returns:
            The job; one on the same data set that does the same already rather than a second.

        Raises:
            WorkspaceError: The job can't be recorded or started.
        """
        self.active()  # marks those whose process is gone
        with self._database.writing() as session:
            if (same := self._like(session, kind, parameters, dataset)) is not None:
                return same
            job = Job(
                dataset_id=dataset,
                kind=kind,
                title=title[:200],
                parameters=dict(parameters),
                author=who,
            )
            session.add(job)
        return self._launch(job.id)

    def resume(self, job_id: int) -> Job:
        """Resumes a job that failed or was stopped.

        Raises:
            WorkspaceError: The job is running or done, or another does the same.
        """
        self.active()  # marks those whose process is gone
        with self._database.writing() as session:
            job = _job(session.get(Job, job_id, with_for_update=True), job_id)
            if job.active or job.state == "done":
                raise WorkspaceError(f"job {job_id} is {job.state}: there is nothing to resume")
            if same := self._like(session, job.kind, job.parameters, job.dataset_id):
                raise WorkspaceError(f"job {same.id} ({same.title}) does the same already")
            job.state, job.message, job.pid, job.pid_started = "queued", "", None, None
            job.started_at, job.finished_at = now(), None
        return self._launch(job_id)

    def get(self, job_id: int) -> Job:
        """One job, as it is now.

        Raises:
            WorkspaceError: There is no such job.
        """
        with self._database.reading() as session:
            job = _job(session.get(Job, job_id), job_id)
        return self._checked(job)

    def recent(
        self, *, dataset: int | None = None, kind: JobKind | None = None, limit: int = 50
    ) -> Sequence[Job]:
        """The latest jobs, the newest first."""
        query = select(Job).limit(limit)
        if dataset is not None:
            query = query.where(Job.dataset_id == dataset)
        if kind is not None:
            query = query.where(Job.kind == kind)
        return self._read(query)

    def active(self) -> Sequence[Job]:
        """The jobs that have not ended, the newest first."""
        jobs = self._read(select(Job).where(Job.state.in_(("queued", "running"))))
        return [job for job in jobs if job.active]

    def stop(self, job_id: int) -> Job:
        """Stops a job with SIGTERM, then SIGKILL; one that has ended stays as it is.

        Raises:
            WorkspaceError: There is no such job.
        """
        job = self.get(job_id)
        if not job.active:
            return job
        process = process_of(job)
        if process is not None:
            end(process)
        return self.finish(job_id, "stopped", STOPPED)

    def wait_for(self, job: Job | int, *, timeout: float | None = None) -> Job:
        """Waits until a job ends.

        Args:
            job: The job, or its id.
            timeout: Seconds to wait at most.

        Raises:
            JobError: The job failed, was stopped, or didn't end in time.
        """
        job_id = job if isinstance(job, int) else job.id
        give_up_at = None if timeout is None else time.monotonic() + timeout
        while (current := self.get(job_id)).active:
            if give_up_at is not None and time.monotonic() > give_up_at:
                raise JobError(f"job {job_id} ({current.title}) is still running")
            time.sleep(_POLL_SECONDS)
        if current.state != "done":
            raise JobError(f"job {job_id} ({current.title}) {current.state}: {current.message}")
        return current

    def finish(self, job_id: int, state: JobState, message: str, **result: Any) -> Job:
        """Records how a job ended and its result; a job that has ended stays as it is."""
        with self._database.writing() as session:
            job = _job(session.get(Job, job_id, with_for_update=True), job_id)
            if job.active:
                job.state, job.message, job.finished_at = state, message, now()
                job.result = {**job.result, **result}
            return job

    def begin(self, job_id: int) -> Job | None:
        """Claims a job for this process; None if it was stopped or another process has it."""
        me = psutil.Process()
        with self._database.writing() as session:
            job = _job(session.get(Job, job_id, with_for_update=True), job_id)
            if not job.active or job.pid not in (None, me.pid):
                return None
            job.state, job.started_at = "running", now()
            job.pid, job.pid_started = me.pid, me.create_time()
            return job

    def update(self, job_id: int, **values: Any) -> None:
        """Sets columns of a running job; a job that has ended stays as it is."""
        with self._database.writing() as session:
            job = _job(session.get(Job, job_id, with_for_update=True), job_id)
            if job.active:
                for name, value in values.items():
                    setattr(job, name, value)

    def folder(self, job_id: int) -> Path:
        """A job's folder."""
        return self._folder / str(job_id)

    def log(self, job_id: int, *, most: int = 20_000) -> str:
        """The last `most` characters of a job's log, without what a progress bar overwrote."""
        try:
            with (self.folder(job_id) / LOG_FILE).open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                start = max(0, size - _BYTES_PER_CHARACTER * most)
                file.seek(start)
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return ""
        lines = [line.rstrip("\r").rsplit("\r", 1)[-1] for line in text.split("\n")]
        whole = "\n".join(lines[1:] if start else lines)
        return whole if len(whole) <= most else whole[-most:].partition("\n")[2]

    def _like(
        self, session: Session, kind: str, parameters: Mapping[str, Any], dataset: int | None
    ) -> Job | None:
        """An equal job that has not ended; jobs of a data set are started in turns."""
        if dataset is not None:
            self._database.lock_dataset(session, dataset)
        active = Job.kind == kind, Job.state.in_(("queued", "running"))
        of_dataset = Job.dataset_id.is_(None) if dataset is None else Job.dataset_id == dataset
        jobs = session.scalars(select(Job).where(*active, of_dataset))
        work = _work(kind, parameters)
        return next((job for job in jobs if _work(kind, job.parameters) == work), None)

    def _read(self, query: Select[Job]) -> Sequence[Job]:
        jobs = self._database.scalars(query.order_by(Job.id.desc()))
        return [self._checked(job) for job in jobs]

    def _launch(self, job_id: int) -> Job:
        folder = self.folder(job_id)
        environment = {
            **os.environ,
            DATABASE_VARIABLE: self._database.url,
            # Deprecation warnings are of no use to the log's readers.
            "PYTHONWARNINGS": "ignore",
        }
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / LOG_FILE).open("ab") as log:
                process = subprocess.Popen(
                    [sys.executable, "-m", _RUNNER, str(self._workspace), str(job_id)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    # Ctrl-C in the desk's terminal must not reach the job.
                    start_new_session=True,
                )
        except OSError as error:
            self.finish(job_id, "failed", f"can't be started: {error.strerror}")
            raise WorkspaceError(f"{folder}: can't be written: {error.strerror}") from error
        self._processes = [each for each in self._processes if each.poll() is None]
        self._processes.append(process)
        with suppress(psutil.NoSuchProcess):
            started = psutil.Process(process.pid).create_time()
            self.update(job_id, pid=process.pid, pid_started=started)
        return self.get(job_id)

    def _checked(self, job: Job) -> Job:
        """The job; marked as failed if its process is gone."""
        if not job.active or process_of(job) is not None:
            return job
        since = job.started_at or job.created_at
        if job.pid is None and (now() - since).total_seconds() < _START_SECONDS:
            return job
        try:
            # `finish` changes nothing if the job has ended properly since it was read.
            return self.finish(job.id, "failed", _GONE)
        except WorkspaceError as error:
            # As on a full disk, which may have ended the job: shown now, recorded later.
            job.state = "failed"
            job.message = f"its process is gone, and that can't be recorded: {error}"
            return job


def _work(kind: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of a job's parameters that says what it does."""
    if kind == "score":
        # Scores are the same whatever the rows are judged by.
        return {name: parameters.get(name) for name in _SCORER}
    return parameters


def _job(job: Job | None, job_id: int) -> Job:
    if job is None:
        raise WorkspaceError(f"there is no job {job_id}")
    return job
