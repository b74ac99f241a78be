from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import QUIET, StopAt, bert, rows_by_first_token
from transformers import AutoModelForSequenceClassification, AutoTokenizer, BertTokenizer

from tinybert_hf import (
    FinetuneSettings,
    Phase,
    TinyBertConfig,
    TinyBertForSequenceClassification,
    finetune,
    run_phases,
)
from tinybert_hf.errors import OutputFolderError, RecipeError
from tinybert_hf.training import resumable
from tinybert_hf.training.finetuning import FinetuneTrainer

PHASES = (
    Phase("intermediate", epochs=2, learning_rate=1e-3, batch_size=8),
    Phase("prediction", epochs=1, learning_rate=1e-3, batch_size=8),
)


@pytest.fixture
def run(tmp_path: Path, tiny_tokenizer: BertTokenizer) -> Any:
    def run(folder: str = "run", phases: tuple[Phase, ...] = PHASES, **options: Any) -> tuple[Any, Any]:
        student = bert(vocab_size=64, hidden_dropout_prob=0.1)
        teacher = bert(layers=4, hidden=32, vocab_size=64)
        results = run_phases(
            student,
            teacher,
            phases,
            output_dir=tmp_path / folder,
            train_dataset=rows_by_first_token(),
            eval_dataset=rows_by_first_token(8),
            processing_class=tiny_tokenizer,
            training_arguments={**QUIET, "save_steps": 2, "logging_steps": 1},
            **options,
        )
        return student, results

    return run


def test_each_phase_has_its_own_settings_and_result(run: Any, tmp_path: Path) -> None:
    _, results = run()
    assert [(r.name, r.steps) for r in results] == [("intermediate", 8), ("prediction", 4)]
    assert set(results[0].losses) == {"loss", "attention_loss", "hidden_state_loss", "embedding_loss"}
    assert set(results[1].losses) == {"loss", "prediction_loss"}
    assert results[1].metrics["loss"] > 0
    folder = tmp_path / "run" / "phases" / "1-prediction"
    assert sorted(path.name for path in folder.iterdir()) == ["log.json", "phase.json", "result.json", "student"]


@pytest.mark.parametrize(("step", "phase"), [(3, "intermediate"), (8, "intermediate"), (2, "prediction")])
def test_a_stopped_run_ends_like_an_uninterrupted_one(run: Any, step: int, phase: str) -> None:
    expected, whole = run("whole")
    with pytest.raises(KeyboardInterrupt):
        run("stopped", callbacks=[StopAt(step, phase)])
    student, results = run("stopped")
    for name, value in expected.state_dict().items():
        assert torch.equal(student.state_dict()[name], value), name
    assert [r.losses for r in results] == [r.losses for r in whole]


