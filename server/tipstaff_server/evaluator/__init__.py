"""Evaluators: how one is stored, loaded and run; knows neither grpc nor queues.

`bundle` and `manifest` are an evaluator on disk. `evaluator` loads one and takes an interaction to
a `Prediction`: `encoding` (with `windows` and `marks`) makes token ids of it, `session` runs the
graph, `calibration`, `ood` and `policy` make a score and a verdict of the logits. `explanation`
searches for the words that lowered a score, and `cases` runs a bundle's named cases.
"""

from tipstaff_server.evaluator.evaluator import Evaluator, Prediction

__all__ = ["Evaluator", "Prediction"]
