"""A student that learns from a cache is the one that learns from the teacher, and no cache is used for other rows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_seq2seq
import torch
from datasets import Dataset
from killed_runs import Masking
from killed_runs import rows as many_rows
from tiny_models import QUIET, bert, logged
from transformers import BertTokenizer

from tinybert_hf import (
    DistillationArguments,
    DistillationTrainer,
    Phase,
    Seq2SeqDistillationArguments,
    Seq2SeqDistillationTrainer,
    run_phases,
)
from tinybert_hf.distillation.objective import TowardsTeacher
from tinybert_hf.distillation.teachers import round_to_int8
from tinybert_hf.errors import DataError, OutputFolderError, RecipeError, TeacherError, TinyBertError
from tinybert_hf.training import teacher_cache
from tinybert_hf.training import teacher_cache as module
from tinybert_hf.training.cache_files import CacheFolder, RowIndex


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHARD_ROWS", 8)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Rows of each forward of a teacher."""
    seen: list[int] = []
    original = TowardsTeacher.capture_teacher

    def counted(self: TowardsTeacher, teacher: Any, batch: Any, **options: Any) -> Any:
        seen.append(len(batch["input_ids"]))
        return original(self, teacher, batch, **options)

    monkeypatch.setattr(TowardsTeacher, "capture_teacher", counted)
    return seen


@pytest.fixture
def make(tmp_path: Path, tiny_tokenizer: BertTokenizer) -> Any:
    def make(
        cache: str | None, data: Any = None, teacher: Any = None, collator: Any = None, **arguments: Any
    ) -> DistillationTrainer:
        options: dict[str, Any] = {"phase": "prediction", "num_train_epochs": 2, "learning_rate": 1e-3}
        options |= {"per_device_train_batch_size": 4, "save_strategy": "no", "logging_steps": 1, **QUIET}
        # Adam makes steps of full length out of gradients that are nothing but rounding (biases of keys have none).
        options |= {"adam_epsilon": 1e-4, **arguments}
        return DistillationTrainer(
            bert(vocab_size=64),
            teacher or bert(layers=4, hidden=32, vocab_size=64),
            DistillationArguments(
                output_dir=str(tmp_path / "out"),
                teacher_cache=None if cache is None else str(tmp_path / cache),
                **options,
            ),
            train_dataset=many_rows(21) if data is None else data,
            processing_class=tiny_tokenizer,
            data_collator=collator,
        )

    return make


