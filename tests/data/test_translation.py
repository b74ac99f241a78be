"""Pairs of sentences out of files, the demo and the Hub: what is left out, what looks wrong, what the model gets."""

import gzip
import json
from dataclasses import replace

import pytest

from tinybert_hf.data import TASKS, DataSettings, tokenizing_notes, train_translation_tokenizer
from tinybert_hf.errors import DataError

TASK = TASKS["translation"]
PAIRS = [
    ("The train leaves at noon.", "火车中午出发。"),
    ("I bought two books yesterday.", "我昨天买了两本书。"),
    ("There is a cat under the table.", "桌子下面有一只猫。"),
    ("Are you tired?", "你累吗？"),
]


@pytest.fixture
def write(tmp_path):
    def write(name, pairs, columns=("en", "zh")):
        rows = [json.dumps(dict(zip(columns, pair, strict=True))) for pair in pairs]
        (tmp_path / name).write_text("\n".join(rows))
        return str(tmp_path / name)

    return write


@pytest.fixture
def settings(write):
    return DataSettings(
        train_file=write("train.jsonl", PAIRS),
        validation_file=write("validation.jsonl", PAIRS[:2]),
        source_column="en",
        target_column="zh",
    )


@pytest.fixture(scope="module")
def shared():
    sources, targets = zip(*PAIRS, strict=True)
    return train_translation_tokenizer(sources, targets, vocab_size=600)


@pytest.fixture(scope="module")
def separate():
    sources, targets = zip(*PAIRS, strict=True)
    return train_translation_tokenizer(sources, targets, vocab_size=600, target_vocab_size=560)


def test_rows_of_files(settings):
    data = TASK.load(settings)
    assert data.train.to_dict() == {"source": [en for en, _ in PAIRS], "target": [zh for _, zh in PAIRS]}
    assert len(data.validation) == 2
    assert (data.label_names, data.problem_type, data.notes) == ((), "translation", ())
    assert TASK.load(settings, need_train=False).train is None
    assert TASK.load(settings, need_validation=False).validation is None
    with pytest.raises(ValueError, match="neither"):
        TASK.load(settings, need_train=False, need_validation=False)
    with pytest.raises(DataError, match=r"no validation rows: validation_file \(--validation-file\)"):
        TASK.load(replace(settings, validation_file=None))


def test_every_format_gives_the_same_pairs(tmp_path, settings):
    import datasets

    columns = {"en": [en for en, _ in PAIRS], "zh": [zh for _, zh in PAIRS]}
    datasets.Dataset.from_dict(columns).to_parquet(tmp_path / "rows.parquet")
    lines = "\n".join(["en\tzh", *("\t".join(pair) for pair in PAIRS)])
    (tmp_path / "rows.tsv.gz").write_bytes(gzip.compress(lines.encode()))
    expected = TASK.load(settings, need_validation=False).train.to_dict()
    for name in ("rows.parquet", "rows.tsv.gz"):
        other = replace(settings, train_file=str(tmp_path / name))
        assert TASK.load(other, need_validation=False).train.to_dict() == expected


def test_columns_of_dictionaries(tmp_path, settings):
    rows = [{"id": i, "translation": {"en": en, "zh": zh}} for i, (en, zh) in enumerate(PAIRS)]
    (tmp_path / "nested.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    nested = replace(
        settings,
        train_file=str(tmp_path / "nested.jsonl"),
        source_column="translation.en",
        target_column="translation.zh",
    )
    data = TASK.load(nested, need_validation=False)
    assert data.train.to_dict() == TASK.load(settings, need_validation=False).train.to_dict()
    with pytest.raises(DataError, match=r"row 1, column 'translation': 'translation.de' names.*'de'.*keys en, zh"):
        TASK.load(replace(nested, target_column="translation.de"), need_validation=False)
    # A table of text has no dictionaries: there the dot is part of the name.
    (tmp_path / "flat.csv").write_text("translation.en,translation.zh\nHello,你好\n")
    flat = TASK.load(replace(nested, train_file=str(tmp_path / "flat.csv")), need_validation=False)
    assert flat.train.to_dict() == {"source": ["Hello"], "target": ["你好"]}


