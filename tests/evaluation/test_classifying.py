"""Answers in bulk are those of the pipelines of transformers, in the order of the texts, whatever is batched."""

from __future__ import annotations

import copy
import gzip
import itertools
import json
import pickle
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import tiny_entities
from filelock import FileLock
from tiny_answers import make_teacher as make_answerer
from tiny_run import NOUNS, make_teacher, write_rows
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    pipeline,
)
from typer.testing import CliRunner

from tinybert_hf import Classifier, classify
from tinybert_hf.cli import app
from tinybert_hf.conversion.export import export_model
from tinybert_hf.data.shards import WHOLE, Share
from tinybert_hf.errors import DataError, OutputFolderError, TinyBertError
from tinybert_hf.evaluation import classifying
from tinybert_hf.evaluation.classifying import batches, classify_file


def texts(count: int = 40) -> list[str]:
    """From nothing to more than the 64 tokens that the model reads."""
    draw = random.Random(0)
    words = (*NOUNS, "good", "dull", "the", "was")
    return ["", *(" ".join(draw.choices(words, k=draw.choice((1, 3, 9, 30, 90)))) for _ in range(count - 1))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_teacher(tmp_path_factory.mktemp("classifier"), labels=("a", "b", "c"))


def with_problem(folder: str, place: Path, problem: str, labels: int) -> str:
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, problem_type=problem, num_labels=labels, ignore_mismatched_sizes=True
    )
    model.save_pretrained(place)
    AutoTokenizer.from_pretrained(folder).save_pretrained(place)
    return str(place)


def close(found: Any, expected: Any, far: float = 1e-5) -> None:
    if isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            close(one, other, far)
        return
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name] == (pytest.approx(value, abs=far) if name == "score" else value)


@pytest.mark.parametrize("batch_tokens", [1, 64, 1024])
@pytest.mark.parametrize("top_k", [1, 2, None])
def test_texts_are_answered_as_by_the_pipeline(folder: str, batch_tokens: int, top_k: int | None) -> None:
    pipe = pipeline("text-classification", folder, device="cpu")
    expected = [
        one if top_k != 1 else one[0] for one in pipe(texts(), top_k=top_k or 3, truncation=True, max_length=64)
    ]
    close(Classifier(folder, batch_tokens=batch_tokens, device="cpu")(texts(), top_k=top_k), expected)


@pytest.mark.parametrize(("problem", "labels"), [("regression", 1), ("multi_label_classification", 3)])
def test_each_problem_has_its_scores(folder: str, tmp_path: Path, problem: str, labels: int) -> None:
    place = with_problem(folder, tmp_path / "model", problem, labels)
    pipe = pipeline("text-classification", place, device="cpu")
    close(classify(place, texts(), device="cpu"), pipe(texts(), truncation=True, max_length=64))


def test_pairs(folder: str) -> None:
    pairs = list(itertools.pairwise(texts(12)[1:]))
    pipe = pipeline("text-classification", folder, device="cpu")
    given = [{"text": first, "text_pair": second} for first, second in pairs]
    expected = [pipe(one, truncation=True, max_length=64) for one in given]
    expected = [one[0] if isinstance(one, list) else one for one in expected]
    classifier = Classifier(folder, device="cpu")
    close(classifier(pairs), expected)
    close(classifier(given), expected)  # type: ignore[arg-type]


