"""What is written stands in its place whole or not at all, and what a manifest notes is found again or named."""

import hashlib
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from tinybert_hf.checkpoints.integrity import (
    file_fault,
    place_folder,
    verify_manifest,
    write_atomically,
    write_json,
)
from tinybert_hf.model.manifest_tinybert import MANIFEST_FILE, sha256_of, write_manifest


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("content", ["é\n", "é\n".encode(), lambda handle: handle.write("é\n".encode())])
def test_a_file_is_written_from_text_bytes_or_a_function(tmp_path: Path, content: Any) -> None:
    write_atomically(tmp_path / "a", content)
    assert (tmp_path / "a").read_bytes() == "é\n".encode()
    assert names(tmp_path) == ["a"]


def test_a_file_is_the_old_one_or_the_whole_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_json(tmp_path / "a.json", {"x": 1})

    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    def half(handle: Any) -> None:
        handle.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "a.json", half)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_json(tmp_path / "a.json", {"x": 2})
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": 1}
    assert names(tmp_path) == ["a.json"]


@pytest.mark.skipif(os.name != "posix", reason="links and pipes")
def test_a_link_stays_a_link_and_a_pipe_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "file")
    write_atomically(tmp_path / "link", "text")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there" / "file").read_text() == "text"
    os.mkfifo(tmp_path / "pipe")
    found: list[str] = []
    reader = threading.Thread(target=lambda: found.append((tmp_path / "pipe").read_text()), daemon=True)
    reader.start()
    write_atomically(tmp_path / "pipe", lambda handle: handle.write(b"text"))
    reader.join(timeout=20)
    assert found == ["text"]
    assert not (tmp_path / "pipe").is_file()


def test_a_folder_takes_the_place_of_another_or_leaves_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    with pytest.raises(OSError, match="not empty"):
        place_folder(tmp_path / "new", tmp_path / "old")
    real = os.replace

    def fails(source: Path, target: Path) -> None:
        if source == tmp_path / "new":
            raise OSError(5, "Input/output error")
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fails)
        with pytest.raises(OSError, match="Input/output"):
            place_folder(tmp_path / "new", tmp_path / "old", replace=True)
    assert names(tmp_path) == ["new", "old"]
    assert names(tmp_path / "old") == ["old"]
    place_folder(tmp_path / "new", tmp_path / "old", replace=True)
    assert names(tmp_path) == ["old"]
    assert names(tmp_path / "old") == ["new"]


def test_a_fault_of_a_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"abc" * 700_000)  # of more than one block
    noted = {"bytes": 2_100_000, "sha256": hashlib.sha256(b"abc" * 700_000).hexdigest()}
    assert sha256_of(file) == noted["sha256"]
    assert file_fault(file, noted) is None
    assert file_fault(file, {"sha256": noted["sha256"]}) is None
    file.write_bytes(b"abd" * 700_000)
    for known in (noted, {"sha256": noted["sha256"]}):
        assert file_fault(file, known) == "was changed after it was saved (another SHA-256)"
    file.write_bytes(b"ab")
    assert file_fault(file, noted) == "has 2 bytes instead of 2,100,000"
    file.unlink()
    assert file_fault(file, noted) == "is missing"


def test_a_manifest_names_files_of_folders_too_and_is_read_with_care(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for file in (tmp_path / "a", tmp_path / "folder" / "b", tmp_path / "folder" / MANIFEST_FILE):
        file.write_text("a")
    assert verify_manifest(tmp_path) == f"it has no {MANIFEST_FILE}: it was not written to the end"
    write_manifest(tmp_path, ("**/*",))
    (tmp_path / "later").write_text("a user's notes")
    assert verify_manifest(tmp_path) is None
    for name in (f"folder/{MANIFEST_FILE}", "folder/b", "a"):
        (tmp_path / name).write_text("b")
        assert str(verify_manifest(tmp_path)).startswith(f"{name}, which its {MANIFEST_FILE} names, was changed")
    for content in ("", "[]", '{"files": 3}', '{"files": {"a": {}}}', "[" * 100_000):
        (tmp_path / MANIFEST_FILE).write_text(content)
        assert verify_manifest(tmp_path) == f"its {MANIFEST_FILE} is damaged"