def test_the_seconds_before_a_stop_count(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(callbacks=[StopAt(3, "intermediate")])
    (sums,) = tmp_path.glob("run/phases/0-intermediate/checkpoint-2/running_sums.json")
    before = json.loads(sums.read_text())["seconds"]
    assert before > 0
    monkeypatch.setattr(resumable, "time", SimpleNamespace(perf_counter=lambda: 0.0))  # from here on it stands still
    _, results = run()
    assert [result.seconds for result in results] == [before, 0]


def test_a_finished_run_is_not_run_again(run: Any) -> None:
    expected, first = run()
    student, again = run(callbacks=[StopAt(1, "intermediate"), StopAt(1, "prediction")])
    assert again == first
    assert all(torch.equal(value, expected.state_dict()[name]) for name, value in student.state_dict().items())


@pytest.mark.parametrize("name", ["student/model.safetensors", "projections.safetensors", "result.json"])
def test_a_finished_phase_that_was_damaged_is_not_gone_on_from(run: Any, tmp_path: Path, name: str) -> None:
    phases = (Phase("intermediate", epochs=1, batch_size=16), Phase("joint", batch_size=16))
    run(phases=phases)
    path = tmp_path / "run" / "phases" / "0-intermediate" / name
    content = bytearray(path.read_bytes())
    content[1 if path.suffix == ".json" else -2] ^= 1
    path.write_bytes(content)
    with pytest.raises(OutputFolderError, match=rf"{path.name} .*to repeat the phase"):
        run(phases=phases)
    path.unlink()
    if name == "result.json":
        return
    with pytest.raises(OutputFolderError, match=rf"{path.name} is missing"):
        run(phases=phases)


def test_other_settings_in_the_same_folder_are_refused(run: Any) -> None:
    run()
    with pytest.raises(OutputFolderError, match="other settings of phase 1"):
        run(phases=(PHASES[0], Phase("prediction", epochs=5, batch_size=8)))


def test_consecutive_phases_share_their_projections(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from tinybert_hf.training import phases

    seen = []
    make = phases.DistillationTrainer

    def noting(*args: Any, **kwargs: Any) -> Any:
        seen.append(kwargs["projections"])
        return make(*args, **kwargs)

    monkeypatch.setattr(phases, "DistillationTrainer", noting)
    run(
        phases=(
            Phase("intermediate", epochs=1, batch_size=16),
            Phase("joint", epochs=1, batch_size=16),
            Phase("prediction", epochs=1, batch_size=16),
        )
    )
    assert seen[0] is None
    assert seen[1] is not None
    assert seen[2] is None


def test_a_cache_of_something_else_is_refused_before_the_first_phase(run: Any, tmp_path: Path) -> None:
    def phases(rows: int | None = None) -> tuple[Phase, ...]:
        last = Phase("prediction", epochs=1, batch_size=8, teacher_cache=str(tmp_path / "cache"), train_rows=rows)
        return (Phase("intermediate", epochs=1, batch_size=8, projection_start="random"), last)

    alone, _ = run("first", phases=phases())
    again, _ = run("again", phases=phases())  # compared and found the same: nothing that is drawn differs
    for name, value in alone.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
    with pytest.raises(OutputFolderError, match="made from something else"):
        run("stale", phases=phases(rows=16))
    assert not [path for path in (tmp_path / "stale").rglob("*") if path.is_file()]


def test_projections_survive_a_stop_between_phases(run: Any) -> None:
    phases = (Phase("intermediate", epochs=1, batch_size=8), Phase("joint", batch_size=8))
    expected, _ = run("whole", phases=phases)
    with pytest.raises(KeyboardInterrupt):
        run("stopped", phases=phases, callbacks=[StopAt(1, "joint")])
    student, _ = run("stopped", phases=phases)
    for name, value in expected.state_dict().items():
        assert torch.equal(student.state_dict()[name], value), name


@pytest.mark.parametrize(
    "wrong",
    [{"epochs": 0}, {"learning_rate": -1}, {"batch_size": 0}, {"temperature": 0}, {"attention_loss_weight": -2}],
)
def test_a_wrong_phase_is_refused_when_it_is_written(wrong: dict[str, float]) -> None:
    with pytest.raises(RecipeError, match=next(iter(wrong)).removesuffix("_weight")):
        Phase("intermediate", **wrong)


def test_finetuning_learns_and_leaves_a_whole_folder(tmp_path: Path, tiny_tokenizer: BertTokenizer) -> None:
    model = bert(vocab_size=64, initializer_range=0.1)
    metrics = finetune(
        model,
        FinetuneSettings(epochs=12, learning_rate=5e-3, batch_size=8),
        output_dir=tmp_path / "teacher",
        train_dataset=rows_by_first_token(),
        eval_dataset=rows_by_first_token(),
        processing_class=tiny_tokenizer,
        compute_metrics=lambda p: {"accuracy": float((p.predictions.argmax(-1) == p.label_ids).mean())},
        training_arguments=QUIET,
    )
    assert metrics["accuracy"] > 0.9
    opened = AutoModelForSequenceClassification.from_pretrained(tmp_path / "teacher")
    assert all(torch.equal(v, model.state_dict()[k]) for k, v in opened.state_dict().items())
    assert len(AutoTokenizer.from_pretrained(tmp_path / "teacher")) == len(tiny_tokenizer)
    assert [path.name for path in tmp_path.iterdir()] == ["teacher"]


@pytest.mark.parametrize("family", ["bert", "tinybert"])
def test_finetuning_in_accumulated_batches_is_the_same(
    family: str, tmp_path: Path, tiny_tokenizer: BertTokenizer
) -> None:
    weights = []
    for size, steps in ((8, 1), (2, 4)):
        model = bert(vocab_size=64)
        if family == "tinybert":
            shape = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
            torch.manual_seed(0)
            config = TinyBertConfig(
                vocab_size=64, num_labels=3, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, **shape
            )
            model = TinyBertForSequenceClassification(config)
        finetune(
            model,
            FinetuneSettings(
                epochs=1, learning_rate=1.0, batch_size=size, warmup_ratio=0.0, lr_scheduler_type="constant"
            ),
            output_dir=tmp_path / f"{family}-{size}",
            train_dataset=rows_by_first_token(8),
            processing_class=tiny_tokenizer,
            training_arguments={**QUIET, "gradient_accumulation_steps": steps, "optim": "sgd", "max_grad_norm": 0.0},
        )
        weights.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    torch.testing.assert_close(weights[0], weights[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("phase", "narrow", "wide"),
    [
        (Phase("intermediate"), 2e-3, 4e-4),
        (Phase("joint"), 2e-3, 4e-4),
        (Phase("prediction"), 5e-4, 1e-4),
        (Phase("prediction", label_loss_weight=1.0), 5e-4, 1e-4),
        (Phase("prediction", learning_rate=1e-3), 1e-3, 1e-3),
    ],
    ids=str,
)
def test_a_rate_that_is_not_named_follows_the_width(phase: Phase, narrow: float, wide: float) -> None:
    assert [phase.with_learning_rate(width).learning_rate for width in (16, 192, 193, 768)] == [narrow] * 2 + [
        wide
    ] * 2
    assert Phase("prediction").with_learning_rate(16, has_decoder=True).learning_rate == 3e-4


def test_the_rate_stands_in_the_settings_of_the_phase(run: Any, tmp_path: Path) -> None:
    run(phases=[Phase("prediction", epochs=1, batch_size=8)])
    assert (
        json.loads((tmp_path / "run" / "phases" / "0-prediction" / "phase.json").read_text())["learning_rate"] == 5e-4
    )


@pytest.mark.parametrize(
    ("phase", "narrow", "wide"),
    [
        (Phase("intermediate"), [2, 2, 3, 6, 12, 12], 2),
        (Phase("joint"), [2, 2, 3, 6, 12, 12], 2),
        (Phase("prediction"), [3, 3, 4, 9, 18, 18], 3),
        (Phase("prediction", train_rows=1000), [9, 9, 9, 9, 18, 18], 3),
        (Phase("prediction", epochs=0.5), [0.5] * 6, 0.5),
    ],
    ids=str,
)
def test_of_fewer_rows_a_narrow_student_has_more_epochs(phase: Phase, narrow: list[float], wide: float) -> None:
    counts = (100_000, 3000, 2999, 1000, 500, 10)
    assert [phase.with_epochs(rows, 192).epochs for rows in counts] == narrow
    assert [phase.with_epochs(rows, 193).epochs for rows in counts] == [wide] * 6


def test_of_a_stream_and_of_translators_the_rows_are_not_counted() -> None:
    assert [Phase(name).with_epochs(None, 16).epochs for name in ("intermediate", "prediction")] == [2, 3]
    assert Phase("prediction").with_epochs(10, 16, has_decoder=True).epochs == 10


@pytest.mark.parametrize(
    ("open_one", "filled_in"),
    [(Phase("joint", epochs=1), (1, 2e-3)), (Phase("joint", learning_rate=1e-3), (2, 1e-3))],
    ids=["rate", "epochs"],
)
def test_what_is_open_is_filled_in_before_a_trainer_is_made(
    open_one: Phase, filled_in: tuple[float, float], tmp_path: Path
) -> None:
    with pytest.raises(RecipeError, match="Phase 'joint' leaves its epochs or its learning rate open"):
        open_one.arguments(tmp_path, seed=1, has_eval=False)
    filled = open_one.with_epochs(5000, 16).with_learning_rate(16).arguments(tmp_path, seed=1, has_eval=False)
    assert (filled.num_train_epochs, filled.learning_rate) == filled_in


@pytest.mark.parametrize("kind", [Phase, FinetuneSettings])
@pytest.mark.parametrize("name", ["epochs", "learning_rate"])
@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "above 0"),
        (-1, "above 0"),
        (float("nan"), "above 0"),
        (float("inf"), "finite"),
        (10**400, "finite"),
        ("3", "a number"),
        (True, "a number"),
    ],
    ids=lambda value: str(value)[:9],
)
def test_numbers_that_no_training_can_have(kind: Any, name: str, value: Any, said: str) -> None:
    """Such a training would end at once and look like a finished one."""
    first = ("joint",) if kind is Phase else ()
    with pytest.raises(RecipeError, match=rf"{name} is .* must be .*{said}"):
        kind(*first, **{name: value})


