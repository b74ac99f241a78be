"""A student that learns to answer questions: accumulated batches, a teacher cache, labels, and what it reaches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from tiny_answers import make_teacher, rows
from tiny_models import QUIET

from tinybert_hf import DistillationArguments, DistillationTrainer, FinetuneSettings, Phase, finetune, load_teacher
from tinybert_hf.data import TASKS, DataSettings, TaskData
from tinybert_hf.errors import TinyBertError
from tinybert_hf.evaluation import predicted_logits, task_metrics
from tinybert_hf.model import TinyBertConfig, TinyBertForQuestionAnswering
from tinybert_hf.training.teacher_cache import pays

SETTINGS = DataSettings(max_length=24)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = make_teacher(tmp_path_factory.mktemp("teacher"))
    return load_teacher(folder, task="question-answering")


def windows(tokenizer: Any, count: int = 16) -> Dataset:
    return TASKS["question-answering"].tokenize(Dataset.from_list(rows(count)), tokenizer, SETTINGS)


def student_of(teacher: Any, width: int = 16) -> TinyBertForQuestionAnswering:
    torch.manual_seed(0)
    config = TinyBertConfig(
        vocab_size=teacher.config.vocab_size,
        hidden_size=width,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=2 * width,
        max_position_embeddings=64,
        initializer_range=0.2,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    return TinyBertForQuestionAnswering(config)


def trained(teacher: Any, folder: Path, **arguments: Any) -> DistillationTrainer:
    model, tokenizer = teacher
    options: dict[str, Any] = {"phase": "prediction", "num_train_epochs": 2, "learning_rate": 1e-3, "logging_steps": 1}
    options |= {"per_device_train_batch_size": 8, "save_strategy": "no", "adam_epsilon": 1e-4, **QUIET, **arguments}
    trainer = DistillationTrainer(
        student_of(model),
        model,
        DistillationArguments(output_dir=str(folder), **options),
        train_dataset=windows(tokenizer),
        processing_class=tokenizer,
    )
    trainer.train()
    return trainer


def weights(trainer: DistillationTrainer) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in trainer.student.parameters()])


def test_accumulated_batches_are_one_batch(teacher: Any, tmp_path: Path) -> None:
    whole = trained(teacher, tmp_path, label_loss_weight=0.5)
    parts = trained(
        teacher, tmp_path, label_loss_weight=0.5, per_device_train_batch_size=2, gradient_accumulation_steps=4
    )
    # The head's biases have no gradient but rounding, which differs from processor to processor.
    torch.testing.assert_close(weights(parts), weights(whole), rtol=1e-4, atol=5e-6)
    assert {"prediction_loss", "label_loss"} <= set(whole.state.log_history[0])
    assert not torch.equal(weights(whole), weights(trained(teacher, tmp_path)))


def test_a_cache_of_answers_changes_nothing(teacher: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = trained(teacher, tmp_path / "out")
    cached = trained(teacher, tmp_path / "out", teacher_cache=str(tmp_path / "cache"))
    torch.testing.assert_close(weights(cached), weights(plain), rtol=1e-4, atol=1e-6)
    assert list((tmp_path / "cache").glob("*.safetensors"))
    rest = {"dataset": windows(teacher[1]), "data_collator": None, "tokenizer": teacher[1]}
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert pays(Phase("prediction", epochs=2), teacher[0], has_decoder=False, **rest)


def test_the_teacher_of_a_trainer_is_measured_elsewhere(teacher: Any, tmp_path: Path) -> None:
    trainer = trained(teacher, tmp_path)
    with pytest.raises(TinyBertError, match="`tinybert evaluate`"):
        trainer.evaluate_teacher(windows(teacher[1]))
    trainer.compute_metrics = None
    assert trainer.evaluate(windows(teacher[1]))["eval_loss"] > 0


@pytest.mark.slow
def test_a_teacher_learns_to_answer_and_hands_it_on(teacher: Any, tmp_path: Path) -> None:
    """Names and places of which no pair is the same in training and in the test: the place has to be read."""
    _, tokenizer = teacher
    made = [rows(64)[index] for index in range(64)]
    held_out = [row for row in rows(16) if int(row["id"][1:]) % 5 == 0]
    pairs = {(row["question"], row["answers"]["text"][0]) for row in held_out}
    train = [row for row in made if (row["question"], row["answers"]["text"][0]) not in pairs]
    task, raw = TASKS["question-answering"], Dataset.from_list(held_out)
    learning, measured = (task.tokenize(one, tokenizer, SETTINGS) for one in (Dataset.from_list(train), raw))

    def f1(model: Any) -> float:
        said = predicted_logits(model, measured, tokenizer)
        return float(task_metrics(said, measured, raw, TaskData(None, None, (), "question-answering"))["f1"])

    own = student_of(teacher[0], width=32)
    before = f1(own)
    finetune(
        own,
        FinetuneSettings(epochs=60, learning_rate=3e-3, batch_size=16),
        output_dir=tmp_path / "teacher",
        train_dataset=learning,
        processing_class=tokenizer,
        training_arguments=QUIET,
    )
    assert f1(own) == 1 > before
    arguments = DistillationArguments(
        output_dir=str(tmp_path / "out"), phase="prediction", num_train_epochs=60, learning_rate=3e-3,
        per_device_train_batch_size=16, save_strategy="no", **QUIET,
    )  # fmt: skip
    pupil = student_of(teacher[0])
    DistillationTrainer(pupil, own.eval(), arguments, train_dataset=learning, processing_class=tokenizer).train()
    assert f1(pupil) == 1
