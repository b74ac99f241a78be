"""`tinybert demo`: what is refused before a model is opened, and the folder of a Space."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from tinybert_hf.publishing import demo, space

Cli = Callable[..., Result]


@pytest.fixture
def _gradio(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if gradio were installed, whether it is or not: nothing here serves a page."""
    monkeypatch.setattr(demo, "find_spec", lambda name: object())
    real = space._installed
    monkeypatch.setattr(space, "_installed", lambda name: "6.1.2" if name == "gradio" else real(name))


def test_without_gradio_the_pip_line_is_said(tinybert: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "find_spec", lambda name: None)
    result = tinybert("demo", "no-such-folder")
    assert result.exit_code == 2
    assert 'pip install "tinybert_hf[demo]"' in result.stderr


@pytest.mark.usefixtures("_gradio")
def test_a_port_in_use_is_said_first(tinybert: Cli) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = tinybert("demo", "no-such-folder", "--port", taken.getsockname()[1])
    assert result.exit_code == 2
    assert "in use; choose another with --port" in result.stderr


@pytest.mark.usefixtures("_gradio")
def test_a_folder_that_is_no_model(tinybert: Cli, tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("x")
    result = tinybert("demo", tmp_path, "--space", tmp_path / "space")
    assert result.exit_code == 2
    assert "it has no config.json. It holds: other.txt" in result.stderr
    assert not (tmp_path / "space").exists()


@pytest.mark.usefixtures("_gradio")
@pytest.mark.parametrize("words", [("--repo-id", "a/b"), ("--space", "x", "--teacher", "y"), ("--port", "0")])
def test_options_that_do_not_go_together(tinybert: Cli, words: tuple[str, ...]) -> None:
    assert tinybert("demo", "out", *words).exit_code == 2


@pytest.mark.usefixtures("_gradio")
def test_a_space_is_written_and_a_full_folder_is_not(tinybert: Cli, teacher: str, tmp_path: Path) -> None:
    result = tinybert("demo", teacher, "--space", tmp_path / "space", "--repo-id", "me/tiny")
    assert result.exit_code == 0, result.output
    assert "hf upload me/my-space" in result.stdout
    assert sorted(path.name for path in (tmp_path / "space").iterdir()) == [
        "README.md", "app.py", "requirements.txt", "settings.json", "space.json",
    ]  # fmt: skip
    (tmp_path / "space" / "mine").write_text("x")
    again = tinybert("demo", teacher, "--space", tmp_path / "space")
    assert again.exit_code == 2
    assert "holds something else (mine)" in again.stderr
