"""The teacher's translations as a data set: chosen, filtered, counted, and the same after any stop."""

import contextlib
import gzip
import itertools
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import tiny_translator
from tiny_masked_lm import write_rows
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, MarianMTModel, PreTrainedTokenizerFast

from tinybert_hf.data import pseudo_labels, shards
from tinybert_hf.data.files import read_file
from tinybert_hf.data.generation import Translations, translate_texts
from tinybert_hf.data.pseudo_labels import (
    LengthBand,
    PseudoLabelSettings,
    RowMaker,
    nearest_hypotheses,
    read_pseudo_labels,
    write_pseudo_labels,
)
from tinybert_hf.data.shards import ShardFolder, Share, held_folder, model_fingerprint
from tinybert_hf.errors import DataError, OutputFolderError, TeacherError, TinyBertError

SOURCES = [tiny_translator.sentence(1 + index % 5, index) for index in range(11)]
ROWS = [{"en": source, "de": tiny_translator.in_german(source)} for source in SOURCES]
# What the teacher, which makes no mistake on these, translates them to.
EXPECTED = [{"source": row["en"], "target": row["de"]} for row in ROWS]


@pytest.fixture(scope="module")
def model() -> MarianMTModel:
    return tiny_translator.trained()


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return tiny_translator.make_tokenizer()


@pytest.fixture
def file(tmp_path: Path) -> str:
    return write_rows(tmp_path / "pairs.jsonl", ROWS)


def small(file: str, **changes: Any) -> PseudoLabelSettings:
    return PseudoLabelSettings(
        **{"input_file": file, "source_column": "en", "num_beams": 2, "shard_rows": 4, **changes}
    )


def rows_of(path: Path) -> list[dict[str, str]]:
    columns = read_file(str(path), ["source", "target"]).columns
    return [dict(zip(columns, pair, strict=True)) for pair in zip(*columns.values(), strict=True)]


@pytest.mark.parametrize("file_format", [None, "parquet"])
def test_a_folder_of_shards(model: Any, tokenizer: Any, file: str, tmp_path: Path, file_format: str | None) -> None:
    seen: list[tuple[int, int]] = []
    report = write_pseudo_labels(
        model,
        tokenizer,
        small(file),
        tmp_path / "out",
        file_format=file_format,
        batch_size=3,
        progress=lambda done, total: seen.append((done, total)),
    )
    suffix = ".parquet" if file_format else ".jsonl.gz"
    shards = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert shards == ["manifest.json", *(f"shard-0000{index}{suffix}" for index in range(3))]
    assert (report.rows_read, report.rows_written, report.filtered) == (11, 11, {})
    assert report.seconds > 0
    assert report.length_ratio is None
    rows = read_pseudo_labels(tmp_path / "out")
    assert list(rows) == EXPECTED  # in the order of the file, though each shard was translated by length
    assert rows_of(tmp_path / "out" / shards[2]) == EXPECTED[4:8]
    assert seen == [(done, 11) for done in (0, 3, 4, 7, 8, 11)]


@pytest.mark.parametrize("name", ["all.jsonl", "all.jsonl.gz", "all.parquet"])
def test_one_file(model: Any, tokenizer: Any, file: str, tmp_path: Path, name: str) -> None:
    report = write_pseudo_labels(model, tokenizer, small(file), tmp_path / name)
    assert report.output == str(tmp_path / name)
    assert rows_of(tmp_path / name) == EXPECTED
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, f"{name}.manifest.json", "pairs.jsonl"])
    written = (tmp_path / name).stat()
    assert write_pseudo_labels(model, tokenizer, small(file), tmp_path / name) == report
    assert (tmp_path / name).stat().st_mtime_ns == written.st_mtime_ns