def weights(trainer: Any) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in trainer.model.parameters()])


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"gradient_accumulation_steps": 2, "train_sampling_strategy": "random"},
        {"dataloader_num_workers": 1, "label_loss_weight": 0.5, "temperature": 2.0},
        pytest.param({"bf16": True}, marks=pytest.mark.slow),
        pytest.param({"teacher_bf16": True}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_a_student_learns_the_same_from_the_cache(make: Any, calls: list[int], arguments: dict[str, Any]) -> None:
    live = make(None, **arguments)
    live.train()
    before = len(calls)
    cached = make("cache", **arguments)
    cached.train()
    tolerance = 1e-3 if arguments.get("bf16") else 1e-6
    torch.testing.assert_close(weights(cached), weights(live), rtol=tolerance, atol=tolerance)
    assert logged(cached) == pytest.approx(logged(live), rel=1e-2 if arguments.get("bf16") else 1e-5)
    assert sum(calls[before:]) == 21 + 3 * 8 - 8  # each row once, and the few rows that are looked at first
    calls.clear()
    again = make("cache", **arguments)
    again.train()
    assert torch.equal(weights(again), weights(cached))
    assert sum(calls) == 16


def test_the_answers_of_each_row_are_the_teachers(make: Any) -> None:
    trainer = make("cache", data=many_rows(40), max_steps=1)
    trainer.train()
    with torch.no_grad():
        for batch in trainer.get_train_dataloader():
            inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
            torch.testing.assert_close(batch[module.LOGITS], trainer.teacher(**inputs).logits, rtol=1e-5, atol=1e-5)


def test_hidden_states_are_kept_on_request_only(make: Any) -> None:
    options = {"phase": "joint", "attention_loss_weight": 0.0, "projection_start": "random"}
    with pytest.raises(RecipeError, match="teacher_cache_hidden_states=True"):
        make("cache", **options)
    live, cached = make(None, **options), make("cache", teacher_cache_hidden_states=True, **options)
    cached.model.load_state_dict(live.model.state_dict())
    live.train()
    cached.train()
    assert logged(cached) == pytest.approx(logged(live), rel=1e-3)
    torch.testing.assert_close(weights(cached), weights(live), rtol=1e-2, atol=2e-3)
    batch = next(iter(cached.get_train_dataloader()))
    assert batch[f"{module.HIDDEN_STATES}0"].dtype == torch.float16
    assert batch[f"{module.HIDDEN_STATES}4"].shape[:2] == batch["input_ids"].shape


def test_attention_losses_are_refused(make: Any) -> None:
    with pytest.raises(RecipeError, match="does not go with attention_loss: it needs the teacher's queries"):
        make("cache", phase="joint")
    with pytest.raises(RecipeError, match="no loss of this phase looks at the teacher"):
        make("cache", phase="prediction", prediction_loss_weight=0.0, label_loss_weight=1.0)


def test_the_size_is_announced_and_limited(make: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(RecipeError, match=r"would take 252 bytes \(21 rows x 3\); allowed are 1e-07 GB"):
        make("cache", teacher_cache_limit_gb=1e-7).train()
    assert not (tmp_path / "cache").exists()
    make("cache", max_steps=1).train()
    assert "answers to 21 rows are written once" in caplog.text
    assert "252 bytes in 3 of 3 shards" in caplog.text


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"data": many_rows(20)}, "rows: "),
        ({"teacher": bert(layers=4, hidden=32, vocab_size=64, initializer_range=0.2)}, "teacher_weights: "),
        ({"teacher": bert(layers=4, hidden=32, vocab_size=64, hidden_act="relu")}, "teacher_configuration: "),
        ({"teacher": bert(layers=4, hidden=32, vocab_size=64).to(torch.bfloat16)}, "dtype: "),
        ({"teacher_bf16": True}, "dtype: float32 there, float32, mixed bf16 now"),
        ({"format": 2}, "format: 1 there, 2 now"),
    ],
    ids=["rows", "weights", "configuration", "dtype", "products", "format"],
)
def test_a_stale_cache_is_refused_with_the_part_that_differs(
    make: Any, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], part: str
) -> None:
    make("cache", max_steps=1).train()
    monkeypatch.setattr(module, "FORMAT", change.pop("format", 1))
    with pytest.raises(OutputFolderError, match="was made from something else") as refused:
        make("cache", **change).train()
    assert f"\n  {part}" in str(refused.value)


def test_the_order_of_rows_and_repeated_rows_do_not_matter(make: Any, calls: list[int]) -> None:
    data = many_rows(21)
    make("cache", data=data, max_steps=1).train()
    calls.clear()
    make("cache", data=data.select([*reversed(range(21)), 3, 3]), max_steps=1).train()
    assert sum(calls) == 16


def test_a_damaged_shard_is_named_and_a_deleted_one_written_again(make: Any, tmp_path: Path, calls: list[int]) -> None:
    make("cache", max_steps=1).train()
    shard = tmp_path / "cache" / "shard-00001.safetensors"
    whole = shard.read_bytes()
    for damaged, reason in ((whole[:-1], "bytes instead of"), (whole[:-1] + b"x", "another SHA-256")):
        shard.write_bytes(damaged)
        with pytest.raises(OutputFolderError, match=rf"shard-00001\.safetensors .*{reason}"):
            make("cache").train()
    shard.unlink()
    calls.clear()
    make("cache", max_steps=1).train()
    assert shard.read_bytes() == whole
    assert sum(calls) == 16 + 8
    manifest = tmp_path / "cache" / "manifest.json"
    for text in ("{", "[]", "{}", json.dumps({**json.loads(manifest.read_text()), "shards": []})):
        manifest.write_text(text)
        with pytest.raises(OutputFolderError, match=r"manifest\.json cannot be read"):
            make("cache").train()


def test_a_stopped_writer_goes_on_at_the_last_whole_shard(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: list[int]
) -> None:
    write, written = module.CacheFolder.write, []

    def stop(self: Any, index: int, tensors: Any) -> None:
        if index == 2:
            raise KeyboardInterrupt
        written.append(index)
        write(self, index, tensors)

    with monkeypatch.context() as context:
        context.setattr(module.CacheFolder, "write", stop)
        with pytest.raises(KeyboardInterrupt):
            make("cache").train()
    assert written == [0, 1]
    calls.clear()
    make("cache", max_steps=1).train()
    assert sum(calls) == 16 + 5  # the last shard alone


