"""A run goes on with the teacher, the tokenizer, the student and the rows that it was begun with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset, concatenate_datasets, load_from_disk
from killed_runs import rows
from tiny_models import bert
from transformers import BertForSequenceClassification, BertTokenizer, TrainerCallback

from tinybert_hf import DistillationArguments, DistillationTrainer, FinetuneSettings, Phase, finetune, run_phases
from tinybert_hf.data.shards import held_folder, same_weights, weights_of
from tinybert_hf.errors import OutputFolderError
from tinybert_hf.training.checkpoints import rows_digest

QUIET = {"disable_tqdm": True, "log_level": "error", "use_cpu": True, "dataloader_pin_memory": False, "save_steps": 2}
PHASES = (
    Phase("joint", epochs=1, learning_rate=1e-3, batch_size=8),
    Phase("prediction", epochs=1, learning_rate=1e-3, batch_size=8),
)


class StopAt(TrainerCallback):
    """Ctrl-C after a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.step:
            raise KeyboardInterrupt


def teacher() -> Any:
    """Always the same."""
    return bert(layers=4, hidden=32, vocab_size=64)


def trained_further(model: Any, by: float = 1e-4) -> Any:
    """A little, as by a step more."""
    with torch.no_grad():
        model.get_parameter("bert.encoder.layer.2.output.dense.bias").add_(by)
    return model


def with_field(model: Any, **fields: Any) -> Any:
    """With another configuration."""
    for name, value in fields.items():
        setattr(model.config, name, value)
    return model


def other_words(tokenizer: BertTokenizer) -> BertTokenizer:
    """The same pieces under other ids."""
    vocabulary = tokenizer.get_vocab()
    vocabulary["film"], vocabulary["plot"] = vocabulary["plot"], vocabulary["film"]
    return BertTokenizer(vocab=vocabulary, model_max_length=64)


def phases(folder: Path, tokenizer: BertTokenizer, **changes: Any) -> Any:
    """A run of two phases; what is named is another than usual."""
    given: dict[str, Any] = {
        "student": bert(vocab_size=64),
        "teacher": teacher(),
        "train_dataset": rows(),
        "processing_class": tokenizer,
        "seed": 42,
        **changes,
    }
    student, learned_from = given.pop("student"), given.pop("teacher")
    return run_phases(student, learned_from, PHASES, output_dir=folder, training_arguments=QUIET, **given)


def trained(folder: Path, tokenizer: BertTokenizer, **changes: Any) -> Any:
    """The same by the trainer, with the newest checkpoint where there is one."""
    given: dict[str, Any] = {"train_dataset": rows(), "processing_class": tokenizer, **changes}
    student, learned_from = given.pop("student", bert(vocab_size=64)), given.pop("teacher", teacher())
    arguments = DistillationArguments(output_dir=str(folder), per_device_train_batch_size=8, max_steps=6, **QUIET)
    given.pop("seed", None)
    trainer = DistillationTrainer(student, learned_from, arguments, **given)
    return trainer.train(resume_from_checkpoint=bool(list(folder.glob("checkpoint-*"))))


EXCHANGED: dict[str, tuple[Callable[[BertTokenizer], dict[str, Any]], str]] = {
    "weights": (lambda _: {"teacher": trained_further(teacher())}, "the teacher: its weights are others"),
    "configuration": (
        lambda _: {"teacher": with_field(teacher(), hidden_act="relu")},
        "the teacher: hidden_act is gelu there, relu now",
    ),
    "labels": (
        lambda _: {"teacher": with_field(teacher(), id2label={0: "b", 1: "a", 2: "c"})},
        "the teacher: id2label",
    ),
    "one of two": (
        lambda _: {"teacher": [teacher(), trained_further(teacher())]},
        r"teachers\[1\]: its weights are others",
    ),
    "one more": (lambda _: {"teacher": [teacher()] * 3}, "the teachers: 2 there, 3 now"),
    "tokenizer": (lambda tokenizer: {"processing_class": other_words(tokenizer)}, "the tokenizer of the student"),
    "student": (
        lambda _: {"student": bert(vocab_size=64, hidden_dropout_prob=0.2)},
        r"the student: hidden_dropout_prob is 0\.0 there, 0\.2 now",
    ),
    "rows": (lambda _: {"train_dataset": rows().shuffle(seed=1)}, "the training rows: as many"),
    "more rows": (lambda _: {"train_dataset": rows(50)}, "the training rows: 42 there, 50 now"),
}


@pytest.mark.parametrize("run", [phases, trained])
def test_what_was_exchanged_is_named(run: Any, tmp_path: Path, tiny_tokenizer: BertTokenizer) -> None:
    two = {"teacher": [teacher(), teacher()]}
    for folder, first in ((tmp_path / "one", {}), (tmp_path / "two", two)):
        with pytest.raises(KeyboardInterrupt):
            run(folder, tiny_tokenizer, callbacks=[StopAt(3)], **first)
    before = sorted(tmp_path.rglob("*"))
    for what, (change, words) in EXCHANGED.items():
        folder = tmp_path / ("two" if what.startswith("one") else "one")
        with pytest.raises(OutputFolderError, match=words):
            run(folder, tiny_tokenizer, **change(tiny_tokenizer))
    assert sorted(tmp_path.rglob("*")) == before
    run(tmp_path / "two", tiny_tokenizer, **two)