@pytest.mark.parametrize(
    "name", ["batch_size", "gradient_accumulation_steps", "train_rows", "early_stopping_patience"]
)
@pytest.mark.parametrize(
    "value", [0, -1, 2.5, 0.5, float("nan"), float("inf"), 10**400, "3", True], ids=lambda value: repr(value)[:9]
)
def test_counts_that_no_training_can_have(name: str, value: Any) -> None:
    for kind, first in ((Phase, ("joint",)), (FinetuneSettings, ())):
        if name in kind.__dataclass_fields__:
            with pytest.raises(RecipeError, match=rf"{name} is .*; it must be .*1 or more"):
                kind(*first, **{name: value})
            kind(*first, **{name: np.int64(3)})


def test_a_run_over_other_rows_says_which_setting_differs(run: Any) -> None:
    run(phases=[Phase("joint", epochs=1, batch_size=8), Phase("prediction", epochs=1, batch_size=8)])
    with pytest.raises(OutputFolderError, match=r"phase 1 \(epochs: 1 there, 2 now\)"):
        run(phases=[Phase("joint", epochs=1, batch_size=8), Phase("prediction", epochs=2, batch_size=8)])


@pytest.mark.parametrize("settings", [Phase("joint"), FinetuneSettings()], ids=["phase", "fine-tuning"])
def test_epochs_that_are_open_are_no_number(settings: Phase | FinetuneSettings) -> None:
    with pytest.raises(RecipeError, match="still open"):
        _ = settings.known_epochs


