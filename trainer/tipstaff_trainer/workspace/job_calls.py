"""What takes a while, as jobs: checked, and started in the background.

What a job is given here as its `parameters`, the modules called `…_job` read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from tipstaff.errors import UsageError
from tipstaff.types import FIELDS, Field
from tipstaff_server import repository
from tipstaff_server.evaluator.cases import CASES, Case
from tipstaff_trainer.data.columns import check_fields, resolve
from tipstaff_trainer.distil.settings import TrainSettings
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.judge.examples import MOST_EXAMPLES
from tipstaff_trainer.judge.settings import JudgeSettings
from tipstaff_trainer.workspace.data_set_calls import DataSetCalls
from tipstaff_trainer.workspace.db.models import Job, LabelSet
from tipstaff_trainer.workspace.evaluators.curves import Curves, read_curves
from tipstaff_trainer.workspace.jobs.checks import (
    check_examples,
    check_key_variable,
    judge_settings,
    named_cases,
    train_settings,
)
from tipstaff_trainer.workspace.labels.criteria import check_columns
from tipstaff_trainer.workspace.labels.label_sets import choose_label_set
from tipstaff_trainer.workspace.labels.scores import OTHER_ROWS
from tipstaff_trainer.workspace.opening import AnyDataset

# Where a training's bundle grows, in its job's folder; and what it logs there.
BUNDLE_FOLDER = "bundle"
# Where a job that measures puts what people read.
REPORT_FOLDER = "report"
COMPARISON_FOLDER = "comparison"
CURVES_FILE = f"{BUNDLE_FOLDER}/training/metrics.jsonl"
KEY_VARIABLE = "OPENAI_API_KEY"


class JobCalls(DataSetCalls):
    """The part of the Python API that labels, scores, trains and measures."""

    def label_dataset(
        self,
        dataset: AnyDataset,
        *,
        criterion: str | None = None,
        judge: Mapping[str, Any] | JudgeSettings,
        pilot: bool = False,
        only: str = "all",
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
            only: Instead, one of `datasets.FILTERS`, as `unlabelled`, for the rows that are of that
                kind when the job starts.
            examples: How many rows reviewed by people to show the judge as examples, 0 to 20;
                as many as there are when None.
            key_variable: The environment variable with the endpoint's key; ends in `_API_KEY`.
            wait: Until it ends; or as many seconds at most.
            who: Whoever starts it.

        Raises:
            WorkspaceError: There is no such data set or criterion, or nothing to label; the rows
                lack a column that the criterion's question names; or the criterion can't be added
                (`add_criterion`).
            UsageError: The judge's settings won't do, or rows were chosen in two ways.
            JobError: It was waited for and failed.
        """
        found = self.datasets.get(dataset)
        name = self.label_set(found).criterion if criterion is None else criterion
        if not name:
            raise WorkspaceError(f"{found.name}: by which criterion? Name one")
        words = self.criteria.get(name)
        check_columns(words, found)
        settings = judge_settings(judge)
        check_key_variable(key_variable)
        shown = MOST_EXAMPLES if examples is None else check_examples(examples)
        if pilot and only != "all":
            raise UsageError("pilot: chooses its rows itself, so name none of a kind")
        labels = self.add_criterion(found, name)
        rows, which = None, "all rows" if only == "all" else f"the {only} rows"
        if not self.datasets.page(labels, only=only, size=1).rows:
            raise WorkspaceError(f"{labels.title}: there are no rows of the kind {only!r}")
        if pilot:
            rows = self.reviews.pilot(labels)
            if not rows:
                raise WorkspaceError(
                    f"{labels.title}: people have labelled every row, or have yet to review it"
                )
            which = f"{len(rows)} rows"
        job = self.jobs.start(
            "label",
            f"Label {which} of {found.name}: {name}",
            {
                "dataset": found.id,
                "criterion": name,
                "criterion_version": words.version,
                "rows": rows,
                "only": only,
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
        labels = found.label_sets[0] if needless else choose_label_set(found, criterion)
        given = {
            "dataset": found.id,
            "judged_by": labels.criterion,
            "name": by[0],
            "version": by[1],
        }
        said = f"{by[0]} version {by[1]}" if by[0] else "what the other rows say"
        # Two would store each other's scores again, and one of them fail.
        same = {key: given[key] for key in given if name is None or key != "judged_by"}
        scoring = (each for each in self.jobs.active() if each.kind == "score")
        job = next((each for each in scoring if same.items() <= each.parameters.items()), None)
        if job is None:
            of = found.name if name else labels.title
            job = self.jobs.start(
                "score", f"Score the rows of {of}: {said}", given, dataset=found.id, who=who
            )
        return self._waited(job, wait)

    def fine_tune(
        self,
        dataset: AnyDataset,
        *,
        name: str,
        columns: Sequence[Field] | None = None,
        settings: Mapping[str, Any] | TrainSettings | None = None,
        cases: Sequence[Case] | str | Path | None = None,
        criterion: str | None = None,
        relabel: bool = False,
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
            relabel: Read the judge's labels by what people said of its rows that were drawn at
                random, as `tipstaff relabel` does.
            wait: Until it ends; or as many seconds at most.
            who: Whoever starts it.

        Raises:
            WorkspaceError: There are no such labels, or too few to relabel by.
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
        if relabel:
            self._check_drawn(labels)
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
                "relabel": relabel,
                # In words.
                "criterion": words,
                # None says nothing of cases: then those of the version that serves must hold.
                "cases": CASES.dump_python(named, mode="json") if named else None,
            },
            dataset=found.id,
            who=who,
        )
        return self._waited(job, wait)

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

    def wait_for(self, job: Job | int, *, timeout: float | None = None) -> Job:
        """Waits until a job ends; see `Jobs.wait_for`.

        Raises:
            JobError: It failed or was stopped, or it hasn't ended in time.
        """
        return self.jobs.wait_for(job, timeout=timeout)

    def curves(self, job: Job) -> Curves:
        """What a training has logged so far."""
        return read_curves(self.jobs.folder(job.id) / CURVES_FILE)

    def _check_drawn(self, labels: LabelSet) -> None:
        """Checks that there is enough to read a judge's labels by; the job looks closer.

        Raises:
            WorkspaceError: There is not.
        """
        # Only now: sklearn, which it needs, takes a while to import.
        from tipstaff_trainer.label_quality.relabelling import FEWEST_DRAWN

        drawn = self.datasets.reviewed_draw(labels)
        if drawn < FEWEST_DRAWN:
            raise WorkspaceError(
                f"{labels.title}: of the judge's rows to train on that were drawn at random, "
                f"people reviewed {drawn}: that is too few to relabel by. Review at least "
                f"{FEWEST_DRAWN}, better 200, that are added to the queue as random"
            )

    def _waited(self, job: Job, wait: bool | float) -> Job:
        if wait is False:
            return job
        return self.wait_for(job, timeout=None if wait is True else wait)
