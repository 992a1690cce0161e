"""A trained evaluator that another training starts from, in place of the base encoder alone.

What it starts from are its weights in fp32, from the folder of its training run. Published versions
don't carry them: they would more than double the size of what every server copies, for a file that
no server reads. Quantised graphs can't be turned back into weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tipstaff.types import Field
from tipstaff_server.errors import BundleError
from tipstaff_server.evaluator.bundle import Bundle
from tipstaff_server.evaluator.evidence import EvidenceMeter
from tipstaff_server.evaluator.manifest import Ancestor, BaseEncoder, Encoding, Manifest
from tipstaff_trainer.distil.checkpoints import WEIGHTS_FILE
from tipstaff_trainer.distil.model import EvaluatorModel
from tipstaff_trainer.distil.run_folder import run_folder
from tipstaff_trainer.distil.settings import ResolvedSettings
from tipstaff_trainer.distil.weights import load_weights
from tipstaff_trainer.errors import TrainingError


@dataclass(frozen=True, slots=True)
class Origin:
    """An evaluator to start from.

    Attributes:
        bundle: Its bundle, with the folder of its training.
        meter: What measures its lexical evidence; None if it takes none.
    """

    bundle: Bundle
    meter: EvidenceMeter | None

    @classmethod
    def open(cls, folder: Path) -> Origin:
        """Opens the folder of a bundle.

        Raises:
            TrainingError: It is no bundle, has no trained weights, or is a small evaluator.
        """
        try:
            bundle = Bundle.open(folder)
            evidence = bundle.manifest.encoding.evidence
            meter = None if evidence is None else bundle.load(evidence, EvidenceMeter.load)
        except BundleError as error:
            raise _refused(folder, str(error)) from error
        weights = run_folder(folder) / WEIGHTS_FILE
        if not weights.is_file():
            remedy = "give the folder that the training wrote: a published version has no weights"
            raise _refused(folder, f"{weights} is missing", remedy)
        if bundle.manifest.training.settings.get("size", "full") != "full":
            raise _refused(folder, "it is a small evaluator", "give the full one that taught it")
        return cls(bundle, meter)

    @property
    def manifest(self) -> Manifest:
        """Its manifest."""
        return self.bundle.manifest

    def settings(self, settings: ResolvedSettings) -> ResolvedSettings:
        """The settings of a run that starts from it: what shapes the model is its own."""
        encoding = self.manifest.encoding
        return settings.model_copy(
            update={
                "marks": encoding.marks,
                "max_length": encoding.max_length,
                "evidence": encoding.evidence is not None,
            }
        )

    def encoding(self, fresh: Encoding, settings: ResolvedSettings) -> Encoding:
        """The encoding of a run that starts from it.

        Args:
            fresh: The encoding that the rows would have without it.
            settings: The run's settings; windows that they name are taken.
        """
        own = self.manifest.encoding
        named = (settings.output_window, settings.ground_truth_window)
        chosen = fresh.windows if own.windows is None or any(named) else own.windows
        taken = own.model_copy(
            update={"order": fresh.order, "evidence": fresh.evidence, "framing": None}
        )
        # More fields leave less room for windows.
        room = own.max_length - 1 - len(fresh.order)
        widest = sum(getattr(chosen, name, 0) for name in fresh.order)
        return taken.model_copy(update={"windows": chosen if widest <= room else fresh.windows})

    def load(self, model: EvaluatorModel) -> EvaluatorModel:
        """Gives a model of the same shape its weights.

        The regression on the lexical evidence stays the model's own: what shared words say depends
        on the rows.
        """
        lexical = model.lexical_head
        fitted = {} if lexical is None else {n: b.clone() for n, b in lexical.named_buffers()}
        try:
            load_weights(model, run_folder(self.bundle.path))
        except Exception as error:  # safetensors and torch have no common base
            raise _refused(self.bundle.path, "its weights don't fit this encoder") from error
        if lexical is not None:
            for name, part in lexical.named_buffers():
                part.copy_(fitted[name])
        return model

    def check(self, base: BaseEncoder, fields: Sequence[Field]) -> None:
        """Checks that a run can start from it.

        Raises:
            TrainingError: The base encoder differs, or the fields that are compared.
        """
        own = self.manifest.base
        if (own.architecture, own.sha256) != (base.architecture, base.sha256):
            message = f"it was trained from another encoder, {own.name}"
            raise _refused(self.bundle.path, message, "give that as {base}")
        if self.manifest.encoding.evidence is not None and not {"output", "ground_truth"} <= {
            *fields
        }:
            message = "it compares output and ground_truth, and these rows don't have both"
            raise _refused(self.bundle.path, message, "leave {start_from} out")

    def lineage(self) -> tuple[Ancestor, ...]:
        """It and what it started from in turn, the nearest first."""
        manifest = self.manifest
        own = Ancestor(
            name=manifest.name,
            criterion=manifest.criterion,
            created_at=manifest.created_at,
            rows=manifest.training.rows,
            fingerprint=manifest.training.fingerprint,
        )
        return (own, *manifest.lineage)


def _refused(folder: Path, message: str, remedy: str = "") -> TrainingError:
    return TrainingError(message, field="start_from", value=str(folder), remedy=remedy)
