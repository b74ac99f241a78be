"""The task as a whole: rows out of files, the demo and the Hub, and what tokenizing makes of them."""

import json
import time
from dataclasses import replace

import pytest

from tinybert_hf.data import TASKS, DataSettings, tokenizing_notes
from tinybert_hf.errors import DataError

TASK = TASKS["text-classification"]


@pytest.fixture
def write(tmp_path):
    def write(name, rows):
        (tmp_path / name).write_text("\n".join(json.dumps(row) for row in rows))
        return str(tmp_path / name)

    return write


@pytest.fixture
def files(write):
    rows = [{"s": f"the film is {word}", "t": "a plot", "y": word} for word in ("good", "bad", "good", "bad")]
    return DataSettings(
        train_file=write("train.jsonl", rows),
        validation_file=write("validation.jsonl", rows[:2]),
        text_column="s",
        label_column="y",
        max_length=16,
    )


def test_rows_of_files(files):
    data = TASK.load(files)
    assert data.train.to_dict() == {
        "text": ["the film is good", "the film is bad"] * 2,
        "label": [1, 0, 1, 0],
    }
    assert (data.label_names, data.num_labels) == (("bad", "good"), 2)
    assert data.problem_type == "single_label_classification"
    assert TASK.load(files, need_train=False).train is None
    assert TASK.load(files, need_validation=False).validation is None


def test_tokenized_rows_are_the_tokenizers_own(files, tiny_tokenizer):
    settings = replace(files, text_pair_column="t")
    rows = TASK.load(settings).train
    ready = TASK.tokenize(rows, tiny_tokenizer, settings)
    for row, text, pair, label in zip(ready, rows["text"], rows["text_pair"], rows["label"], strict=True):
        expected = tiny_tokenizer(text, pair)
        assert row == {**expected, "labels": label, "length": len(expected["input_ids"])}
    assert ready.cache_files == []


def test_tokens_are_cut_at_the_smaller_limit(files, tiny_tokenizer):
    rows = TASK.load(files).train
    ready = TASK.tokenize(rows, tiny_tokenizer, replace(files, max_length=4))
    assert set(ready["length"]) == {4}
    assert tokenizing_notes(ready) == ()  # as it was asked for
    long = rows.map(lambda row: {"text": row["text"] * 40}, keep_in_memory=True)
    ready = TASK.tokenize(long, tiny_tokenizer, replace(files, max_length=9999))
    assert set(ready["length"]) == {64}
    (note,) = tokenizing_notes(ready)
    assert note.startswith("4 rows fill the 64 tokens that the tokenizer reads")
    assert "max_length is 9999" in note
    assert tokenizing_notes(TASK.tokenize(rows, tiny_tokenizer, replace(files, max_length=9999))) == ()


@pytest.mark.parametrize(
    ("labels", "problem", "first"),
    [([0.5, 2], "regression", 0.5), ([["a"], ["b"]], "multi_label_classification", [1.0, 0.0])],
)
def test_labels_become_what_the_loss_takes(write, tiny_tokenizer, labels, problem, first):
    import torch
    from transformers import DataCollatorWithPadding

    path = write("rows.jsonl", [{"text": "a film " * (i + 1), "label": label} for i, label in enumerate(labels)])
    settings = DataSettings(train_file=path, validation_file=path)
    data = TASK.load(settings)
    assert (data.problem_type, data.train[0]["label"]) == (problem, first)
    rows = TASK.tokenize(data.train, tiny_tokenizer, settings)
    batch = DataCollatorWithPadding(tiny_tokenizer)([rows[0], rows[1]])
    assert batch["labels"].dtype == torch.float32
    assert batch["input_ids"].shape == (2, 6)


def test_a_row_of_100000_characters(write, tiny_tokenizer):
    texts = ["a film " * 14_286, "x" * 100_000, "好" * 100_000]
    path = write("rows.jsonl", [{"text": text, "label": i % 2} for i, text in enumerate(texts)])
    settings = DataSettings(train_file=path, max_length=32)
    start = time.perf_counter()
    rows = TASK.tokenize(TASK.load(settings, need_validation=False).train, tiny_tokenizer, settings)
    assert time.perf_counter() - start < 5
    assert rows["length"][0] == 32


def test_many_rows_take_seconds(tiny_tokenizer):
    from datasets import Dataset

    rows = Dataset.from_dict({"text": ["the plot is not very good"] * 20_000, "label": [0, 1] * 10_000})
    start = time.process_time()  # not the clock on the wall: other work on the machine does not count
    assert len(TASK.tokenize(rows, tiny_tokenizer, DataSettings())) == 20_000
    assert time.process_time() - start < 10


def test_missing_splits_are_named(files, write):
    with pytest.raises(DataError, match=r"no train rows: train_file \(--train-file\)"):
        TASK.load(DataSettings())
    with pytest.raises(DataError, match=r"no validation rows.*'glue' is not used once a file is given"):
        TASK.load(DataSettings(train_file=files.train_file, text_column="s", label_column="y", dataset="glue"))
    with pytest.raises(ValueError, match="neither"):
        TASK.load(files, need_train=False, need_validation=False)


