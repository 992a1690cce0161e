from __future__ import annotations

import pytest
from tiny_training import tiny_base
from tools import require


@pytest.fixture(scope="session")
def bert(tmp_path_factory):
    """The folder of a tiny BERT."""
    return tiny_base("bert", tmp_path_factory.mktemp("bases") / "bert")


@pytest.fixture(scope="module")
def chromium():
    """Debian's chromium, driven by Playwright."""
    path = require("chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()
