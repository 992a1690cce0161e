from __future__ import annotations

import os
from pathlib import Path

import pytest

from tipstaff_server.errors import SettingsError
from tipstaff_server.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in list(os.environ):
        if name.startswith("TIPSTAFF_"):
            monkeypatch.delenv(name)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tipstaff.toml"


def test_a_flag_goes_before_the_environment_before_the_file(monkeypatch, file):
    file.write_text('repository = "repo"\nmax_queue = 1\nworkers = 1\nthreads = 3\n')
    monkeypatch.setenv("TIPSTAFF_CONFIG", str(file))
    monkeypatch.setenv("TIPSTAFF_MAX_QUEUE", "2")
    monkeypatch.setenv("TIPSTAFF_WORKERS", "2")
    settings = load_settings({"max_queue": "3"})
    assert (settings.max_queue, settings.workers, settings.threads) == (3, 2, 3)
    assert settings.repository == Path("repo")
    assert settings.drain_seconds == Settings.model_fields["drain_seconds"].default


def test_any_free_port_may_be_asked_for_twice():
    assert load_settings({"bundles": ["b"], "listen": ["[::1]:0"] * 2}).listen == ("[::1]:0",) * 2


def test_lists_in_the_environment_have_commas(monkeypatch):
    monkeypatch.setenv("TIPSTAFF_BUNDLES", "one, two")
    monkeypatch.setenv("TIPSTAFF_LISTEN", "[::]:1,unix:/run/tipstaff.sock")
    settings = load_settings({})
    assert settings.bundles == (Path("one"), Path("two"))
    assert settings.listen == ("[::]:1", "unix:/run/tipstaff.sock")


@pytest.mark.parametrize(
    ("flags", "environment", "toml", "words"),
    [
        ({"max_queue": "many"}, {}, "", ["max_queue many: ", "valid integer"]),
        ({"listen": ["localhost"]}, {}, "", ["listen: ", "'localhost': not HOST:PORT"]),
        ({"listen": ["::1:1"]}, {}, "", ["listen: ", "brackets"]),
        ({"listen": ["unix:"]}, {}, "", ["listen: ", "path"]),
        ({"listen": ["unix:/s", "unix:///./s"]}, {}, "", ["'unix:///./s' is given twice"]),
        ({"listen": ["[::1]:1", "[::1]:0", "[::1]:1"]}, {}, "", ["'[::1]:1' is given twice"]),
        ({}, {"WORKERS": "0"}, "", ["TIPSTAFF_WORKERS: ", "greater than or equal to 1"]),
        ({}, {"LANES": "0"}, "", ["TIPSTAFF_LANES: ", "greater than or equal to 1"]),
        ({}, {"METRICS_LISTEN": "x:99999"}, "", ["TIPSTAFF_METRICS_LISTEN: "]),
        ({}, {}, 'device = "tpu"', ["tipstaff.toml: device: ", "'tpu'"]),
        ({}, {}, "worker = 1", ["tipstaff.toml: worker: there is no such setting", "workers"]),
        ({}, {}, "lanes = 0", ["tipstaff.toml: lanes: ", "greater than or equal to 1"]),
        ({}, {}, "workers = ", ["tipstaff.toml: not TOML"]),
        ({"config": "gone.toml"}, {}, "", ["gone.toml: can't be read"]),
        ({"bundles": ["b"]}, {}, "", ["either bundles or a repository"]),
    ],
)
def test_an_error_names_flag_variable_or_file(monkeypatch, file, flags, environment, toml, words):
    file.write_text(toml)
    for name, value in environment.items():
        monkeypatch.setenv(f"TIPSTAFF_{name}", value)
    with pytest.raises(SettingsError) as raised:
        load_settings({"repository": "repo", "config": str(file), **flags})
    assert all(word in str(raised.value) for word in words), raised.value
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("flags", "environment", "toml", "workers"),
    [
        ({"lanes": "3"}, {"WORKERS": "2"}, "workers = 1", 3),
        ({}, {"LANES": "2"}, "workers = 1", 2),
        ({}, {"LANES": "2", "WORKERS": "4"}, "", 4),
        ({}, {}, "lanes = 1", 1),
    ],
)
def test_workers_may_still_be_called_lanes(monkeypatch, file, flags, environment, toml, workers):
    file.write_text(toml)
    for name, value in environment.items():
        monkeypatch.setenv(f"TIPSTAFF_{name}", value)
    settings = load_settings({"repository": "repo", "config": str(file), **flags})
    assert settings.workers == workers


def test_something_to_serve_must_be_named():
    with pytest.raises(SettingsError, match="nothing to serve; give bundles or repository"):
        load_settings({})


def test_every_setting_is_explained():
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