def test_bad_rows_are_refused_with_their_place(write):
    path = write("rows.jsonl", [{"text": "a", "label": 0}, {"text": None, "label": 1}])
    with pytest.raises(DataError, match=r"rows\.jsonl, row 2, column 'text'.*None"):
        TASK.load(DataSettings(train_file=path), need_validation=False)
    with pytest.raises(DataError, match="no column 'pair'"):
        TASK.load(DataSettings(train_file=path, text_pair_column="pair"), need_validation=False)


def test_labels_of_a_trained_model(files):
    data = TASK.load(files, need_train=False, label_names=("GOOD", "BAD"))
    assert data.validation["label"] == [0, 1]
    assert data.label_names == ("GOOD", "BAD")
    with pytest.raises(DataError, match="Expected: negative, positive"):
        TASK.load(files, need_train=False, label_names=("negative", "positive"))


def test_demo():
    settings = DataSettings(dataset="demo-sentiment", max_train_rows=30, max_validation_rows=10)
    data = TASK.load(settings)
    assert (len(data.train), len(data.validation)) == (30, 10)
    assert data.label_names == ("negative", "positive")
    with pytest.raises(DataError, match=r"demo-sentiment has no column 'sentence'. Columns there: text, label"):
        TASK.load(DataSettings(dataset="demo-sentiment", text_column="sentence"))


class TestHub:
    """What the Hub library returns or raises is played here; nothing is fetched."""

    @pytest.fixture
    def answer(self, monkeypatch):
        import datasets

        def answer(value):
            def load_dataset(dataset, config, split):
                assert (dataset, config) == ("owner/name", "part")
                if isinstance(value, Exception):
                    raise value
                return value[split]

            monkeypatch.setattr(datasets, "load_dataset", load_dataset)
            return DataSettings(dataset="owner/name", dataset_config="part", validation_split="test")

        return answer

    def _split(self, labels):
        from datasets import ClassLabel, Dataset, Features, Value

        features = Features({"text": Value("string"), "label": ClassLabel(names=["down", "up"])})
        return Dataset.from_dict({"text": ["x"] * len(labels), "label": labels}, features=features)

    def test_names_of_its_labels(self, answer):
        data = TASK.load(answer({"train": self._split([0, 1]), "test": self._split([1])}))
        assert data.label_names == ("down", "up")
        assert data.validation["label"] == [1]

    def test_unlabelled_split(self, answer):
        settings = answer({"train": self._split([0, 1]), "test": self._split([1, -1])})
        with pytest.raises(DataError, match=r"owner/name part \[test\], row 2.*-1.*without a label"):
            TASK.load(settings)

    def test_errors_of_the_hub(self, answer):
        with pytest.raises(DataError, match=r"cannot be fetched: no route.*--train-file"):
            TASK.load(answer(ConnectionError("no route")))
        with pytest.raises(DataError, match=r"'owner/name part', split 'train'.*Unknown split.*train_split"):
            TASK.load(answer(ValueError('Unknown split "train"\nmore lines')))
        with pytest.raises(DataError, match="FileNotFoundError"):
            TASK.load(answer(FileNotFoundError()))


def test_offline_hub_is_a_clear_error():
    with pytest.raises(DataError, match=r"cannot be fetched.*--train-file"):
        TASK.load(DataSettings(dataset="owner/no-such-dataset"))


@pytest.mark.parametrize(
    ("names", "labels", "said"),
    [
        (("a", "b", "c"), [0, 1, 0], "no row has the label c, so f1, the mean over labels, leaves it out"),
        (("no", "yes"), [0, 0, 0], "no row has the label yes, so f1, which is that of 'yes', is 0"),
        (("no", "yes"), [1, 1, 1], None),
        (("a", "b", "c"), [2, 1, 0], None),
        (("a", "b", "c"), [["a"], ["a"], []], "no row has the labels b, c, so f1_macro, the mean"),
        (("x",), [0.5, 1.5, 0.0], None),
    ],
)
def test_what_labels_that_no_row_has_do_to_f1_is_said(write, names, labels, said):
    one = {float: 0.25, int: 0, list: ["b", "c"]}[type(labels[0])]
    train = [{"text": "x", "label": label} for label in (labels if one == 0.25 else [*labels, one, one])]
    train += [{"text": "x", "label": i} for i in range(len(names))] if one == 0 else []
    files = {
        "train_file": write("train.jsonl", train),
        "validation_file": write("validation.jsonl", [{"text": "x", "label": label} for label in labels]),
    }
    data = TASK.load(DataSettings(**files, label_names=names if len(names) > 1 else None))
    notes = [note for note in data.notes if "no row has" in note]
    assert [f"{files['validation_file']}: {said}" in note for note in notes] == ([True] if said else [])


@pytest.mark.parametrize("name", ["max_length", "max_train_rows", "max_target_length"])
@pytest.mark.parametrize("value", [0, 2.5, float("nan"), "3", 10**400], ids=lambda value: repr(value)[:9])
def test_counts_of_no_data_are_refused(name, value):
    with pytest.raises(DataError, match=rf"{name} is .*; it must be .*1 or more"):
        DataSettings(**{name: value})
