from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file
from tiny_models import QUIET, bert, logged
from transformers import AutoModelForSequenceClassification, BertTokenizer, DataCollatorWithPadding

from tinybert_hf import (
    DistillationArguments,
    DistillationTrainer,
    FinetuneSettings,
    Phase,
    Teachers,
    distillation_losses,
)
from tinybert_hf.checkpoints import PROJECTIONS_FILE
from tinybert_hf.errors import CaptureError, DataError, RecipeError, TeacherError, TinyBertError
from tinybert_hf.training import setup
from tinybert_hf.training.resumable import LengthGroupedSampler


def rows(count: int = 24, seed: int = 0) -> Dataset:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(3, 12, (count,), generator=generator).tolist()
    ids = [torch.randint(5, 24, (n,), generator=generator).tolist() for n in lengths]
    return Dataset.from_dict(
        {
            "input_ids": ids,
            "attention_mask": [[1] * n for n in lengths],
            "token_type_ids": [[0] * n for n in lengths],
            "labels": [i % 3 for i in range(count)],
            "text": ["not for a model"] * count,
        }
    )


@pytest.fixture
def make_trainer(tmp_path: Path, tiny_tokenizer: BertTokenizer) -> Any:
    def make(
        student: Any = None,
        teacher: Any = None,
        data: Dataset | None = None,
        model_init: Any = None,
        tokenizer: Any = None,
        **arguments: Any,
    ) -> Any:
        options = {"output_dir": str(tmp_path / "out"), "per_device_train_batch_size": 8, "max_steps": 4, **QUIET}
        options.update({"logging_steps": 1, "save_strategy": "no", "learning_rate": 1e-3, **arguments})
        return DistillationTrainer(
            None if model_init else student or bert(vocab_size=64),
            teacher or bert(layers=4, hidden=32, vocab_size=64),
            DistillationArguments(**options),
            train_dataset=data or rows(),
            eval_dataset=rows(9, seed=1),
            processing_class=tokenizer or tiny_tokenizer,
            model_init=model_init,
        )

    return make


@pytest.mark.parametrize("weights", [{}, {"prediction_loss_weight": 0.0, "label_loss_weight": 1.0}])
@pytest.mark.parametrize("several", [False, True])
def test_answers_alone_are_learnt_by_a_deeper_student(
    make_trainer: Any, weights: dict[str, float], several: bool
) -> None:
    """One layer of its teachers, other widths, heads that do not divide: nothing that a layer map has to fit."""
    one = bert(layers=1, hidden=30, heads=6, vocab_size=64)
    teacher = Teachers([one, bert(layers=2, vocab_size=64)], layer_maps=["1:1", "2:9"]) if several else one
    trainer = make_trainer(student=bert(layers=3, vocab_size=64), teacher=teacher, phase="prediction", **weights)
    trainer.train()
    assert len(logged(trainer, "loss")) == 4


