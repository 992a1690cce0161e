"""What a workspace's folder and database hold: a store for each kind of thing."""

from __future__ import annotations

from pathlib import Path

from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace.datasets.queries import AnyDataset, Datasets
from tipstaff_trainer.workspace.db.engine import Database, sqlite_url
from tipstaff_trainer.workspace.db.models import LabelSet
from tipstaff_trainer.workspace.evaluators.server import ScoringServer
from tipstaff_trainer.workspace.evaluators.versions import Evaluators
from tipstaff_trainer.workspace.jobs.store import Jobs
from tipstaff_trainer.workspace.labels.cases import Cases
from tipstaff_trainer.workspace.labels.criteria import Criteria
from tipstaff_trainer.workspace.labels.label_sets import LabelSets, choose_label_set
from tipstaff_trainer.workspace.labels.scores import Scores
from tipstaff_trainer.workspace.review.queue import Reviews
from tipstaff_trainer.workspace.traffic.store import Traffic

DATABASE_FILE = "workspace.sqlite"
REPOSITORY_FOLDER = "repository"
JOBS_FOLDER = "jobs"


class Stores:
    """A workspace's stores. Several processes and people may use one workspace at once.

    Args:
        folder: Created if it doesn't exist.
        database: URL of a PostgreSQL database to use instead of the folder's SQLite file.
        server: Address of a running `tipstaff serve`; when None, the workspace starts its own.

    Attributes:
        folder: The workspace's folder, absolute.
        repository: The folder of its evaluators.
        database: The database behind the stores.
        datasets: Data sets and their rows.
        label_sets: The criteria that each data set is judged by.
        reviews: The review queues.
        scores: Scores of rows, to choose rows for review.
        criteria: What is judged.
        cases: Named cases, by criterion.
        evaluators: The versions in the repository.
        jobs: Background jobs.
        traffic: What servers kept of their traffic.
        server: The server that the playground asks.

    Raises:
        WorkspaceError: The folder or the database can't be used.
    """

    def __init__(
        self, folder: str | Path, *, database: str | None = None, server: str | None = None
    ) -> None:
        self.folder = Path(folder).absolute()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WorkspaceError(f"{folder}: can't be a workspace: {error.strerror}") from error
        self.repository = self.folder / REPOSITORY_FOLDER
        self.database = Database(database or sqlite_url(self.folder / DATABASE_FILE))
        self.datasets = Datasets(self.database)
        self.label_sets = LabelSets(self.database)
        self.reviews = Reviews(self.database)
        self.evaluators = Evaluators(self.repository)
        self.scores = Scores(self.database)
        self.cases = Cases(self.database)
        self.criteria = Criteria(self.database)
        self.jobs = Jobs(self.database, self.folder / JOBS_FOLDER, self.folder)
        self.traffic = Traffic(self.database, self._criterion_of)
        self.server = ScoringServer(self.jobs, self.repository, server)

    def label_set(self, dataset: AnyDataset, criterion: str | None = None) -> LabelSet:
        """A data set's labels by one criterion, counted.

        Args:
            dataset: The data set.
            criterion: The criterion's name; None where the data set has only one.

        Raises:
            WorkspaceError: There is no such data set, or it isn't judged by that criterion; or it
                is judged by several and none is named.
        """
        return choose_label_set(self.datasets.get(dataset), criterion)

    def add_criterion(self, dataset: AnyDataset, criterion: str) -> LabelSet:
        """Lets a data set be judged by one more criterion.

        Raises:
            WorkspaceError: There is no such data set or criterion, or the criterion of the labels
                that the data set has is not set.
        """
        name = self.criteria.get(criterion).name
        self.label_sets.add(self.datasets.get(dataset), name)
        return self.label_set(dataset, name)

    def _criterion_of(self, evaluator: str) -> str:
        """The criterion of the labels that an evaluator was last trained on; may be empty."""
        for job in self.jobs.recent(kind="train"):
            if job.parameters.get("name") == evaluator:
                data = job.parameters.get("request", {}).get("data") or {}
                return str(data.get("criterion") or "")
        return ""

    def close(self) -> None:
        """Closes the database; jobs and the server keep running."""
        self.server.close()
        self.database.close()
