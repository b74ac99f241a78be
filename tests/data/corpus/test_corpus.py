"""Text of every kind becomes blocks once; a killed run ends with the same ones; what cannot be read is named."""

import gzip
import json
import pickle
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import BertTokenizer

from tinybert_hf.data import corpus as shards
from tinybert_hf.data.corpus import BlockCollator, CorpusBlocks, open_blocks, split_corpus
from tinybert_hf.data.corpus_sources import find_sources
from tinybert_hf.data.settings import CorpusSettings
from tinybert_hf.errors import DataError, OutputFolderError

WORDS = ("the", "a", "film", "plot", "is", "was", "not", "very", "good", "bad", "dull", "bright", "and", "but")


def sentences(count: int, seed: int = 0) -> list[str]:
    draw = np.random.default_rng(seed)
    return [" ".join(draw.choice(WORDS, draw.integers(1, 12))) for _ in range(count)]


def write(path: Path, lines: list[str]) -> str:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


@pytest.fixture
def settings(work: Path) -> CorpusSettings:
    """Two text files of 300 lines."""
    write(work / "a.txt", sentences(200))
    write(work / "b.txt", sentences(100, seed=1))
    return CorpusSettings(("a.txt", "b.txt"), block_size=32, cache="cache")


def blocks_of(settings: CorpusSettings, tokenizer: Any, **options: Any) -> CorpusBlocks:
    return open_blocks(find_sources(settings), tokenizer, settings, **options)


def texts(blocks: CorpusBlocks, tokenizer: Any) -> list[str]:
    """All lines, in order, read back from the blocks."""
    found = []
    for row in blocks:
        ids = row["input_ids"].tolist()
        assert ids[0] == tokenizer.cls_token_id
        assert ids[-1] == tokenizer.sep_token_id
        found += tokenizer.decode(ids[1:-1]).split(" [SEP] ")
    return found


def test_every_line_is_there_once_and_in_order(settings: CorpusSettings, tiny_tokenizer: BertTokenizer) -> None:
    blocks = blocks_of(settings, tiny_tokenizer)
    assert texts(blocks, tiny_tokenizer) == sentences(200) + sentences(100, seed=1)
    assert blocks.lengths.max() <= 32
    assert blocks.totals == {
        "sources": 2, "empty_sources": [], "documents": 2, "lines": 300, "blocks": len(blocks),
        "tokens": sum(len(row["input_ids"]) for row in blocks),
    }  # fmt: skip
    assert blocks.tokens == blocks.totals["tokens"]
    assert blocks["length"].tolist() == [len(row["input_ids"]) for row in blocks]