def test_another_folder_is_left_alone(make: Any, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "notes.txt").write_text("mine")
    with pytest.raises(OutputFolderError, match=r"holds something else \(notes\.txt\)"):
        make("cache").train()


class MaskLate:
    """Masks a token, but not in the first batches."""

    def __init__(self, collate: Any, after: int) -> None:
        self.collate, self.left = collate, after

    def __call__(self, rows: list[Any]) -> Any:
        batch = self.collate(rows)
        self.left -= 1
        if self.left < 0:
            batch["input_ids"][0, 1] = 4
        return batch


def test_a_collator_that_masks_is_refused(make: Any, tiny_tokenizer: BertTokenizer, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="masking, augmentation"):
        make("cache", collator=Masking(tiny_tokenizer, mlm_probability=0.5)).train()
    assert not (tmp_path / "cache").exists()
    plain = make(None).data_collator
    for after in (3, 8):  # while the cache is written; while the student learns
        with pytest.raises(DataError, match="reads otherwise than every row of the training set"):
            make("cache", collator=MaskLate(plain, after)).train()


def test_padding_at_the_left_and_streams_are_refused(make: Any, tiny_tokenizer: BertTokenizer) -> None:
    tiny_tokenizer = type(tiny_tokenizer)(vocab=tiny_tokenizer.get_vocab(), padding_side="left")
    from transformers import DataCollatorWithPadding

    with pytest.raises(DataError, match="padded before their tokens"):
        make("cache", collator=DataCollatorWithPadding(tiny_tokenizer)).train()
    with pytest.raises(DataError, match="not a stream"):
        make("cache", data=many_rows(8).to_iterable_dataset(), max_steps=2).train()


def test_a_resumed_run_ends_the_same(make: Any, tmp_path: Path) -> None:
    options = {"save_strategy": "steps", "save_steps": 4}
    whole = make("cache", **options)
    whole.train()
    resumed = make("cache", **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / "out" / "checkpoint-4"))
    assert torch.equal(weights(resumed), weights(whole))


def seq2seq(tmp_path: Path, **arguments: Any) -> Any:
    data = many_rows(12).map(lambda row, index: {"labels": row["input_ids"][: 1 + index % 5]}, with_indices=True)

    def collate(rows: list[Any]) -> dict[str, torch.Tensor]:
        def pad(name: str, value: int) -> torch.Tensor:
            parts = [torch.tensor(row[name]) for row in rows]
            return torch.nn.utils.rnn.pad_sequence(parts, batch_first=True, padding_value=value)

        return {"input_ids": pad("input_ids", 1), "attention_mask": pad("attention_mask", 0), "labels": pad("labels", -100)}  # fmt: skip  # noqa: E501

    options = {"phase": "prediction", "num_train_epochs": 2, "per_device_train_batch_size": 4, "learning_rate": 1e-3}
    torch.manual_seed(0)
    return Seq2SeqDistillationTrainer(
        tiny_seq2seq.student(),
        tiny_seq2seq.teacher("marian"),
        Seq2SeqDistillationArguments(
            output_dir=str(tmp_path / "out"), save_strategy="no", **{**options, **QUIET, **arguments}
        ),
        train_dataset=data,
        data_collator=collate,
    )


def test_translators_need_a_limit(tmp_path: Path) -> None:
    cache = {"teacher_cache": str(tmp_path / "cache")}
    with pytest.raises(RecipeError, match=r"target tokens x 60.*pseudo-label"):
        seq2seq(tmp_path, **cache).train()
    live, cached = seq2seq(tmp_path), seq2seq(tmp_path, **cache, teacher_cache_limit_gb=0.1)
    live.train()
    cached.train()
    torch.testing.assert_close(weights(cached), weights(live), rtol=1e-5, atol=1e-6)


PHASES = (
    Phase("joint", epochs=2, batch_size=8, learning_rate=1e-3),
    Phase("prediction", epochs=3, batch_size=8, learning_rate=1e-3),
)


