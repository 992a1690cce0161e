"""Tiny made-up files of public sets, as those publish them."""

from __future__ import annotations

import json


def lines(*records):
    return "".join(json.dumps(each) + "\n" for each in records)


def put(folder, path, text):
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def claim(number, page="Foxes", label="SUPPORTS"):
    evidence = [{"text": f"Fox {number} is red."}, {"text": f"Fox {number} is fast."}]
    return {
        "id": f"c{number}",
        "text": f"Fox {number} is a fast red one.",
        "label": label,
        "wikipedia_page": page,
        "gold_evidence": evidence,
    }


def tipstaff_row(number, *, group="", truth="the fox is red"):
    texts = {"input": f"what colour is fox {number}?", "output": "red", "ground_truth": truth}
    return {"id": f"r{number}", **({"group": group} if group else {}), **texts, "label": number % 2}
