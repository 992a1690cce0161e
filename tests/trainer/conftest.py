from __future__ import annotations

import pytest
from tiny_training import tiny_base


@pytest.fixture(scope="session")
def bert(tmp_path_factory):
    """The folder of a tiny BERT."""
    return tiny_base("bert", tmp_path_factory.mktemp("bases") / "bert")
