"""A file of rows and their copies: its columns, and the same bytes after a kill at any moment."""

import copy
import json
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest
import tiny_masked_lm
from killed_runs import in_child, wait
from tiny_masked_lm import write_rows

from tinybert_hf.data.augmentation import AugmentationReport, FileToAugment, dry_run, write_augmented
from tinybert_hf.data.augmentation_candidates import words_from
from tinybert_hf.data.augmentation_words import ReplacementSettings
from tinybert_hf.data.files import read_whole_file
from tinybert_hf.data.shards import Share, held_folder
from tinybert_hf.errors import DataError, OutputFolderError

ROWS: list[dict[str, Any]] = [
    {"text": text, "other": f"good {text}", "label": index % 2, "tags": [index, 1], "note": None}
    for index, text in enumerate(tiny_masked_lm.sentences(9))
]
SETTINGS = ReplacementSettings(copies=3, candidates=5)


@pytest.fixture(scope="module")
def source() -> Any:
    return words_from(*tiny_masked_lm.make(), batch_size=16)


@pytest.fixture
def file(tmp_path: Path) -> FileToAugment:
    return FileToAugment(write_rows(tmp_path / "rows.jsonl", ROWS), shard_rows=4)


def written(path: Path) -> list[dict[str, Any]]:
    columns = read_whole_file(str(path)).columns
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


@pytest.mark.parametrize("name", ["out.parquet", "out.jsonl", "out.jsonl.gz"])
def test_rows_with_their_copies(source: Any, file: FileToAugment, tmp_path: Path, name: str) -> None:
    seen: list[tuple[int, int]] = []
    report = write_augmented(
        source, file, SETTINGS, tmp_path / name, words_of={}, progress=lambda *done: seen.append(done)
    )
    assert (report.rows_read, report.rows_written) == (9, 36)
    rows = written(tmp_path / name)
    assert [row["source_row"] for row in rows] == [index for index in range(9) for _ in range(4)]
    assert [row["is_augmented"] for row in rows] == [False, True, True, True] * 9
    for row in rows:
        original = ROWS[row["source_row"]]
        assert {key: row[key] for key in ("other", "label", "tags", "note")} == {
            key: original[key] for key in ("other", "label", "tags", "note")
        }
        assert (row["text"] == original["text"]) is not row["is_augmented"]
    assert seen[0] == (0, 9)
    assert seen[-1] == (9, 9)
    assert seen == sorted(seen)
    assert {path.name for path in tmp_path.iterdir()} == {"rows.jsonl", name, f"{name}.manifest.json"}
    if name == "out.parquet":
        types = {field.name: str(field.type) for field in parquet.read_schema(tmp_path / name)}
        assert types["label"] == types["source_row"] == "int64"
        assert types["is_augmented"] == "bool"
    before = (tmp_path / name).stat().st_mtime_ns
    assert write_augmented(source, file, SETTINGS, tmp_path / name, words_of={}) == replace(report, was_there=True)
    assert (tmp_path / name).stat().st_mtime_ns == before


def test_a_second_writer_is_told(source: Any, file: FileToAugment, tmp_path: Path) -> None:
    with (
        held_folder(tmp_path / "out.jsonl.parts"),
        pytest.raises(OutputFolderError, match=r"out\.jsonl is being written by another"),
    ):
        write_augmented(source, file, SETTINGS, tmp_path / "out.jsonl", words_of={})


def test_pairs_keep_one_side(source: Any, file: FileToAugment, tmp_path: Path) -> None:
    pairs = FileToAugment(file.path, "text", "other", max_rows=5)
    write_augmented(source, pairs, SETTINGS, tmp_path / "out.jsonl", words_of={})
    rows = written(tmp_path / "out.jsonl")
    assert len(rows) == 20
    for row in rows:
        original = ROWS[row["source_row"]]
        changed = [side for side in ("text", "other") if row[side] != original[side]]
        assert len(changed) == int(row["is_augmented"])


def test_tokens_and_tags_stay_aligned(source: Any, tmp_path: Path) -> None:
    rows = [{"tokens": ["The", "film", "of", "Sequels"], "ner_tags": [0, 0, 0, 1]}]
    tokens = FileToAugment(write_rows(tmp_path / "ner.jsonl", rows), "tokens")
    write_augmented(source, tokens, SETTINGS, tmp_path / "out.parquet", words_of={})
    for row in written(tmp_path / "out.parquet"):
        assert len(row["tokens"]) == len(row["ner_tags"]) == 4
        assert [row["tokens"][place] for place in (0, 2)] == ["The", "of"]