def test_a_second_run_does_not_tokenise(
    settings: CorpusSettings, tiny_tokenizer: BertTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    add = shards._Writer.add
    monkeypatch.setattr(shards._Writer, "add", lambda *args: (calls.append("add"), add(*args)))
    first = blocks_of(settings, tiny_tokenizer)
    assert calls
    calls.clear()
    tiny_tokenizer("a film", truncation=True, max_length=4, padding="max_length")  # leaves settings in the tokenizer
    again = blocks_of(settings, tiny_tokenizer)
    assert calls == []
    assert [row["input_ids"].tolist() for row in again] == [row["input_ids"].tolist() for row in first]
    # A moved corpus is the same; a changed one, another length or another tokenizer is not.
    Path("a.txt").rename("moved.txt")
    assert len(blocks_of(CorpusSettings(("moved.txt", "b.txt"), block_size=32, cache="cache"), tiny_tokenizer))
    assert calls == []
    blocks_of(CorpusSettings(("moved.txt", "b.txt"), block_size=16, cache="cache"), tiny_tokenizer)
    assert calls
    calls.clear()
    other = BertTokenizer(vocab={**tiny_tokenizer.get_vocab(), "new": len(tiny_tokenizer)})
    blocks_of(CorpusSettings(("moved.txt", "b.txt"), block_size=32, cache="cache"), other)
    assert calls
    calls.clear()
    write(Path("b.txt"), sentences(99, seed=1))
    blocks_of(CorpusSettings(("moved.txt", "b.txt"), block_size=32, cache="cache"), tiny_tokenizer)
    assert calls


@pytest.mark.parametrize("stop_at", [1, 2, 7])
def test_a_stopped_run_ends_with_the_same_blocks(
    settings: CorpusSettings, tiny_tokenizer: BertTokenizer, monkeypatch: pytest.MonkeyPatch, stop_at: int
) -> None:
    whole = [row["input_ids"].tolist() for row in blocks_of(settings, tiny_tokenizer)]
    shutil.rmtree("cache")
    monkeypatch.setattr(shards, "SHARD_TOKENS", 200)
    monkeypatch.setattr(shards, "_LINES_AT_ONCE", 20)
    noted: list[int] = []
    write_shard = shards._Writer._write_shard

    def stopping(self: Any) -> None:
        if len(noted) == stop_at:
            raise KeyboardInterrupt
        noted.append(1)
        write_shard(self)

    with monkeypatch.context() as patch:
        patch.setattr(shards._Writer, "_write_shard", stopping)
        with pytest.raises(KeyboardInterrupt):
            blocks_of(settings, tiny_tokenizer)
    read: list[int] = []
    add = shards._Writer.add
    monkeypatch.setattr(shards._Writer, "add", lambda self, batch: (read.append(len(batch)), add(self, batch)))
    resumed = blocks_of(settings, tiny_tokenizer)
    assert sum(read) < 300  # it did not begin again
    assert [row["input_ids"].tolist() for row in resumed] == whole
    assert resumed.totals["lines"] == 300
    # A shard that is not whole is made again, with those after it.
    next(iter(sorted(Path("cache").rglob("shard-00001.tokens")))).write_bytes(b"short")
    assert [row["input_ids"].tolist() for row in blocks_of(settings, tiny_tokenizer)] == whole


@pytest.mark.slow
def test_a_killed_process_ends_with_the_same_blocks(settings: CorpusSettings, tiny_tokenizer: BertTokenizer) -> None:
    whole = [row["input_ids"].tolist() for row in blocks_of(settings, tiny_tokenizer)]
    shutil.rmtree("cache")
    tiny_tokenizer.save_pretrained("tokenizer")
    script = (
        "import os, signal\n"
        "from transformers import BertTokenizer\n"
        "from tinybert_hf.data.corpus_sources import find_sources\n"
        "from tinybert_hf.data.settings import CorpusSettings\n"
        "from tinybert_hf.data.corpus import open_blocks\n"
        "from tinybert_hf.data import corpus as shards\n"
        "shards.SHARD_TOKENS, shards._LINES_AT_ONCE = 200, 20\n"
        "def kill(share, tokens):\n"
        "    if tokens > 700:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "settings = CorpusSettings(('a.txt', 'b.txt'), block_size=32, cache='cache')\n"
        "open_blocks(find_sources(settings), BertTokenizer.from_pretrained('tokenizer'), settings, progress=kill)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert list(Path("cache").rglob("shard-*.tokens"))
    assert [row["input_ids"].tolist() for row in blocks_of(settings, tiny_tokenizer)] == whole


def parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "tsv", "parquet", "jsonl.gz", "txt.gz", "md"])
def test_every_kind_of_file(work: Path, tiny_tokenizer: BertTokenizer, kind: str) -> None:
    lines = sentences(40)
    rows = [{"sentence": line, "number": index} for index, line in enumerate(lines)]
    path = work / f"text.{kind}"
    plain = {
        "jsonl": "\n".join(json.dumps(row) for row in rows),
        "json": json.dumps(rows),
        "csv": "sentence,number\n" + "\n".join(f"{row['sentence']},{row['number']}" for row in rows),
        "tsv": "sentence\tnumber\n" + "\n".join(f"{row['sentence']}\t{row['number']}" for row in rows),
    }
    if kind == "parquet":
        parquet(path, rows)
    elif kind.endswith(".gz"):
        path.write_bytes(gzip.compress(plain.get(kind.removesuffix(".gz"), "\n".join(lines)).encode()))
    else:
        path.write_text(plain.get(kind, "\n".join(lines)))
    settings = CorpusSettings((str(path),), block_size=16, cache=str(work / "cache"))
    assert texts(blocks_of(settings, tiny_tokenizer), tiny_tokenizer) == lines