def test_an_export_answers_as_its_model(folder: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    export_model(folder, tmp_path / "onnx", "onnx")
    close(classify(tmp_path / "onnx", texts(), threads=1), classify(folder, texts(), device="cpu"), 1e-4)


def test_words_are_grouped_as_by_the_pipeline(tmp_path: Path) -> None:
    place = tiny_entities.make_teacher(tmp_path / "words")
    sentences = [" ".join(row["tokens"]) for row in tiny_entities.rows(20)]
    pipe = pipeline("token-classification", place, aggregation_strategy="first", device="cpu")
    expected = [pipe(sentence) for sentence in sentences]
    assert any(expected)
    close(classify(place, sentences, device="cpu"), expected)


def test_a_stream_is_read_a_block_at_a_time_and_not_to_its_end(folder: str) -> None:
    read = 0

    def endless() -> Iterator[str]:
        nonlocal read
        for text in itertools.cycle(texts()):
            read += 1
            yield text

    classifier = Classifier(folder, device="cpu")
    some = list(itertools.islice(classifier.stream(endless(), at_once=16), 20))
    assert read == 2 * 16
    close(some, classifier(texts())[:20])


def test_batches_waste_little_and_leave_nothing_out() -> None:
    draw = random.Random(1)
    lengths = [draw.randint(1, 64) for _ in range(300)]
    made = list(batches(lengths, 256))
    assert sorted(place for batch in made for place in batch) == list(range(300))
    padded = [max(lengths[place] for place in batch) * len(batch) for batch in made]
    assert max(padded) <= 256
    assert sum(padded) < 1.05 * sum(lengths)
    assert [len(batch) for batch in batches([300, 1, 2], 256)] == [1, 2]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["fine", 3], r"text 1: 3 is no text"),
        ([("a", None)], r"text 0: .* is no text"),
        ([{"title": "a"}], r"text 0: .* is no text"),
    ],
)
def test_what_is_no_text_is_named(folder: str, given: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        classify(folder, given, device="cpu")


def test_other_models_are_refused_with_what_answers_instead(tmp_path: Path) -> None:
    with pytest.raises(TinyBertError, match="QuestionAnswerer"):
        Classifier(make_answerer(tmp_path / "answers"))


def test_a_tokenizer_that_cuts_the_beginning_does_so_here(folder: str, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.truncation_side = "left"
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    pipe = pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")
    long = [text for text in texts() if len(text.split()) > 64]
    assert long
    close(Classifier(model, tokenizer, device="cpu")(long), pipe(long, truncation=True, max_length=64))
    tokenizer.model_max_length = int(1e30)
    close(Classifier(model, tokenizer, device="cpu")(long), pipe(long, truncation=True, max_length=64))


def test_the_task_of_a_model_in_memory_is_that_of_its_class(folder: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    words = AutoModelForTokenClassification.from_pretrained(folder)
    assert words.config.architectures == ["BertForSequenceClassification"]
    assert isinstance(Classifier(words, tokenizer, device="cpu")("the film was good")[0], list)
    assert isinstance(Classifier(words, tokenizer, device="cpu")({"text": "the film"})[0], list)
    with pytest.raises(DataError, match="text 1 is a pair"):
        Classifier(words, tokenizer, device="cpu")(["a", ("b", "c")])
    with pytest.raises(TinyBertError, match="has no head that classifies"):
        Classifier(AutoModel.from_pretrained(folder), tokenizer)


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        (["a\ud800"], {}, "half a surrogate pair"),
        (["a"], {"max_length": 2}, "max_length is 2, and a text of one token has 3"),
        ([("a", "b")], {"max_length": 4}, "a pair has 5 tokens"),
        (["a"], {"top_k": 0}, "top_k is 0"),
    ],
)
def test_what_cannot_be_read_is_said(folder: str, given: Any, options: dict[str, int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        classify(folder, given, device="cpu", **options)


class TestInOtherProcesses:
    """A classifier travels to other processes by its folder, and brings the same answers back."""

    def test_it_is_opened_again_where_it_arrives(self, folder: str, tmp_path: Path) -> None:
        place = tmp_path / "model"
        shutil.copytree(folder, place)
        classifier = Classifier(place, max_length=8, device="cpu")
        packed = pickle.dumps(classifier)
        assert len(packed) < 2000
        assert packed == pickle.dumps(Classifier(place, max_length=8, device="cpu"))  # a cache finds it again
        close(pickle.loads(packed)(texts()), classifier(texts()))
        model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2, ignore_mismatched_sizes=True)
        own = Classifier(model, AutoTokenizer.from_pretrained(folder), device="cpu")
        close(pickle.loads(pickle.dumps(own))(texts()), own(texts()))
        model.save_pretrained(place)
        with pytest.raises(TinyBertError, match="does not hold the model that it held before"):
            pickle.loads(packed)

    def test_a_relative_folder_from_elsewhere(
        self, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(Path(folder).parent)
        classifier = Classifier(Path(folder).name, device="cpu")
        packed = pickle.dumps(classifier)
        monkeypatch.chdir(tmp_path)
        close(pickle.loads(packed)(texts()), classifier(texts()))
        close(copy.deepcopy(classifier)(texts()), classifier(texts()))

    def test_a_folder_that_was_written_anew_after_it_was_opened(self, folder: str, tmp_path: Path) -> None:
        shutil.copytree(folder, tmp_path / "model")
        classifier = Classifier(tmp_path / "model", device="cpu")
        with_problem(folder, tmp_path / "model", "single_label_classification", 2)
        with pytest.raises(TinyBertError, match="has changed since it was opened"):
            pickle.dumps(classifier)

    def test_of_an_export(self, folder: str, tmp_path: Path) -> None:
        pytest.importorskip("onnxruntime")
        export_model(folder, tmp_path / "onnx", "onnx")
        classifier = Classifier(tmp_path / "onnx", threads=1)
        close(pickle.loads(pickle.dumps(classifier))(texts()), classifier(texts()))
        opened = Classifier(classifier.model, classifier.tokenizer)
        for copied in (pickle.dumps, copy.deepcopy):
            with pytest.raises(TinyBertError, match="cannot be pickled or copied"):
                copied(opened)

    def test_datasets_map(self, folder: str) -> None:
        from datasets import Dataset

        classifier = Classifier(folder, device="cpu")
        rows = Dataset.from_dict({"text": texts(), "n": list(range(40))})
        found = rows.map(partial(_answer, classifier), batched=True, batch_size=10, num_proc=2)
        assert found["text"] == texts()
        close(list(found["answer"]), classifier(texts()))

    @pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning")
    def test_ray(self, folder: str) -> None:
        ray, data = pytest.importorskip("ray"), pytest.importorskip("ray.data")
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        try:
            rows = data.from_items([{"text": text, "n": n} for n, text in enumerate(texts())])
            made = rows.map_batches(
                Answers, fn_constructor_args=(folder,), compute=data.ActorPoolStrategy(size=2), batch_size=10
            )
            found = sorted(made.take_all(), key=lambda row: row["n"])
        finally:
            ray.shutdown()
        close([row["answer"] for row in found], Classifier(folder, device="cpu")(texts()))


def _answer(classifier: Classifier, batch: Any) -> dict[str, Any]:
    return {"answer": classifier(batch["text"])}


class Answers:
    """What docs/scaling.md shows for Ray."""

    def __init__(self, model: str) -> None:
        self.classifier = Classifier(model, threads=1)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        return {**batch, "answer": self.classifier(batch["text"].tolist())}


class TestFiles:
    """A file of texts becomes a file of answers, also over a stop."""

    @pytest.fixture
    def lines(self, tmp_path: Path) -> str:
        return write_rows(tmp_path / "texts.jsonl", [{"sentence": text, "n": n} for n, text in enumerate(texts(50))])

    def answers(self, file: Path) -> list[dict[str, Any]]:
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]

    def test_every_row_has_its_answer(self, folder: str, lines: str, tmp_path: Path) -> None:
        seen: list[tuple[int, int]] = []
        out = tmp_path / "out.jsonl"
        count = classify_file(folder, lines, out, device="cpu", progress=lambda *one: seen.append(one))
        expected = classify(folder, texts(50), device="cpu")
        found = self.answers(tmp_path / "out.jsonl")
        assert (count, seen) == (50, [(50, 50)])
        assert [one.pop("text") for one in found] == texts(50)
        close(found, expected)
        plain = tmp_path / "plain.txt.gz"
        plain.write_bytes(gzip.compress("\n".join(texts(50)).encode()))
        classify_file(folder, plain, tmp_path / "plain.jsonl", device="cpu", top_k=None)
        assert [one["labels"][0] for one in self.answers(tmp_path / "plain.jsonl")] == found
        assert sorted(path.name for path in tmp_path.glob("out*")) == ["out.jsonl"]

    @pytest.mark.parametrize("torn", [False, True])
    def test_a_stopped_one_goes_on_and_ends_the_same(
        self, folder: str, lines: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, torn: bool
    ) -> None:
        monkeypatch.setattr(classifying, "AT_ONCE", 8)
        classify_file(folder, lines, tmp_path / "whole.jsonl", device="cpu")

        def stop(done: int, count: int) -> None:
            if done == 24:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            classify_file(folder, lines, tmp_path / "out.jsonl", device="cpu", progress=stop)
        assert not (tmp_path / "out.jsonl").exists()
        part = tmp_path / "out.jsonl.part"
        if torn:
            part.write_bytes(part.read_bytes()[:-5])
        seen: list[tuple[int, int]] = []
        rows = Path(lines).read_bytes()
        Path(lines).write_bytes(rows.replace(b"film", b"play"))
        with pytest.raises(OutputFolderError, match="not the same: input"):
            classify_file(folder, lines, tmp_path / "out.jsonl", device="cpu")
        Path(lines).write_bytes(rows)
        with pytest.raises(OutputFolderError, match="not the same: top_k"):
            classify_file(folder, lines, tmp_path / "out.jsonl", device="cpu", top_k=2)
        note = lambda *one: seen.append(one)  # noqa: E731
        assert classify_file(folder, lines, tmp_path / "out.jsonl", device="cpu", progress=note) == 50
        assert seen[0] == (24 if torn else 32, 50)
        assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()

    def test_columns_that_are_kept_stand_beside_the_answers(
        self, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(classifying, "AT_ONCE", 8)
        given = [{"id": number, "sentence": text, "from": {"page": [number]}} for number, text in enumerate(texts(20))]
        lines = write_rows(tmp_path / "texts.jsonl", given)
        options = ["--keep-column", "id", "--keep-column", "from", "--top-k", "0", "--cpu"]
        files = ["--input-file", str(lines), "--output-file", str(tmp_path / "out.jsonl")]
        result = CliRunner().invoke(app, ["classify", folder, *files, *options])
        assert result.exit_code == 0, result.output
        written = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
        assert [{"id": row["id"], "sentence": row["text"], "from": row["from"]} for row in written] == given
        classify_file(folder, lines, tmp_path / "plain.jsonl", device="cpu", top_k=None)
        plain = [json.loads(line) for line in (tmp_path / "plain.jsonl").read_text().splitlines()]
        assert [{"text": row["text"], "labels": row["labels"]} for row in written] == plain

    def test_a_stopped_one_goes_on_with_the_same_columns_only(
        self, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(classifying, "AT_ONCE", 8)
        lines = write_rows(tmp_path / "texts.jsonl", [{"id": n, "sentence": text} for n, text in enumerate(texts(20))])
        out = tmp_path / "out.jsonl"

        def stop(done: int, count: int) -> None:
            raise KeyboardInterrupt

        for begun, other in ((["id"], []), ([], ["id"]), (["id"], ["id", "sentence"])):
            with pytest.raises(KeyboardInterrupt):
                classify_file(folder, lines, out, device="cpu", keep_columns=begun, progress=stop)
            with pytest.raises(OutputFolderError, match="not the same: keep_columns"):
                classify_file(folder, lines, out, device="cpu", keep_columns=other)
            assert classify_file(folder, lines, out, device="cpu", keep_columns=begun) == 20
            out.unlink()

    def test_columns_that_cannot_be_kept(self, folder: str, tmp_path: Path) -> None:
        rows = [{"sentence": "good", "label": 1, "n": 1.0}, {"sentence": "dull", "label": 0, "n": float("nan")}]
        lines, out = write_rows(tmp_path / "texts.jsonl", rows), tmp_path / "out.jsonl"
        for kept, said in (
            (["label"], "answers use the names text, text_pair, label, .* themselves"),
            ("n", r"give a list: \['n'\]"),
            (["id"], "id"),
            (["n"], "row 2: {'n': nan} cannot stand in JSON"),
        ):
            with pytest.raises(DataError, match=said):
                classify_file(folder, lines, out, device="cpu", keep_columns=kept)
        (tmp_path / "texts.txt").write_text("good\n")
        with pytest.raises(DataError, match="has no columns; --keep-column"):
            classify_file(folder, tmp_path / "texts.txt", out, device="cpu", keep_columns=["id"])
        assert not out.exists()

    @pytest.mark.parametrize("count", [3, 32, 50])
    def test_several_processes_write_what_one_writes(
        self, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
    ) -> None:
        monkeypatch.setattr(classifying, "AT_ONCE", 8)
        lines = write_rows(tmp_path / "texts.jsonl", [{"sentence": text} for text in texts(count)])
        out, seen = tmp_path / "out.jsonl", {}
        classify_file(folder, lines, tmp_path / "whole.jsonl", device="cpu")

        def process(number: int, of: int = 3) -> int:
            def note(*done: int) -> None:
                seen.setdefault(number, []).append(done)

            return classify_file(folder, lines, out, device="cpu", progress=note, share=Share(number, of))

        with ThreadPoolExecutor(3) as pool:
            assert list(pool.map(process, (1, 2, 0))) == [count] * 3
        assert out.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
        assert sorted(path.name for path in tmp_path.glob("out*")) == ["out.jsonl"]
        if count == 50:  # seven blocks, of which the last has two texts
            assert seen == {0: [(8, 18), (16, 18), (18, 18)], 1: [(8, 16), (16, 16)], 2: [(8, 16), (16, 16)]}
        with pytest.raises(OutputFolderError, match=r"is there already"):
            process(0)
        assert process(1) == count
        assert sorted(path.name for path in tmp_path.glob("out*")) == ["out.jsonl"]

    def test_several_stopped_processes_go_on_and_another_number_does_not(
        self, folder: str, lines: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(classifying, "AT_ONCE", 8)
        classify_file(folder, lines, tmp_path / "whole.jsonl", device="cpu")
        out, seen = tmp_path / "out.jsonl", []

        def stop(done: int, count: int) -> None:
            if done == 16:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            classify_file(folder, lines, out, device="cpu", progress=stop, share=Share(0, 2))
        classify_file(folder, lines, out, device="cpu", share=Share(1, 2))
        for share in (WHOLE, Share(0, 3), Share(1, 3)):
            with pytest.raises(OutputFolderError, match=r"1-of-2\.part holds .* another number of processes"):
                classify_file(folder, lines, out, device="cpu", share=share)
        # What the other has ended is not answered again, and not with another model.
        note = lambda *one: seen.append(one)  # noqa: E731
        assert classify_file(folder, lines, out, device="cpu", progress=note, share=Share(1, 2)) == 50
        assert not seen
        with pytest.raises(OutputFolderError, match="not the same: top_k"):
            classify_file(folder, lines, out, device="cpu", top_k=2, share=Share(1, 2))
        assert classify_file(folder, lines, out, device="cpu", progress=note, share=Share(0, 2)) == 50
        assert seen == [(24, 26), (26, 26)]
        assert out.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
        assert sorted(path.name for path in tmp_path.glob("out*")) == ["out.jsonl"]

    def test_the_command_takes_the_columns_that_a_file_has(self, folder: str, tmp_path: Path) -> None:
        model = tmp_path / "model"
        shutil.copytree(folder, model)
        trained = {"recipe": {"data": {"text_column": "review", "max_length": 16}}}
        (model / "run.json").write_text(json.dumps(trained))
        (tmp_path / "texts.txt").write_text("a good film\na dull play\n")
        rows = [
            {"sentence": "a good film", "review": "a good film"},
            {"sentence": "a dull play", "review": "a dull play"},
        ]
        write_rows(tmp_path / "texts.jsonl", [{"sentence": row["sentence"]} for row in rows])
        write_rows(tmp_path / "trained.jsonl", [{"review": row["review"], "sentence": "other"} for row in rows])
        made = []
        for name in ("texts.txt", "texts.jsonl", "trained.jsonl"):
            out = tmp_path / f"{name}.answers.jsonl"
            words = ["classify", str(model), "--input-file", str(tmp_path / name), "--output-file", str(out), "--cpu"]
            result = CliRunner().invoke(app, words)
            assert result.exit_code == 0, result.output
            assert ("The text is taken from the column 'sentence'" in result.stderr) == (name == "texts.jsonl")
            made.append(out.read_bytes())
        assert made[0] == made[1] == made[2]
        trained["recipe"]["data"]["text_pair_column"] = "other"
        (model / "run.json").write_text(json.dumps(trained))
        words = ["classify", str(model), "--input-file", str(tmp_path / "texts.txt"), "--output-file", "x.jsonl"]
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 2
        assert "was trained on pairs of texts" in result.stderr

    def test_a_process_that_comes_late_or_where_the_first_refuses_leaves_nothing(
        self, folder: str, lines: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(classifying, "AT_ONCE", 8)
        out, classifier = tmp_path / "out.jsonl", Classifier

        def process(number: int, **options: Any) -> int:
            return classify_file(folder, lines, out, device="cpu", share=Share(number, 2), **options)

        def opened_late(*given: Any, **options: Any) -> Classifier:
            monkeypatch.setattr(classifying, "Classifier", classifier)
            process(0, overwrite=True)
            return classifier(*given, **options)

        for overwrite in (False, True):  # the second has ended its share, all were stopped, and the first is faster
            process(1, overwrite=overwrite)
            monkeypatch.setattr(classifying, "Classifier", opened_late)
            assert process(1, overwrite=overwrite) == 50
            assert sorted(path.name for path in tmp_path.glob("out*")) == ["out.jsonl"]
        with pytest.raises(OutputFolderError, match="is there already"):
            process(0)
        assert process(1) == 50
        assert sorted(path.name for path in tmp_path.glob("out*")) == ["out.jsonl"]

    def test_a_note_without_its_part_is_not_waited_for_as_one_that_has_ended(
        self, folder: str, lines: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class WaitsError(Exception):
            pass

        def wait(there: Any) -> None:
            if not there():
                raise WaitsError

        monkeypatch.setattr(classifying, "wait_until", wait)
        classify_file(folder, lines, tmp_path / "out.jsonl", device="cpu", share=Share(1, 2))
        (tmp_path / "out.jsonl.2-of-2.part").unlink()  # killed as it was tidied up
        with pytest.raises(WaitsError):
            classify_file(folder, lines, tmp_path / "out.jsonl", device="cpu", share=Share(0, 2))

    @pytest.mark.slow
    def test_under_a_launcher(self, folder: str, lines: str, tmp_path: Path) -> None:
        out = tmp_path / "out.jsonl"
        classify_file(folder, lines, tmp_path / "whole.jsonl", device="cpu")
        launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "tinybert_hf"]
        command = [*launch, "classify", folder, "--input-file", lines, "--output-file", str(out), "--cpu"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("50 texts in") == 1
        assert out.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()

    @pytest.mark.parametrize(
        ("output", "options", "message"),
        [
            ("out.csv", {}, r"JSON lines"),
            ("nowhere/out.jsonl", {}, r"its folder .* does not exist"),
            ("texts.jsonl", {}, r"is the file that is read"),
            ("out.jsonl", {"text_column": "txet"}, r"'txet'"),
            ("out.jsonl", {"text_column": "n"}, r"row 1, column 'n': 0 is no text"),
            ("there.jsonl", {}, r"is there already.*--overwrite"),
        ],
    )
    def test_refused_before_a_model_is_opened(
        self, lines: str, tmp_path: Path, output: str, options: dict[str, str], message: str
    ) -> None:
        (tmp_path / "there.jsonl").write_text("mine")
        with pytest.raises((DataError, OutputFolderError), match=message):
            classify_file("no-model-is-looked-for", lines, tmp_path / output, **options)  # type: ignore[arg-type]
        assert sorted(path.name for path in tmp_path.iterdir()) == ["texts.jsonl", "there.jsonl"]
        assert (tmp_path / "there.jsonl").read_text() == "mine"

    def test_another_export_does_not_go_on_with_the_answers_of_the_first(
        self, folder: str, lines: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pytest.importorskip("onnxruntime")
        monkeypatch.setattr(classifying, "AT_ONCE", 8)
        for form in ("onnx", "onnx-int8"):
            export_model(folder, tmp_path / form, form)

        def stop(done: int, count: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            classify_file(tmp_path / "onnx-int8", lines, tmp_path / "out.jsonl", progress=stop)
        with pytest.raises(OutputFolderError, match="not the same: model"):
            classify_file(tmp_path / "onnx", lines, tmp_path / "out.jsonl")

    def test_a_second_process_and_a_file_of_somebody_else_are_refused(
        self, folder: str, lines: str, tmp_path: Path
    ) -> None:
        with FileLock(tmp_path / "out.jsonl.part.lock"), pytest.raises(OutputFolderError, match="Another process"):
            classify_file(folder, lines, tmp_path / "out.jsonl", device="cpu")
        (tmp_path / "out.jsonl.part").write_text("mine")
        with pytest.raises(OutputFolderError, match="was not written by this command"):
            classify_file(folder, lines, tmp_path / "out.jsonl", device="cpu")
        assert (tmp_path / "out.jsonl.part").read_text() == "mine"
        (tmp_path / "out.jsonl.part.json").write_text("{")
        with pytest.raises(OutputFolderError, match=r"is damaged.*delete both"):
            classify_file(folder, lines, tmp_path / "out.jsonl", device="cpu")
