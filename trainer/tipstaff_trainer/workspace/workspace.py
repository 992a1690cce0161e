"""The Python API of all that the desk shows.

    upload → criterion → pilot → review → label all → review → train → promote → try

    workspace = Workspace("faithful")
    traces = workspace.upload_dataset("traces.csv")
    workspace.label_dataset(traces, criterion="faithfulness", model=…, pilot=True)

The arguments of the verbs that run as jobs are the fields of their operations' requests
(`tipstaff_trainer.operations`); what needs no job is done at once.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

from tipstaff.errors import UsageError
from tipstaff_server import repository
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.cases import Case
from tipstaff_trainer.data.frames import with_columns
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.judge.examples import MOST_EXAMPLES
from tipstaff_trainer.label_quality.review_queue import RankBy
from tipstaff_trainer.operations.evaluate import EvaluateRequest
from tipstaff_trainer.operations.label import LabelRequest
from tipstaff_trainer.operations.probe import ProbeRequest, Probing, probe
from tipstaff_trainer.operations.score import ScoreRequest
from tipstaff_trainer.operations.sources import StoredData
from tipstaff_trainer.operations.train import TrainRequest
from tipstaff_trainer.progress import Reporter
from tipstaff_trainer.workspace.datasets import formats, uploads
from tipstaff_trainer.workspace.datasets.queries import AnyDataset
from tipstaff_trainer.workspace.db.models import Dataset, Job, LabelSet, ReviewItem
from tipstaff_trainer.workspace.db.rows import StoredRow
from tipstaff_trainer.workspace.evaluators.curves import Curves, read_curves
from tipstaff_trainer.workspace.evaluators.metric import Metric, evaluator_name
from tipstaff_trainer.workspace.evaluators.score_frame import read_interactions, score_columns
from tipstaff_trainer.workspace.evaluators.versions import EvaluatorVersion
from tipstaff_trainer.workspace.jobs.files import CURVES_FILE
from tipstaff_trainer.workspace.labels.scores import ScoredBy
from tipstaff_trainer.workspace.operations import start
from tipstaff_trainer.workspace.operations.stored_rows import fields_of_columns, read_labelled
from tipstaff_trainer.workspace.review.selection import Kind
from tipstaff_trainer.workspace.stores import Stores
from tipstaff_trainer.workspace.traffic.collect import Collected
from tipstaff_trainer.workspace.traffic.erase import ErasedRows
from tipstaff_trainer.workspace.traffic.live import Live
from tipstaff_trainer.workspace.traffic.triage import Triage
from tipstaff_trainer.workspace.traffic.window import Window

Frame = TypeVar("Frame")


class Workspace:
    """A folder with data sets, labels, jobs and a repository of evaluators.

    Several processes and people may use one at once.

    Args:
        folder: Created if it doesn't exist.
        database: URL of a PostgreSQL database to use instead of the folder's SQLite file.
        server: Address of a running `tipstaff serve` for the playground; when None, the
            workspace starts its own on request.
        judge: Fields of `LabelRequest` that `label_dataset` takes unless it is told others, as
            `{"model": "gpt-4o-mini"}`.

    Attributes:
        folder: The workspace's folder, absolute.
        repository: The folder of its evaluators, which a server can serve.
        stores: What the verbs work on, for the desk and the jobs; may change without notice.

    Raises:
        WorkspaceError: The folder or the database can't be used.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        database: str | None = None,
        server: str | None = None,
        judge: Mapping[str, Any] | None = None,
    ) -> None:
        self._judge = dict(judge or {})
        self.stores = Stores(folder, database=database, server=server)
        self.folder = self.stores.folder
        self.repository = self.stores.repository

    def close(self) -> None:
        """Closes the database; jobs and the server keep running."""
        self.stores.close()

    def upload_dataset(
        self,
        file_path: str | Path | Any,
        *,
        name: str | None = None,
        description: str = "",
        criterion: str = "",
        display_name: str | None = None,
        who: str = "",
        **reading: Any,
    ) -> Dataset:
        """Reads a file or a data frame of interactions, labelled or not, into a new data set.

        Args:
            file_path: CSV, XLSX, JSON lines, JSON, Parquet, another tool's export, or a pandas,
                Polars or Arrow frame.
            name: The data set's; the file's without its ending when None.
            description: What it is, in words; kept with its notes.
            criterion: The criterion of the file's labels; `set_criterion` can set it later.
            display_name: What its owner calls the file, for messages.
            who: The person who uploads it.
            reading: Fields of `FileData`: `mapping` from a role to a column or a path, as in
                `{"output": "messages[-1].content"}`; `label_source`; `good`, `bad`, `absent`,
                `scale`, `cut` and `high_is`, which say what labels mean; `form`.

        Raises:
            DataError: The file, a column or a row can't be used; says which and what to do.
            UsageError: `mapping` names a column or a meaning that does not exist, or another
                setting is invalid.
            WorkspaceError: The name is taken, or there is no such criterion.
        """
        if criterion:
            self.stores.criteria.get(criterion)
        datasets = self.stores.datasets
        datasets.sweep()
        data, shown_as = uploads.read(file_path, reading, display_name=display_name)
        name = uploads.stem(shown_as) if name is None else name
        if description:
            data = replace(data, warnings=(description, *data.warnings))
        return datasets.add(name, data, file=shown_as, criterion=criterion, who=who)

    def append_rows(
        self,
        dataset_id: AnyDataset,
        file_path: str | Path | Any,
        *,
        criterion: str | None = None,
        display_name: str | None = None,
        who: str = "",
        **reading: Any,
    ) -> Dataset:
        """Adds the rows of a file or a data frame to a data set, after its own.

        A row whose id the data set has already, or its texts where the file has no ids, is not
        added again; its label joins the labels of that row, where people outrank judges and labels
        of one source are averaged. The data set's notes count them and show where labels differ.

        Args:
            dataset_id: The data set, its id or its name.
            file_path: As for `upload_dataset`.
            criterion: The criterion of the file's labels; see `label_set`.
            display_name: What its owner calls the file, for messages.
            who: The person who adds them.
            reading: As for `upload_dataset`.

        Raises:
            DataError: The file, a column or a row can't be used, or an id is that of a row with
                other texts; then nothing is added.
            WorkspaceError: There is no such data set, or the disk is full.
        """
        labels = self.label_set(dataset_id, criterion)
        uploads.add_to(
            self.stores.database, labels, file_path, reading, display_name=display_name, who=who
        )
        return self.stores.datasets.get(labels.dataset_id)

    def download_dataset(
        self,
        dataset_id: AnyDataset,
        file: str | Path | None = None,
        *,
        only: str = "all",
        criterion: str | None = None,
        together: bool = False,
    ) -> Any:
        """Writes a data set with its labels: .csv, .jsonl, .parquet, or .json for Label Studio.

        Args:
            dataset_id: The data set, its id or its name.
            file: Where to; its ending is the format. Without it the rows come as a pandas frame.
            only: One of `datasets.queries.FILTERS`.
            criterion: The labels' criterion; see `label_set`.
            together: Instead, all rows with the labels by every criterion, in columns that begin
                with its name. To upload such a file by one of them, map its label, as in
                `{"label": "toxicity.label"}`; .json can't hold it.

        Returns:
            The file's path, or the frame.

        Raises:
            UsageError: The file has another ending, or `together` is combined with `only` or
                `criterion`.
            WorkspaceError: There are no such labels, or the file can't be written.
        """
        datasets = self.stores.datasets
        if not together:
            labels = self.label_set(dataset_id, criterion)
            if file is None:
                return formats.to_frame(datasets, labels, only=only)
            dump = partial(formats.dump, datasets, labels, only=only)
            return formats.write(Path(file), dump, formats.FORMATS)
        if criterion is not None or only != "all":
            raise UsageError(
                "takes all rows and every criterion",
                field="together",
                remedy="leave out {criterion} and {only}",
            )
        if file is None:
            raise UsageError("is written to a file", field="together", remedy="give {file}")
        dump = partial(formats.dump_together, datasets, datasets.get(dataset_id))
        return formats.write(Path(file), dump, formats.TABLES)

    def list_datasets(self, *, words: str = "", archived: bool = False) -> list[Dataset]:
        """All data sets, newest first; see `Datasets.all`."""
        return list(self.stores.datasets.all(words=words, archived=archived))

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
        dataset_id: AnyDataset,
        prompt_template: str | None = None,
        *,
        criterion: str | None = None,
        wait_for_completion: bool | float = False,
        who: str = "",
        **settings: Any,
    ) -> Job:
        """Has a judge label a data set.

        Args:
            dataset_id: The data set, its id or its name.
            prompt_template: A built-in criterion's name, as "answer correctness", or the question
                to the judge with columns in braces, as "Is {output} polite?", which is saved as a
                criterion.
            criterion: The criterion's name, which need not be one of the data set's yet; None
                where the data set is judged by one. With a question of your own, the name to save
                it under.
            wait_for_completion: Whether to wait until the job ends; or the most seconds to wait.
            who: The person who starts it.
            settings: Fields of `LabelRequest`: at least `model`, unless the workspace's judge has
                it, and `base_url`; `pilot` for `reviews.PILOT_ROWS` rows that no person has seen,
                which then wait for review.

        Raises:
            WorkspaceError: There is no such data set or criterion, or nothing to label; the rows
                lack a column that the criterion's question names; or the criterion can't be added
                (`add_criterion`).
            UsageError: A setting is invalid.
            JobError: It was waited for and failed.
        """
        if prompt_template is not None:
            criterion = self.stores.criteria.of_template(prompt_template, criterion, who=who)
        if criterion is None:
            criterion = self.label_set(dataset_id).criterion
        data = self._source(dataset_id, criterion=criterion)
        if not criterion:
            name = self.stores.datasets.get(dataset_id).name
            raise WorkspaceError(f"{name}: has no criterion yet", remedy="give {criterion}")
        # As many examples as there are reviewed rows for.
        values = {"shots": MOST_EXAMPLES, **self._judge, **settings}
        request = LabelRequest.parse({**values, "data": data, "criterion": criterion})
        return self._waited(start.start_label(self.stores, request, who=who), wait_for_completion)

    def score_dataset(
        self,
        dataset: AnyDataset,
        name: str | None,
        *,
        version: int | None = None,
        criterion: str | None = None,
        wait_for_completion: bool | float = False,
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
            wait_for_completion: Whether to wait until the job ends; or the most seconds to wait.
            who: The person who starts it.

        Returns:
            The job; one that scores the same already rather than a second.

        Raises:
            WorkspaceError: There is no such data set or version.
            JobError: It was waited for and failed.
        """
        request = ScoreRequest(data=self._source(dataset, criterion=criterion))
        job = start.start_score(self.stores, request, name=name, version=version, who=who)
        return self._waited(job, wait_for_completion)

    def fine_tune_model(
        self,
        train_dataset_id: AnyDataset | Sequence[AnyDataset],
        test_dataset_id: AnyDataset | None = None,
        *,
        model_name: str,
        selected_columns: Sequence[str] | None = None,
        cases: Sequence[Case] | str | Path | None = None,
        criterion: str | None = None,
        wait_for_completion: bool | float = False,
        who: str = "",
        **settings: Any,
    ) -> Job:
        """Trains an evaluator on data sets' labels and publishes it as its next version.

        Args:
            train_dataset_id: The data set, or several.
            test_dataset_id: A data set to test on, whole; rows to train on that belong together
                with one of its rows are left out. Without it, the rows that `split` held out.
            model_name: The evaluator's: a-z, 0-9 and -; a title with spaces becomes such a name.
            selected_columns: The fields that it reads, by their own names or by another name that
                is known for them; all that the rows have when None.
            cases: Named cases that must hold before the version serves, or a YAML file of them;
                those stored with the criterion when None.
            criterion: Whose labels it learns; see `label_set`.
            wait_for_completion: Whether to wait until the job ends; or the most seconds to wait.
            who: The person who starts it.
            settings: Further fields of `TrainRequest`. With `size` small, the rows without a
                label are learnt from too; with `relabel`, the judge's labels are first corrected
                by people's labels of rows drawn at random.

        Raises:
            WorkspaceError: There are no such labels, or too few to relabel from.
            UsageError: The name, the columns, a setting or a case is invalid.
            JobError: It was waited for and failed.
        """
        first, *more = (
            [train_dataset_id]
            if isinstance(train_dataset_id, (Dataset, int, str))
            else train_dataset_id
        )
        get = self.stores.datasets.get
        data = self._source(
            first,
            criterion=criterion,
            columns=None if selected_columns is None else fields_of_columns(selected_columns),
            more=[get(each).id for each in more],
            test_dataset=None if test_dataset_id is None else get(test_dataset_id).id,
        )
        name = evaluator_name(model_name)
        request = TrainRequest.parse(dict(**settings, data=data, name=name, cases=cases))
        return self._waited(start.start_train(self.stores, request, who=who), wait_for_completion)

    def evaluate_dataset(
        self,
        dataset_id: AnyDataset,
        metric: Metric | str,
        *,
        versions: Sequence[int] = (),
        part: str | None = None,
        human: bool = False,
        criterion: str | None = None,
        wait_for_completion: bool | float = True,
        who: str = "",
        **settings: Any,
    ) -> Job:
        """Measures versions of an evaluator on a data set's labels, through the server's code.

        Args:
            dataset_id: The data set, its id or its name.
            metric: The evaluator.
            versions: Its versions; the serving one, else the newest, when empty.
            part: `test`, `train`, or empty for all rows; the rows held out for testing, if there
                are any, else all rows, when None.
            human: Only rows that people have labelled.
            criterion: Whose labels it is measured on; see `label_set`.
            wait_for_completion: Whether to wait until the job ends; or the most seconds to wait.
            who: The person who starts it.
            settings: Fields of `EvaluateRequest` that change the report.

        Returns:
            The job; its `result["measured"]` has each version's metrics, by version as text, and
            its folder a report on the first and a comparison with the second.

        Raises:
            WorkspaceError: There are no such labels, or no such evaluator.
            JobError: It was waited for and failed.
        """
        metric = metric if isinstance(metric, Metric) else Metric(metric)
        name = metric.evaluator
        if metric.version is not None and not versions:
            versions = (metric.version,)
        if part is None:
            part = "test" if self.stores.datasets.get(dataset_id).test else ""
        data = self._source(dataset_id, criterion=criterion, part=part, human=human)
        bundle = self.repository / name
        request = EvaluateRequest.parse(dict(**settings, data=data, bundle=bundle))
        job = start.start_evaluate(self.stores, request, name=name, versions=versions, who=who)
        return self._waited(job, wait_for_completion)

    def wait_for(self, job_id: Job | int, *, timeout: float | None = None) -> Job:
        """Waits until a job ends; see `Jobs.wait_for`.

        Args:
            job_id: The job, or its id.
            timeout: The most seconds to wait; None for no limit.

        Raises:
            JobError: It failed or was stopped, or it hasn't ended in time.
        """
        return self.stores.jobs.wait_for(job_id, timeout=timeout)

    # The hosted product's names for the same.
    wait_for_label_dataset_job = wait_for
    wait_for_fine_tune_job = wait_for

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
            force: Promote it even if it has not learnt or named cases fail.

        Returns:
            The version that served before, None if none did.

        Raises:
            PromotionRefused: It has not learnt, or fails a named case that the version now serving
                does not.
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

    def evaluate_data(
        self,
        data: Frame,
        metrics: Metric | str | Sequence[Metric | str],
        *,
        version: int | None = None,
        mapping: Mapping[str, str] | None = None,
    ) -> Frame:
        """Scores the rows of a data frame, here and now, through the server's code.

        Args:
            data: A pandas, Polars or Arrow frame with some of the columns input, output and
                ground_truth, or other names that are known for these.
            metrics: The evaluator or evaluators, by name or as `Metric`.
            version: The version of those that name none; the serving one, else the newest, when
                None.
            mapping: From a field to a column or a path.

        Returns:
            The frame with columns `<name>_verdict`, `<name>_reasons` and `<name>_score` for each,
            which replace columns of these names; where several versions of one evaluator are given,
            `<name>_<version>_score` and so on. A row without a text that the evaluator reads has
            the score NaN and the reason; so has a row with a cell that can't be read.

        Warns:
            UserWarning: The frame lacks a field that an evaluator reads, holds JSON that is read as
                text, or has rows that can't be read.

        Raises:
            WorkspaceError: There is no such evaluator.
            DataError: The frame has none of its columns, or none of its rows can be read.
        """
        evaluators = self.stores.evaluators
        rows = read_interactions(data, mapping)
        given = [metrics] if isinstance(metrics, (Metric, str)) else metrics
        named = [each if isinstance(each, Metric) else Metric(each) for each in given]
        chosen = dict.fromkeys(
            (each.evaluator, evaluators.find(each.evaluator, each.version or version))
            for each in named
        )
        names = [name for name, _ in chosen]
        columns: dict[str, Any] = {}
        for name, number in chosen:
            evaluator = Evaluator.load(evaluators.path(name, number))
            # Several versions of one evaluator have columns of their own.
            title = name if names.count(name) == 1 else f"{name}_{number}"
            columns |= score_columns(rows, evaluator, title)
        return cast(Frame, with_columns(data, columns))

    def probe_dataset(
        self,
        dataset: AnyDataset,
        name: str,
        *,
        version: int | None = None,
        part: str = "test",
        human: bool = False,
        criterion: str | None = None,
        **settings: Any,
    ) -> Probing:
        """Rewrites a data set's outputs, here and now, and counts an evaluator's wrong verdicts.

        Args:
            dataset: The data set.
            name: The evaluator's.
            version: Its version; the serving one, else the newest, when None.
            part: `test`, `train`, or empty for all rows.
            human: Only rows that people have labelled.
            criterion: Whose labels the rows have; see `label_set`.
            settings: Fields of `ProbeRequest`, as `sample`.

        Raises:
            WorkspaceError: There are no such labels, or no such evaluator.
            DataError: No rewriting applies to the rows.
        """
        evaluators = self.stores.evaluators
        source = self._source(dataset, part=part, human=human, criterion=criterion)
        bundle = evaluators.path(name, evaluators.find(name, version))
        request = ProbeRequest.parse({"bundle": bundle, "data": source, **settings})
        return probe(request, partial(read_labelled, self.stores, source), Reporter())

    def collect_traffic(self, *folders: str | Path) -> Collected:
        """Collects what servers kept of their traffic, each row exactly once.

        Args:
            folders: The folders; several collectors may run at once, and beside reviewers.

        Raises:
            WorkspaceError: A folder can't be read, or the database can't be written.
        """
        names = [each.name for each in self.stores.evaluators.published()]
        return self.stores.traffic.collect([Path(each) for each in folders], names)

    def live(self, evaluator: str, window: Window | None = None) -> Live:
        """What an evaluator's collected traffic says; the last seven days if no window is given.

        Raises:
            WorkspaceError: No traffic of it was collected.
        """
        return self.stores.traffic.live(evaluator, window)

    def queue_traffic(
        self,
        evaluator: str,
        *,
        drawn: int = 0,
        disputed: int = 0,
        flagged: int = 0,
        passed: int = 0,
        window: Window | None = None,
    ) -> int:
        """Queues rows of traffic for review; what was in the queue once never comes back.

        Args:
            evaluator: The evaluator's name.
            drawn: The most rows in the order of the draw: only these are estimated from.
            disputed: The most rows that feedback disagrees with.
            flagged: The most rows with REVIEW or BLOCK.
            passed: The most rows with PASS, those with the lowest score first.
            window: Where from; the last seven days if None.

        Returns:
            How many rows were queued.

        Raises:
            WorkspaceError: No traffic of it was collected.
        """
        window = window or Window.last(7 * 86400, now=time.time())
        triage = Triage(window, drawn=drawn, disputed=disputed, flagged=flagged, passed=passed)
        return self.stores.traffic.queue(evaluator, triage)

    def erase_traffic(self, *request_ids: str) -> ErasedRows:
        """Erases requests' rows, labels and feedback here, also from what is collected later.

        The servers' folders are erased from by `tipstaff erase`; neither reaches weights that were
        trained on the rows, nor files that were written from them.
        """
        return self.stores.traffic.erase(request_ids)

    def _source(self, dataset: AnyDataset, **values: Any) -> StoredData:
        return StoredData.parse({"dataset": self.stores.datasets.get(dataset).id, **values})

    def _waited(self, job: Job, wait: bool | float) -> Job:
        if wait is False:
            return job
        return self.wait_for(job, timeout=None if wait is True else wait)