def test_a_column_that_is_not_there(settings):
    with pytest.raises(DataError, match=r"train\.jsonl has no column 'de'. Columns there: en, zh"):
        TASK.load(replace(settings, target_column="de"))
    with pytest.raises(DataError, match="both 'en'"):
        replace(settings, target_column="en")


def test_pairs_with_an_empty_side_are_left_out_and_counted(write, settings):
    pairs = [PAIRS[0], ("", "空"), PAIRS[1], ("A word.", None), (" \t", "　"), PAIRS[2]]
    broken = replace(settings, train_file=write("empty.jsonl", pairs))
    data = TASK.load(broken, need_validation=False)
    assert list(zip(data.train["source"], data.train["target"], strict=True)) == PAIRS[:3]
    (note,) = data.notes
    assert note.startswith("3 of 6 pairs in ")
    assert "empty.jsonl, row 2, column 'en'." in note


def test_nothing_left_is_refused(write, settings):
    empty = replace(settings, train_file=write("empty.jsonl", [("a", ""), (None, "b")]))
    with pytest.raises(DataError, match=r"empty\.jsonl: in each of the 2 pairs.*'en' and 'zh'"):
        TASK.load(empty, need_validation=False)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ((7, "七"), r"row 3, column 'en': the text is 7, of type int"),
        (("seven", ["七"]), r"row 3, column 'zh': .* of type list"),
        (("seven", "\ud83d七"), r"row 3, column 'zh': .*half a surrogate pair"),
    ],
)
def test_what_is_no_text_is_refused_with_its_place(write, settings, bad, message):
    # The pair before it is left out, which must not move the place.
    path = write("bad.jsonl", [PAIRS[0], ("", "x"), bad])
    with pytest.raises(DataError, match=message):
        TASK.load(replace(settings, train_file=path), need_validation=False)


class TestSwappedSides:
    def test_columns(self, write, settings):
        swapped = write("swapped.jsonl", [(zh, en) for en, zh in PAIRS])
        data = TASK.load(replace(settings, train_file=swapped, validation_file=swapped))
        assert len(data.train) == len(PAIRS)
        assert len(data.notes) == 2
        for note in data.notes:
            assert "sides of" in note
            assert "look swapped: 'en' is written in Chinese" in note

    def test_one_column(self, write, settings):
        copied = write("copied.jsonl", [(en, en) for en, _ in PAIRS])
        (note,) = TASK.load(replace(settings, train_file=copied), need_validation=False).notes
        assert note.endswith(
            "column 'zh' is written in Latin letters; its name lets expect Chinese or Japanese characters."
        )

    def test_names_that_stand_for_no_language_let_expect_nothing(self, write, settings):
        path = write("rows.jsonl", [(zh, en) for en, zh in PAIRS], ("source", "target"))
        data = TASK.load(DataSettings(train_file=path), need_validation=False)
        assert data.notes == ()

    def test_some_pairs(self, write, settings):
        pairs = [*PAIRS, ("你好", "Hello"), *PAIRS, ("iPhone", "iPhone"), ("书", "书"), ("12", "12")]
        (note,) = TASK.load(replace(settings, train_file=write("some.jsonl", pairs)), need_validation=False).notes
        assert note.startswith("1 of 12 pairs in ")
        assert "'你好'" in note

    def test_splits_against_each_other(self, write):
        train = write("train.jsonl", PAIRS, ("source", "target"))
        validation = write("validation.jsonl", [(zh, en) for en, zh in PAIRS], ("source", "target"))
        (note,) = TASK.load(DataSettings(train_file=train, validation_file=validation)).notes
        assert note.startswith("The validation rows look swapped")

    def test_languages_of_one_script_are_never_suspected(self, write, settings):
        pairs = [("Ein Hund läuft.", "A dog runs."), ("Guten Tag!", "Hello!")]
        path = write("rows.jsonl", pairs, ("en", "de"))
        data = TASK.load(replace(settings, train_file=path, target_column="de"), need_validation=False)
        assert data.notes == ()