def test_documents_end_at_blank_lines_and_with_rows(work: Path, tiny_tokenizer: BertTokenizer) -> None:
    write(work / "a.txt", ["a film", "the plot", "", "  ", "good", "", "bad"])
    rows = [{"text": "a film\nthe plot\n\ngood", "title": "x"}, {"text": "bad", "title": "x"}, {"text": None}]
    (work / "b.jsonl").write_text("\n".join(json.dumps({"title": "y", **row}) for row in rows))

    def blocks(name: str, **more: Any) -> list[str]:
        settings = CorpusSettings((name,), block_size=32, cross_documents=False, cache="cache", **more)
        return [tiny_tokenizer.decode(row["input_ids"][1:-1]) for row in blocks_of(settings, tiny_tokenizer)]

    assert blocks("a.txt") == ["a film [SEP] the plot", "good", "bad"]
    assert blocks("b.jsonl") == ["a film [SEP] the plot", "good", "bad"]
    assert blocks("b.jsonl", document_column="title") == ["a film [SEP] the plot", "good [SEP] bad"]


@pytest.mark.slow
def test_a_document_of_a_million_characters(work: Path, tiny_tokenizer: BertTokenizer) -> None:
    words = " ".join(WORDS[index % 14] for index in range(230_000))
    assert len(words) > 1_000_000
    write(work / "a.txt", [words, "the film"])
    blocks = blocks_of(CorpusSettings(("a.txt",), block_size=128, cache="cache"), tiny_tokenizer)
    kept = np.concatenate([row["input_ids"][1:-1] for row in blocks])
    wanted = [tiny_tokenizer.get_vocab()[WORDS[index % 14]] for index in range(230_000)]
    assert kept[:230_000].tolist() == wanted
    assert (blocks.lengths[:-1] == 128).all()


def test_names_patterns_folders_and_doubles(work: Path, tiny_tokenizer: BertTokenizer) -> None:
    (work / "text" / "deep").mkdir(parents=True)
    write(work / "text" / "1.txt", ["a film"])
    write(work / "text" / "deep" / "2.txt", ["the plot"])
    write(work / "text" / "same.txt", ["a film"])
    (work / "text" / "empty.txt").write_text("")
    write(work / "text" / "blank.txt", ["", "  "])
    (work / "text" / "picture.png").write_bytes(b"\x89PNG\0")
    sources = find_sources(CorpusSettings(("text/*.txt", "text", "./text/1.txt")))
    assert [source.name for source in sources.found] == [
        "text/1.txt", "text/blank.txt", "text/empty.txt", "text/deep/2.txt",
    ]  # fmt: skip
    assert set(sources.left_out) == {"text/1.txt", "text/same.txt", "text/blank.txt", "text/empty.txt"}
    settings = CorpusSettings(("text",), block_size=16, cache="cache")
    corpus = split_corpus(blocks_of(settings, tiny_tokenizer), blocks_of(settings, tiny_tokenizer), sources)
    assert corpus.report["empty_sources"] == ["text/blank.txt", "text/empty.txt"]
    assert corpus.report["left_out"] == list(sources.left_out)