def test_of_fewer_rows_a_training_that_names_no_epochs_has_more() -> None:
    settings = FinetuneSettings()
    assert [settings.with_epochs(rows).epochs for rows in (100_000, 4000, 2000, 1000, 10, 0, None)] == [
        3, 3, 5, 10, 10, 3, 3,
    ]  # fmt: skip
    assert settings.with_epochs(10, has_decoder=True).epochs == 3
    assert FinetuneSettings(epochs=0.5).with_epochs(10).epochs == 0.5


def test_the_epochs_are_those_that_train(
    run: Any, tmp_path: Path, tiny_tokenizer: BertTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 32 rows, 4 steps each."""
    _, results = run(phases=[Phase("prediction", batch_size=8)])
    assert results[0].steps == 18 * 4
    assert json.loads((tmp_path / "run" / "phases" / "0-prediction" / "phase.json").read_text())["epochs"] == 18
    steps, step = [], FinetuneTrainer.training_step
    monkeypatch.setattr(FinetuneTrainer, "training_step", lambda *args: steps.append(1) or step(*args))
    finetune(
        bert(layers=1, hidden=16, vocab_size=64),
        FinetuneSettings(batch_size=8),
        output_dir=tmp_path / "tuned",
        train_dataset=rows_by_first_token(),
        processing_class=tiny_tokenizer,
        training_arguments=QUIET,
    )
    assert len(steps) == 10 * 4
