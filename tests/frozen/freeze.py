"""Freezes a release: a bundle, what it scores, and the client, for `tests/test_frozen.py`.

    PYTHONPATH=tests python tests/frozen/freeze.py

makes `tests/frozen/VERSION/`. A folder that is committed is never made again: what was released
must be scored as it was.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import zipfile
from importlib.metadata import version
from pathlib import Path

import tiny_training

from tipstaff import Interaction
from tipstaff_server.evaluator import Evaluator
from tipstaff_trainer.distil.settings import TrainSettings

ROOT = Path(__file__).parents[2]
TEXTS = (
    Interaction("what colour is the cat", "it is red", "the cat is red"),
    Interaction("what colour is the cat", "it is blue", "the cat is red"),
    Interaction("what colour is the bird", "it is not green", "the bird is green"),
    # Words that the encoder doesn't know, a field that is missing, one that is empty.
    Interaction("what colour is the zebra", "it is striped, I think: 3 of 12", "the zebra is blue"),
    Interaction(None, "it is red", "the cat is red"),
    Interaction("what colour is the dog", "it is red", None),
    Interaction("", "the fish is green", "the fish is green"),
    # Several windows.
    Interaction("who eats", "the dog runs and the cat sleeps. " * 20, "the dog is big. " * 60),
)


def main() -> int:
    """Makes the release's folder."""
    folder = Path(__file__).parent / version("tipstaff")
    if folder.exists():
        print(f"{folder} is there already: a release is frozen once", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as temporary:
        base = tiny_training.tiny_base("bert", Path(temporary) / "base")
        tiny_training.train_bundle(
            tiny_training.tiny_rows(160)[:120],
            folder / "bundle",
            TrainSettings(base=str(base), epochs=6, max_length=64, learning_rate=3e-3),
            test=tiny_training.tiny_rows(160)[120:],
            precisions=("int8",),
        )
    # What a training would be resumed from is no part of the bundle.
    for path in (folder / "bundle").iterdir():
        if path.is_dir():
            shutil.rmtree(path)
    evaluator = Evaluator.load(folder / "bundle")
    scores = [evaluator.score(text) for text in TEXTS]
    rows = [
        {
            "input": text.input,
            "output": text.output,
            "ground_truth": text.ground_truth,
            "score": prediction.score,
            "verdict": prediction.verdict.name,
        }
        for text, prediction in zip(TEXTS, scores, strict=True)
    ]
    (folder / "scores.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    with zipfile.ZipFile(folder / "client.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted((ROOT / "client").rglob("*.py")):
            archive.write(path, path.relative_to(ROOT / "client"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