def test_between_two_phases_and_with_another_seed(tmp_path: Path, tiny_tokenizer: BertTokenizer) -> None:
    with pytest.raises(KeyboardInterrupt):
        phases(tmp_path / "run", tiny_tokenizer, callbacks=[StopAt(6)])
    with pytest.raises(OutputFolderError, match="the teacher: its weights"):
        phases(tmp_path / "run", tiny_tokenizer, teacher=trained_further(teacher()))
    with pytest.raises(OutputFolderError, match="seed: 42 there, 1 now"):
        phases(tmp_path / "run", tiny_tokenizer, seed=1)
    phases(tmp_path / "run", tiny_tokenizer)
    with pytest.raises(OutputFolderError, match="the teacher: its weights"):
        phases(tmp_path / "run", tiny_tokenizer, teacher=trained_further(teacher()))


def opened_from(folder: Path, model: Any) -> Any:
    model.save_pretrained(folder)
    return BertForSequenceClassification.from_pretrained(folder, attn_implementation=model.config._attn_implementation)


def test_the_start_of_the_student(tmp_path: Path, tiny_tokenizer: BertTokenizer) -> None:
    def start(name: str, by: float = 0.0) -> Any:
        return opened_from(tmp_path / name, trained_further(bert(layers=3, vocab_size=64), by))

    with pytest.raises(KeyboardInterrupt):
        phases(tmp_path / "run", tiny_tokenizer, student=start("start"), callbacks=[StopAt(3)])
    with pytest.raises(OutputFolderError, match=r"the student's start: opened from .*/start .*model\.safetensors"):
        phases(tmp_path / "run", tiny_tokenizer, student=start("start", 0.1))
    with pytest.raises(OutputFolderError, match=r"the student's start: .* opened from .*/other now"):
        phases(tmp_path / "run", tiny_tokenizer, student=start("other", 0.1))
    # Moved, trained in part (as in a notebook), made anew: a checkpoint brings the weights.
    for student in (start("moved"), bert(layers=3, vocab_size=64)):
        with pytest.raises(KeyboardInterrupt):
            phases(tmp_path / "run", tiny_tokenizer, student=trained_further(student, 0.5), callbacks=[StopAt(4)])
    (checkpoint,) = tmp_path.glob("run/**/checkpoint-2")
    phases(tmp_path / "run", tiny_tokenizer, student=BertForSequenceClassification.from_pretrained(checkpoint))


@pytest.mark.slow
def test_the_same_teacher_however_it_is_held(tmp_path: Path, tiny_tokenizer: BertTokenizer) -> None:
    quiet = teacher().train()
    quiet.config.use_cache = False
    kinds = (opened_from(tmp_path / "b", teacher()), teacher().bfloat16(), quiet)
    for step, again in enumerate((opened_from(tmp_path / "a", teacher()), *kinds), start=2):
        tiny_tokenizer(["the film", "the"], padding=True, truncation=True, max_length=8)  # leaves its settings
        with pytest.raises(KeyboardInterrupt):
            trained(tmp_path / "run", tiny_tokenizer, teacher=again, callbacks=[StopAt(step)])
        with pytest.raises(KeyboardInterrupt):
            phases(tmp_path / "phases", tiny_tokenizer, teacher=again, callbacks=[StopAt(step)])


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_weights_in_another_format(kind: torch.dtype) -> None:
    there = weights_of(teacher())
    assert same_weights(there, weights_of(teacher().to(kind)))
    assert same_weights(weights_of(teacher().to(kind)), there)
    assert not same_weights(there, weights_of(trained_further(teacher(), 0.05).to(kind)))
    assert not same_weights(weights_of(teacher().to(kind)), weights_of(trained_further(teacher(), 0.05).to(kind)))
    torch.manual_seed(1)
    other = BertForSequenceClassification(teacher().config)
    assert not same_weights(there, weights_of(other.to(kind)))


def test_rows_are_the_same_however_they_lie(tmp_path: Path) -> None:
    expected = rows_digest(rows())
    rows().save_to_disk(tmp_path / "rows")
    lengths = rows().select(range(7)), rows().select(range(7, 42))
    same = (
        rows(),
        load_from_disk(tmp_path / "rows"),
        concatenate_datasets(list(lengths)),
        concatenate_datasets([rows(), rows(3)]).select(range(42)),
        rows().select(range(41, -1, -1)).select(range(41, -1, -1)),
        rows().with_format("torch"),
        rows().select_columns(["labels", "input_ids", "attention_mask"]),
    )
    assert [rows_digest(one) for one in same] == [expected] * len(same)
    others = (
        rows().select(range(41)),
        rows().shuffle(seed=1),
        rows().map(lambda row: {"labels": 2 - row["labels"]}),
        rows().rename_column("labels", "label"),
    )
    assert len({expected, *map(rows_digest, others)}) == 1 + len(others)