def run(folder: Path, tokenizer: BertTokenizer, phases: tuple[Phase, ...], teacher: Any = None, **options: Any) -> Any:
    student = bert(vocab_size=64)
    run_phases(
        student,
        teacher or bert(layers=4, hidden=32, vocab_size=64),
        phases,
        output_dir=folder,
        train_dataset=many_rows(16),
        processing_class=tokenizer,
        training_arguments={**QUIET, "save_strategy": "no", "adam_epsilon": 1e-4},  # as above
        **options,
    )
    return torch.cat([p.detach().flatten() for p in student.parameters()])


def test_a_prediction_phase_of_several_epochs_has_a_cache(
    tmp_path: Path, tiny_tokenizer: BertTokenizer, calls: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    made = run(tmp_path / "a", tiny_tokenizer, PHASES[1:])
    with_cache = sum(calls)
    assert "removed when the phase is done" in caplog.text
    assert not list((tmp_path / "a").glob("phases/*/teacher_cache"))  # it was of this phase alone
    calls.clear()
    live = run(tmp_path / "b", tiny_tokenizer, (replace(PHASES[1], teacher_cache=False),))
    torch.testing.assert_close(made, live, rtol=1e-6, atol=1e-6)
    assert sum(calls) - with_cache == 2 * 16 - 8
    kept = replace(PHASES[1], teacher_cache=str(tmp_path / "kept"))
    caplog.clear()
    run(tmp_path / "c", tiny_tokenizer, (kept,))
    assert "removed" not in caplog.text
    assert (tmp_path / "kept" / "manifest.json").exists()


@pytest.mark.parametrize("epochs", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_the_phase_before_fills_the_cache(
    tmp_path: Path,
    tiny_tokenizer: BertTokenizer,
    monkeypatch: pytest.MonkeyPatch,
    calls: list[int],
    caplog: pytest.LogCaptureFixture,
    epochs: int,
) -> None:
    """The teacher runs in the first phase alone, also where its answers would be needed once only."""
    monkeypatch.setattr(teacher_cache, "_WAIT", 2)
    first = Phase("intermediate", epochs=2, batch_size=8, learning_rate=1e-3)
    last = replace(PHASES[1], epochs=epochs)
    made = run(tmp_path / "a", tiny_tokenizer, (first, last))
    filled = sum(calls)
    assert "The teacher is not run in this phase: its answers to all 16 different rows are kept already" in caplog.text
    assert not list((tmp_path / "a").glob("phases/*/teacher_cache"))
    calls.clear()
    live = run(tmp_path / "b", tiny_tokenizer, (first, replace(last, teacher_cache=False)))
    torch.testing.assert_close(made, live, rtol=1e-5, atol=1e-6)
    assert sum(calls) - filled == epochs * 16 - 16  # twice 8 rows are looked at to know what a cache would hold


@pytest.mark.parametrize(
    ("first", "last"),
    [
        pytest.param(replace(PHASES[0], epochs=0.5), {}, marks=pytest.mark.slow),
        (replace(PHASES[0], train_rows=8), {}),
        pytest.param(replace(PHASES[0], train_rows=8), {"train_rows": 8}, marks=pytest.mark.slow),
        pytest.param(PHASES[1], {}, marks=pytest.mark.slow),  # has a cache of its own
        pytest.param(PHASES[0], {"teacher_cache_limit_gb": 1.0}, marks=pytest.mark.slow),
        (PHASES[0], {"teacher_cache_hidden_states": True, "hidden_state_loss_weight": 1.0, "teacher_cache": True}),
    ],
    ids=["half an epoch", "fewer rows", "as few rows", "a cache of its own", "a limit", "hidden states"],
)
def test_what_the_phase_before_has_not_seen_is_asked(
    tmp_path: Path,
    tiny_tokenizer: BertTokenizer,
    caplog: pytest.LogCaptureFixture,
    first: Phase,
    last: dict[str, Any],
) -> None:
    phases = (first, replace(PHASES[1], **last))
    made = run(tmp_path / "a", tiny_tokenizer, phases)
    assert "written anew" not in caplog.text, "a cache of other rows was left there"
    asked = "answers to" in caplog.text and "1-prediction/teacher_cache" in caplog.text
    assert asked == (first.train_rows is None or last == {})
    alone = replace(phases[1], teacher_cache=False, teacher_cache_hidden_states=False)
    live = run(tmp_path / "b", tiny_tokenizer, (phases[0], alone))
    torch.testing.assert_close(made, live, rtol=1e-3, atol=2e-3 if "hidden_state_loss_weight" in last else 1e-6)


def test_answers_that_were_noted_are_those_of_a_cache(make: Any, tmp_path: Path) -> None:
    trainer = make(None, data=many_rows(40), num_train_epochs=1)
    trainer.answers_for = tmp_path / "noted"
    trainer.train()
    make("cache", data=many_rows(40), max_steps=1).train()
    noted, asked = (CacheFolder(tmp_path / name, manifest(tmp_path / name)) for name in ("noted", "cache"))
    assert noted.manifest["key"] == asked.manifest["key"]
    assert not noted.missing
    assert len(asked.manifest["shards"]) == 5
    for shard in range(5):
        torch.testing.assert_close(
            noted.read(shard)[module.LOGITS], asked.read(shard)[module.LOGITS], rtol=1e-5, atol=1e-6
        )


def test_answers_noted_before_a_stop_are_kept(make: Any, tmp_path: Path) -> None:
    common: dict[str, Any] = {"data": many_rows(40), "num_train_epochs": 1, "save_strategy": "steps", "save_steps": 4}
    for options in ({"max_steps": 4}, {}):  # the first one ends within the epoch
        trainer = make(None, **common, **options)
        trainer.answers_for = tmp_path / "noted"
        trainer.train(resume_from_checkpoint=None if options else str(tmp_path / "out" / "checkpoint-4"))
    assert not CacheFolder(tmp_path / "noted", manifest(tmp_path / "noted")).missing


def manifest(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "manifest.json").read_text())


def test_answers_too_large_for_the_memory_are_not_noted(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teacher_cache, "USUAL_LIMIT_GB", 1e-8)
    trainer = make(None, max_steps=1)
    trainer.answers_for = tmp_path / "noted"
    trainer.train()
    assert not (tmp_path / "noted").exists()


def test_answers_that_are_not_finite_are_left_to_the_phase_that_needs_them(
    tmp_path: Path, tiny_tokenizer: BertTokenizer
) -> None:
    teacher = bert(layers=4, hidden=32, vocab_size=64)
    with torch.no_grad():
        teacher.classifier.bias[0] = torch.inf  # no loss of the first phase looks at it
    phases = (Phase("intermediate", epochs=1, batch_size=8), PHASES[1])
    with pytest.raises(TeacherError, match="logits are not finite"):
        run(tmp_path, tiny_tokenizer, phases, teacher)


@pytest.mark.parametrize(
    "phases", [(Phase("prediction", epochs=1, batch_size=8),), PHASES[:1]], ids=["one epoch", "attention"]
)
def test_other_phases_have_none(
    tmp_path: Path, tiny_tokenizer: BertTokenizer, monkeypatch: pytest.MonkeyPatch, phases: tuple[Phase, ...]
) -> None:
    monkeypatch.setattr(module, "write_missing", lambda *_: pytest.fail("a cache"))
    monkeypatch.setattr("tinybert_hf.training.trainer.open_teacher_cache", lambda *_: pytest.fail("a cache"))
    run(tmp_path, tiny_tokenizer, phases)


def test_a_masking_collator_switches_the_automatic_cache_off(tmp_path: Path, tiny_tokenizer: BertTokenizer) -> None:
    run(tmp_path, tiny_tokenizer, PHASES[1:], data_collator=Masking(tiny_tokenizer, mlm_probability=0.5))


def test_a_phase_that_asks_for_what_cannot_be_is_refused() -> None:
    with pytest.raises(TinyBertError, match="does not go with attention_loss"):
        Phase("joint", epochs=1, teacher_cache=True).check_cache(has_decoder=False)


def test_rows_without_columns_are_counted_too(make: Any, calls: list[int]) -> None:
    data: Dataset = many_rows(21)
    make("cache", data=list(data), max_steps=1).train()
    calls.clear()
    make("cache", data=data, max_steps=1).train()
    assert sum(calls) == 16


def test_a_teacher_in_int8_is_named_as_such() -> None:
    teacher = bert(layers=2, hidden=32, vocab_size=64)
    index = RowIndex.of(Dataset.from_dict({"input_ids": [[5, 6]]}), ("input_ids",))
    before = module.cache_key(teacher, index, (), "no")
    round_to_int8(teacher)
    after = module.cache_key(teacher, index, (), "no")
    assert (before["dtype"], after["dtype"]) == ("float32", "int8 and float32")