def test_none_is_no_loss_between_layers(make_trainer: Any) -> None:
    answers = make_trainer(phase="prediction")
    for trainer in (
        make_trainer(phase="joint", layer_map="none"),
        make_trainer(teacher=Teachers([bert(layers=4, hidden=32, vocab_size=64)], layer_maps=["none"]), phase="joint"),
    ):
        trainer.train()
        answers = make_trainer(phase="prediction")
        answers.train()
        assert logged(trainer, "loss") == logged(answers, "loss")
    attention = make_trainer(phase="joint", layer_map="none", attention_layer_map="1:4,2:2")
    assert attention.distillation_objective.losses == ("attention_loss", "prediction_loss")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"phase": "joint", "hidden_state_loss_weight": 1.0}, 'layer_map is "none".*hidden_state_loss_weight: 1'),
        ({"phase": "prediction", "embedding_loss_weight": 0.5}, 'layer_map is "none".*embedding_loss_weight: 0.5'),
        ({"phase": "intermediate"}, "layer_map is \"none\", and the phase 'intermediate' has no loss but"),
    ],
)
def test_none_beside_a_loss_between_layers_is_refused(tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        DistillationArguments(str(tmp_path), layer_map="none", **QUIET, **arguments)
    weights = {name: value for name, value in arguments.items() if name != "phase"}
    with pytest.raises(RecipeError, match=message):
        Phase(arguments["phase"], layer_map="none", **weights).loss_weights()


@pytest.mark.parametrize(
    ("phase", "named", "message"),
    [("joint", {"attention_loss_weight": 1.0}, "attention_loss has nobody"), ("intermediate", {}, "has nobody")],
)
def test_none_for_every_teacher_beside_a_loss_that_is_named(
    make_trainer: Any, phase: str, named: dict[str, float], message: str
) -> None:
    teacher = Teachers([bert(layers=4, hidden=32, vocab_size=64)], layer_maps=["none"])
    with pytest.raises(TeacherError, match=message):
        make_trainer(teacher=teacher, phase=phase, **named)


NO_NUMBERS = [float("nan"), float("inf"), 10**400, -1.0]
"""That no setting can have; most cannot be 0 either."""


def in_messages(value: float) -> str:
    """A number as a message shows it: one that no float can hold is infinite."""
    return "inf" if value == 10**400 else str(value)


@pytest.mark.parametrize(
    "name", ["temperature", "learning_rate", "projection_learning_rate", "teacher_cache_limit_gb", "weight_decay"]
)
@pytest.mark.parametrize("value", [*NO_NUMBERS, 0.0], ids=["nan", "inf", "huge", "-1", "0"])
def test_numbers_that_no_training_can_have(tmp_path: Path, name: str, value: float) -> None:
    with_zero = {"weight_decay": (FinetuneSettings, Phase, DistillationArguments), "learning_rate": ()}
    with_zero["learning_rate"] = (DistillationArguments,)  # as TrainingArguments
    for make, first in ((Phase, "joint"), (FinetuneSettings, 1), (DistillationArguments, str(tmp_path))):
        further = QUIET if make is DistillationArguments else {}
        if name not in make.__dataclass_fields__:
            continue
        if value == 0 and make in with_zero.get(name, ()):
            make(first, **further, **{name: value})
            continue
        with pytest.raises(
            RecipeError,
            match=rf"{name} is {in_messages(value)}; it must be (above 0|0 or more)",
        ):
            make(first, **further, **{name: value})


@pytest.mark.parametrize("loss", ["attention_loss", "prediction_loss", "label_loss"])
@pytest.mark.parametrize("value", NO_NUMBERS, ids=["nan", "inf", "huge", "-1"])
def test_weights_that_are_none(tmp_path: Path, loss: str, value: float) -> None:
    for make, first in ((Phase, "joint"), (DistillationArguments, str(tmp_path))):
        with pytest.raises(RecipeError, match=f"{loss}_weight is {in_messages(value)}"):
            make(first, **(QUIET if make is DistillationArguments else {}), **{f"{loss}_weight": value})
    for ratio in (*NO_NUMBERS, 1.0):
        for make, first in ((Phase, "joint"), (FinetuneSettings, 1)):
            with pytest.raises(
                RecipeError, match=f"warmup_ratio is {in_messages(ratio)}; it must be 0 or more and below 1"
            ):
                make(first, warmup_ratio=ratio)


@pytest.mark.parametrize(
    ("phase", "losses"),
    [
        ("intermediate", {"attention_loss", "hidden_state_loss", "embedding_loss"}),
        ("prediction", {"prediction_loss"}),
        ("joint", {"attention_loss", "hidden_state_loss", "embedding_loss", "prediction_loss"}),
    ],
)
def test_a_phase_logs_its_losses_and_their_weighted_sum(make_trainer: Any, phase: str, losses: set[str]) -> None:
    weights = {"attention_loss_weight": 0.5} if phase == "joint" else {}
    trainer = make_trainer(phase=phase, **weights)
    trainer.train()
    first = trainer.state.log_history[0]
    assert {name for name in first if name.endswith("_loss")} == losses
    expected = sum(first[name] * (0.5 if phase == "joint" and name == "attention_loss" else 1.0) for name in losses)
    assert first["loss"] == pytest.approx(expected, rel=1e-4)
    assert logged(trainer, "loss")[-1] < first["loss"]


def test_what_is_logged_of_several_steps_is_their_mean(make_trainer: Any) -> None:
    each, together = make_trainer(phase="joint"), make_trainer(phase="joint", logging_steps=4)
    for trainer in (each, together):
        trainer.train()
    for name in ("loss", "attention_loss", "prediction_loss"):
        assert logged(together, name) == [pytest.approx(sum(logged(each, name)) / 4, rel=1e-5)], name


def test_the_first_step_logs_what_the_public_function_says(make_trainer: Any) -> None:
    data = rows(8)
    trainer = make_trainer(data=data, phase="joint", max_steps=1, projection_start="random")
    batch = trainer.data_collator([{k: v for k, v in row.items() if k not in ("text", "labels")} for row in data])
    expected = distillation_losses(trainer.student, trainer.teacher, batch, projections=trainer.projections)
    trainer.train()
    for name, loss in expected.items():
        assert logged(trainer, name)[0] == pytest.approx(loss.item(), rel=1e-4)


def test_accumulation_gives_the_gradients_of_the_whole_batch(make_trainer: Any) -> None:
    """Rows of unequal length: a mean of means would differ."""
    data, results = rows(8), []
    for size, steps in ((8, 1), (4, 2), (1, 8)):
        trainer = make_trainer(
            data=data, phase="joint", max_steps=1, per_device_train_batch_size=size, gradient_accumulation_steps=steps,
            optim="sgd", max_grad_norm=0.0, lr_scheduler_type="constant", learning_rate=1.0,
        )  # fmt: skip
        trainer.train()
        weights = torch.cat([p.detach().flatten() for p in trainer.model.parameters()])
        results.append((weights, logged(trainer, "loss")[0]))
    for weights, loss in results[1:]:
        torch.testing.assert_close(weights, results[0][0], rtol=1e-4, atol=1e-5)
        assert loss == pytest.approx(results[0][1], rel=1e-5)


@pytest.mark.slow
def test_compiled_models_learn_the_same(make_trainer: Any) -> None:
    """Captured queries and all; and what is compiled for training is an ordinary model afterwards."""
    results = []
    torch._dynamo.reset()
    counters = torch._dynamo.utils.counters
    counters.clear()
    for options in ({}, {"torch_compile": True, "torch_compile_backend": "aot_eager"}):
        student, teacher = bert(vocab_size=64), bert(layers=2, hidden=32, vocab_size=64)
        trainer = make_trainer(student, teacher, phase="joint", max_steps=3, **options)
        trainer.train()
        assert counters["stats"]["unique_graphs"] == (2 if options else 0), "one graph a model, whatever the length"
        results.append((student.state_dict(), trainer.state.log_history))
        assert all(model._compiled_call_impl is None for model in (student, teacher))
    assert not counters["graph_break"]
    (plain, log), (compiled, compiled_log) = results
    assert plain.keys() == compiled.keys()
    for name, value in plain.items():
        torch.testing.assert_close(compiled[name], value, rtol=1e-5, atol=1e-6)
    for first, second in zip(log, compiled_log, strict=True):
        for name in (name for name in first if "loss" in name or name == "grad_norm"):
            assert second[name] == pytest.approx(first[name], rel=1e-5), name


@pytest.mark.slow
def test_hyperparameter_search_gives_each_trial_a_student_of_its_own(make_trainer: Any) -> None:
    """A trial ends like a trainer of its own with the same settings: weights of losses and the student's shape too."""
    pytest.importorskip("optuna")
    trials = [
        {"learning_rate": 1e-2, "temperature": 2.0, "hidden": 24},
        {"learning_rate": 1e-3, "temperature": 1.0, "hidden": 16},
    ]

    def space(trial: Any) -> dict[str, Any]:
        chosen = trials[trial.number]
        trial.suggest_float("learning_rate", chosen["learning_rate"], chosen["learning_rate"])
        trial.suggest_float("temperature", chosen["temperature"], chosen["temperature"])
        return trial.params

    def student_of(trial: Any = None) -> Any:
        return bert(vocab_size=64, hidden=24 if trial is None else trials[trial.number]["hidden"])

    searching = make_trainer(model_init=student_of, phase="joint", eval_strategy="steps", eval_steps=4)
    seen = []

    def objective(metrics: dict[str, float]) -> float:
        seen.append((metrics["eval_loss"], {n: p.clone() for n, p in searching.student.state_dict().items()}))
        return metrics["eval_loss"]

    best = searching.hyperparameter_search(space, objective, n_trials=2, direction="minimize", backend="optuna")
    assert best.objective == min(loss for loss, _ in seen)
    assert len(seen) == 2
    for (loss, weights), trial in zip(seen, trials, strict=True):
        settings = {name: value for name, value in trial.items() if name != "hidden"}
        alone = make_trainer(student=bert(vocab_size=64, hidden=trial["hidden"]), phase="joint", **settings)
        alone.train()
        assert alone.evaluate()["eval_loss"] == pytest.approx(loss, rel=1e-5)
        for name, value in alone.student.state_dict().items():
            torch.testing.assert_close(weights[name], value, rtol=1e-5, atol=1e-6)


def test_tensorboard_shows_each_loss(make_trainer: Any, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    trainer = make_trainer(phase="intermediate", report_to=["tensorboard"])
    trainer.train()
    (file,) = tmp_path.rglob("events.out.tfevents.*")
    events = EventAccumulator(str(file)).Reload()
    for name in ("loss", "attention_loss", "hidden_state_loss", "embedding_loss"):
        shown = [event.value for event in events.Scalars(f"train/{name}")]
        assert shown == pytest.approx(logged(trainer, name)), name


def test_a_student_or_what_makes_it(make_trainer: Any, tmp_path: Path) -> None:
    arguments = DistillationArguments(str(tmp_path), **QUIET)
    with pytest.raises(TinyBertError, match="one of the two"):
        DistillationTrainer(None, bert(layers=4, hidden=32), arguments)
    trainer = make_trainer(model_init=lambda: bert(vocab_size=64), phase="intermediate")
    trainer.train()
    first = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    trainer.train()
    for name, value in trainer.model.state_dict().items():
        assert torch.equal(value, first[name]), name


def test_the_teacher_is_never_changed(make_trainer: Any) -> None:
    teacher = bert(layers=4, hidden=32, vocab_size=64, hidden_dropout_prob=0.5).train()
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    trainer = make_trainer(teacher=teacher, phase="joint")
    trainer.train()
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
    assert all(p.grad is None for p in teacher.parameters())


def test_the_intermediate_phase_leaves_the_head_alone_and_trains_the_projections(make_trainer: Any) -> None:
    trainer = make_trainer(phase="intermediate", weight_decay=0.1, projection_start="random", follow_head=False)
    student = trainer.student
    head = {n: p.clone() for n, p in student.named_parameters() if "classifier" in n or "pooler" in n}
    maps = {n: p.clone() for n, p in trainer.projections.named_parameters()}
    trainer.train()
    parameters = dict(student.named_parameters())
    assert all(torch.equal(parameters[name], value) for name, value in head.items())
    assert all(p.requires_grad for p in parameters.values())
    assert not any(torch.equal(p, maps[n]) for n, p in trainer.projections.named_parameters())


def test_projections_have_their_own_learning_rate(make_trainer: Any) -> None:
    trainer = make_trainer(phase="joint", projection_learning_rate=0.5, lr_scheduler_type="constant", weight_decay=0.1)
    trainer.train()
    own = {id(p) for p in trainer.projections.parameters()}
    rates = {id(p): group["lr"] for group in trainer.optimizer.param_groups for p in group["params"]}
    assert {rates[i] for i in own} == {0.5}
    assert {rate for i, rate in rates.items() if i not in own} == {1e-3}
    decays = {id(p): group["weight_decay"] for group in trainer.optimizer.param_groups for p in group["params"]}
    assert {decays[i] for i in own} == {0.0}
    assert len(rates) == len(list(trainer.model.parameters()))


def test_least_squares_projections_start_nearer(make_trainer: Any) -> None:
    losses = {}
    for start in ("least_squares", "random"):
        trainer = make_trainer(phase="intermediate", projection_start=start, max_steps=1)
        trainer.train()
        losses[start] = logged(trainer, "hidden_state_loss")[0] + logged(trainer, "embedding_loss")[0]
    assert losses["least_squares"] < 0.8 * losses["random"]


def test_projections_are_fitted_on_rows_of_like_length(make_trainer: Any) -> None:
    lengths = [3, 40] * 200
    data = Dataset.from_dict(
        {"input_ids": [[5] * n for n in lengths], "attention_mask": [[1] * n for n in lengths], "labels": [0] * 400}
    )
    seen = list(setup.batches_to_fit_on(make_trainer(data=data)))
    real = sum(int(batch["attention_mask"].sum()) for batch in seen)
    # Not more chunks of rows than it takes to have the tokens.
    assert setup.PROJECTION_TOKENS <= real < setup.PROJECTION_TOKENS + 32 * 43 / 2
    assert sum(batch["input_ids"].numel() for batch in seen) < 1.2 * real


def test_the_saved_student_is_an_ordinary_model(make_trainer: Any, tmp_path: Path) -> None:
    trainer = make_trainer(phase="joint")
    trainer.train()
    trainer.save_model()
    weights = load_file(tmp_path / "out" / "model.safetensors")
    assert not [name for name in weights if "projection" in name or name.startswith("student.")]
    assert not (tmp_path / "out" / PROJECTIONS_FILE).exists()
    opened = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    expected = trainer.student.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in opened.state_dict().items())


def test_a_process_that_does_not_save_leaves_the_tokenizers_files(
    make_trainer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # transformers 5 calls `_save` in every process; two that rewrite the same file rename it under each other's hands.
    trainer = make_trainer()
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    before = b'{"padding": "longest", "tokenizer_class": "TokenizersBackend"}'
    (folder / "tokenizer_config.json").write_bytes(before)
    monkeypatch.setattr(type(trainer.args), "should_save", property(lambda self: False))
    trainer._save(str(folder))
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == {"tokenizer_config.json": before}


def test_a_stopped_run_goes_on_exactly(make_trainer: Any, tmp_path: Path) -> None:
    options = {"phase": "joint", "max_steps": 6, "save_strategy": "steps", "save_steps": 3}
    student = bert(vocab_size=64, hidden_dropout_prob=0.1)
    start = {name: value.clone() for name, value in student.state_dict().items()}
    whole = make_trainer(student=student, **options)
    whole.train()
    checkpoint = tmp_path / "out" / "checkpoint-3"
    assert (checkpoint / PROJECTIONS_FILE).is_file()
    assert AutoModelForSequenceClassification.from_pretrained(checkpoint).config.hidden_size == 24

    other = bert(vocab_size=64, hidden_dropout_prob=0.1)
    other.load_state_dict(start)
    resumed = make_trainer(student=other, **options)
    resumed.train(resume_from_checkpoint=str(checkpoint))
    for name, value in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], value), name
    assert logged(resumed, "loss")[-3:] == logged(whole, "loss")[-3:]


