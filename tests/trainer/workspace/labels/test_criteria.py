"""Criteria: versions, and drafts that can't be used."""

from __future__ import annotations

import pytest

from tipstaff_trainer.errors import WorkspaceError


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "A b"}, "the name: use a-z, 0-9 and -, at most 63"),
        ({"name": ""}, "the name: "),
        ({"criterion": ""}, "the criterion in words: "),
        ({"prompt": "{"}, "the prompt: "),
        ({"prompt": "no column at all"}, "the prompt: "),
    ],
)
def test_a_draft_that_can_not_be_used_is_refused_with_the_reason(workspace, changes, message):
    draft = {"name": "tone", "criterion": "It is calm.", "prompt": "Calm? {output}"} | changes
    name = draft.pop("name")
    with pytest.raises(WorkspaceError, match=message):
        workspace.stores.criteria.save(name, **draft)
    assert "tone" not in [each.name for each in workspace.stores.criteria.all()]


def test_each_save_is_a_version_and_a_built_in_one_is_version_0(workspace):
    criteria = workspace.stores.criteria
    for words in ("It is calm.", "It is very calm."):
        criteria.save("faithfulness", criterion=words, prompt="{output}", who="ann")
    assert criteria.get("faithfulness").criterion == "It is very calm."
    assert criteria.get("faithfulness", 1).criterion == "It is calm."
    assert criteria.get("faithfulness", 0).author == "Tipstaff"
    with pytest.raises(WorkspaceError, match="there is no criterion 'funny': there are "):
        criteria.get("funny")
    with pytest.raises(WorkspaceError, match="no criterion 'faithfulness'"):
        criteria.get("faithfulness", 9)
