"""The script that takes the documentation's pictures, without a browser."""

import importlib.util
import sys
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest

from tests.pages import ROOT


@pytest.fixture
def screenshots(monkeypatch):
    """The script, with a browser that does nothing and waits that take no time."""
    monkeypatch.setitem(sys.modules, "selenium", MagicMock())
    spec = importlib.util.spec_from_file_location("screenshots", ROOT / "docs" / "screenshots.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "time", SimpleNamespace(sleep=lambda _: None))
    return module


@pytest.mark.parametrize(("only", "trainings"), [("site", 0), ("report", 1)])
def test_the_picture_of_the_site_needs_no_training(screenshots, monkeypatch, only, trainings):
    trained, taken = [], []
    monkeypatch.setattr(screenshots, "train", lambda: trained.append(1))
    monkeypatch.setattr(screenshots, only, lambda _: taken.append(only))
    monkeypatch.setattr(sys, "argv", ["screenshots.py", "--only", only])
    screenshots.main()
    assert taken == [only]
    assert len(trained) == trainings


@pytest.mark.parametrize(
    ("code", "message"), [(1, "ended with exit code 1"), (None, "did not answer within a minute")]
)
def test_a_tensorboard_that_does_not_come_up_is_no_picture(
    screenshots, monkeypatch, tmp_path, code, message
):
    process = MagicMock(returncode=code)
    process.poll.return_value = code
    monkeypatch.setattr(screenshots.subprocess, "Popen", lambda *_, **__: process)
    with pytest.raises(RuntimeError, match=message), screenshots.served(tmp_path):
        pytest.fail("a picture of an error page")
    process.terminate.assert_called_once()


def test_a_site_that_was_not_built_is_no_picture(screenshots, monkeypatch, tmp_path):
    monkeypatch.setattr(screenshots, "ROOT", tmp_path)
    with pytest.raises(FileNotFoundError, match="build it with make docs"):
        screenshots.site(MagicMock())
