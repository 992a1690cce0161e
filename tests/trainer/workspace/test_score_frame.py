import pandas as pd

from tipstaff_trainer.workspace.evaluators.score_frame import read_interactions


def test_a_frame_of_traces_has_one_interaction_a_row_whatever_its_labels():
    scores = [
        {"name": "faithful", "value": 1, "source": "EVAL"},
        {"name": "faithful", "value": 0, "source": "ANNOTATION"},
    ]
    frame = pd.DataFrame(
        {"id": ["1", "2"], "input": ["q", "r"], "output": ["a", "b"], "scores": [scores, None]}
    )
    assert [row.output for row in read_interactions(frame)] == ["a", "b"]