def test_killed_at_any_write_it_ends_with_the_same_bytes(source: Any, file: FileToAugment, tmp_path: Path) -> None:
    def job(output: Path, deadly: int) -> Callable[[], None]:
        def run() -> None:
            replace, left = os.replace, [deadly]

            def replacing(*names: Any) -> None:
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                replace(*names)

            os.replace = replacing  # type: ignore[assignment]
            write_augmented(source, file, SETTINGS, output, words_of={})

        return run

    write_augmented(source, file, SETTINGS, tmp_path / "whole.parquet", words_of={})
    whole = (tmp_path / "whole.parquet").read_bytes()
    deadly = 0
    while True:
        deadly += 1
        output = tmp_path / f"{deadly}.parquet"
        if wait(in_child(job(output, deadly))) == 0:
            break
        write_augmented(source, file, SETTINGS, output, words_of={})
        assert output.read_bytes() == whole, deadly
        assert not (tmp_path / f"{deadly}.parquet.parts").exists()
    assert deadly > 8  # three shards, their notes, the file and its note


@pytest.mark.parametrize("name", ["out.parquet", "out.jsonl"])
def test_several_processes_write_what_one_writes(source: Any, file: FileToAugment, tmp_path: Path, name: str) -> None:
    write_augmented(source, file, SETTINGS, tmp_path / f"one-{name}", words_of={})
    output, seen = tmp_path / name, []

    def process(number: int) -> AugmentationReport:
        return write_augmented(
            copy.deepcopy(source),
            file,
            SETTINGS,
            output,
            words_of={},
            progress=(lambda *done: seen.append(done)) if number == 0 else None,
            share=Share(number, 2),
        )

    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(process, (1, 0)))
    assert output.read_bytes() == (tmp_path / f"one-{name}").read_bytes()
    assert [report.rows_written for report in reports] == [36, 36]
    assert seen[-1] == (9, 9)
    assert not (tmp_path / f"{name}.parts").exists()


def test_an_output_of_other_settings_or_of_somebody_else(source: Any, file: FileToAugment, tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    write_augmented(source, file, SETTINGS, output, words_of={"model": "a"})
    for settings, words, named in (
        (ReplacementSettings(copies=4, candidates=5), {"model": "a"}, "copies: 3 there, 4 now"),
        (SETTINGS, {"model": "b"}, "model: 'a' there, 'b' now"),
    ):
        with pytest.raises(OutputFolderError, match=named):
            write_augmented(source, file, settings, output, words_of=words)
    write_rows(Path(file.path), ROWS[:3])
    with pytest.raises(OutputFolderError, match="content of the file"):
        write_augmented(source, file, SETTINGS, output, words_of={"model": "a"})
    (tmp_path / "mine.jsonl").write_text("{}")
    with pytest.raises(OutputFolderError, match="was not written by this command"):
        write_augmented(source, file, SETTINGS, tmp_path / "mine.jsonl", words_of={})
    with pytest.raises(OutputFolderError, match=r"ends in '.csv'; known are .parquet"):
        write_augmented(source, file, SETTINGS, tmp_path / "out.csv", words_of={})


def test_a_dry_run_counts_what_a_run_writes_and_writes_nothing(
    source: Any, file: FileToAugment, tmp_path: Path
) -> None:
    write_rows(Path(file.path), [{"text": "of the"}, *ROWS, {"text": None}, {"text": ""}])
    plain = FileToAugment(file.path, shard_rows=4)
    expected, examples = dry_run(source, plain, SETTINGS)
    assert {path.name for path in tmp_path.iterdir()} == {"rows.jsonl"}
    report = write_augmented(source, plain, SETTINGS, tmp_path / "out.jsonl", words_of={})
    assert (expected.rows_written, expected.notes) == (report.rows_written, report.notes)
    assert report.rows_written == 12 + 9 * 3
    assert report.notes["rows_without_a_copy"] == 3
    copies = [row["text"] for row in written(tmp_path / "out.jsonl") if row["is_augmented"]][:9]
    assert [copy.text for _, made in examples for copy in made] == copies


def test_rows_that_cannot_be_used(source: Any, tmp_path: Path) -> None:
    for rows, column, problem in (
        ([{"text": "a"}], "sentence", "no column 'sentence'"),
        ([{"text": 3}], "text", r"row 1, column 'text': 3 is neither a text nor a list of words"),
        ([{"text": ["a", None]}], "text", "neither a text nor a list"),
        ([{"text": "\ud800"}], "text", "neither a text nor a list"),
        ([{"text": "a", "is_augmented": True}], "text", "a column 'is_augmented' already"),
        ([{"text": "film", "x": 1}, {"text": "film", "x": "one"}], "text", "column 'x': its values are of several"),
    ):
        path = tmp_path / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        with pytest.raises(DataError, match=problem):
            write_augmented(source, FileToAugment(str(path), column), SETTINGS, tmp_path / "out.jsonl", words_of={})
    with pytest.raises(DataError, match="must differ"):
        FileToAugment("rows.jsonl", "text", "text")
    with pytest.raises(DataError, match="shard_rows is 0"):
        FileToAugment("rows.jsonl", shard_rows=0)
