"""A run on a disk that really is full, at whatever it was writing then: it says so, and goes on once there is room."""

from __future__ import annotations

import json
from pathlib import Path

import killed_runs
import pytest
from safetensors.torch import load_file
from small_disk import ROOMY, Disk
from transformers import BertTokenizer

from tinybert_hf.errors import OutputFolderError


def run_while_full(disk: Disk, tokenizer: BertTokenizer, sizes: list[int]) -> tuple[int, Path]:
    """One run on a disk that grows a little whenever it is full: how often it was, and the run's folder."""
    folder, said = disk.folder / "run", []
    for size in [*sizes, ROOMY]:
        disk.resize(size)
        try:
            killed_runs.train(folder, tokenizer)
        except OutputFolderError as error:
            said.append(str(error))
        else:
            assert all("make room" in text.lower() and str(folder) in text for text in said), said
            return len(said), folder
    raise AssertionError("the run did not end on a disk with room")


def assert_like_one_left_alone(folder: Path, whole: Path) -> None:
    for phase in sorted((whole / "phases").iterdir()):
        found, expected = folder / "phases" / phase.name, json.loads((phase / "result.json").read_text())
        assert json.loads((found / "result.json").read_text())["sha256"] == expected["sha256"]
        name = "student/model.safetensors"
        assert load_file(found / name).keys() == load_file(phase / name).keys()


def test_a_run_on_a_full_disk_goes_on_when_there_is_room(
    disk: Disk, tmp_path: Path, tiny_tokenizer: BertTokenizer
) -> None:
    killed_runs.train(tmp_path / "whole", tiny_tokenizer)
    stops, folder = run_while_full(disk, tiny_tokenizer, [300])
    assert stops == 1
    assert_like_one_left_alone(folder, tmp_path / "whole")


def test_not_even_the_first_file_has_room(disk: Disk, tiny_tokenizer: BertTokenizer) -> None:
    disk.resize(4)
    (disk.folder / "other").write_bytes(bytes(4096))
    with pytest.raises(OutputFolderError, match=r"phase\.json.*Make room"):
        killed_runs.train(disk.folder / "run", tiny_tokenizer)


@pytest.mark.slow
def test_wherever_the_disk_is_full(disk: Disk, tmp_path: Path, tiny_tokenizer: BertTokenizer) -> None:
    killed_runs.train(tmp_path / "whole", tiny_tokenizer)
    stops, folder = run_while_full(disk, tiny_tokenizer, list(range(4, 1200, 48)))
    print(f"full {stops} times")
    assert stops > 10
    assert_like_one_left_alone(folder, tmp_path / "whole")
