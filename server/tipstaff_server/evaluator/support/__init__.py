"""What in the ground truth supports each sentence of an output, and what contradicts it.

Sentences are compared by their words (`passages`), then by their numbers, names, units and
negations (`facts`, `contradictions`). `search` puts both together with the evaluator's score of
each sentence. All of it is plain text work: linear or n log n in the text, in any language, without
a model.
"""

from tipstaff_server.evaluator.support.search import MAX_SENTENCES, Support, find_support

__all__ = ["MAX_SENTENCES", "Support", "find_support"]
