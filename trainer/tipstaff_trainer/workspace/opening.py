"""Opening a workspace: its folder, its database, and what is in them."""

from __future__ import annotations

from pathlib import Path

from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace.datasets.queries import Datasets
from tipstaff_trainer.workspace.db.engine import Database, sqlite_url
from tipstaff_trainer.workspace.db.models import Dataset, LabelSet
from tipstaff_trainer.workspace.evaluators.server import ScoringServer
from tipstaff_trainer.workspace.evaluators.versions import Evaluators
from tipstaff_trainer.workspace.jobs.store import Jobs
from tipstaff_trainer.workspace.labels.cases import Cases
from tipstaff_trainer.workspace.labels.criteria import Criteria
from tipstaff_trainer.workspace.labels.label_sets import LabelSets, choose_label_set
from tipstaff_trainer.workspace.labels.scores import Scores
from tipstaff_trainer.workspace.review.queue import Reviews

AnyDataset = Dataset | int | str
DATABASE_FILE = "workspace.sqlite"
REPOSITORY_FOLDER = "repository"
JOBS_FOLDER = "jobs"


class Opened:
    """A workspace's folder and database; `Workspace` explains what is in them."""

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
        self.server = ScoringServer(self.jobs, self.repository, server)

    def label_set(self, dataset: AnyDataset, criterion: str | None = None) -> LabelSet:
        """A data set's labels by one criterion, counted.

        Args:
            dataset: Which.
            criterion: The name of what is judged; None where the data set has only one.

        Raises:
            WorkspaceError: There is no such data set, or it isn't judged by that; or it is judged
                by several criteria and none is named.
        """
        return choose_label_set(self.datasets.get(dataset), criterion)

    def close(self) -> None:
        """Closes the database; jobs and the server keep running."""
        self.server.close()
        self.database.close()
