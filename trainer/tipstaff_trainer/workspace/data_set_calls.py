"""What is done with data sets here and now: in and out, by which criterion, split, queued."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from tipstaff.errors import UsageError
from tipstaff_trainer.data import LabelSource
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.label_quality.review_queue import RankBy
from tipstaff_trainer.workspace.datasets import formats
from tipstaff_trainer.workspace.db.models import Dataset, LabelSet, ReviewItem
from tipstaff_trainer.workspace.db.rows import StoredRow
from tipstaff_trainer.workspace.labels.scores import ScoredBy
from tipstaff_trainer.workspace.opening import AnyDataset, Opened
from tipstaff_trainer.workspace.review.selection import Kind


class DataSetCalls(Opened):
    """The part of the Python API about data sets, their criteria and their review."""

    def upload_dataset(
        self,
        file: str | Path,
        *,
        name: str | None = None,
        mapping: Mapping[str, str] | None = None,
        label_source: LabelSource | None = None,
        criterion: str = "",
        shown: str | None = None,
        who: str = "",
    ) -> Dataset:
        """Reads a file of interactions, labelled or not, into a new data set.

        Args:
            file: CSV, JSON lines, JSON, Parquet, or a Label Studio export in JSON.
            name: The data set's; the file's without its ending when None.
            mapping: From a column's meaning to its name, as in `{"output": "reply"}`.
            label_source: Whose labels they are, where no column says so.
            criterion: The name of what they were given by; `set_criterion` says so later.
            shown: What its owner calls the file, for messages.
            who: Whoever brings it.

        Raises:
            DataError: The file, a column or a row can't be used; says which and what to do.
            UsageError: `mapping` names something that there is not.
            WorkspaceError: The name is taken, or there is no such criterion.
        """
        if criterion:
            self.criteria.get(criterion)
        path = Path(file)
        shown = shown or path.name
        self.datasets.sweep()
        data = formats.read(path, display_name=shown, mapping=mapping, label_source=label_source)
        name = Path(shown).stem if name is None else name
        return self.datasets.add(name, data, file=shown, criterion=criterion, who=who)

    def download_dataset(
        self,
        dataset: AnyDataset,
        file: str | Path,
        *,
        only: str = "all",
        criterion: str | None = None,
        together: bool = False,
    ) -> Path:
        """Writes a data set with its labels: .csv, .jsonl, .parquet, or .json for Label Studio.

        Args:
            dataset: Which.
            file: Where to; its ending says how.
            only: One of `datasets.FILTERS`.
            criterion: Whose labels; see `label_set`.
            together: All rows with the labels by every criterion, in columns that begin with its
                name, instead. To bring such a file back by one of them, map its label, as in
                `{"label": "toxicity.label"}`; .json can't hold it.

        Raises:
            UsageError: The ending is none of these, or `together` was given with something to
                choose by.
            WorkspaceError: There are no such labels, or the file can't be written.
        """
        if not together:
            labels = self.label_set(dataset, criterion)
            one = partial(formats.dump, self.datasets, labels, only=only)
            return formats.write(Path(file), one, formats.FORMATS)
        if criterion is not None or only != "all":
            raise UsageError("together: is for all rows and every criterion, so choose none")
        every = partial(formats.dump_together, self.datasets, self.datasets.get(dataset))
        return formats.write(Path(file), every, formats.TABLES)

    def add_criterion(self, dataset: AnyDataset, criterion: str) -> LabelSet:
        """Has a data set judged by a criterion, beside those that it is judged by.

        Labels, review, examples, training and measuring by one know nothing of the others'.

        Raises:
            WorkspaceError: There is no such data set or criterion, or nobody has said what the
                labels that it has were given by (`set_criterion`).
        """
        name = self.criteria.get(criterion).name
        self.label_sets.add(self.datasets.get(dataset), name)
        return self.label_set(dataset, name)

    def set_criterion(self, dataset: AnyDataset, criterion: str) -> LabelSet:
        """Says by which criterion the labels were given that nobody has said it of, as a file's.

        Raises:
            WorkspaceError: There is no such data set or criterion, or it has been said.
        """
        name = self.criteria.get(criterion).name
        self.label_sets.set_criterion(self.datasets.get(dataset), name)
        return self.label_set(dataset, name)

    def split(self, dataset: AnyDataset, *, test_size: float = 0.2, seed: int = 0) -> list[str]:
        """Sets rows aside for testing; gives warnings. See `Datasets.split`."""
        return self.datasets.split(self.datasets.get(dataset), test_size=test_size, seed=seed)

    def review_queue(
        self,
        dataset: AnyDataset,
        wanted: Mapping[Kind, int] | None = None,
        *,
        rank_by: RankBy = "error",
        scored_by: ScoredBy | str | None = None,
        criterion: str | None = None,
    ) -> list[tuple[ReviewItem, StoredRow]]:
        """The rows that wait for a person, in their order.

        Args:
            dataset: Which.
            wanted: Rows to add to the queue first: `ranked`, `random` or `disputed` by people.
            rank_by: The order of the ranked ones: likely label `error`, the judge's own
                `uncertainty`, or `disagreement` between judges and evaluator.
            scored_by: The evaluator whose scores are compared, as `score_dataset` had them made:
                its name and version, or its name, as there; `scores.OTHER_ROWS` for what the other
                rows say.
            criterion: What people are to judge them by; see `label_set`.

        Raises:
            WorkspaceError: There are no such labels, or the version has not scored the rows.
        """
        labels = self.label_set(dataset, criterion)
        if isinstance(scored_by, str):
            scored_by = scored_by, self.evaluators.find(scored_by)
        if scored_by is not None and scored_by not in self.scores.counts(labels):
            raise WorkspaceError(
                f"{labels.title}: not scored by {scored_by[0] or 'the other rows'} yet: see "
                "score_dataset"
            )
        if wanted:
            self.reviews.queue(labels, wanted, rank_by=rank_by, scored_by=scored_by)
        return list(self.reviews.waiting(labels))

    def archive_dataset(self, dataset: AnyDataset) -> None:
        """Lays a data set aside: it leaves the lists, and nothing of it is lost."""
        self.datasets.archive(self.datasets.get(dataset).id)

    def restore_dataset(self, dataset: AnyDataset) -> None:
        """Brings a data set back from the archive."""
        self.datasets.archive(self.datasets.get(dataset).id, restore=True)

    def delete_dataset(self, dataset: AnyDataset) -> None:
        """Deletes a data set that is in the archive, with its labels, for good.

        Raises:
            WorkspaceError: It is not in the archive, or a job works on it.
        """
        self.datasets.delete(self.datasets.get(dataset).id)
        self.datasets.sweep()
