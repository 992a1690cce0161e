"""The Python API of all that the desk shows.

upload → criterion → pilot → review → label all → review → train → promote → try

workspace = Workspace("faithful")
traces = workspace.upload_dataset("traces.csv")
workspace.label_dataset(traces, criterion="faithfulness", judge={"model": …}, pilot=True)
...

    Opened          what there is: data sets, labels, reviews, criteria, jobs, evaluators
    DataSetCalls    upload and download, criteria, split, review queue, archive
    JobCalls        label, score, fine-tune and evaluate, in the background
    Workspace       versions of evaluators, and scores by them here and now
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tipstaff.types import Interaction
from tipstaff_server import repository
from tipstaff_trainer.workspace.datasets import formats
from tipstaff_trainer.workspace.evaluators.versions import EvaluatorVersion
from tipstaff_trainer.workspace.job_calls import JobCalls

if TYPE_CHECKING:
    from tipstaff_server.evaluator import Prediction

Frame = TypeVar("Frame")


class Workspace(JobCalls):
    """A folder with data sets, labels, jobs and a repository of evaluators.

    Several processes and people may use one at once.

    Args:
        folder: Made if it isn't there.
        database: URL of a PostgreSQL database to use instead of the folder's SQLite file.
        server: Address of a running `tipstaff serve` for the playground; None: the workspace
            starts one of its own when it is needed.

    Attributes:
        folder: As given, absolute.
        repository: The folder of its evaluators, as `tipstaff serve --repository` takes it.
        datasets: Data sets and their rows.
        label_sets: By which criteria each is judged.
        reviews: The review queues.
        scores: What evaluators say of rows, to choose some for review by.
        criteria: What is judged.
        cases: Named cases, by criterion.
        evaluators: What is in the repository.
        jobs: Work in the background.
        server: The server that the playground asks.

    Raises:
        WorkspaceError: The folder or the database can't be used.
    """

    def list_evaluators(self) -> list[EvaluatorVersion]:
        """Every version of every evaluator, the newest of each first."""
        return self.evaluators.versions()

    def promote(self, name: str, version: int, *, force: bool = False) -> int | None:
        """Lets a version serve; servers that follow the repository change over by themselves.

        Args:
            name: The evaluator's.
            version: Which.
            force: Though named cases fail.

        Returns:
            The version that served before, None if none did.

        Raises:
            PromotionRefused: It fails a named case that the version now serving does not.
            RepositoryError: There is no such evaluator or version.
            BundleError: The version's bundle is damaged.
        """
        return repository.promote(self.repository, name, version, force=force)

    def archive_version(self, name: str, version: int) -> Path:
        """Lays a version aside that is not Online; its number is not given again.

        Returns:
            The folder that it is kept in, which may be deleted.

        Raises:
            RepositoryError: There is no such version, or it is Online.
        """
        return repository.archive(self.repository, name, version)

    def evaluate_data(self, frame: Frame, name: str, *, version: int | None = None) -> Frame:
        """Scores the rows of a data frame, here and now, through the server's code.

        Args:
            frame: A pandas DataFrame with some of the columns input, output and ground_truth, or
                the other names that these are known by.
            name: The evaluator's.
            version: Which; the one that serves, else the newest, when None.

        Returns:
            The frame with a column `<name>_score`.

        Raises:
            WorkspaceError: There is no such evaluator.
            DataError: The frame has none of its columns.
        """
        return formats.with_scores(frame, name, lambda rows: self._predict(name, version, rows))

    def _predict(
        self, name: str, version: int | None, rows: Sequence[Interaction]
    ) -> list[Prediction]:
        from tipstaff_server.evaluator import Evaluator
        from tipstaff_trainer.evaluation.predict import predict_all

        found = self.evaluators.find(name, version)
        return predict_all(Evaluator.load(self.evaluators.path(name, found)), rows)