def test_rows_that_may_differ_are_not_read() -> None:
    class Drawn(torch.utils.data.Dataset[Any]):
        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: int) -> Any:
            raise AssertionError("read")

    assert rows_digest(Drawn()) is None
    assert rows_digest(Dataset.from_dict({"a": [1]}).to_iterable_dataset()) is None


def test_finetuning_goes_on_with_its_rows(tmp_path: Path, tiny_tokenizer: BertTokenizer) -> None:
    def tune(data: Any, *callbacks: Any) -> None:
        trainer_arguments = {**QUIET, "save_steps": 1}
        model = bert(vocab_size=64)
        if callbacks:
            model.register_forward_hook(_stop_at_call(3))
        finetune(
            model,
            FinetuneSettings(epochs=1, batch_size=8),
            output_dir=tmp_path / "tuned",
            train_dataset=data,
            processing_class=tiny_tokenizer,
            training_arguments=trainer_arguments,
        )

    with pytest.raises(KeyboardInterrupt):
        tune(rows(), "stop")
    with pytest.raises(OutputFolderError, match="the training rows: as many"):
        tune(rows().shuffle(seed=1))
    tune(rows())
    assert [path.name for path in tmp_path.iterdir()] == ["tuned"]


def test_a_second_run_is_told(tmp_path: Path, tiny_tokenizer: BertTokenizer) -> None:
    with held_folder(tmp_path / "a" / "phases"), pytest.raises(OutputFolderError, match="/a is being written by"):
        phases(tmp_path / "a", tiny_tokenizer)
    with held_folder(tmp_path / "b"), pytest.raises(OutputFolderError, match="/b is being written by"):
        trained(tmp_path / "b", tiny_tokenizer)
    with held_folder(tmp_path / ".c.training"), pytest.raises(OutputFolderError, match="/c is being written by"):
        finetune(
            bert(vocab_size=64),
            FinetuneSettings(epochs=1),
            output_dir=tmp_path / "c",
            train_dataset=rows(),
            processing_class=tiny_tokenizer,
            training_arguments=QUIET,
        )
    assert list(tmp_path.iterdir()) == []


def _stop_at_call(number: int) -> Callable[..., None]:
    calls = iter(range(number))

    def stop(*args: Any) -> None:
        if next(calls, None) is None:
            raise KeyboardInterrupt

    return stop


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"max_grad_norm": 0.1}, "training_arguments"),
        ({"optim": "sgd"}, "training_arguments"),
        ({"logging_steps": 3}, ""),
    ],
)
def test_settings_that_decide_the_weights(
    tmp_path: Path, tiny_tokenizer: BertTokenizer, arguments: dict[str, Any], words: str
) -> None:
    def run(**more: Any) -> Any:
        student, given = bert(vocab_size=64), {**QUIET, **more}
        options = {"train_dataset": list(rows()), "processing_class": tiny_tokenizer, "training_arguments": given}
        return run_phases(student, teacher(), PHASES, output_dir=tmp_path / "run", **options, callbacks=[StopAt(3)])

    with pytest.raises(KeyboardInterrupt):
        run()
    with pytest.raises(OutputFolderError if words else KeyboardInterrupt, match=words or None):
        run(**arguments)


class StopsAt:
    """Ctrl-C in the n-th forward of a training."""

    def __init__(self, number: int) -> None:
        self.left = number

    def __call__(self, module: Any, *rest: Any) -> None:
        self.left -= module.training
        if self.left == 0:
            raise KeyboardInterrupt


def test_a_fine_tuning_goes_on_with_the_same_settings_and_rows(tmp_path: Path, tiny_tokenizer: BertTokenizer) -> None:
    def run(given: Any = None, learning_rate: float = 1e-3, model: Any = None, **more: Any) -> Any:
        options: dict[str, Any] = {"train_dataset": list(rows()), "processing_class": tiny_tokenizer, **more}
        settings = FinetuneSettings(epochs=1, batch_size=8, learning_rate=learning_rate)
        model = model or bert(vocab_size=64)
        return finetune(model, settings, output_dir=tmp_path / "out", training_arguments=given or QUIET, **options)

    model = bert(vocab_size=64)
    model.register_forward_hook(StopsAt(4))
    with pytest.raises(KeyboardInterrupt):
        run(model=model)
    for change in (
        {"learning_rate": 1e-4},
        {"given": {**QUIET, "optim": "sgd"}},
        {"train_dataset": list(rows())[::-1]},
    ):
        with pytest.raises(OutputFolderError, match="was begun with something else"):
            run(**change)
    run()
    with pytest.raises(OutputFolderError, match="there and not empty"):
        run()
