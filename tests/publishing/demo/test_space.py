"""The folder of a Space is whole or absent, and its page runs without this package."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny_translator import in_german, save_translator

from tinybert_hf.errors import OutputFolderError, TinyBertError
from tinybert_hf.publishing import check_space_folder, compare, open_contest, space, write_space

Save = Callable[..., str]


@pytest.fixture
def _gradio(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing needs the version of gradio only."""
    monkeypatch.setattr(space, "check_gradio", lambda: None)
    real = space._installed
    monkeypatch.setattr(space, "_installed", lambda name: "6.1.2" if name == "gradio" else real(name))


def front_matter(folder: Path) -> dict[str, Any]:
    return dict(yaml.safe_load((folder / "README.md").read_text(encoding="utf-8").split("---")[1]))


def settings(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "settings.json").read_text(encoding="utf-8")))


@pytest.mark.usefixtures("_gradio")
def test_with_an_id_the_model_stays_on_the_hub(save_student: Save, tmp_path: Path) -> None:
    contest = open_contest(save_student(problem="multi_label_classification"), pairs=True, device="cpu")
    folder = tmp_path / "new" / "space"
    assert write_space(contest, folder, "me/tinybert-x") == [
        "README.md",
        "app.py",
        "requirements.txt",
        "settings.json",
    ]
    assert front_matter(folder) == {
        "title": "tinybert-x", "sdk": "gradio", "sdk_version": "6.1.2", "app_file": "app.py",
        "models": ["me/tinybert-x"],
    }  # fmt: skip
    known = settings(folder)
    assert known["model"] == "me/tinybert-x"
    assert known["problem"] == "multi_label_classification"
    assert known["limit"] == 64
    assert len(known["boxes"]) == 2
    assert {len(one) for one in known["examples"]} == {2}
    app = (folder / "app.py").read_text(encoding="utf-8")
    assert "tinybert_hf" not in app
    assert set(re.findall(r"settings\[.(\w+).\]", app)) == known.keys()
    requirements = (folder / "requirements.txt").read_text(encoding="utf-8")
    assert re.fullmatch(r"torch>=[\d.]+\ntransformers>=[\d.]+\n", requirements)


@pytest.mark.usefixtures("_gradio")
def test_without_an_id_the_model_is_copied(save_student: Save, tmp_path: Path) -> None:
    contest = open_contest(save_student(), device="cpu")
    folder = tmp_path / "space"
    folder.mkdir()
    written = write_space(contest, folder)
    assert {"model/config.json", "model/model.safetensors", "model/modeling_tinybert.py"} <= set(written)
    assert "models" not in front_matter(folder)
    copied = open_contest(str(folder / "model"), device="cpu")
    assert compare(copied, "a film").answers[0].scores == compare(contest, "a film").answers[0].scores
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.usefixtures("_gradio")
def test_only_its_own_folder_is_written_again(save_student: Save, tmp_path: Path) -> None:
    contest = open_contest(save_student(), device="cpu")
    folder = tmp_path / "space"
    write_space(contest, folder)
    assert write_space(contest, folder, "me/x") == ["README.md", "app.py", "requirements.txt", "settings.json"]
    assert not (folder / "model").exists()
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(OutputFolderError, match=r"something else \(notes\.txt\)"):
        write_space(contest, folder)
    (folder / "notes.txt").unlink()
    with (folder / "app.py").open("a") as file:
        file.write("# mine\n")
    with pytest.raises(OutputFolderError, match=r"app\.py was edited"):
        write_space(contest, folder)
    assert (folder / "app.py").read_text().endswith("# mine\n")


def test_a_filled_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "empty-folder").mkdir()
    with pytest.raises(OutputFolderError, match="empty-folder"):
        check_space_folder(tmp_path / "full")
    (tmp_path / "full" / "space.json").write_text(json.dumps({"files": ["app.py"]}))
    with pytest.raises(OutputFolderError, match="something else"):
        check_space_folder(tmp_path / "full")
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputFolderError, match="a file of that name"):
        check_space_folder(tmp_path / "file")
    check_space_folder(tmp_path / "absent")


@pytest.mark.usefixtures("_gradio")
def test_nothing_is_left_half_written(save_student: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contest = open_contest(save_student(), device="cpu")
    folder = tmp_path / "space"
    before = sorted(tmp_path.iterdir())

    def full(*_: Any) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(space, "_readme", full)
    with pytest.raises(OutputFolderError, match="No space left"):
        write_space(contest, folder)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.usefixtures("_gradio")
@pytest.mark.parametrize("name", ["a/b/c", "me/x y", 'x"\n', "/x", ""])
def test_an_id_that_cannot_be_is_refused(save_student: Save, tmp_path: Path, name: str) -> None:
    contest = open_contest(save_student(), device="cpu")
    with pytest.raises(TinyBertError, match="no id on the Hub"):
        write_space(contest, tmp_path / "space", name)
    assert not (tmp_path / "space").exists()


@contextmanager
def running(folder: Path, work: Path) -> Iterator[Any]:
    """Runs the app of a Space, where tinybert_hf cannot be imported, and gives a client of its page."""
    client = pytest.importorskip("gradio_client")
    blocked = work / "blocked" / "tinybert_hf"
    blocked.mkdir(parents=True)
    (blocked / "__init__.py").write_text("raise ImportError('it is not here')")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "GRADIO_SERVER_PORT": str(port), "GRADIO_ANALYTICS_ENABLED": "False"}
    environment |= {"PYTHONPATH": str(blocked.parent), "HF_HOME": str(work / "hub"), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, str(folder / "app.py")], env=environment, cwd=work, text=True, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert any("Running on" in line for line in process.stdout), "the app has ended"
        yield client.Client(f"http://127.0.0.1:{port}", verbose=False, analytics_enabled=False)
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # those of gradio's client
def test_the_app_of_a_classifier_answers_without_this_package(save_student: Save, tmp_path: Path) -> None:
    pytest.importorskip("gradio")
    contest = open_contest(save_student(), device="cpu")
    write_space(contest, tmp_path / "space")
    (answer,) = compare(contest, "the film was good").answers
    with running(tmp_path / "space", tmp_path) as client:
        label, note = client.predict("the film was good", api_name="/answer")
        shown = {one["label"]: one["confidence"] for one in label["confidences"]}
        assert [shown["negative"], shown["positive"]] == pytest.approx(answer.scores, abs=1e-5)
        assert note == ""
        assert "type a text" in client.predict("", api_name="/answer")[1]
        assert "64 tokens" in client.predict("film " * 500, api_name="/answer")[1]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_app_of_a_translator_answers(tmp_path: Path) -> None:
    pytest.importorskip("gradio")
    contest = open_contest(save_translator(tmp_path / "translator"), device="cpu")
    write_space(contest, tmp_path / "space")
    with running(tmp_path / "space", tmp_path) as client:
        assert client.predict("the dog runs", api_name="/answer") == (in_german("the dog runs"), "")
        assert "24 tokens" in client.predict("dog " * 50, api_name="/answer")[1]
