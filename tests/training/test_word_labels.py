"""Training where each word has a label: batches, accumulation, the teacher cache, fine-tuning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny_entities
import torch
from safetensors.torch import load_file
from transformers import BertForTokenClassification, TrainingArguments, set_seed

from tinybert_hf import DistillationArguments, DistillationTrainer, TinyBertConfig
from tinybert_hf.data import TASKS, DataSettings
from tinybert_hf.model import TinyBertForTokenClassification
from tinybert_hf.training.collators import WordCollator
from tinybert_hf.training.finetuning import FinetuneTrainer
from tinybert_hf.training.logs import held_out_losses

QUIET = {"disable_tqdm": True, "log_level": "error", "use_cpu": True, "dataloader_pin_memory": False, "report_to": []}


@pytest.fixture(scope="module")
def teacher_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_entities.make_teacher(tmp_path_factory.mktemp("teacher"))


@pytest.fixture
def data(tmp_path: Path) -> Any:
    from tiny_run import write_rows

    file = write_rows(tmp_path / "rows.jsonl", tiny_entities.rows(8))
    task = TASKS["token-classification"]
    rows = task.load(DataSettings(train_file=file), need_validation=False).train
    return task.tokenize(rows, tiny_entities.tokenizer(), DataSettings(max_length=16))


def trainer_of(folder: Path, teacher_folder: str, data: Any, **options: Any) -> DistillationTrainer:
    teacher = BertForTokenClassification.from_pretrained(teacher_folder)
    set_seed(0)
    config = TinyBertConfig(
        vocab_size=teacher.config.vocab_size, hidden_size=16, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=32, max_position_embeddings=64, initializer_range=0.3, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0, id2label=teacher.config.id2label, label2id=teacher.config.label2id,
    )  # fmt: skip
    arguments = DistillationArguments(str(folder), **{"logging_steps": 1, "save_strategy": "no", **QUIET, **options})
    return DistillationTrainer(
        TinyBertForTokenClassification(config), teacher, arguments, train_dataset=data,
        processing_class=tiny_entities.tokenizer(),
    )  # fmt: skip


def test_batches_are_padded_beside_their_tokens() -> None:
    rows = [
        {
            "input_ids": [2, 7, 8, 3],
            "attention_mask": [1] * 4,
            "labels": [-100, 1, -100, -100],
            "word_starts": [0, 1, 0, 0],
        },
        {"input_ids": [2, 3], "attention_mask": [1, 1], "labels": [-100, -100], "word_starts": [0, 0]},
    ]
    tokenizer = tiny_entities.tokenizer()
    batch = WordCollator(tokenizer)(rows)
    assert batch["labels"].tolist() == [[-100, 1, -100, -100], [-100] * 4]
    assert batch["word_starts"].tolist() == [[0, 1, 0, 0], [0] * 4]
    assert batch["attention_mask"].tolist() == [[1] * 4, [1, 1, 0, 0]]
    tokenizer.padding_side = "left"
    assert WordCollator(tokenizer)(rows)["labels"][1].tolist() == [-100] * 4
    unlabelled = WordCollator(tokenizer)([{"input_ids": [2, 3], "attention_mask": [1, 1]}])
    assert not {"labels", "word_starts"} & set(unlabelled)


def test_accumulation_gives_the_gradients_of_the_whole_batch(tmp_path: Path, teacher_folder: str, data: Any) -> None:
    results = []
    for size, steps in ((len(data), 1), (3, len(data) // 3)):
        trainer = trainer_of(
            tmp_path, teacher_folder, data, phase="prediction", max_steps=1, per_device_train_batch_size=size,
            gradient_accumulation_steps=steps, optim="sgd", max_grad_norm=0.0, lr_scheduler_type="constant",
            learning_rate=1.0, label_loss_weight=0.5,
        )  # fmt: skip
        trainer.train()
        results.append(torch.cat([p.detach().flatten() for p in trainer.model.parameters()]))
    torch.testing.assert_close(results[1], results[0], rtol=1e-4, atol=1e-5)


def test_what_other_pieces_say_has_no_influence(tmp_path: Path, teacher_folder: str, data: Any) -> None:
    """The loss that is logged is that of the first pieces, counted by hand; labels have no part in it."""
    trainer = trainer_of(
        tmp_path, teacher_folder, data.remove_columns("labels"), phase="prediction", max_steps=1,
        per_device_train_batch_size=len(data),
    )  # fmt: skip
    batch = WordCollator(tiny_entities.tokenizer())([
        {name: row[name] for name in ("input_ids", "attention_mask", "word_starts")} for row in data
    ])  # fmt: skip
    starts = batch.pop("word_starts").bool()
    with torch.no_grad():
        ours, theirs = (model.eval()(**batch).logits[starts] for model in (trainer.student, trainer.teacher))
    expected = -(theirs.softmax(-1) * ours.log_softmax(-1)).sum(-1).mean()
    trainer.train()
    assert trainer.state.log_history[0]["prediction_loss"] == pytest.approx(expected.item(), rel=1e-5)


def test_a_teacher_cache_gives_the_same_student(tmp_path: Path, teacher_folder: str, data: Any) -> None:
    weights = []
    for cache in (None, str(tmp_path / "cache")):
        trainer = trainer_of(
            tmp_path, teacher_folder, data, phase="prediction", num_train_epochs=2, per_device_train_batch_size=3,
            teacher_cache=cache, learning_rate=1e-3, adam_epsilon=1e-4,
        )  # fmt: skip
        trainer.train()
        weights.append(torch.cat([p.detach().flatten() for p in trainer.model.parameters()]))
    torch.testing.assert_close(weights[1], weights[0], rtol=1e-5, atol=1e-6)


def test_answers_of_an_earlier_phase_stand_where_a_cache_has_them(
    tmp_path: Path, teacher_folder: str, data: Any
) -> None:
    common = {"num_train_epochs": 1, "per_device_train_batch_size": 3}
    earlier = trainer_of(tmp_path, teacher_folder, data, phase="intermediate", **common)
    earlier.answers_for = tmp_path / "noted"
    earlier.train()
    trainer_of(
        tmp_path, teacher_folder, data, phase="prediction", teacher_cache=str(tmp_path / "cache"), **common
    ).train()
    noted, asked = (load_file(tmp_path / name / "shard-00000.safetensors") for name in ("noted", "cache"))
    assert noted.keys() == asked.keys()
    for name, value in asked.items():
        torch.testing.assert_close(noted[name], value, rtol=1e-5, atol=1e-5)


def test_a_head_that_means_over_its_batch_is_scaled(tmp_path: Path, teacher_folder: str, data: Any) -> None:
    """transformers' token classifiers know nothing of accumulation: words, not batches, have equal weight."""
    results = []
    for size, steps in ((len(data), 1), (3, len(data) // 3)):
        model = BertForTokenClassification.from_pretrained(
            teacher_folder, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
        )
        arguments = TrainingArguments(
            str(tmp_path), max_steps=1, per_device_train_batch_size=size, gradient_accumulation_steps=steps,
            optim="sgd", max_grad_norm=0.0, lr_scheduler_type="constant", learning_rate=1.0, save_strategy="no",
            **QUIET,
        )  # fmt: skip
        trainer = FinetuneTrainer(
            model, args=arguments, train_dataset=data, processing_class=tiny_entities.tokenizer(),
            data_collator=WordCollator(tiny_entities.tokenizer()),
        )  # fmt: skip
        trainer.train()
        results.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    torch.testing.assert_close(results[1], results[0], rtol=1e-4, atol=1e-5)


def test_the_loss_on_held_out_rows_is_over_their_words(tmp_path: Path, teacher_folder: str, data: Any) -> None:
    options = {"phase": "prediction", "max_steps": 1, "per_device_train_batch_size": 16, "learning_rate": 0.0}
    trainer = trainer_of(tmp_path, teacher_folder, data, **options)
    trainer.args.per_device_eval_batch_size = 3
    trainer.train()
    found = held_out_losses(trainer, data)
    assert found["prediction_loss"] == pytest.approx(trainer.state.log_history[0]["prediction_loss"], rel=1e-5)
