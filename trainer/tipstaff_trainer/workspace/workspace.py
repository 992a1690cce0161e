"""The Python API of all that the desk shows.

upload → criterion → pilot → review → label all → review → train → promote → try

workspace = Workspace("faithful")
traces = workspace.upload_dataset("traces.csv")
workspace.label_dataset(traces, criterion="faithfulness", judge={"model": …}, pilot=True)
...
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from tipstaff.types import FIELDS, Field, Interaction
from tipstaff_server import repository
from tipstaff_server.evaluator.cases import CASES, Case
from tipstaff_trainer.data import LabelSource
from tipstaff_trainer.data.columns import check_fields, resolve
from tipstaff_trainer.distil.settings import TrainSettings
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.judge.examples import MOST_EXAMPLES
from tipstaff_trainer.judge.review_queue import RankBy
from tipstaff_trainer.judge.settings import JudgeSettings
from tipstaff_trainer.workspace import formats
from tipstaff_trainer.workspace.candidates import Kind
from tipstaff_trainer.workspace.cases import Cases
from tipstaff_trainer.workspace.checks import (
    check_examples,
    check_key_variable,
    judge_settings,
    named_cases,
    train_settings,
)
from tipstaff_trainer.workspace.criteria import Criteria
from tipstaff_trainer.workspace.curves import Curves, read_curves
from tipstaff_trainer.workspace.database import Database, sqlite_url
from tipstaff_trainer.workspace.datasets import Datasets
from tipstaff_trainer.workspace.evaluators import Evaluators, EvaluatorVersion
from tipstaff_trainer.workspace.jobs import Jobs
from tipstaff_trainer.workspace.label_sets import LabelSets, chosen
from tipstaff_trainer.workspace.reviews import Reviews
from tipstaff_trainer.workspace.rows import StoredRow
from tipstaff_trainer.workspace.scores import OTHER_ROWS, ScoredBy, Scores
from tipstaff_trainer.workspace.serving import Serving
from tipstaff_trainer.workspace.tables import Dataset, Job, LabelSet, ReviewItem

if TYPE_CHECKING:
    from tipstaff_server.evaluator import Ruling

Frame = TypeVar("Frame")
AnyDataset = Dataset | int | str
DATABASE_FILE = "workspace.sqlite"
REPOSITORY_FOLDER = "repository"
JOBS_FOLDER = "jobs"
# Where a training's bundle grows, in its job's folder; and what it logs there.
BUNDLE_FOLDER = "bundle"
# Where a job that measures puts what people read.
REPORT_FOLDER = "report"
COMPARISON_FOLDER = "comparison"
CURVES_FILE = f"{BUNDLE_FOLDER}/training/metrics.jsonl"
KEY_VARIABLE = "OPENAI_API_KEY"


class Workspace:
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
        serving: The server that the playground asks.

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
        self.serving = Serving(self.jobs, self.repository, server)

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
        data = formats.read(path, shown=shown, mapping=mapping, label_source=label_source)
        name = Path(shown).stem if name is None else name
        return self.datasets.add(name, data, file=shown, criterion=criterion, who=who)

    def label_set(self, dataset: AnyDataset, criterion: str | None = None) -> LabelSet:
        """A data set's labels by one criterion, counted.

        Args:
            dataset: Which.
            criterion: The name of what is judged; None where the data set has only one.

        Raises:
            WorkspaceError: There is no such data set, or it isn't judged by that; or it is judged
                by several criteria and none is named.
        """
        return chosen(self.datasets.get(dataset), criterion)

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
        self.label_sets.name(self.datasets.get(dataset), name)
        return self.label_set(dataset, name)

    def download_dataset(
        self,
        dataset: AnyDataset,
        file: str | Path,
        *,
        only: str = "all",
        criterion: str | None = None,
    ) -> Path:
        """Writes a data set with its labels: .csv, .jsonl, .parquet, or .json for Label Studio.

        Args:
            dataset: Which.
            file: Where to; its ending says how.
            only: One of `datasets.FILTERS`.
            criterion: Whose labels; see `label_set`.

        Raises:
            UsageError: The ending is none of these.
            WorkspaceError: There are no such labels, or the file can't be written.
        """
        labels = self.label_set(dataset, criterion)
        return formats.write(self.datasets, labels, Path(file), only=only)

    def archive_dataset(self, dataset: AnyDataset) -> None:
        """Lays a data set aside: it leaves the lists, and nothing of it is lost."""
        self.datasets.archive(self.datasets.get(dataset).id)

    def restore_dataset(self, dataset: AnyDataset) -> None:
        """Brings a data set back from the archive."""
        self.datasets.archive(self.datasets.get(dataset).id, back=True)

    def delete_dataset(self, dataset: AnyDataset) -> None:
        """Deletes a data set that is in the archive, with its labels, for good.

        Raises:
            WorkspaceError: It is not in the archive, or a job works on it.
        """
        self.datasets.delete(self.datasets.get(dataset).id)
        self.datasets.sweep()

    def archive_version(self, name: str, version: int) -> Path:
        """Lays a version aside that is not Online; its number is not given again.

        Returns:
            The folder that it is kept in, which may be deleted.

        Raises:
            RepositoryError: There is no such version, or it is Online.
        """
        return repository.archive(self.repository, name, version)

    def split(self, dataset: AnyDataset, *, test_size: float = 0.2, seed: int = 0) -> list[str]:
        """Sets rows aside for testing; gives warnings. See `Datasets.split`."""
        return self.datasets.split(self.datasets.get(dataset), test_size=test_size, seed=seed)

    def label_dataset(
        self,
        dataset: AnyDataset,
        *,
        criterion: str | None = None,
        judge: Mapping[str, Any] | JudgeSettings,
        pilot: bool = False,
        examples: int | None = None,
        key_variable: str = KEY_VARIABLE,
        wait: bool | float = False,
        who: str = "",
    ) -> Job:
        """Has a judge label a data set.

        Args:
            dataset: Which.
            criterion: The name of what is judged, which the data set need not be judged by before;
                None where it is judged by one.
            judge: The judge's settings: at least its `model`, and the `base_url`.
            pilot: Only `reviews.PILOT_ROWS` rows that no person has seen, which then wait for
                review.
            examples: How many rows reviewed by people to show the judge as examples, 0 to 20;
                as many as there are when None.
            key_variable: The environment variable with the endpoint's key; ends in `_API_KEY`.
            wait: Until it ends; or as many seconds at most.
            who: Whoever starts it.

        Raises:
            WorkspaceError: There is no such data set or criterion, or nothing to label; or the
                criterion can't be added (`add_criterion`).
            UsageError: The judge's settings won't do.
            JobError: It was waited for and failed.
        """
        found = self.datasets.get(dataset)
        name = self.label_set(found).criterion if criterion is None else criterion
        if not name:
            raise WorkspaceError(f"{found.name}: by which criterion? Name one")
        words = self.criteria.get(name)
        settings = judge_settings(judge)
        check_key_variable(key_variable)
        shown = MOST_EXAMPLES if examples is None else check_examples(examples)
        labels = self.add_criterion(found, name)
        rows = None
        if pilot:
            rows = self.reviews.pilot(labels)
            if not rows:
                raise WorkspaceError(
                    f"{labels.title}: people have labelled every row, or have yet to review it"
                )
        job = self.jobs.start(
            "label",
            f"Label {f'{len(rows)} rows' if rows else 'all rows'} of {found.name}: {name}",
            {
                "dataset": found.id,
                "criterion": name,
                "criterion_version": words.version,
                "rows": rows,
                "judge": settings.model_dump(mode="json", exclude={"api_key"}),
                "examples": shown,
                "key_variable": key_variable,
            },
            dataset=found.id,
            who=who,
        )
        return self._waited(job, wait)

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
        """Has an evaluator's version score every row, to choose rows for review by.

        Args:
            dataset: Which.
            name: The evaluator's; None for what the other rows say of each row's label, which is
                there before any evaluator is.
            version: Which; the one that serves, else the newest, when None.
            criterion: By which labels the other rows say it; see `label_set`. An evaluator says
                the same whatever rows are judged by.
            wait: Until it ends; or as many seconds at most.
            who: Whoever starts it.

        Returns:
            The job; one that is at this already rather than a second.

        Raises:
            WorkspaceError: There is no such data set or version.
            JobError: It was waited for and failed.
        """
        found = self.datasets.get(dataset)
        by = OTHER_ROWS if name is None else (name, self.evaluators.find(name, version))
        needless = criterion is None and name is not None
        labels = found.label_sets[0] if needless else chosen(found, criterion)
        given = {"dataset": found.id, "name": by[0], "version": by[1]}
        if name is None:
            given["judged_by"] = labels.criterion
        said = f"{by[0]} version {by[1]}" if by[0] else "what the other rows say"
        # Two would store each other's scores again, and one of them fail.
        same = (each for each in self.jobs.active() if each.kind == "score")
        job = next((each for each in same if given.items() <= each.parameters.items()), None)
        if job is None:
            of = found.name if name else labels.title
            given |= {"judged_by": labels.criterion}
            job = self.jobs.start(
                "score", f"Score the rows of {of}: {said}", given, dataset=found.id, who=who
            )
        return self._waited(job, wait)

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
        if scored_by is not None and scored_by not in self.scores.given(labels):
            raise WorkspaceError(
                f"{labels.title}: not scored by {scored_by[0] or 'the other rows'} yet: see "
                "score_dataset"
            )
        if wanted:
            self.reviews.queue(labels, wanted, rank_by=rank_by, scored_by=scored_by)
        return list(self.reviews.waiting(labels))

    def fine_tune(
        self,
        dataset: AnyDataset,
        *,
        name: str,
        columns: Sequence[Field] | None = None,
        settings: Mapping[str, Any] | TrainSettings | None = None,
        cases: Sequence[Case] | str | Path | None = None,
        criterion: str | None = None,
        wait: bool | float = False,
        who: str = "",
    ) -> Job:
        """Trains an evaluator on a data set's labels and publishes it as its next version.

        Args:
            dataset: Which.
            name: The evaluator's: a-z, 0-9 and -.
            columns: The fields it reads; all that the rows have when None.
            settings: As `TrainSettings`; what suits data and machine when None. With `size` small,
                the rows without a label are learnt from too.
            cases: Named cases that must hold before the version serves, or a YAML file of them;
                those kept with the criterion when None.
            criterion: Whose labels are learnt; see `label_set`.
            wait: Until it ends; or as many seconds at most.
            who: Whoever starts it.

        Raises:
            WorkspaceError: There are no such labels.
            UsageError: The name, the columns, the settings or a case won't do.
            JobError: It was waited for and failed.
        """
        labels = self.label_set(dataset, criterion)
        found = labels.dataset
        repository.check_name(name)
        fields = cast(Sequence[Field], found.fields if columns is None else columns)
        check_fields(
            fields, resolve(found.fields, {}, labelled=False, file=found.name), file=found.name
        )
        checked = train_settings(settings)
        if labels.labelled == 0:
            raise WorkspaceError(f"{labels.title}: no row has a label yet: label some first")
        words = self.criteria.get(labels.criterion).criterion if labels.criterion else ""
        named = named_cases(self.cases.of(labels.criterion) if cases is None else cases, fields)
        job = self.jobs.start(
            "train",
            f"Train {name} on {labels.title}",
            {
                "dataset": found.id,
                "judged_by": labels.criterion,
                "name": name,
                "fields": [field for field in FIELDS if field in fields],
                "settings": checked.model_dump(mode="json"),
                # In words.
                "criterion": words,
                # None says nothing of cases: then those of the version that serves must hold.
                "cases": CASES.dump_python(named, mode="json") if named else None,
            },
            dataset=found.id,
            who=who,
        )
        return self._waited(job, wait)

    def wait_for(self, job: Job | int, *, timeout: float | None = None) -> Job:
        """Waits until a job ends; see `Jobs.wait_for`.

        Raises:
            JobError: It failed or was stopped, or it hasn't ended in time.
        """
        return self.jobs.wait_for(job, timeout=timeout)

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
    ) -> Job:
        """Measures versions of an evaluator on a data set's labels, through the server's code.

        Args:
            dataset: Which.
            name: The evaluator's.
            versions: Which; the one that serves, else the newest, when empty.
            part: `test`, `train`, or empty for all rows.
            human: Only rows that people have labelled.
            criterion: Whose labels it is measured on; see `label_set`.
            wait: Until it ends; or as many seconds at most.
            who: Whoever starts it.

        Returns:
            The job; its `result["measured"]` has each version's metrics, by version as text, and
            its folder a report on the first and a comparison with the second.

        Raises:
            WorkspaceError: There are no such labels, or no such evaluator.
            JobError: It was waited for and failed.
        """
        labels = self.label_set(dataset, criterion)
        job = self.jobs.start(
            "evaluate",
            f"Measure {name} on {labels.title}",
            {
                "dataset": labels.dataset_id,
                "judged_by": labels.criterion,
                "name": name,
                "versions": [self.evaluators.find(name, each) for each in versions or (None,)],
                "part": part,
                "human": human,
            },
            dataset=labels.dataset_id,
            who=who,
        )
        return self._waited(job, wait)

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
        return formats.with_scores(frame, name, lambda rows: self._rulings(name, version, rows))

    def list_evaluators(self) -> list[EvaluatorVersion]:
        """Every version of every evaluator, the newest of each first."""
        return self.evaluators.versions()

    def curves(self, job: Job) -> Curves:
        """What a training has logged so far."""
        return read_curves(self.jobs.folder(job.id) / CURVES_FILE)

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

    def close(self) -> None:
        """Closes the database; jobs and the server go on."""
        self.serving.close()
        self.database.close()

    def _rulings(self, name: str, version: int | None, rows: Sequence[Interaction]) -> list[Ruling]:
        from tipstaff_server.evaluator import Evaluator
        from tipstaff_trainer.measure import rulings

        found = self.evaluators.find(name, version)
        return rulings(Evaluator.load(self.evaluators.path(name, found)), rows)

    def _waited(self, job: Job, wait: bool | float) -> Job:
        if wait is False:
            return job
        return self.wait_for(job, timeout=None if wait is True else wait)
