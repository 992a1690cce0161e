"""Makes a bundle's graphs, each as narrow as the trained model's decisions allow.

int8 → int8 with the worst layer in fp32 → with the worst two, four, eight … → fp32
fp16 → fp32
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from tipstaff_server.evaluator.layout import Tokens
from tipstaff_server.evaluator.manifest import Precision
from tipstaff_server.evaluator.session import Session
from tipstaff_trainer.errors import ExportError, ParityError
from tipstaff_trainer.evaluation.latency import median_run_ms
from tipstaff_trainer.export.golden import Candidates
from tipstaff_trainer.export.graph import MeasuredGraph, RowSet, build_graph
from tipstaff_trainer.export.int8_error import rank_layers
from tipstaff_trainer.export.precision import kernels_saturate
from tipstaff_trainer.progress import Reporter

Result = TypeVar("Result")

# Runs to time graphs on; a run of each takes milliseconds.
_TIMED = 24


@dataclass(frozen=True)
class GraphBuilder:
    """Builds the graphs of one trained model.

    Attributes:
        fp32_file: The exported model.
        work: An empty folder for graphs that may be refused.
        folder: The bundle's folder.
        pad_id: The padding token's id.
        row_sets: By name: `train`, `validation` and perhaps `test`.
        golden: The interactions to choose from for servers to re-score.
        reporter: Takes what narrow graphs lose, and what wider ones cost.
    """

    fp32_file: Path
    work: Path
    folder: Path
    pad_id: int
    row_sets: Mapping[str, RowSet]
    golden: Sequence[Candidates]
    reporter: Reporter

    def build(self, precisions: Sequence[Precision]) -> list[MeasuredGraph]:
        """Builds a graph for each precision, and one in fp32 for those that lose too much.

        Raises:
            ExportError: The fp32 graph can't be made, or decides differently from the model.
        """
        graphs = [self._narrowest(precision) for precision in precisions]
        return list({each.graph.precision: each for each in graphs}.values())

    def _narrowest(self, precision: Precision) -> MeasuredGraph:
        if precision == "fp32":
            return self._fp32
        try:
            return self._built(precision)
        except ExportError as error:
            refusal = error
        if precision == "int8" and isinstance(refusal, ParityError):
            layers = rank_layers(self.fp32_file, self._runs, reduce_range=kernels_saturate())
            mixed = fewest(len(layers), lambda count: self._mixed(layers[:count]))
            if mixed is not None:
                self.reporter.note(
                    f"{refusal.message}, so {len(mixed.graph.wide_layers)} of its {len(layers)} "
                    f"linear layers stay in fp32: {self._times(mixed)}"
                )
                return mixed
        self.reporter.warn(
            f"{refusal.message}, so the bundle has an fp32 graph in its place: "
            f"{self._times(self._fp32)}",
            remedy="for a faster one train with another {base} or more rows",
        )
        return self._fp32

    def _mixed(self, wide: Sequence[str]) -> MeasuredGraph | None:
        """An int8 graph with some layers in fp32; None if its decisions don't hold."""
        try:
            return self._built("int8", wide)
        except ExportError:
            return None

    @cached_property
    def _fp32(self) -> MeasuredGraph:
        return self._built("fp32")

    @property
    def _runs(self) -> list[Tokens]:
        return [tokens for one in self.row_sets["validation"].encoded for tokens in one.runs]

    def _built(self, precision: Precision, wide: Sequence[str] = ()) -> MeasuredGraph:
        """Builds a graph apart from the bundle, and moves it there if its decisions hold."""
        folder = self.work / (f"{precision}-mixed" if wide else precision)
        folder.mkdir(exist_ok=True)
        measured = build_graph(
            precision,
            fp32_file=self.fp32_file,
            folder=folder,
            pad_id=self.pad_id,
            row_sets=self.row_sets,
            golden=self.golden,
            wide=wide,
        )
        for name in measured.graph.files:
            (folder / name).replace(self.folder / name)
        return measured

    def _times(self, chosen: MeasuredGraph) -> str:
        """What a run of the chosen graph takes, beside int8 and fp32, in words."""
        files = {
            "": self.folder / chosen.graph.file,
            "all in int8": self.work / "int8" / "model.int8.onnx",
            "in fp32": self.fp32_file,
        }
        if not chosen.graph.wide_layers:
            del files["in fp32"]
        sessions = {
            words: Session(file.read_bytes(), pad_id=self.pad_id)
            for words, file in files.items()
            if file.exists()
        }
        runs = self._runs[:: max(1, len(self._runs) // _TIMED)][:_TIMED]
        times = median_run_ms(list(sessions.values()), runs)
        own, *others = [
            f"{time:.1f} ms {words}".rstrip() for words, time in zip(sessions, times, strict=True)
        ]
        against = f", against {' and '.join(others)}" if others else ""
        return f"a run takes {own}{against} ({len(runs)} validation runs, one thread)"


def fewest(most: int, attempt: Callable[[int], Result | None]) -> Result | None:
    """Searches the smallest count that succeeds, in few attempts.

    The count is doubled until an attempt succeeds, then lowered by bisection until at most a
    quarter of it may be too many.

    Args:
        most: What no attempt reaches.
        attempt: Tries a count from 1; returns None where it is too small.

    Returns:
        The last success, which has the smallest count; None without one.
    """
    best, too_few, count = None, 0, 1
    while best is None and count < most:
        if (best := attempt(count)) is None:
            too_few, count = count, 2 * count
    while best is not None and count - too_few > max(1, count // 4):
        middle = (too_few + count) // 2
        if (result := attempt(middle)) is None:
            too_few = middle
        else:
            best, count = result, middle
    return best