class TestTokenizing:
    def test_rows_are_the_tokenizers_own(self, settings, shared, separate):
        rows = TASK.load(settings).train
        for tokenizer in (shared, separate):
            ready = TASK.tokenize(rows, tokenizer, settings)
            assert set(ready.column_names) == {"input_ids", "attention_mask", "labels", "length"}
            for row, (en, zh) in zip(ready, PAIRS, strict=True):
                assert row["input_ids"] == tokenizer(en)["input_ids"]
                assert row["labels"] == tokenizer(text_target=zh)["input_ids"]
                assert row["labels"][-1] == tokenizer.eos_token_id
                assert row["length"] == len(row["input_ids"]) + len(row["labels"])
                assert tokenizer.decode(row["labels"], skip_special_tokens=True) == zh
            assert ready.cache_files == []
            assert tokenizing_notes(ready) == ()

    def test_the_target_is_never_encoded_as_a_source(self, settings, separate):
        rows = TASK.load(settings).train
        ready = TASK.tokenize(rows, separate, settings)
        assert [row["labels"] for row in ready] != [separate(zh)["input_ids"] for _, zh in PAIRS]

    def test_what_is_too_long_is_cut_and_counted(self, settings, shared):
        rows = TASK.load(settings).train
        whole = TASK.tokenize(rows, shared, settings)
        sources, targets = ([len(ids) for ids in whole[column]] for column in ("input_ids", "labels"))
        for limit in range(3, max(sources) + 2):
            ready = TASK.tokenize(rows, shared, replace(settings, max_length=limit, max_target_length=4))
            assert [len(ids) for ids in ready["input_ids"]] == [min(limit, length) for length in sources]
            assert all(ids[-1] == shared.eos_token_id for row in ready for ids in (row["input_ids"], row["labels"]))
            expected = []
            if too_long := sum(length > limit for length in sources):
                expected.append(f"{too_long} of 4 source texts are longer than {limit} tokens")
            if too_long := sum(length > 4 for length in targets):
                expected.append(f"{too_long} of 4 target texts are longer than 4 tokens")
            notes = tokenizing_notes(ready)
            assert len(notes) == len(expected)
            assert all(note.startswith(start) for note, start in zip(notes, expected, strict=True))

    def test_the_limit_of_the_target_is_that_of_the_source_unless_said(self, settings, shared):
        rows = TASK.load(settings).train
        ready = TASK.tokenize(rows, shared, replace(settings, max_length=4))
        assert max(len(ids) for ids in ready["labels"]) == 4
        with pytest.raises(DataError, match="max_target_length is 0"):
            replace(settings, max_target_length=0)

    def test_the_tokenizers_own_limit_holds_too(self, write, settings, shared):
        path = write("long.jsonl", [("a book " * 300, "书" * 3000)])
        rows = TASK.load(replace(settings, train_file=path), need_validation=False).train
        ready = TASK.tokenize(rows, shared, replace(settings, max_length=5000))
        assert len(ready[0]["input_ids"]) == len(ready[0]["labels"]) == shared.model_max_length
        assert len(tokenizing_notes(ready)) == 2

    def test_batch_of_a_translator(self, settings, separate):
        from transformers import DataCollatorForSeq2Seq

        rows = TASK.tokenize(TASK.load(settings).train, separate, settings)
        batch = DataCollatorForSeq2Seq(separate)([rows[0], rows[1]])
        assert batch["input_ids"].shape == batch["attention_mask"].shape
        assert batch["labels"].shape[0] == 2
        assert (batch["labels"] == -100).sum() == abs(len(rows[0]["labels"]) - len(rows[1]["labels"]))


def test_demo():
    settings = DataSettings(dataset="demo-translation", max_train_rows=30, max_validation_rows=10)
    data = TASK.load(settings)
    assert (len(data.train), len(data.validation), data.notes) == (30, 10, ())
    with pytest.raises(DataError, match=r"demo-translation has no column 'zh'. Columns there: source, target"):
        TASK.load(replace(settings, target_column="zh"))


def test_hub_dataset_of_dictionaries(monkeypatch):
    import datasets

    rows = datasets.Dataset.from_list([{"translation": {"en": en, "zh": zh}} for en, zh in PAIRS])
    monkeypatch.setattr(datasets, "load_dataset", lambda *args, **kwargs: rows)
    settings = DataSettings(dataset="owner/pairs", source_column="translation.en", target_column="translation.zh")
    assert TASK.load(settings, need_validation=False).train["target"] == [zh for _, zh in PAIRS]