def test_the_nearest_hypothesis_by_chrf(model: Any, tokenizer: Any, tmp_path: Path) -> None:
    hypotheses = translate_texts(model, tokenizer, SOURCES, num_beams=4, candidates=4)
    # References that are now the best, now the last hypothesis, and a row without one.
    rows = [{"en": source, "de": hypotheses[index][index % 4]} for index, source in enumerate(SOURCES)]
    rows[5]["de"] = None
    expected = [
        {"source": source, "target": hypotheses[index][0 if index == 5 else index % 4]}
        for index, source in enumerate(SOURCES)
        if hypotheses[index][0 if index == 5 else index % 4]
    ]
    path = write_rows(tmp_path / "pairs.jsonl", rows)
    options = {"num_beams": 4, "target_column": "de", "max_length_factor": 0, "max_repeats": 0}
    write_pseudo_labels(model, tokenizer, small(path, select="nearest", **options), tmp_path / "near")
    assert list(read_pseudo_labels(tmp_path / "near")) == expected
    write_pseudo_labels(model, tokenizer, small(path, select="best", **options), tmp_path / "best")
    assert list(read_pseudo_labels(tmp_path / "best")) == EXPECTED


def test_nearest_is_chosen_by_characters_and_keeps_the_teachers_order() -> None:
    # Of the words, the first shares more with the reference; of the characters, the second.
    candidates = ["ein Haus am Meer", "Haustüren am Meere", "Haustüren am Meere"]
    references = ["Haustür am Meere", "ein Haus am Meer", " "]
    assert nearest_hypotheses([candidates] * 3, references) == [1, 0, 0]


class Scripted:
    """Stands for the teacher: writes what a test wants."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers

    def __call__(self, model: Any, tokenizer: Any, texts: Any, **options: Any) -> Any:
        made = translate_texts(model, tokenizer, texts, **options)
        for row, text in enumerate(texts):
            if text in self.answers:
                made.hypotheses[row][0] = self.answers[text]
        return made


def test_every_row_that_is_left_out_is_counted_by_its_reason(
    model: Any, tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = ["the cat sees", "dog", "the dog and the cat"]
    bad = {"empty": "cat sees", "repetition": "dog runs", "length_ratio": "tree and the dog", "cut_off": "the the cat"}
    scripted = Scripted({bad["empty"]: "", bad["repetition"]: "Hund läuft " * 8, bad["length_ratio"]: "B"})
    scripted.answers[good[2]] = "das Hund und das Katze"

    def cutting(*args: Any, **options: Any) -> Any:
        made = scripted(*args, **options)
        for row, text in enumerate(args[2]):
            made.cut_off[row][0] = text == bad["cut_off"]
        return made

    monkeypatch.setattr("tinybert_hf.data.pseudo_labels.translate_texts", cutting)
    sources = [good[0], None, bad["empty"], bad["repetition"], "", good[1], bad["length_ratio"], bad["cut_off"]]
    sources += ["dog " * 40, good[2], "\t"]
    # The references say that a translation is usually eight times as long.
    rows = [{"en": source, "de": "y" * 8 * len(source or "")} for source in sources]
    path = write_rows(tmp_path / "pairs.jsonl", rows)
    settings = small(path, target_column="de", max_length_factor=12.0, shard_rows=3)
    report = write_pseudo_labels(model, tokenizer, settings, tmp_path / "out")
    assert report.length_ratio == 8.0
    assert [row["source"] for row in read_pseudo_labels(tmp_path / "out")] == good
    counts = {**dict.fromkeys(bad, 1), "empty_source": 3, "source_too_long": 1}
    assert report.filtered == counts
    assert report.rows_read == report.rows_written + sum(counts.values()) == len(sources)
    # Both rules can be switched off.
    settings = small(path, target_column="de", max_length_factor=0, max_repeats=0)
    report = write_pseudo_labels(model, tokenizer, settings, tmp_path / "all")
    assert {*report.filtered} == {"empty", "empty_source", "source_too_long", "cut_off"}


@pytest.mark.parametrize("cut", [0, 1])
def test_the_chosen_hypothesis_must_be_whole(monkeypatch: pytest.MonkeyPatch, cut: int) -> None:
    made = Translations([["das Haus", "ein Haus"]], [[cut == 0, cut == 1]], [False], 0.0)
    monkeypatch.setattr("tinybert_hf.data.pseudo_labels.translate_texts", lambda *args, **options: made)
    settings = PseudoLabelSettings("pairs.jsonl", target_column="target", select="nearest", max_length_factor=0)
    maker = RowMaker(None, None, settings, 1, LengthBand(1.0, 2.0, in_tokens=False))
    rows, notes = maker.make(["a house"], ["ein Haus"])
    if cut == 1:
        assert (rows, notes["filtered"]) == ([], {"cut_off": 1})
    else:
        assert (rows, notes["filtered"]) == ([{"source": "a house", "target": "ein Haus"}], {})


def test_nothing_is_left(model: Any, tokenizer: Any, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "pairs.jsonl", [{"en": "dog " * 100}, {"en": ""}])
    for output in ("out", "out.parquet"):
        with pytest.raises(DataError, match=r"no translation is fit to learn from .*source_too_long: 1"):
            write_pseudo_labels(model, tokenizer, small(path), tmp_path / output)
    with pytest.raises(DataError, match="has no rows"):
        read_pseudo_labels(tmp_path / "out")


def test_prefix_and_first_rows(model: Any, tokenizer: Any, file: str, tmp_path: Path) -> None:
    settings = small(file, prefix="the ", max_rows=2)
    write_pseudo_labels(model, tokenizer, settings, tmp_path / "out")
    assert list(read_pseudo_labels(tmp_path / "out")) == [
        {"source": row["source"], "target": "das " + row["target"]} for row in EXPECTED[:2]
    ]


# One child for each moment at which a run may be killed: before and after each file is put in its place, and when half
# of its bytes are written. The children are forked, so that one process pays for the imports.
KILLED = """
import os, signal, sys
import torch
torch.set_num_threads(1)
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer
from tinybert_hf.data.generation import translate_texts
from tinybert_hf.data.pseudo_labels import PseudoLabelSettings
from tinybert_hf.data.pseudo_labels import write_pseudo_labels

