"""Rows whose rewritings people can check by eye: reference answers, and contexts."""

from __future__ import annotations

from tipstaff.types import Interaction
from tipstaff_trainer.data import Row
from tipstaff_trainer.probes.pool import Pool


def row(question, output, truth, label, group=""):
    interaction = Interaction(question, output, truth)
    return Row(interaction, label, id=f"{question} {output}", group=group or question)


NOBEL = "who got the first nobel prize in physics"
REFERENCE = [
    row(NOBEL, "Wilhelm Röntgen got it. He did.", "Wilhelm Röntgen/Röntgen", 1),
    row(NOBEL, "Marie Curie got it.", "Wilhelm Röntgen/Röntgen", 0),
    row("when did the shop open", "It was opened in 1999.", "1999", 1),
    row("how far is it", "It is 14 miles away.", "14 miles/14", 1),
    row("how many are there", "There are 27 of them.", "27", 1),
    row("which is the largest desert", "The largest one, Sahara.", "the largest is Sahara", 1),
    row("who was late", "Jane Doe was late.", "Jane Doe/Doe", 0),
    row("what is the capital of Ukraine", "Kyiv", "Kyiv/Kiev", 1),
]
CONTEXT = [
    row(
        "Can I return the kettle?",
        "Yes, it can be returned within 14 days.",
        "Kitchen appliances can be returned within 14 days of delivery. All shops close on Sunday.",
        1,
    ),
    row(
        "Can I return the kettle?",
        "Yes, within 30 days.",
        "Kitchen appliances can be returned within 14 days of delivery. All shops close on Sunday.",
        0,
    ),
    row(
        "When does Anna Bell leave?",
        "On Friday, all trains with Anna Bell leave before noon. Bring 3 bags of sand.",
        "All trains with Anna Bell leave on Friday before noon. Bring 3 bags of sand.",
        1,
    ),
    row("Which colour?", "The tents of this year come in green.", "Tents: blue. It is so.", 0),
]
POOLS = {"reference": Pool.of(REFERENCE), "context": Pool.of(CONTEXT)}
