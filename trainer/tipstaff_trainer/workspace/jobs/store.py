"""Jobs: work in processes of their own, which outlive the desk that started them.

A job's row in the database says what to do, so that one that was killed can be gone on with:
labelling goes on from its ledger, training from its last checkpoint. Its folder, `jobs/<id>/`, has
its log and what it makes.

Desks on several machines may share a database. A process can only be seen from its own machine,
so no other takes a job for dead, whatever it hears of it; and since a job's files are in its
folder, it is gone on with there. It can be stopped from anywhere: the process looks every few
seconds.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import select, update

from tipstaff_trainer.errors import JobError, WorkspaceError
from tipstaff_trainer.workspace.db.engine import Database
from tipstaff_trainer.workspace.db.models import Job, JobKind, JobState, now
from tipstaff_trainer.workspace.jobs.processes import end, process_of, this_host

DATABASE_VARIABLE = "TIPSTAFF_DATABASE"
LOG_FILE = "log.txt"
_RUNNER = "tipstaff_trainer.workspace.jobs.runner"
_POLL_SECONDS = 0.1
_DRAWN_OVER = 20
# A process that is stopped from afar has noticed, and let come in what it has paid for.
_ENDED_SECONDS = 60
# A process reports itself within a second; after this long, it never came up.
_START_SECONDS = 60
_GONE = (
    "its process is gone: it was killed, the machine restarted, or its disk was full; go on with "
    "it, nothing that was done is lost"
)


class Jobs:
    """The jobs of a workspace.

    Args:
        database: Where they are recorded.
        folder: Theirs; each has one of its own in it.
        workspace: The workspace's folder, which their processes open again.
    """

    def __init__(self, database: Database, folder: Path, workspace: Path) -> None:
        self._database = database
        self._folder = folder
        self._workspace = workspace
        self._host = this_host()
        # Kept so that the system lets go of those that end before we do.
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

        Raises:
            WorkspaceError: It can't be recorded or started.
        """
        with self._database.writing() as session:
            job = Job(
                dataset_id=dataset,
                kind=kind,
                title=title[:200],
                parameters=dict(parameters),
                author=who,
                host=self._host,
                folder=str(self._workspace),
            )
            session.add(job)
        return self._launch(job.id)

    def resume(self, job_id: int) -> Job:
        """Goes on with a job that failed or was stopped, from where it was.

        Raises:
            WorkspaceError: It is running or done, or its files are elsewhere.
        """
        with self._database.writing() as session:
            job = _job(session.get(Job, job_id, with_for_update=True), job_id)
            if elsewhere := self.elsewhere(job):
                raise WorkspaceError(
                    f"what job {job_id} has done is at {elsewhere}: go on with it at the desk "
                    "there, or start it anew here"
                )
            heard = (now() - job.heard_at).total_seconds() if job.heard_at else math.inf
            if not self._on_this_host(job) and heard < _ENDED_SECONDS:
                raise WorkspaceError(
                    f"job {job_id} ran on another machine until a moment ago and may be ending "
                    f"there: go on with it in {_ENDED_SECONDS} seconds"
                )
            if job.active or job.state == "done":
                raise WorkspaceError(f"job {job_id} is {job.state}, so there is nothing to go on")
            job.state, job.message, job.pid, job.pid_started = "queued", "", None, None
            job.host, job.folder, job.heard_at = self._host, str(self._workspace), None
            job.started_at, job.finished_at = now(), None
        return self._launch(job_id)

    def get(self, job_id: int) -> Job:
        """One job, as it stands now.

        Raises:
            WorkspaceError: There is none.
        """
        with self._database.reading() as session:
            job = _job(session.get(Job, job_id), job_id)
        return self._checked(job)

    def recent(
        self, *, dataset: int | None = None, kind: JobKind | None = None, limit: int = 50
    ) -> Sequence[Job]:
        """The latest jobs, the newest first."""
        query = select(Job).order_by(Job.id.desc()).limit(limit)
        if dataset is not None:
            query = query.where(Job.dataset_id == dataset)
        if kind is not None:
            query = query.where(Job.kind == kind)
        with self._database.reading() as session:
            found = session.scalars(query).all()
        return [self._checked(job) for job in found]

    def active(self) -> Sequence[Job]:
        """The jobs that have not ended, the newest first."""
        query = select(Job).where(Job.state.in_(("queued", "running"))).order_by(Job.id.desc())
        with self._database.reading() as session:
            found = session.scalars(query).all()
        return [job for each in found if (job := self._checked(each)).active]

    def stop(self, job_id: int) -> Job:
        """Stops a job: asks, waits a little, then insists. One that has ended stays as it is.

        One on another machine is told when it next looks (`beat`).

        Raises:
            WorkspaceError: There is none, or it is a server on another machine.
        """
        job = self.get(job_id)
        if not job.active:
            return job
        if not self._on_this_host(job):
            if job.kind == "serve" and self.elsewhere(job):
                raise WorkspaceError(f"this server runs at {self.elsewhere(job)}: stop it there")
            return self.finish(job_id, "stopped", "stopped from another machine")
        process = process_of(job)
        if process is not None:
            end(process)
        return self.finish(job_id, "stopped", "stopped; it can be gone on with")

    def wait_for(self, job: Job | int, *, timeout: float | None = None) -> Job:
        """Waits until a job ends.

        Args:
            job: Which.
            timeout: Seconds to wait at most.

        Raises:
            JobError: It failed or was stopped, or it hasn't ended in time.
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
        """Records how a job ended, unless that is recorded already."""
        with self._database.writing() as session:
            job = _job(session.get(Job, job_id, with_for_update=True), job_id)
            if job.active:
                job.state, job.message, job.finished_at = state, message, now()
                job.result = {**job.result, **result}
            return job

    def begin(self, job_id: int) -> Job | None:
        """Makes a job this very process's; None where it is stopped or another process's."""
        me = psutil.Process()
        with self._database.writing() as session:
            job = _job(session.get(Job, job_id, with_for_update=True), job_id)
            if not job.active or job.pid not in (None, me.pid):
                return None
            job.state, job.started_at, job.heard_at = "running", now(), now()
            job.pid, job.pid_started = me.pid, me.create_time()
            return job

    def beat(self, job_id: int) -> bool:
        """Says that this process is alive and at a job; False when the job is no longer its own."""
        with self._database.writing() as session:
            mine = session.scalars(
                update(Job)
                .where(Job.id == job_id, Job.host == self._host, Job.pid == os.getpid())
                .where(Job.state.in_(("queued", "running")))
                .values(heard_at=now())
                .returning(Job.id)
            ).all()
        return bool(mine)

    def is_here(self, job: Job) -> bool:
        """Whether a job was started in this workspace's folder, on this machine."""
        return self._on_this_host(job) and job.folder in ("", str(self._workspace))

    def elsewhere(self, job: Job) -> str:
        """Where a job's files are, as `host:folder`; empty where that is here.

        A folder may have come here from another machine, as a container's volume does when the
        container is made anew under another name.
        """
        came = job.folder == str(self._workspace) and (self.folder(job.id) / LOG_FILE).exists()
        if came or self.is_here(job):
            return ""
        return f"{job.host.partition(' ')[0]}:{job.folder}"

    def update(self, job_id: int, **values: Any) -> None:
        """Records something about a job while it runs; of one that has ended the end stands."""
        with self._database.writing() as session:
            job = _job(session.get(Job, job_id, with_for_update=True), job_id)
            if job.active:
                for name, value in values.items():
                    setattr(job, name, value)

    def folder(self, job_id: int) -> Path:
        """A job's folder."""
        return self._folder / str(job_id)

    def log(self, job_id: int, *, most: int = 20_000) -> str:
        """The end of a job's log, of `most` characters at most, without what was drawn over."""
        try:
            with (self.folder(job_id) / LOG_FILE).open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                # A progress bar is drawn over hundreds of times.
                start = max(0, size - _DRAWN_OVER * most)
                file.seek(start)
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return ""
        lines = [line.rstrip("\r").rsplit("\r", 1)[-1] for line in text.split("\n")]
        whole = "\n".join(lines[1:] if start else lines)
        return whole if len(whole) <= most else whole[-most:].partition("\n")[2]

    def _launch(self, job_id: int) -> Job:
        folder = self.folder(job_id)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / LOG_FILE).open("ab") as log:
                process = subprocess.Popen(
                    [sys.executable, "-m", _RUNNER, str(self._workspace), str(job_id)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={
                        **os.environ,
                        DATABASE_VARIABLE: self._database.url,
                        # Libraries' advice to programmers has no place in a user's log.
                        "PYTHONWARNINGS": "ignore",
                    },
                    # Ctrl-C at the desk, or its end, is not the job's.
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

    def _on_this_host(self, job: Job) -> bool:
        return job.host in ("", self._host)

    def _checked(self, job: Job) -> Job:
        """The job, marked as failed if its process is gone, which is seen on its machine alone."""
        if not job.active or not self._on_this_host(job) or process_of(job) is not None:
            return job
        since = job.started_at or job.created_at
        if job.pid is None and (now() - since).total_seconds() < _START_SECONDS:
            return job
        try:
            # It may have ended properly between the two looks.
            return self.finish(job.id, "failed", _GONE)
        except WorkspaceError as error:
            # As on a full disk, which may be what ended it: it is seen, and recorded later.
            job.state = "failed"
            job.message = f"its process is gone, and that can't be recorded: {error}"
            return job


def _job(job: Job | None, job_id: int) -> Job:
    if job is None:
        raise WorkspaceError(f"there is no job {job_id}")
    return job
