"""Rewritings of outputs with a known effect on the label, to probe an evaluator and to train it."""