@pytest.mark.parametrize(
    ("files", "content", "message"),
    [
        (("absent.txt",), {}, r"absent.txt does not exist"),
        (("a.tx",), {"a.txt": b"a film"}, r"Did you mean a.txt"),
        (("no/*.txt",), {}, r"No file matches no/\*.txt"),
        (("no/a.txt",), {}, "Its folder no does not exist either"),
        (("dir",), {"dir/a.png": b""}, "holds no file that ends in .txt"),
        ((), {}, "There is no text"),
        (("a.txt",), {"a.txt": b"\n \n\n"}, "not a single line that is not blank"),
        (("a.txt",), {"a.txt": b"a film\nthe \xff plot\n"}, r"a.txt, line 2: byte 0xff is not UTF-8"),
        (("a.txt",), {"a.txt": b"a film\nab\0cd\n"}, r"a.txt, line 2: a zero byte, so this is a binary file"),
        (("a.jsonl",), {"a.jsonl": b'{"text": "a"}\n{"text": 3}\n'}, r"a.jsonl, line 2: the text is 3"),
        (
            ("a.jsonl",),
            {"a.jsonl": b'{"text": "a"}\n{"text": "\\ud800"}\n'},
            "line 2: the text holds half a surr",
        ),
        (("a.jsonl",), {"a.jsonl": b'{"txt": "a"}\n'}, r"no column 'text'.*Did you mean 'txt'"),
        (("a.jsonl",), {"a.jsonl": b'{"text": "a"}\n{"txt": "b"}\n'}, r"line 2: no column 'text'"),
        (("a.txt.gz",), {"a.txt.gz": b"a film"}, "not a whole gzip file"),
        (("a.parquet",), {"a.parquet": b"a film"}, "not a readable parquet file"),
    ],
)
def test_wrong_text_is_named(
    work: Path, tiny_tokenizer: BertTokenizer, files: tuple[str, ...], content: dict[str, bytes], message: str
) -> None:
    for name, text in content.items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(text)
    settings = CorpusSettings(files, block_size=16, cache="cache")
    with pytest.raises(DataError, match=message):
        blocks_of(settings, tiny_tokenizer)
    if content:  # nothing of it is left behind
        write(Path("good.txt"), ["a film"])
        assert len(blocks_of(CorpusSettings(("good.txt",), block_size=16, cache="cache"), tiny_tokenizer)) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"files": ("a.txt",), "dataset": "x"}, "not both"),
        ({"block_size": 4}, "block_size is 4"),
        ({"masked_share": 1.0}, "masked_share is 1"),
        ({"max_blocks": 1}, "max_blocks is 1"),
    ],
)
def test_settings_that_cannot_be(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        CorpusSettings(**changes)


def test_a_small_disk_is_refused_before_anything_is_written(
    settings: CorpusSettings, tiny_tokenizer: BertTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(".")._replace(free=10)
    monkeypatch.setattr(shards.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(OutputFolderError, match=r"needs at least .* MB, but only 0 MB are free.*--corpus-cache"):
        blocks_of(settings, tiny_tokenizer)
    assert not list(Path("cache").rglob("*.tokens"))


def test_the_last_blocks_are_held_out(settings: CorpusSettings, tiny_tokenizer: BertTokenizer) -> None:
    sources, blocks = find_sources(settings), blocks_of(settings, tiny_tokenizer)
    corpus = split_corpus(blocks, None, sources)
    assert len(corpus.validation) == 1
    assert len(corpus.train) == len(blocks) - 1
    assert corpus.validation[0]["input_ids"].tolist() == blocks[len(blocks) - 1]["input_ids"].tolist()
    assert len(split_corpus(blocks, blocks, sources).train) == len(blocks)
    with pytest.raises(DataError, match="one is held out"):
        split_corpus(blocks.select([0]), None, sources)


def test_rows_behave_like_a_dataset(settings: CorpusSettings, tiny_tokenizer: BertTokenizer) -> None:
    blocks = blocks_of(settings, tiny_tokenizer, with_segments=True)
    plain = [row["input_ids"].tolist() for row in blocks]
    assert [row["input_ids"].tolist() for row in blocks.select(range(2, 5))] == plain[2:5]
    assert [row["input_ids"].tolist() for row in blocks.select([4, 1]).select([1, 0])] == [plain[1], plain[4]]
    assert [row["input_ids"].tolist() for row in blocks.select(range(2, 9)).select(range(1, 3))] == plain[3:5]
    assert blocks.select([4, 1]).lengths.tolist() == [len(plain[4]), len(plain[1])]
    assert blocks[1:3]["input_ids"] == plain[1:3]
    assert blocks.select_columns(["input_ids"])[0].keys() == {"input_ids"}
    copy = pickle.loads(pickle.dumps(blocks))
    assert copy[3]["input_ids"].tolist() == plain[3]
    with pytest.raises(IndexError):
        blocks[len(blocks)]


def test_every_second_block_shows_two_segments(settings: CorpusSettings, tiny_tokenizer: BertTokenizer) -> None:
    blocks = blocks_of(settings, tiny_tokenizer, with_segments=True)
    sep = tiny_tokenizer.sep_token_id
    for index, row in enumerate(blocks):
        types, ids = row["token_type_ids"], row["input_ids"]
        if index % 2 == 0 or (ids == sep).sum() < 2:
            assert not types.any()
        else:
            border = int(types.argmax())
            assert ids[border - 1] == sep  # a line is never cut
            assert types[border:].all()
            assert 0 < border < len(ids)
    # Part of a corpus shows the same segments.
    assert blocks.select([3])[0]["token_type_ids"].tolist() == blocks[3]["token_type_ids"].tolist()


def test_batches_are_padded_and_masked(settings: CorpusSettings, tiny_tokenizer: BertTokenizer) -> None:
    blocks = blocks_of(settings, tiny_tokenizer, with_segments=True)
    rows = [blocks[index] for index in range(12)]
    plain = BlockCollator(tiny_tokenizer)(rows)
    wanted = tiny_tokenizer.pad(
        [{name: row[name].tolist() for name in row if name != "length"} for row in rows], return_tensors="pt"
    )
    for name in ("input_ids", "attention_mask", "token_type_ids"):
        assert torch.equal(plain[name], wanted[name])
    assert "labels" not in plain
    masked = BlockCollator(tiny_tokenizer, 0.5)(rows)
    chosen = masked["labels"] != -100
    assert torch.equal(masked["labels"][chosen], plain["input_ids"][chosen])
    assert torch.equal(masked["input_ids"][~chosen], plain["input_ids"][~chosen])
    special = torch.isin(plain["input_ids"], torch.tensor(tiny_tokenizer.all_special_ids))
    assert not (chosen & special).any()
    share = chosen.sum() / (~special).sum()
    assert 0.35 < share < 0.65
    assert 0.6 < (masked["input_ids"][chosen] == tiny_tokenizer.mask_token_id).float().mean() < 0.95
    # A row with its seed is masked alike in every batch.
    collate = BlockCollator(tiny_tokenizer, 0.5)
    whole, part = collate(rows, range(12)), collate(rows[4:6], range(4, 6))
    width = part["input_ids"].shape[1]
    for name in ("input_ids", "labels"):
        assert torch.equal(part[name], whole[name][4:6, :width])
    assert not torch.equal(collate(rows[4:6], [0, 0])["labels"], part["labels"])


@pytest.mark.parametrize("streaming", [False, True])
def test_a_dataset_of_the_hub(
    work: Path, tiny_tokenizer: BertTokenizer, monkeypatch: pytest.MonkeyPatch, streaming: bool
) -> None:
    import datasets

    lines = sentences(50)
    asked: list[Any] = []

    def load_dataset(dataset: str, config: Any, *, split: str, streaming: bool = False) -> Any:
        asked.append((dataset, config, split, streaming))
        rows = datasets.Dataset.from_dict({"text": lines, "id": list(range(50))})
        return rows.to_iterable_dataset() if streaming else rows

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    settings = CorpusSettings(
        dataset="me/text", dataset_config="small", split="all", streaming=streaming, block_size=16, cache="cache"
    )
    assert texts(blocks_of(settings, tiny_tokenizer), tiny_tokenizer) == lines
    assert asked == [("me/text", "small", "all", streaming)]
    few = CorpusSettings(dataset="me/text", streaming=streaming, block_size=16, max_blocks=3, cache="cache")
    assert len(blocks_of(few, tiny_tokenizer)) == 3
    with pytest.raises(DataError, match="no column 'body'"):
        blocks_of(CorpusSettings(dataset="me/text", text_column="body", streaming=streaming), tiny_tokenizer)


def test_the_hub_out_of_reach(tiny_tokenizer: BertTokenizer) -> None:
    with pytest.raises(DataError, match=r"cannot be fetched|cannot be loaded"):
        blocks_of(CorpusSettings(dataset="nobody/nothing"), tiny_tokenizer)