def test_rows_are_grouped_by_length_in_an_order_of_the_seed_and_the_epoch() -> None:
    lengths = torch.randint(1, 60, (1003,)).tolist()

    def order(seed: int, epoch: int) -> list[int]:
        sampler = LengthGroupedSampler(lengths, 8, seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    first = order(0, 1)
    assert sorted(first) == list(range(1003))
    assert first == order(0, 1)
    assert first != order(0, 2)
    assert first != order(1, 1)
    groups = [[lengths[i] for i in first[k : k + 8]] for k in range(0, 1000, 8)]
    padding = sum(8 * max(group) - sum(group) for group in groups) / sum(lengths)
    assert padding < 0.06, "random groups of 8 pad by more than 60 %"
    tops = [max(group) for group in groups]
    assert sum(a > b for a, b in pairwise(tops)) > 40, "the groups themselves are in random order"


def test_evaluation_is_the_students_own(make_trainer: Any) -> None:
    trainer = make_trainer(phase="joint")
    metrics = trainer.evaluate()
    batch = trainer.data_collator([{k: v for k, v in row.items() if k != "text"} for row in rows(9, seed=1)])
    with torch.no_grad():
        expected = trainer.student.eval()(**batch).loss
    assert metrics["eval_loss"] == pytest.approx(expected.item(), rel=1e-4)


def test_a_teacher_gets_columns_that_the_student_has_no_use_for(make_trainer: Any) -> None:
    from tiny_models import FAMILIES, make

    student = make(FAMILIES["distilbert"]())
    trainer = make_trainer(student=student, phase="prediction", data=rows())
    seen = {}
    trainer.teacher.register_forward_pre_hook(lambda _m, _a, kwargs: seen.update(kwargs), with_kwargs=True)
    trainer.train()
    assert "token_type_ids" in seen
    assert "labels" not in seen


def test_a_loss_that_is_not_finite_stops_the_run(make_trainer: Any) -> None:
    teacher = bert(layers=4, hidden=32, vocab_size=64)
    with torch.no_grad():
        teacher.bert.encoder.layer[3].output.dense.bias.fill_(float("nan"))
    with pytest.raises(TinyBertError, match="hidden_state_loss"):
        make_trainer(teacher=teacher, phase="intermediate", projection_start="random").train()


def test_what_does_not_fit_is_refused_before_training(make_trainer: Any) -> None:
    from tiny_models import UNFIT, make

    with pytest.raises(TeacherError, match=r"The teacher embeds 20 tokens.*5 without an embedding: .*'##s' \(21\)"):
        make_trainer(teacher=bert(layers=4, vocab_size=20))
    with pytest.raises(RecipeError, match="Unknown phase"):
        make_trainer(phase="final")
    with pytest.raises(RecipeError, match="weight is -1"):
        make_trainer(attention_loss_weight=-1)
    with pytest.raises(RecipeError, match="nothing to learn"):
        make_trainer(phase="prediction", prediction_loss_weight=0)
    with pytest.raises(RecipeError, match="projection is 'both'"):
        make_trainer(projection="both")
    with pytest.raises(RecipeError, match=r"label_smoothing_factor is 0\.1"):
        make_trainer(label_smoothing_factor=0.1)
    trainer = make_trainer(teacher=make(UNFIT["deberta-v2"]()), phase="intermediate", layer_map="1:1,2:2")
    with pytest.raises(CaptureError, match="DebertaV2"):
        trainer.train()
    assert trainer.state.global_step == 0


def test_arguments_can_be_read_back(tmp_path: Path) -> None:
    arguments = DistillationArguments(str(tmp_path), phase="intermediate", layer_map="1:2", **QUIET)
    assert json.loads(arguments.to_json_string())["layer_map"] == "1:2"
    assert arguments.loss_weights == {"attention_loss": 1.0, "hidden_state_loss": 1.0, "embedding_loss": 1.0}


def test_rows_beyond_a_table_are_refused_before_a_model_reads_them(make_trainer: Any) -> None:
    def refused(words: str, **parts: Any) -> None:
        trainer = make_trainer(**{"data": changed(), **parts})
        for model in (trainer.student, trainer.teacher):
            model.register_forward_pre_hook(lambda *_: pytest.fail("a model has read the rows"))
        with pytest.raises(DataError, match=words):
            trainer.train()

    def changed(**columns: Any) -> Dataset:
        data = rows(9)
        for name, value in columns.items():
            data = data.remove_columns(name).add_column(name, [value, *data[name][1:]])
        return data

    first = rows(9)["input_ids"][0]
    beyond = [*first[:-1], 70]
    refused(r"^The student embeds 64 tokens.*the rows hold 1 without.*: 70\.", data=changed(input_ids=beyond))
    refused(r"^The teacher embeds 64 tokens.*: 70\.", data=changed(input_ids=beyond), student=bert(vocab_size=80))
    short = bert(layers=4, hidden=32, vocab_size=64, max_position_embeddings=5)
    refused(r"^The teacher has 5 positions.*max_length=5", teacher=short)
    refused(r"^The student knows 2 segments", data=changed(token_type_ids=[2] * len(first)))


def test_a_student_of_one_segment_learns_beside_a_teacher_of_two(make_trainer: Any) -> None:
    data = rows()
    data = data.remove_columns("token_type_ids").add_column(
        "token_type_ids", [[1] * len(r) for r in data["input_ids"]]
    )
    trainer = make_trainer(student=bert(vocab_size=64, type_vocab_size=1), data=data)
    seen: dict[str, Any] = {}
    trainer.teacher.register_forward_pre_hook(lambda _m, _a, kwargs: seen.update(kwargs), with_kwargs=True)
    trainer.train()
    assert bool(seen["token_type_ids"].any())
    assert "token_type_ids" not in trainer.processing_class("the film", "the plot")


def test_rows_are_padded_on_the_right_whatever_the_tokenizer_says(make_trainer: Any, tiny_tokenizer: Any) -> None:
    losses = []
    for side in ("right", "left"):
        tokenizer = BertTokenizer(vocab=tiny_tokenizer.get_vocab(), padding_side=side)
        trainer = make_trainer(tokenizer=tokenizer, phase="prediction")
        trainer.train()
        losses.append(logged(trainer, "loss"))
        assert trainer.processing_class.padding_side == "right"
    assert losses[0] == losses[1]
    # A collator of one's own is not changed: what it makes is looked at.
    trainer = make_trainer(tokenizer=tiny_tokenizer)
    trainer.data_collator = DataCollatorWithPadding(tokenizer)
    with pytest.raises(DataError, match=r'padded before their tokens.*padding_side = "right"'):
        trainer.train()