teacher, file, folder, *names = sys.argv[1:]
model, tokenizer = AutoModelForSeq2SeqLM.from_pretrained(teacher), AutoTokenizer.from_pretrained(teacher)
translate_texts(model, tokenizer, ["the"], num_beams=2)  # imports what each child would import
replace, fsync = os.replace, os.fsync

def run(output, deadly):
    moments = 0
    def moment(before_death=lambda: None):
        nonlocal moments
        moments += 1
        if moments == deadly:
            before_death()
            os.kill(os.getpid(), signal.SIGKILL)
    def replacing(*names):
        moment(), replace(*names), moment()
    def syncing(handle):
        moment(lambda: os.truncate(handle, os.fstat(handle).st_size // 2)), fsync(handle)
    os.replace, os.fsync = replacing, syncing
    write_pseudo_labels(model, tokenizer, PseudoLabelSettings(file, "en", num_beams=1, shard_rows=2), output)

for name in names:
    # The shards of a single file are written as those of a folder: begin with the last manifest.
    deadly = 15 if "." in name else 0
    while True:
        deadly += 1
        output = os.path.join(folder, name, str(deadly), name)
        os.makedirs(os.path.dirname(output))
        child = os.fork()
        if child == 0:
            try:
                run(output, deadly)
            finally:
                os._exit(0)
        if os.waitpid(child, 0)[1] != signal.SIGKILL:
            break
    print(deadly)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_run_killed_at_any_moment_ends_with_the_same_rows(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "four.jsonl", [{"en": text} for text in ("dog", "the cat", "tree", "runs")])
    teacher = tiny_translator.save_translator(tmp_path / "teacher")
    # A folder, and one file.
    names = ("out", "out.jsonl")
    command = [sys.executable, "-c", KILLED, teacher, file, str(tmp_path / "runs"), *names]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=True)
    last = [int(line) for line in done.stdout.split()]
    # 3 moments each: the first manifest, 2 shards with the manifest after each, the last manifest; the one file and
    # its manifest, which is only moved.
    assert last == [6 * 3 + 1, 6 * 3 + 3 + 2 + 1], done.stderr
    model, tokenizer = AutoModelForSeq2SeqLM.from_pretrained(teacher), AutoTokenizer.from_pretrained(teacher)
    for name, count, first in zip(names, last, (1, 16), strict=True):
        whole = contents(tmp_path / "runs" / name / str(count))
        assert len(whole) == {"out": 3, "out.jsonl": 2}[name]
        for moment in range(first, count):
            output = tmp_path / "runs" / name / str(moment) / name
            if name == "out" and moment < count - 2:
                with pytest.raises(DataError, match=r"is not complete|holds no manifest"):
                    read_pseudo_labels(output)
            write_pseudo_labels(model, tokenizer, small(file, num_beams=1, shard_rows=2), output)
            assert contents(output.parent) == whole, f"killed at moment {moment}"


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a run, but for the times that its manifest notes."""
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for name in found:
        if name.endswith("manifest.json"):
            manifest = json.loads(found[name])
            for shard in manifest["shards"]:
                shard["seconds"] = 0
            found[name] = json.dumps(manifest).encode()
    return found


class Stopped(Exception):
    pass


def stop_after(rows: int) -> Any:
    def progress(done: int, total: int) -> None:
        if done >= rows:
            raise Stopped

    return progress


def test_finished_shards_are_not_translated_again(
    model: Any, tokenizer: Any, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out"
    with pytest.raises(Stopped):
        write_pseudo_labels(model, tokenizer, small(file), output, progress=stop_after(10))
    (output / "shard-00002.jsonl.gz.new").write_bytes(b"half")
    translated: list[str] = []

    def recording(model: Any, tokenizer: Any, texts: Any, **options: Any) -> Any:
        translated.extend(texts)
        return translate_texts(model, tokenizer, texts, **options)

    monkeypatch.setattr("tinybert_hf.data.pseudo_labels.translate_texts", recording)
    seen: list[int] = []
    # Another batch size may be what lets the run go on where memory was short.
    write_pseudo_labels(
        model, tokenizer, small(file), output, batch_size=1, progress=lambda done, _: seen.append(done)
    )
    assert translated == SOURCES[8:]
    assert seen == [8, 9, 10, 11]
    assert list(read_pseudo_labels(output)) == EXPECTED
    assert not list(output.glob("*.new"))


@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
def test_a_damaged_shard_is_refused_and_written_again(
    model: Any, tokenizer: Any, file: str, tmp_path: Path, damage: str
) -> None:
    output = tmp_path / "out"
    write_pseudo_labels(model, tokenizer, small(file), output)
    shard = output / "shard-00001.jsonl.gz"
    content = shard.read_bytes()
    if damage == "cut":
        shard.write_bytes(content[: len(content) // 2])
    elif damage == "changed":
        shard.write_bytes(gzip.compress(b'{"source": "x", "target": "y"}\n'))
    else:
        shard.unlink()
    with pytest.raises(DataError, match=r"shard-00001\.jsonl\.gz is missing or was changed"):
        read_pseudo_labels(output)
    write_pseudo_labels(model, tokenizer, small(file), output)
    assert shard.read_bytes() == content
    assert list(read_pseudo_labels(output)) == EXPECTED


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"num_beams": 3}, "num_beams: 2 there, 3 now"),
        ({"source_column": "de"}, "source_column: 'en' there, 'de' now"),
        ({"max_length_factor": 3.0}, "max_length_factor: 2.0 there, 3.0 now"),
        ({"shard_rows": 5}, "shard_rows: 4 there, 5 now"),
        ({"max_rows": 5}, "max_rows: None there, 5 now"),
    ],
)
@pytest.mark.parametrize("name", ["out", "out.jsonl"])
def test_other_settings_are_refused(
    model: Any, tokenizer: Any, file: str, tmp_path: Path, name: str, changes: dict[str, Any], difference: str
) -> None:
    for stop in (stop_after(8), None):  # while it is half there, and when it is complete
        with contextlib.suppress(Stopped):
            write_pseudo_labels(model, tokenizer, small(file), tmp_path / name, progress=stop)
        before = contents_of_all(tmp_path)
        with pytest.raises(OutputFolderError, match="written with other settings") as caught:
            write_pseudo_labels(model, tokenizer, small(file, **changes), tmp_path / name)
        assert difference in str(caught.value)
        assert contents_of_all(tmp_path) == before


def test_another_file_or_teacher_or_format_is_refused(model: Any, tokenizer: Any, file: str, tmp_path: Path) -> None:
    write_pseudo_labels(model, tokenizer, small(file), tmp_path / "out")
    moved = shutil.copy(file, tmp_path / "same rows elsewhere.jsonl")
    write_pseudo_labels(model, tokenizer, small(moved), tmp_path / "out")
    other = tiny_translator.trained()
    other.model.encoder.layers[0].fc1.bias.data[0] += 1e-3
    with pytest.raises(OutputFolderError, match="teacher:"):
        write_pseudo_labels(other, tokenizer, small(file), tmp_path / "out")
    with pytest.raises(OutputFolderError, match=r"format: '\.jsonl\.gz' there, '\.parquet' now"):
        write_pseudo_labels(model, tokenizer, small(file), tmp_path / "out", file_format="parquet")
    write_rows(Path(file), ROWS[:-1])
    with pytest.raises(OutputFolderError, match="content of input_file:"):
        write_pseudo_labels(model, tokenizer, small(file), tmp_path / "out")


def test_the_fingerprint_of_a_teacher(model: Any, tokenizer: Any, tmp_path: Path) -> None:
    print_of = model_fingerprint(model, tokenizer)
    tiny_translator.save_translator(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    opened = [
        model_fingerprint(AutoModelForSeq2SeqLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder))
        for folder in (tmp_path / "a", tmp_path / "b")
    ]
    assert opened[0] == opened[1]
    others = [tiny_translator.trained() for _ in range(3)]
    others[0].generation_config.forced_bos_token_id = 5
    others[1].config.scale_embedding = True
    others[2].half()
    fewer = tiny_translator.make_tokenizer()
    fewer.add_tokens(["Maus"])
    prints = [print_of, *(model_fingerprint(other, tokenizer) for other in others), model_fingerprint(model, fewer)]
    assert len(set(prints)) == 5


@pytest.mark.parametrize(("name", "held"), [("out", "out"), ("out.jsonl", "out.jsonl.parts")])
def test_a_second_writer_is_told(model: Any, tokenizer: Any, file: str, tmp_path: Path, name: str, held: str) -> None:
    with held_folder(tmp_path / held), pytest.raises(OutputFolderError, match=f"{name} is being written by another"):
        write_pseudo_labels(model, tokenizer, small(file), tmp_path / name)
    assert not (tmp_path / held).exists()


def test_outputs_that_hold_something_else(model: Any, tokenizer: Any, file: str, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("x")
    (tmp_path / "mine.jsonl").write_text("x")
    (tmp_path / "folder.jsonl").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "manifest.json").write_text("{")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "manifest.json").write_text("[1]")
    for output, words in (
        ("mine", r"holds something else \(notes\.txt\)"),
        ("mine/notes.txt", "a file of that name"),
        ("mine.jsonl", "exists and was not written by this command"),
        ("folder.jsonl", "is a folder"),
        ("broken", "cannot be read"),
        ("foreign", r"foreign/manifest\.json"),
        ("mine/notes.txt/out", "cannot be made"),
    ):
        before = contents_of_all(tmp_path)
        with pytest.raises(OutputFolderError, match=words):
            write_pseudo_labels(model, tokenizer, small(file), tmp_path / output)
        assert contents_of_all(tmp_path) == before
    with pytest.raises(OutputFolderError, match=r"ends in \.parquet, but the format is jsonl"):
        write_pseudo_labels(model, tokenizer, small(file), tmp_path / "x.parquet", file_format="jsonl")
    with pytest.raises(OutputFolderError, match="'csv' is unknown"):
        write_pseudo_labels(model, tokenizer, small(file), tmp_path / "x", file_format="csv")


def contents_of_all(folder: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def test_reading_what_is_no_such_folder(model: Any, tokenizer: Any, file: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no manifest\.json"):
        read_pseudo_labels(tmp_path)
    with pytest.raises(Stopped):
        write_pseudo_labels(model, tokenizer, small(file), tmp_path / "out", progress=stop_after(5))
    with pytest.raises(DataError, match="not complete: 1 of 3 shards"):
        read_pseudo_labels(tmp_path / "out")
    (tmp_path / "out" / "manifest.json").write_text('{"complete": true}')
    with pytest.raises(DataError, match="was not written by"):
        read_pseudo_labels(tmp_path / "out")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"select": "nearest"}, "target_column"),
        ({"select": "worst"}, "'worst'"),
        ({"num_beams": 0}, "num_beams is 0"),
        ({"shard_rows": 0}, "shard_rows is 0"),
        ({"max_rows": 0}, "max_rows is 0"),
        ({"max_new_tokens": 0}, "max_new_tokens is 0"),
        ({"max_length_factor": 0.5}, r"max_length_factor 0\.5"),
        ({"max_repeats": -1}, "max_repeats is -1"),
    ],
)
def test_settings_that_cannot_be_used(file: str, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        small(file, **changes)


def test_bad_rows_and_teachers_write_nothing(model: Any, tokenizer: Any, file: str, tmp_path: Path) -> None:
    bad = write_rows(tmp_path / "bad.jsonl", [{"en": "dog"}, {"en": 3}])
    for settings, words in (
        (small(bad), r"bad\.jsonl, row 2, column 'en': .*must be a string"),
        (small(file, source_column="fr"), "no column 'fr'. Columns there: en, de"),
        (small("nowhere.jsonl"), "does not exist"),
    ):
        with pytest.raises(DataError, match=words):
            write_pseudo_labels(model, tokenizer, settings, tmp_path / "out")
    model.generation_config.decoder_start_token_id = 99
    with pytest.raises(TeacherError, match="decoder start token 99"):
        write_pseudo_labels(model, tokenizer, small(file), tmp_path / "out")
    model.generation_config.decoder_start_token_id = tiny_translator.PAD
    assert not (tmp_path / "out").exists()


def test_equal_runs_make_equal_files(model: Any, tokenizer: Any, file: str, tmp_path: Path) -> None:
    for name, file_format in itertools.product("ab", pseudo_labels.FORMATS):
        folder = tmp_path / file_format / name
        write_pseudo_labels(model, tokenizer, small(file), folder / "out", file_format=file_format)
    for file_format in pseudo_labels.FORMATS:
        assert contents(tmp_path / file_format / "a") == contents(tmp_path / file_format / "b")


@pytest.mark.parametrize(
    ("targets", "found"),
    [
        ([f"Satz {index}" for index in range(300)], None),
        (["ja"] * 10 + [f"Satz {index}" for index in range(290)], None),
        (["Fehler"] * 30 + [f"Satz {index}" for index in range(270)], ("Fehler", 30)),
        ([], None),
    ],
    ids=["all different", "a short answer", "collapsed", "none"],
)
def test_a_translation_of_everything(targets: list[str], found: tuple[str, int] | None) -> None:
    sources = [f"sentence {index}" for index in range(len(targets))]
    assert pseudo_labels.repeated_target({"source": sources, "target": targets}) == found
    # The same pair many times says nothing about the teacher.
    repeated = {"source": ["yes"] * 90 + sources, "target": ["ja"] * 90 + targets}
    assert pseudo_labels.repeated_target(repeated) == found


@pytest.mark.parametrize("name", ["out", "out.jsonl"])
def test_several_processes_write_what_one_writes(
    model: Any, tokenizer: Any, file: str, tmp_path: Path, name: str
) -> None:
    one, three = (tmp_path / folder for folder in ("one", "three"))
    one.mkdir()
    three.mkdir()
    write_pseudo_labels(model, tokenizer, small(file, shard_rows=2), one / name)
    seen: list[tuple[int, int]] = []

    def process(number: int, of: int, stop: bool = False) -> Any:
        def progress(done: int, rows: int) -> None:
            if stop and done == 4:
                raise KeyboardInterrupt
            if number == 0:
                seen.append((done, rows))

        return write_pseudo_labels(
            model, tokenizer, small(file, shard_rows=2), three / name, progress=progress, share=Share(number, of)
        )

    # The second of two has written a shard, when all are stopped.
    ShardFolder.claim(
        three / name if name == "out" else three / f"{name}.parts", settings_of(one / name), ".jsonl.gz", 6
    )
    with pytest.raises(KeyboardInterrupt):
        process(1, 2, stop=True)
    with ThreadPoolExecutor(3) as pool:
        reports = list(pool.map(process, (2, 1, 0), (3, 3, 3)))
    assert contents(three) == contents(one)
    assert [report.rows_written for report in reports] == [11, 11, 11]
    assert [report.output for report in reports] == [str(three / name)] * 3
    assert seen == sorted(seen)  # what the others have written counts too
    assert seen[0][0] >= 2
    assert seen[-1] == (11, 11)
    # All that come when it is there have nothing to do.
    assert process(1, 3).rows_written == process(0, 3).rows_written == 11


class WaitsError(Exception):
    """Raised in place of waiting for another process."""


def test_a_deleted_file_is_written_again_by_all_processes(
    model: Any, tokenizer: Any, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out.jsonl"
    write_pseudo_labels(model, tokenizer, small(file), output)
    output.unlink()  # and its manifest forgotten
    with monkeypatch.context() as patched:
        patched.setattr(shards, "wait_until", raise_unless)
        with pytest.raises(WaitsError):
            write_pseudo_labels(model, tokenizer, small(file, num_beams=1), output, share=Share(1, 2))
    parts = tmp_path / "out.jsonl.parts"
    ShardFolder.claim(parts, {**settings_of(output), "num_beams": 1}, ".jsonl.gz", 3)
    monkeypatch.setattr(shards, "wait_until", raise_unless)
    with pytest.raises(WaitsError):  # until the first one has ended, with its own shard done
        write_pseudo_labels(model, tokenizer, small(file, num_beams=1), output, share=Share(1, 2))
    assert (parts / "shard-00001.note.json").exists()


def test_the_first_process_ends_while_another_looks_at_what_is_there(
    model: Any, tokenizer: Any, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out.jsonl"
    with monkeypatch.context() as patched:
        patched.setattr(pseudo_labels, "place_single", raise_unless)
        with pytest.raises(TypeError):
            write_pseudo_labels(model, tokenizer, small(file), output)
    is_whole = ShardFolder._is_whole

    def slowly(self: ShardFolder, shard: Any) -> bool:
        monkeypatch.setattr(ShardFolder, "_is_whole", is_whole)
        write_pseudo_labels(model, tokenizer, small(file), output, share=Share(0, 2))
        return is_whole(self, shard)

    monkeypatch.setattr(ShardFolder, "_is_whole", slowly)
    assert write_pseudo_labels(model, tokenizer, small(file), output, share=Share(1, 2)).rows_written == 11
    assert sorted(path.name for path in tmp_path.glob("out*")) == ["out.jsonl", "out.jsonl.manifest.json"]


def test_a_launcher_that_was_killed_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    parents, naps = iter([7, 7, 1]), iter([None] * 5)
    monkeypatch.setattr(os, "getppid", lambda: next(parents))
    monkeypatch.setattr(shards.time, "sleep", lambda _: next(naps))
    folder = ShardFolder.claim(tmp_path / "out", {}, ".jsonl.gz", 1)
    with pytest.raises(OutputFolderError, match="launcher has ended"):
        list(folder.written_by_others())


@pytest.mark.parametrize(("number", "of"), [("3", None), ("2", "2"), ("", "2"), ("0", "x")])
def test_variables_of_a_launcher_that_make_no_sense(
    monkeypatch: pytest.MonkeyPatch, number: str, of: str | None
) -> None:
    monkeypatch.setenv("RANK", number)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    if of is not None:
        monkeypatch.setenv("WORLD_SIZE", of)
    with pytest.raises(TinyBertError, match="no process has that number"):
        Share.launched()


def raise_unless(there: Any) -> None:
    if not there():
        raise WaitsError


def settings_of(output: Path) -> dict[str, Any]:
    note = output / "manifest.json" if output.is_dir() else output.with_name(f"{output.name}.manifest.json")
    found: dict[str, Any] = json.loads(note.read_text())["settings"]
    return found
