"""Contract 1: a score doesn't depend on load, batch-mates, order, padding or threads."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_training import tiny_rows, train_bundle

from tipstaff import Interaction
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.scheduling import Dispatcher
from tipstaff_trainer.distil.settings import TrainSettings

# Either known words, for long texts with tokens in common, some of them with several windows; or
# arbitrary characters.
TEXTS = st.one_of(
    st.lists(
        st.sampled_from("the red cat sleeps no 42 Paris, € refund's".split()), max_size=60
    ).map(" ".join),
    st.lists(st.sampled_from(["the red cat sleeps.", "no 42!"]), min_size=16, max_size=24).map(
        " ".join
    ),
    st.text(max_size=80),
)
INTERACTIONS = st.lists(
    st.builds(Interaction, input=TEXTS, output=TEXTS, ground_truth=TEXTS), min_size=2, max_size=8
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """The default encoder after little training, with a real evaluator's shapes and kernels."""
    out = tmp_path_factory.mktemp("invariance") / "bundle"
    train_bundle(
        tiny_rows(48),
        name="real-shapes",
        out=out,
        settings=TrainSettings(epochs=1, max_length=256),
        precisions=("int8", "fp32"),
    )
    return out


@pytest.fixture(scope="module", params=["int8", "fp32"])
def evaluators(request, bundle):
    """The same graph on one thread and on two, warmed up as in a server."""
    loaded = [Evaluator.load(bundle, precision=request.param, threads=n) for n in (1, 2)]
    for evaluator in loaded:
        evaluator.warm_up()
    return loaded


@given(interactions=INTERACTIONS, seed=st.integers(0, 2**32))
@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
def test_a_score_is_the_same_alone_and_under_any_load(evaluators, interactions, seed):
    alone, threaded = evaluators
    encoded = [alone.encode(interaction) for interaction in interactions]
    runs = [tokens for each in encoded for tokens in each.runs]
    expected = [float(alone.run([tokens]).logits[0]) for tokens in runs]
    assert [float(threaded.run([tokens]).logits[0]) for tokens in runs] == expected

    dice = random.Random(seed)
    dispatcher = Dispatcher(workers=3, max_queue=100)
    dispatcher.start()
    try:
        order = [index for index in range(len(encoded)) for _ in range(2)]
        dice.shuffle(order)
        futures = [
            dispatcher.submit(
                dice.choice(evaluators),
                encoded[index].runs,
                time.monotonic() + dice.uniform(30, 60),
            )
            for index in order
        ]
        answers = [[future.result(60) for future in each] for each in futures]
    finally:
        dispatcher.stop()
    scores = [alone.score(interaction).score for interaction in interactions]
    for index, found in zip(order, answers, strict=True):
        prediction = alone.predict(
            encoded[index], [one.logit for one in found], [one.embedding for one in found]
        )
        assert prediction.score == scores[index]


def test_some_of_these_interactions_take_several_runs(evaluators):
    long = Interaction("no 42", "the red cat sleeps", "Paris refund's. " * 60)
    assert len(evaluators[0].encode(long).runs) > 2
