"""An evaluator ready to run: encode, run, predict.

The server calls the three steps one by one, on different threads. `score` calls them in a row, for
the trainer's measurements. Both run the same code, so that what was measured is what is served.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tipstaff.types import Field, Highlight, Interaction, Reason, SentenceEvidence, Verdict
from tipstaff_server.errors import BundleError, InferenceFailed
from tipstaff_server.evaluator.bundle import Bundle
from tipstaff_server.evaluator.calibration import calibrate
from tipstaff_server.evaluator.encoding import Encoded, Encoder, load_encoder
from tipstaff_server.evaluator.explanation import Search, excerpt_of, search
from tipstaff_server.evaluator.fallback import score_of
from tipstaff_server.evaluator.layout import Checkpoint, Tokens, go_on
from tipstaff_server.evaluator.manifest import Graph, Manifest
from tipstaff_server.evaluator.ood import THRESHOLD, OodMeter
from tipstaff_server.evaluator.policy import decide, is_unreadable
from tipstaff_server.evaluator.session import Device, Outputs, Session
from tipstaff_server.evaluator.support import Support, find_support

# The precisions that a device runs, the best first. CUDA has no fast kernels for dynamic int8.
_PRECISIONS: dict[Device, tuple[str, ...]] = {
    "cpu": ("int8", "fp32", "fp16"),
    "cuda": ("fp16", "fp32"),
}

# Fewer than most languages have: what is read beside a sentence should fit into a run.
_CHARACTERS_A_TOKEN = 3
# Some odd ones, since kernels work on blocks of rows.
_PROBE_LENGTHS = (7, 16, 24, 33, 41, 50, 58, 64)


@dataclass(frozen=True, slots=True)
class Prediction:
    """An evaluator's result for one interaction.

    Attributes:
        score: Calibrated probability in [0, 1] that the output meets the criterion; out of
            distribution mostly by shared words, see `fallback`.
        verdict: The verdict of the bundle's policy.
        reasons: What a reader should know about this score.
        logit: The graph's output in the run that decides.
        embedding: The pooled encoder output of that run, shape (hidden,).
        ood_score: How unlike the training data the interaction is, at least 0; above 1 it is out
            of distribution. None if the bundle can't tell.
    """

    score: float
    verdict: Verdict
    reasons: tuple[Reason, ...]
    logit: float
    embedding: npt.NDArray[np.float32]
    ood_score: float | None = None


class Evaluator:
    """One bundle, loaded for one device. Safe to use from several threads.

    Attributes:
        manifest: The bundle's manifest.
        graph: The loaded graph, with its calibration and policy.
        engine: The graph and where it runs, as in `int8/cpu`.
        degraded: Why this evaluator does not run as it was measured; empty if it does.
        batchable: Whether several interactions may share a run. On a CPU this holds only if every
            score stays the same, bit for bit, which `warm_up` checks; on CUDA, where libraries pick
            kernels by shape, it holds whenever the graph takes a mask.
    """

    def __init__(
        self,
        manifest: Manifest,
        graph: Graph,
        encoder: Encoder,
        session: Session,
        ood: OodMeter | None = None,
    ) -> None:
        self.manifest = manifest
        self.graph = graph
        self.engine = f"{graph.precision}/{session.device}"
        self.degraded = ""
        self.batchable = session.masked and (graph.batch_invariant or session.device == "cuda")
        self._encoder = encoder
        self._session = session
        self._ood = ood

    @classmethod
    def load(
        cls,
        path: Path,
        *,
        device: Device = "cpu",
        precision: str | None = None,
        threads: int = 1,
    ) -> Evaluator:
        """Opens and verifies a bundle, and loads one of its graphs.

        Args:
            path: The bundle's folder.
            device: The device to run it on.
            precision: The graph to load; None for the best that the bundle has for the device.
            threads: Threads of one run.

        Raises:
            BundleError: The bundle is damaged, or has no graph for the device.
        """
        return cls.of(Bundle.open(path), device=device, precision=precision, threads=threads)

    @classmethod
    def of(
        cls,
        bundle: Bundle,
        *,
        device: Device = "cpu",
        precision: str | None = None,
        threads: int = 1,
    ) -> Evaluator:
        """Loads one of the graphs of a bundle that is open; the arguments are `load`'s.

        Raises:
            BundleError: A file changed or can't be loaded, or there is no graph for the device.
        """
        graph = _choose(bundle, device, precision)
        encoder = load_encoder(bundle)
        try:
            session = Session(
                bundle.graph_bytes(graph),
                pad_id=bundle.manifest.encoding.pad_id,
                device=device,
                threads=threads,
            )
        except BundleError:
            raise
        except Exception as error:  # onnxruntime's errors have no common base
            raise BundleError(
                bundle.path / graph.file, f"onnxruntime can't load it: {error}"
            ) from error
        ood = None if graph.ood is None else bundle.load(graph.ood.file, OodMeter.load)
        return cls(bundle.manifest, graph, encoder, session, ood)

    def encode(self, interaction: Interaction, checkpoint: Checkpoint = go_on) -> Encoded:
        """Converts an interaction to token ids; the arguments are `Encoder.encode`'s.

        Raises:
            InvalidRequest: It has none of the fields that this evaluator reads.
        """
        return self._encoder.encode(interaction, checkpoint)

    def least_length(self, interaction: Interaction) -> int:
        """The fewest tokens that a run of an interaction can have, without encoding it."""
        return self._encoder.least_length(interaction)

    def filler(self, length: int) -> Tokens:
        """A run of `length` meaningless tokens, or the most that fit, to measure run times."""
        return self._encoder.filler(length)

    def run(self, batch: Sequence[Tokens]) -> Outputs:
        """Runs the graph once; takes more than one item only if `batchable`."""
        return self._session.run(batch)

    def predict(
        self,
        encoded: Encoded,
        logits: Sequence[float],
        embeddings: Sequence[npt.NDArray[np.float32]],
    ) -> Prediction:
        """Computes score, verdict and reasons from the graph's outputs for one interaction.

        Args:
            encoded: The encoded interaction.
            logits: One for each run, shape (runs,).
            embeddings: One for each run, of shape (hidden,).

        Raises:
            InferenceFailed: A logit is not a finite number.
        """
        for logit in logits:
            if not math.isfinite(logit):
                raise InferenceFailed(f"the graph of {self.manifest.name} gave {logit} as a logit")
        run = encoded.deciding_run(logits)
        return self.predict_run(encoded, logits[run], embeddings[run])

    def predict_run(
        self, encoded: Encoded, logit: float, embedding: npt.NDArray[np.float32]
    ) -> Prediction:
        """`predict` from the outputs of the run that decides.

        Args:
            encoded: The encoded interaction.
            logit: A finite number.
            embedding: Shape (hidden,).
        """
        ood_score = None if self._ood is None else self._ood.score(embedding, encoded.lengths)
        score = score_of(self.graph, logit, encoded, ood_score)
        reasons = self._reasons(encoded, ood_score)
        verdict = decide(score, reasons, self.graph.policy)
        return Prediction(score, verdict, reasons, logit, embedding, ood_score)

    def score(self, interaction: Interaction) -> Prediction:
        """Encodes, runs and predicts one interaction in the calling thread."""
        encoded = self.encode(interaction)
        outputs = [self.run([tokens]) for tokens in encoded.runs]
        return self.predict(
            encoded,
            [float(output.logits[0]) for output in outputs],
            [output.embeddings[0] for output in outputs],
        )

    def reads(self, interaction: Interaction, name: Field) -> bool:
        """Whether an interaction has a field that this evaluator reads."""
        return name in self.manifest.fields and interaction.get(name) is not None

    def search(self, interaction: Interaction, encoded: Encoded, logits: Sequence[float]) -> Search:
        """Starts the search for the words that lowered a score; see `explanation.search`.

        Args:
            interaction: The interaction, with an output that this evaluator reads.
            encoded: The encoded interaction.
            logits: One for each of its runs, shape (runs,).
        """
        excerpt, start = excerpt_of(interaction, encoded, logits)
        return search(excerpt, slope=self.graph.calibration.slope, start=start)

    def encode_variant(self, interaction: Interaction, checkpoint: Checkpoint = go_on) -> Tokens:
        """Encodes an interaction that a search asks about, as one run.

        Such an interaction is an excerpt that fits into one run, give or take: a token cut out of
        its text may become two. What no longer fits then is left out, for all variants alike.
        """
        return self.encode(interaction, checkpoint).runs[0]

    def explain(self, interaction: Interaction) -> tuple[Highlight, ...]:
        """Finds the words of an output that lowered its score, in the calling thread."""
        encoded = self.encode(interaction)
        logits = [self._logit(tokens) for tokens in encoded.runs]
        searching = self.search(interaction, encoded, logits)
        try:
            variants = next(searching)
            while True:
                variants = searching.send(
                    [self._logit(self.encode_variant(each)) for each in variants]
                )
        except StopIteration as stop:
            highlights: tuple[Highlight, ...] = stop.value
            return highlights

    def support(self, interaction: Interaction, checkpoint: Checkpoint = go_on) -> Support:
        """Finds what supports each sentence of an output; see `support.find_support`.

        Args:
            interaction: The interaction, with an output that this evaluator reads.
            checkpoint: Called between steps; may raise, to stop here.
        """
        if not self.reads(interaction, "ground_truth"):
            interaction = replace(interaction, ground_truth=None)
        encoding = self.manifest.encoding
        limits = encoding.windows
        tokens = encoding.max_length // 2 if limits is None else limits.ground_truth
        return find_support(interaction, room=_CHARACTERS_A_TOKEN * tokens, checkpoint=checkpoint)

    def evidence(self, support: Support, logits: Sequence[float]) -> tuple[SentenceEvidence, ...]:
        """The evidence for each sentence of an output.

        Args:
            support: What supports them.
            logits: One for each of its variants, shape (sentences,).
        """
        return support.evidence([calibrate(logit, self.graph.calibration) for logit in logits])

    def explain_sentences(self, interaction: Interaction) -> tuple[SentenceEvidence, ...]:
        """Finds the evidence for each sentence of an output, in the calling thread."""
        support = self.support(interaction)
        logits = [self._logit(self.encode_variant(each)) for each in support.variants]
        return self.evidence(support, logits)

    def warm_up(self) -> None:
        """Checks whether this machine runs the evaluator as it was measured.

        Processors round differently. If golden scores differ by more than the bundle's bound,
        `degraded` says so. If scores change with their batch-mates on this machine, the evaluator
        is not `batchable` here, even if it was where the bundle was made.
        """
        self._encoder.warm_up()
        if self.batchable and self._session.device == "cpu":
            self.batchable = self._session.is_batch_invariant(self._probes())
        differences = []
        for item in self.graph.golden:
            prediction = self.score(Interaction(item.input, item.output, item.ground_truth))
            # Without the fallback, which would hide how the logits differ.
            score = calibrate(prediction.logit, self.graph.calibration)
            differences.append(abs(score - item.score))
        # The longest run there is: what can fail should fail here, not in service.
        self.run([self.filler(self.manifest.encoding.max_length)])
        if differences and max(differences) > self.graph.golden_bound:
            self.degraded = (
                f"golden scores differ by {max(differences):.4f} from where the bundle was made, "
                f"more than its bound of {self.graph.golden_bound:.4f}"
            )
        elif self.engine != self.graph.engine:
            self.degraded = f"measured on {self.graph.engine}, running on {self.engine}"

    def _logit(self, tokens: Tokens) -> float:
        return float(self.run([tokens]).logits[0])

    def _probes(self) -> list[Tokens]:
        golden = (
            Interaction(item.input, item.output, item.ground_truth) for item in self.graph.golden
        )
        return [
            *(tokens for interaction in golden for tokens in self.encode(interaction).runs),
            *(self.filler(length) for length in _PROBE_LENGTHS),
        ]

    def _reasons(self, encoded: Encoded, ood_score: float | None) -> tuple[Reason, ...]:
        learnt = self.manifest.learnt
        holds = (
            (Reason.PARTIAL, encoded.partial),
            (Reason.UNREADABLE, is_unreadable(encoded.coverage, self.graph.policy)),
            (Reason.OUT_OF_DISTRIBUTION, ood_score is not None and ood_score > THRESHOLD),
            (Reason.NOT_LEARNT, learnt is not None and not learnt.verdict),
            (Reason.MISSING_FIELD, bool(encoded.missing)),
            (Reason.IGNORED_FIELD, bool(encoded.ignored)),
            (Reason.NOT_CALIBRATED, self.graph.calibration.method == "none"),
            (Reason.UNCERTIFIED, self.graph.policy.certificate is None or bool(self.degraded)),
            (Reason.DEGRADED, bool(self.degraded)),
        )
        return tuple(reason for reason, applies in holds if applies)


def _choose(bundle: Bundle, device: Device, precision: str | None) -> Graph:
    graphs = {graph.precision: graph for graph in bundle.manifest.graphs}
    for candidate in (precision,) if precision else _PRECISIONS[device]:
        if candidate in graphs:
            return graphs[candidate]
    choices = precision or " or ".join(_PRECISIONS[device])
    raise BundleError(
        bundle.path,
        f"has no {choices} graph for {device}, only {', '.join(graphs)}: "
        "train it with the precision you want to serve",
    )
