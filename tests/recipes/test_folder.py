"""The output folder: refused, claimed, resumed, finished."""

import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tiny_run import recipe_mapping

from tinybert_hf.data import DataSettings
from tinybert_hf.errors import OutputFolderError
from tinybert_hf.recipes import folder as folder_module
from tinybert_hf.recipes.finetuning import finetune_pretrained
from tinybert_hf.recipes.folder import RunFolder
from tinybert_hf.recipes.loader import build
from tinybert_hf.recipes.run import run_recipe
from tinybert_hf.recipes.schema import Recipe
from tinybert_hf.training import FinetuneSettings

SETTINGS: dict[str, Any] = {"seed": 1, "phases": [{"name": "joint", "epochs": 1.0}], "names": ("a", "b")}


def folder(path: Path, data: DataSettings | None = None, **changes: Any) -> RunFolder:
    return RunFolder(path, {**SETTINGS, **changes}, data or DataSettings())


def test_new_and_empty_folders_are_taken(tmp_path: Path) -> None:
    folder(tmp_path / "a" / "b").check()
    (tmp_path / "empty").mkdir()
    folder(tmp_path / "empty").check()
    assert not (tmp_path / "a").exists(), "a check writes nothing"


def test_a_folder_with_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputFolderError, match=r"holds something else \(thesis\.txt\)"):
        folder(tmp_path).check()
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x")
    with pytest.raises(OutputFolderError, match="a file of that name exists"):
        folder(tmp_path / "out").check()


def test_another_process_keeps_what_it_has_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = folder(tmp_path)
    first.claim()
    first.finish_stage("teacher", {"accuracy": 0.5})
    other = folder(tmp_path)
    monkeypatch.setattr(folder_module, "is_first_process", lambda: False)
    assert other.result_of("student") is None
    assert other.result_of("teacher") == {"accuracy": 0.5}
    shutil.rmtree(first.work)  # the first process is done
    assert other.result_of("teacher") == {"accuracy": 0.5}
    assert other.result_of("student") is None


def test_the_same_run_goes_on_and_another_is_refused(tmp_path: Path) -> None:
    first = folder(tmp_path)
    first.claim()
    first.finish_stage("teacher", {"accuracy": 0.5})
    again = folder(tmp_path)
    again.check()
    assert again.is_started
    assert not again.is_finished
    assert again.result_of("teacher") == {"accuracy": 0.5}
    assert again.result_of("student") is None
    with pytest.raises(OutputFolderError, match=r"another run:\n  phases\.0\.epochs: 1\.0 there, 2\.0 now\n"):
        folder(tmp_path, phases=[{"name": "joint", "epochs": 2.0}]).check()


def test_other_rows_in_the_same_file_are_another_run(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("a")
    data = DataSettings(train_file=str(rows))
    folder(tmp_path / "out", data).claim()
    folder(tmp_path / "out", data).check()
    rows.write_text("b")
    with pytest.raises(OutputFolderError, match=r"content of .*rows\.jsonl"):
        folder(tmp_path / "out", data).check()


def test_a_finished_run_is_read_back_and_its_work_is_gone(tmp_path: Path) -> None:
    run = folder(tmp_path)
    run.claim()
    for name in ("phases/0-joint/checkpoint-5", "phases/0-joint/student"):
        (tmp_path / name).mkdir(parents=True)
    run.finish({"metrics": {"accuracy": 1.0}})
    again = folder(tmp_path)
    again.check()
    assert again.is_finished
    assert again.read_report()["metrics"] == {"accuracy": 1.0}
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["0-joint", "phases", "run.json"]


def test_files_are_placed_with_the_configuration_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = folder(tmp_path)
    run.claim()
    source = run.work / "student"
    source.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (source / name).write_text(name)
    moved: list[str] = []
    replace = __import__("os").replace

    def stopping(old: Path, new: Path) -> None:
        moved.append(Path(new).name)
        if len(moved) == 2:
            raise KeyboardInterrupt
        replace(old, new)

    monkeypatch.setattr("tinybert_hf.recipes.folder.os.replace", stopping)
    with pytest.raises(KeyboardInterrupt):
        run.place("student")
    assert not (tmp_path / "config.json").exists()
    run.place("student")
    assert moved[-1] == "config.json"
    assert (tmp_path / "model.safetensors").read_text() == "model.safetensors"
    assert not source.exists()


def test_a_second_run_is_told_who_holds_the_folder(work: Path, teacher: str) -> None:
    recipe = build(Recipe, recipe_mapping(work, teacher))
    tuning = {"task": "text-classification"}
    with folder(work / "out").held():
        with pytest.raises(OutputFolderError, match=r"output folder .*out is being written by .*process"):
            run_recipe(recipe)
        with pytest.raises(OutputFolderError, match=r"output folder .*out is being written by .*process"):
            finetune_pretrained(teacher, recipe.data, FinetuneSettings(epochs=1), work / "out", **tuning)
    assert not (work / "out").exists()


def test_a_full_disk_is_seen_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage(NamedTuple):
        total: int = 10**9
        used: int = 10**9 - 5_000_000
        free: int = 5_000_000

    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage())
    folder(tmp_path).check(bytes_needed=4_000_000)
    with pytest.raises(OutputFolderError, match=r"needs about 6 MB, but only 5 MB are free"):
        folder(tmp_path).check(bytes_needed=6_000_000)


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinybert_hf.recipes.folder.os.access", lambda path, mode: False)
    with pytest.raises(OutputFolderError, match="is not writable"):
        folder(tmp_path / "out").check()
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputFolderError, match="cannot be made"):
        folder(tmp_path / "file" / "out").claim()


def test_a_foreign_run_json_is_something_else(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"mine": 1}')
    with pytest.raises(OutputFolderError, match="holds something else"):
        folder(tmp_path).check()
    (tmp_path / "run.json").write_text("[")
    with pytest.raises(OutputFolderError, match="cannot be read"):
        folder(tmp_path).check()
