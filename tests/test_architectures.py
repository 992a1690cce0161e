"""Every architecture that the docs name, from training to a score served by a real server."""

from __future__ import annotations

import pytest
from running_server import Starter
from tiny_training import configurations, tiny_base, tiny_rows, train_bundle

from tipstaff import Client
from tipstaff_server.evaluator import Evaluator
from tipstaff_trainer.distil.settings import TrainSettings

ARCHITECTURES = list(configurations())


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("architectures")
    for architecture in ARCHITECTURES:
        train_bundle(
            tiny_rows(48),
            name=architecture,
            out=folder / architecture,
            settings=TrainSettings(
                base=str(tiny_base(architecture, folder / "bases" / architecture)),
                epochs=1,
                max_length=64,
            ),
        )
    return {architecture: folder / architecture for architecture in ARCHITECTURES}


@pytest.fixture(scope="module")
def client(bundles, tmp_path_factory):
    starter = Starter(tmp_path_factory.mktemp("server"))
    try:
        server = starter(*bundles.values())
        with Client(server.address, timeout=10) as client:
            yield client
    finally:
        starter.stop()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_what_was_trained_is_what_is_served(architecture, bundles, client):
    evaluator = Evaluator.load(bundles[architecture])
    assert evaluator.manifest.base.architecture == architecture
    for row in tiny_rows(6):
        interaction = row.interaction
        score = client.score(
            input=interaction.input,
            output=interaction.output,
            ground_truth=interaction.ground_truth,
            evaluator=architecture,
        )
        assert score.evaluator == architecture
        assert score.engine == "int8/cpu"
        assert score.score == evaluator.score(interaction).score
