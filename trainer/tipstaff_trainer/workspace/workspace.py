"""The Python API of all that the desk shows.

    upload → criterion → pilot → review → label all → review → train → promote → try

    workspace = Workspace("faithful")
    traces = workspace.upload_dataset("traces.csv")
    workspace.label_dataset(traces, criterion="faithfulness", model=…, pilot=True)

The arguments of the verbs that run as jobs are the fields of their operations' requests
(`tipstaff_trainer.operations`); what needs no job is done at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, get_args

from tipstaff.errors import UsageError
from tipstaff.types import Field
from tipstaff_server import repository
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.cases import Case
from tipstaff_trainer.data import LabelSource
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.evaluation.predict import predict_all
from tipstaff_trainer.judge.examples import MOST_EXAMPLES
from tipstaff_trainer.label_quality.review_queue import RankBy
from tipstaff_trainer.operations.evaluate import EvaluateRequest
from tipstaff_trainer.operations.label import LabelRequest
from tipstaff_trainer.operations.score import ScoreRequest
from tipstaff_trainer.operations.sources import StoredData
from tipstaff_trainer.operations.train import TrainRequest
from tipstaff_trainer.workspace.datasets import formats
from tipstaff_trainer.workspace.datasets.queries import AnyDataset
from tipstaff_trainer.workspace.db.models import Dataset, Job, LabelSet, ReviewItem
from tipstaff_trainer.workspace.db.rows import StoredRow
from tipstaff_trainer.workspace.evaluators.curves import Curves, read_curves
from tipstaff_trainer.workspace.evaluators.versions import EvaluatorVersion
from tipstaff_trainer.workspace.jobs.files import CURVES_FILE
from tipstaff_trainer.workspace.labels.scores import ScoredBy
from tipstaff_trainer.workspace.operations import start
from tipstaff_trainer.workspace.review.selection import Kind
from tipstaff_trainer.workspace.stores import Stores

Frame = TypeVar("Frame")


class Workspace:
    """A folder with data sets, labels, jobs and a repository of evaluators.

    Several processes and people may use one at once.

    Args:
        folder: Created if it doesn't exist.
        database: URL of a PostgreSQL database to use instead of the folder's SQLite file.
        server: Address of a running `tipstaff serve` for the playground; when None, the
            workspace starts its own on request.

    Attributes:
        folder: The workspace's folder, absolute.
        repository: The folder of its evaluators, which a server can serve.
        stores: What the verbs work on, for the desk and the jobs; may change without notice.

    Raises:
        WorkspaceError: The folder or the database can't be used.
    """

    def __init__(
        self, folder: str | Path, *, database: str | None = None, server: str | None = None
    ) -> None:
        self.stores = Stores(folder, database=database, server=server)
        self.folder = self.stores.folder
        self.repository = self.stores.repository

    def close(self) -> None:
        """Closes the database; jobs and the server keep running."""
        self.stores.close()

    def upload_dataset(
        self,
        file: str | Path,
        *,
        name: str | None = None,
        mapping: Mapping[str, str] | None = None,
        label_source: LabelSource | None = None,
        criterion: str = "",
        display_name: str | None = None,
        who: str = "",
    ) -> Dataset:
        """Reads a file of interactions, labelled or not, into a new data set.

        Args:
            file: CSV, JSON lines, JSON, Parquet, or a Label Studio export in JSON.
            name: The data set's; the file's without its ending when None.
            mapping: From a column's meaning to its name, as in `{"output": "reply"}`.
            label_source: Who gave the labels, where no column says so.
            criterion: The criterion of the file's labels; `set_criterion` can set it later.
            display_name: What its owner calls the file, for messages.
            who: The person who uploads it.

        Raises:
            DataError: The file, a column or a row can't be used; says which and what to do.
            UsageError: `mapping` names a column or a meaning that does not exist.
            WorkspaceError: The name is taken, or there is no such criterion.
        """
        if criterion:
            self.stores.criteria.get(criterion)
        if label_source is not None and label_source not in get_args(LabelSource):
            raise UsageError(
                f"is none of {', '.join(get_args(LabelSource))}",
                field="label_source",
                value=str(label_source)[:80],
            )
        datasets, path = self.stores.datasets, Path(file)
        shown_as = display_name or path.name
        datasets.sweep()
        data = formats.read(path, display_name=shown_as, mapping=mapping, label_source=label_source)
        name = Path(shown_as).stem if name is None else name
        return datasets.add(name, data, file=shown_as, criterion=criterion, who=who)

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
            dataset: The data set.
            file: Where to; its ending is the format.
            only: One of `datasets.queries.FILTERS`.
            criterion: The labels' criterion; see `label_set`.
            together: Instead, all rows with the labels by every criterion, in columns that begin
                with its name. To upload such a file by one of them, map its label, as in
                `{"label": "toxicity.label"}`; .json can't hold it.

        Raises:
            UsageError: The file has another ending, or `together` is combined with `only` or
                `criterion`.
            WorkspaceError: There are no such labels, or the file can't be written.
        """
        datasets = self.stores.datasets
        if not together:
            dump = partial(formats.dump, datasets, self.label_set(dataset, criterion), only=only)
            return formats.write(Path(file), dump, formats.FORMATS)
        if criterion is not None or only != "all":
            raise UsageError(
                "takes all rows and every criterion",
                field="together",
                remedy="leave out {criterion} and {only}",
            )
        dump = partial(formats.dump_together, datasets, datasets.get(dataset))
        return formats.write(Path(file), dump, formats.TABLES)

    def label_set(self, dataset: AnyDataset, criterion: str | None = None) -> LabelSet:
        """A data set's labels by one criterion, counted; see `Stores.label_set`."""
        return self.stores.label_set(dataset, criterion)

    def add_criterion(self, dataset: AnyDataset, criterion: str) -> LabelSet:
        """Lets a data set be judged by one more criterion; see `Stores.add_criterion`.

        Labels, review, examples, training and measuring by one criterion ignore the others.
        """
        return self.stores.add_criterion(dataset, criterion)

    def set_criterion(self, dataset: AnyDataset, criterion: str) -> LabelSet:
        """Sets the criterion of labels that were imported without one.

        Raises:
            WorkspaceError: There is no such data set or criterion, or it is set already.
        """
        name = self.stores.criteria.get(criterion).name
        self.stores.label_sets.set_criterion(self.stores.datasets.get(dataset), name)
        return self.label_set(dataset, name)

    def split(self, dataset: AnyDataset, *, test_size: float = 0.2, seed: int = 0) -> list[str]:
        """Holds out rows for testing; returns warnings. See `Datasets.split`."""
        return self.stores.datasets.split(dataset, test_size=test_size, seed=seed)

    def review_queue(
        self,
        dataset: AnyDataset,
        counts: Mapping[Kind, int] | None = None,
        *,
        rank_by: RankBy = "error",
        scored_by: ScoredBy | str | None = None,
        criterion: str | None = None,
    ) -> list[tuple[ReviewItem, StoredRow]]:
        """The rows that wait for a person, in their order.

        Args:
            dataset: The data set.
            counts: Rows to add to the queue first: `ranked`, `random` or `disputed` by people.
            rank_by: The order of the ranked ones: likely label `error`, the judge's own
                `uncertainty`, or `disagreement` between judges and evaluator.
            scored_by: The evaluator whose scores (`score_dataset`) are compared: its name and
                version, or its name; `scores.OTHER_ROWS` for the other rows.
            criterion: What people are to judge the rows by; see `label_set`.

        Raises:
            WorkspaceError: There are no such labels, or the version has not scored the rows.
        """
        stores = self.stores
        labels = self.label_set(dataset, criterion)
        if isinstance(scored_by, str):
            scored_by = scored_by, stores.evaluators.find(scored_by)
        if scored_by is not None and scored_by not in stores.scores.counts(labels):
            raise WorkspaceError(
                f"{labels.title}: not scored by {scored_by[0] or 'the other rows'} yet",
                remedy="score the rows first (score_dataset)",
            )
        if counts:
            stores.reviews.queue(labels, counts, rank_by=rank_by, scored_by=scored_by)
        return list(stores.reviews.waiting(labels))

    def archive_dataset(self, dataset: AnyDataset) -> None:
        """Archives a data set: it leaves the lists, and nothing is lost."""
        self.stores.datasets.archive(dataset)

    def restore_dataset(self, dataset: AnyDataset) -> None:
        """Restores a data set from the archive."""
        self.stores.datasets.archive(dataset, restore=True)

    def delete_dataset(self, dataset: AnyDataset) -> None:
        """Deletes an archived data set with its labels, for good.

        Raises:
            WorkspaceError: It is not archived, or a job works on it.
        """
        self.stores.datasets.delete(dataset)
        self.stores.datasets.sweep()

    def label_dataset(
        self,
        dataset: AnyDataset,
        *,
        criterion: str | None = None,
        wait: bool | float = False,
        who: str = "",
        **settings: Any,
    ) -> Job:
        """Has a judge label a data set.

        Args:
            dataset: The data set.
            criterion: The criterion's name, which need not be one of the data set's yet; None
                where the data set is judged by one.
            wait: Whether to wait until the job ends; or the most seconds to wait.
            who: The person who starts it.
            settings: Fields of `LabelRequest`: at least `model`, and `base_url`; `pilot` for
                `reviews.PILOT_ROWS` rows that no person has seen, which then wait for review.

        Raises:
            WorkspaceError: There is no such data set or criterion, or nothing to label; the rows
                lack a column that the criterion's question names; or the criterion can't be added
                (`add_criterion`).
            UsageError: A setting is invalid.
            JobError: It was waited for and failed.
        """
        if criterion is None:
            criterion = self.label_set(dataset).criterion
        data = self._source(dataset, criterion=criterion)
        if not criterion:
            name = self.stores.datasets.get(dataset).name
            raise WorkspaceError(f"{name}: has no criterion yet", remedy="give {criterion}")
        # As many examples as there are reviewed rows for.
        values = {"shots": MOST_EXAMPLES} | dict(**settings, data=data, criterion=criterion)
        request = LabelRequest.parse(values)
        return self._waited(start.start_label(self.stores, request, who=who), wait)

    def score_dataset(
        self,
        dataset: AnyDataset,
        name: str | None,
        *,
        version: int | None = None,
        criterion: str | None = None,
        wait: bool | float = False,
        who: str = "",
    ) -> Job:
        """Has an evaluator's version score every row, to choose rows for review.

        Args:
            dataset: The data set.
            name: The evaluator's; None for a classifier of the other rows, which needs no
                evaluator.
            version: Its version; the serving one, else the newest, when None.
            criterion: Whose labels the other rows have; see `label_set`. An evaluator's scores
                are the same for all.
            wait: Whether to wait until the job ends; or the most seconds to wait.
            who: The person who starts it.

        Returns:
            The job; one that scores the same already rather than a second.

        Raises:
            WorkspaceError: There is no such data set or version.
            JobError: It was waited for and failed.
        """
        request = ScoreRequest(data=self._source(dataset, criterion=criterion))
        job = start.start_score(self.stores, request, name=name, version=version, who=who)
        return self._waited(job, wait)

    def fine_tune(
        self,
        dataset: AnyDataset,
        *,
        name: str,
        columns: Sequence[Field] | None = None,
        cases: Sequence[Case] | str | Path | None = None,
        criterion: str | None = None,
        wait: bool | float = False,
        who: str = "",
        **settings: Any,
    ) -> Job:
        """Trains an evaluator on a data set's labels and publishes it as its next version.

        Args:
            dataset: The data set.
            name: The evaluator's: a-z, 0-9 and -.
            columns: The fields that it reads; all that the rows have when None.
            cases: Named cases that must hold before the version serves, or a YAML file of them;
                those stored with the criterion when None.
            criterion: Whose labels it learns; see `label_set`.
            wait: Whether to wait until the job ends; or the most seconds to wait.
            who: The person who starts it.
            settings: Further fields of `TrainRequest`. With `size` small, the rows without a
                label are learnt from too; with `relabel`, the judge's labels are first corrected
                by people's labels of rows drawn at random.

        Raises:
            WorkspaceError: There are no such labels, or too few to relabel from.
            UsageError: The name, the columns, a setting or a case is invalid.
            JobError: It was waited for and failed.
        """
        data = self._source(dataset, criterion=criterion, columns=columns)
        request = TrainRequest.parse(dict(**settings, data=data, name=name, cases=cases))
        return self._waited(start.start_train(self.stores, request, who=who), wait)

    def evaluate_dataset(
        self,
        dataset: AnyDataset,
        name: str,
        *,
        versions: Sequence[int] = (),
        part: str = "test",
        human: bool = False,
        criterion: str | None = None,
        wait: bool | float = True,
        who: str = "",
        **settings: Any,
    ) -> Job:
        """Measures versions of an evaluator on a data set's labels, through the server's code.

        Args:
            dataset: The data set.
            name: The evaluator's.
            versions: Its versions; the serving one, else the newest, when empty.
            part: `test`, `train`, or empty for all rows.
            human: Only rows that people have labelled.
            criterion: Whose labels it is measured on; see `label_set`.
            wait: Whether to wait until the job ends; or the most seconds to wait.
            who: The person who starts it.
            settings: Fields of `EvaluateRequest` that change the report.

        Returns:
            The job; its `result["measured"]` has each version's metrics, by version as text, and
            its folder a report on the first and a comparison with the second.

        Raises:
            WorkspaceError: There are no such labels, or no such evaluator.
            JobError: It was waited for and failed.
        """
        data = self._source(dataset, criterion=criterion, part=part, human=human)
        bundle = self.repository / name
        request = EvaluateRequest.parse(dict(**settings, data=data, bundle=bundle))
        job = start.start_evaluate(self.stores, request, name=name, versions=versions, who=who)
        return self._waited(job, wait)

    def wait_for(self, job: Job | int, *, timeout: float | None = None) -> Job:
        """Waits until a job ends; see `Jobs.wait_for`.

        Raises:
            JobError: It failed or was stopped, or it hasn't ended in time.
        """
        return self.stores.jobs.wait_for(job, timeout=timeout)

    def curves(self, job: Job) -> Curves:
        """What a training has logged so far."""
        return read_curves(self.stores.jobs.folder(job.id) / CURVES_FILE)

    def list_evaluators(self) -> list[EvaluatorVersion]:
        """Every version of every evaluator, the newest of each first."""
        return self.stores.evaluators.versions()

    def promote(self, name: str, version: int, *, force: bool = False) -> int | None:
        """Lets a version serve; servers that follow the repository switch on their own.

        Args:
            name: The evaluator's.
            version: The version.
            force: Promote it even if named cases fail.

        Returns:
            The version that served before, None if none did.

        Raises:
            PromotionRefused: It fails a named case that the version now serving does not.
            RepositoryError: There is no such evaluator or version.
            BundleError: The version's bundle is damaged.
        """
        return repository.promote(self.repository, name, version, force=force)

    def archive_version(self, name: str, version: int) -> Path:
        """Archives a version that is not online; its number is not reused.

        Returns:
            The folder that it is kept in, which may be deleted.

        Raises:
            RepositoryError: There is no such version, or it is online.
        """
        return repository.archive(self.repository, name, version)

    def evaluate_data(self, frame: Frame, name: str, *, version: int | None = None) -> Frame:
        """Scores the rows of a data frame, here and now, through the server's code.

        Args:
            frame: A pandas DataFrame with some of the columns input, output and ground_truth, or
                other names that are known for these.
            name: The evaluator's.
            version: Its version; the serving one, else the newest, when None.

        Returns:
            The frame with a column `<name>_score`.

        Raises:
            WorkspaceError: There is no such evaluator.
            DataError: The frame has none of its columns.
        """
        evaluators = self.stores.evaluators
        evaluator = Evaluator.load(evaluators.path(name, evaluators.find(name, version)))
        return formats.with_scores(frame, name, partial(predict_all, evaluator))

    def _source(self, dataset: AnyDataset, **values: Any) -> StoredData:
        return StoredData.parse({"dataset": self.stores.datasets.get(dataset).id, **values})

    def _waited(self, job: Job, wait: bool | float) -> Job:
        if wait is False:
            return job
        return self.wait_for(job, timeout=None if wait is True else wait)
