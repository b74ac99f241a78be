"""A loss of a user's own: what it is given, its mean, its weights in checkpoints, and what is refused."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from killed_runs import rows
from markdown_pages import ROOT, fenced_blocks
from safetensors.torch import load_file
from tiny_models import QUIET, batch_of, bert, logged
from tiny_seq2seq import student as translating_student
from tiny_seq2seq import teacher as translator
from tiny_seq2seq import translation_batch
from torch import nn
from transformers import BertTokenizer

from tinybert_hf import DistillationArguments, DistillationLoss, DistillationTrainer, Phase, Teachers, run_phases
from tinybert_hf.distillation.objective import Objective
from tinybert_hf.errors import CaptureError, LayerMapError, OutputFolderError, RecipeError, TeacherError, TinyBertError
from tinybert_hf.model import PRESETS
from tinybert_hf.training.trainer import EXTRA_LOSSES_FILE

NAMES = {0: "no", 1: "yes", 2: "perhaps"}


def small_teacher(layers: int = 4, hidden: int = 32, **more: Any) -> Any:
    return bert(layers=layers, hidden=hidden, vocab_size=64, **more)


class Pooled(nn.Module):
    """Distance of the mean states, the student's mapped to the teacher's width; it has weights and a buffer."""

    def __init__(self, width: int = 24, other: int = 32) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.map = nn.Linear(width, other)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, student: Any, teacher: Any, batch: Any) -> torch.Tensor:
        if self.training:
            self.calls += 1
        mask = batch["attention_mask"][..., None]
        (states,), (aims,) = student.hidden_states.values(), teacher.hidden_states.values()
        return F.mse_loss(self.map((states * mask).sum(1) / mask.sum(1)), (aims * mask).sum(1) / mask.sum(1))


def of_tokens(student: Any, teacher: Any, batch: Any) -> Any:
    """A sum over tokens, and how many there are."""
    mask, total = batch["attention_mask"].bool(), torch.zeros(())
    for layer, states in student.hidden_states.items():
        aims = teacher.hidden_states[layer][mask]
        total = total + (states[mask][:, :8] - aims[:, :8]).square().mean(-1).sum()
    return total, mask.sum()


def of_some_rows(student: Any, teacher: Any, batch: Any) -> Any:
    """Of rows with the label 1 alone; a batch may have none."""
    chosen = batch["labels"] == 1
    return (student.logits[chosen] - teacher.logits[chosen]).square().mean(-1).sum(), chosen.sum()


def three_losses() -> dict[str, Any]:
    return {
        "pooled_loss": DistillationLoss(Pooled(), weight=2.0, hidden_states="last"),
        "token_loss": DistillationLoss(of_tokens, weight=0.5, hidden_states="mapped", count="tokens"),
        "chosen_loss": DistillationLoss(of_some_rows, count=lambda batch: (batch["labels"] == 1).sum()),
    }


@pytest.fixture
def make(tmp_path: Path, tiny_tokenizer: BertTokenizer) -> Any:
    def make(losses: Any, teacher: Any = None, student: Any = None, data: Any = None, **arguments: Any) -> Any:
        options = {"output_dir": str(tmp_path / "out"), "per_device_train_batch_size": 8, "max_steps": 2, **QUIET}
        options |= {"logging_steps": 1, "save_strategy": "no", "learning_rate": 1e-3, "phase": "extra", **arguments}
        return DistillationTrainer(
            student or bert(vocab_size=64, id2label=NAMES),
            teacher or small_teacher(id2label=NAMES),
            DistillationArguments(**options),
            extra_losses=losses,
            train_dataset=data or rows(),
            eval_dataset=rows(9),
            processing_class=tiny_tokenizer,
        )

    return make


def test_the_page_runs_as_it_stands(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tiny_run import make_teacher, write_rows
    from tiny_run import rows as texts

    labelled = [{"sentence": row["text"], "label": row["label"]} for row in texts()]
    write_rows(work / "train.jsonl", labelled)
    write_rows(work / "dev.jsonl", labelled[:8])
    make_teacher(work / "teacher")
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 32}
    monkeypatch.setitem(PRESETS, "4l-312d", shape)
    names: dict[str, Any] = {}
    first, second = fenced_blocks((ROOT / "docs" / "own-loss.md").read_text(encoding="utf-8"), "python")
    exec(compile(first, "docs/own-loss.md", "exec"), names)
    one = names["trainer"]
    shown = next(entry for entry in one.state.log_history if "loss" in entry)
    weighted = sum(one.loss_weights[name] * shown[name] for name in one.loss_weights)
    assert one.loss_weights["pooled_cosine_loss"] == 2.0
    assert shown["loss"] == pytest.approx(weighted, rel=1e-4)
    measured = next(entry for entry in one.state.log_history if "eval_loss" in entry)
    parts = {name: measured[f"eval_{name}"] for name in one.loss_weights}
    assert measured["eval_distillation_loss"] == pytest.approx(
        sum(weight * parts[name] for name, weight in one.loss_weights.items())
    )
    exec(compile(second, "docs/own-loss.md", "exec"), names)
    course = logged(names["trainer"], "value_relation_loss")
    assert names["trainer"].loss_weights == {"value_relation_loss": 1.0}
    assert course == logged(names["trainer"], "loss")
    # Its divergence in plain loops, of the student that came out, on two rows of unequal length.
    student, teacher, tokenizer = names["student"].eval(), names["teacher"], names["tokenizer"]
    batch = tokenizer([row["sentence"] for row in labelled[:2]], padding=True, return_tensors="pt")
    objective = Objective.between(
        student, teacher, losses=(), extra_losses={"value_relation_loss": names["relations"]}
    )
    found = objective.compute(
        objective.capture_student(student, batch), objective.capture_teachers(teacher, batch),
        batch["attention_mask"], batch=batch,
    )  # fmt: skip
    assert found["value_relation_loss"].item() == pytest.approx(plain_relations(student, teacher, batch), rel=1e-4)


def plain_relations(student: Any, teacher: Any, batch: Any) -> float:
    """The mean over real tokens and four relation heads of the divergence between softmax(V V^T / sqrt(d))."""
    values = []
    for model in (teacher, student):
        encoder = model.base_model.encoder
        entering = model(**batch, output_hidden_states=True).hidden_states[-2]
        values.append(encoder.layer[-1].attention.self.value(entering))
    total, count = 0.0, 0
    for row, length in enumerate(batch["attention_mask"].sum(-1).tolist()):
        for token in range(length):
            count += 1
            for head in range(4):
                said = []
                for value in values:
                    width = value.shape[-1] // 4
                    part = value[row, :length, head * width : (head + 1) * width]
                    said.append((part[token] @ part.T / width**0.5).softmax(-1))
                total += (said[0] * (said[0] / said[1]).log()).sum().item() / 4
    return total / count


def test_accumulated_batches_give_the_gradients_of_the_whole(make: Any) -> None:
    """Rows of unequal length, some batches without a row that counts: a mean of means would differ."""
    data, results = rows(8), []
    for size, steps in ((8, 1), (4, 2), (1, 8)):
        trainer = make(
            three_losses(), data=data, max_steps=1, per_device_train_batch_size=size, optim="sgd", max_grad_norm=0.0,
            gradient_accumulation_steps=steps, lr_scheduler_type="constant", learning_rate=1.0,
        )  # fmt: skip
        before = torch.cat([p.detach().flatten() for p in trainer.model.parameters()])
        trainer.train()
        weights = torch.cat([p.detach().flatten() for p in trainer.model.parameters()])
        results.append((weights - before, trainer.state.log_history[0]))
    for moved, log in results[1:]:
        assert ((moved - results[0][0]).norm() / results[0][0].norm()).item() < 1e-5
        for name in ("loss", *three_losses()):
            assert log[name] == pytest.approx(results[0][1][name], rel=1e-5), name


def test_a_stopped_run_goes_on_exactly_with_the_weights_of_a_loss(make: Any, tmp_path: Path) -> None:
    options = {"phase": "joint", "max_steps": 4, "save_strategy": "steps", "save_steps": 2, "weight_decay": 0.1}
    student = bert(vocab_size=64, id2label=NAMES, hidden_dropout_prob=0.1)
    start, losses = copy.deepcopy(student), three_losses()
    fresh = copy.deepcopy(losses["pooled_loss"].function.state_dict())
    whole = make(losses, student=student, **options)
    whole.train()
    checkpoint = tmp_path / "out" / "checkpoint-2"
    saved = load_file(checkpoint / EXTRA_LOSSES_FILE)
    assert saved["pooled_loss.calls"] == 2, "the look at the first rows leaves no trace"
    assert not torch.equal(saved["pooled_loss.map.weight"], fresh["map.weight"])
    assert not [name for name in load_file(checkpoint / "model.safetensors") if "map" in name]
    resumed = make(three_losses(), student=start, **options)
    resumed.train(resume_from_checkpoint=str(checkpoint))
    for name, value in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], value), name
    for name in ("loss", *losses):
        assert logged(resumed, name)[-2:] == logged(whole, name)[-2:]
    other = {**three_losses(), "pooled_loss": DistillationLoss(Pooled(), weight=3.0, hidden_states="last")}
    with pytest.raises(OutputFolderError, match=r"extra_losses: .*'pooled_loss': 2\.0.* there, .*3\.0"):
        make(other, student=start, **options).train(resume_from_checkpoint=str(checkpoint))


def given_to(objective: Objective, student: Any, teacher: Any, batch: Any) -> None:
    objective.compute(
        objective.capture_student(student, batch), objective.capture_teachers(teacher, batch),
        batch["attention_mask"], batch=batch,
    )  # fmt: skip


def test_a_function_is_given_what_it_asks_for_and_no_more() -> None:
    names, turned = NAMES, {0: "perhaps", 1: "no", 2: "yes"}
    student, teacher, batch = bert(id2label=names), bert(layers=4, hidden=32, id2label=turned), batch_of([5, 3])
    seen: dict[str, Any] = {}

    def note(name: str) -> Any:
        def loss(made: Any, shown: Any, batch: Any) -> Any:
            seen[name] = made, shown, batch
            return made.logits.sum()

        return loss

    asked = {
        "last_loss": DistillationLoss(note("last"), hidden_states="last", attention={1: 3}, values=True, logits=True),
        "mapped_loss": DistillationLoss(note("mapped"), hidden_states="mapped"),
        "first_loss": DistillationLoss(note("first"), hidden_states="embeddings"),
        "plain_loss": DistillationLoss(note("plain")),
        "alone_loss": DistillationLoss(note("alone"), logits=False),
    }
    objective = Objective.between(
        student, teacher, losses=("attention_loss",), extra_losses=asked, layer_map="1:2,2:3"
    )
    del batch["attention_mask"]
    batch["attention_mask"] = torch.ones_like(batch["input_ids"])
    given_to(objective, student, teacher, batch)
    states = {
        name: model(**batch, output_hidden_states=True).hidden_states
        for name, model in (("student", student), ("teacher", teacher))
    }
    made, shown, _ = seen["last"]
    assert made.hidden_states.keys() == shown.hidden_states.keys() == {2}
    torch.testing.assert_close(made.hidden_states[2], states["student"][2])
    torch.testing.assert_close(shown.hidden_states[2], states["teacher"][4])
    value = teacher.bert.encoder.layer[2].attention.self.value(states["teacher"][2])
    torch.testing.assert_close(shown.attention[1].value, value.unflatten(-1, (4, 8)).transpose(1, 2))
    torch.testing.assert_close(shown.logits, teacher(**batch).logits[:, [1, 2, 0]])
    made, shown, _ = seen["mapped"]
    torch.testing.assert_close(shown.hidden_states, {1: states["teacher"][2], 2: states["teacher"][3]})
    assert (shown.logits, shown.attention, made.attention) == (None, {}, {})
    torch.testing.assert_close(seen["first"][1].hidden_states, {0: states["teacher"][0]})
    assert seen["plain"][1].logits is not None
    assert (seen["alone"][1].logits, seen["alone"][1].hidden_states) == (None, {})
    assert not any(tensor.requires_grad for tensor in seen["mapped"][1].hidden_states.values())
    assert seen["mapped"][0].hidden_states[1].requires_grad


def test_translators_show_their_decoders() -> None:
    student, teacher, batch = translating_student(), translator("marian"), translation_batch()
    seen = []

    def note(made: Any, shown: Any, batch: Any) -> Any:
        seen.append((made, shown))
        return made.logits.sum()

    loss = DistillationLoss(note, decoder_hidden_states="last", cross_attention="mapped", values=True)
    objective = Objective.between(student, teacher, losses=(), extra_losses={"own_loss": loss})
    given_to(objective, student, teacher, batch)
    made, shown = seen[0]
    (depth,) = made.decoder_hidden_states
    assert depth == student.config.num_decoder_layers
    assert shown.decoder_hidden_states[depth].shape[:2] == batch["labels"].shape
    assert shown.cross_attention[1].value.shape[2] == batch["input_ids"].shape[1]
    with pytest.raises(CaptureError, match=r"own_loss asks for cross_attention, and these models have no"):
        Objective.between(bert(), bert(), losses=(), extra_losses={"own_loss": loss})


def test_of_several_teachers_it_is_the_weighted_mean(make: Any) -> None:
    models = [small_teacher(id2label=NAMES), small_teacher(layers=3, initializer_range=0.1, id2label=NAMES)]
    student, found = bert(vocab_size=64, id2label=NAMES), []
    for teacher in (*models, Teachers(models, [3, 1]), Teachers(models, layer_maps=[None, "none"])):
        trainer = make({"token_loss": three_losses()["token_loss"]}, teacher, copy.deepcopy(student), max_steps=1)
        trainer.train()
        found.append(logged(trainer, "token_loss")[0])
    assert found[2] == pytest.approx(0.75 * found[0] + 0.25 * found[1], rel=1e-5)
    assert abs(found[0] - found[1]) > 1e-3
    assert found[3] == pytest.approx(found[0], rel=1e-6)
    with pytest.raises(TeacherError, match="own_loss has nobody to learn from"):
        make({"own_loss": three_losses()["token_loss"]}, Teachers(models[:1], layer_maps=["none"]))


def nothing(student: Any, teacher: Any, batch: Any) -> Any:
    return None


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (nothing, "own_loss gave None"),
        (lambda s, t, b: s.logits.mean(-1), r"own_loss gave a tensor of shape \(8,\) \(float32\)"),
        (lambda s, t, b: s.logits.mean().view(1), r"own_loss gave a tensor of shape \(1,\)"),
        (lambda s, t, b: 0.5, "own_loss gave 0.5"),
        (lambda s, t, b: s.logits.mean().long(), r"own_loss gave a tensor without a shape \(int64\)"),
        (lambda s, t, b: (s.logits.sum(), 1, 2), "own_loss gave a tuple of 3"),
        (lambda s, t, b: {"loss": s.logits.sum()}, "own_loss gave a dict"),
        (lambda s, t: s.logits.sum(), r"own_loss failed: TypeError.*function\(student, teacher, batch\)"),
        (lambda s, t, b: s.hidden_states[1].sum(), "own_loss failed: KeyError: 1. .*by their numbers"),
        (lambda s, t, b: (s.logits.sum(), None), "own_loss gave a pair whose count is None"),
        (lambda s, t, b: (s.logits.sum(), 24), r"own_loss gave a sum over 24, and counts 8.*'rows'"),
        (lambda s, t, b: s.logits.sum() * float("nan"), "own_loss is nan on the first rows"),
        (lambda s, t, b: s.logits.sum() / 0, "own_loss is -?inf on the first rows"),
        (lambda s, t, b: s.logits.detach().sum(), "own_loss has no gradient to the student"),
        (lambda s, t, b: t.logits.sum(), "own_loss has no gradient to the student"),
        (lambda s, t, b: nn.Parameter(torch.ones(())) * 1.0, "own_loss has no gradient to the student"),
    ],
)
def test_what_a_function_may_not_return(make: Any, returned: Any, message: str) -> None:
    for phase in ("extra", "joint"):
        trainer = make({"own_loss": returned}, phase=phase)
        with pytest.raises(TinyBertError, match=message):
            trainer.train()
        assert trainer.state.global_step == 0


def fine(student: Any, teacher: Any, batch: Any) -> Any:
    return (student.logits - teacher.logits).square().mean()


@pytest.mark.parametrize(
    ("losses", "kind", "message"),
    [
        (lambda: {"mine": fine}, RecipeError, "'mine' cannot be the name of a loss.*ends with _loss"),
        (lambda: {"my loss_loss": fine}, RecipeError, "cannot be the name"),
        (lambda: {"attention_loss": fine}, RecipeError, "the name attention_loss is taken"),
        (lambda: {"distillation_loss": fine}, RecipeError, "the name distillation_loss is taken"),
        (lambda: {"eval_loss": fine}, RecipeError, "the name eval_loss is taken"),
        (lambda: {"own_loss": 0.5}, RecipeError, "own_loss is 0.5; give a function"),
        (lambda: {"own_loss": DistillationLoss(fine, weight=0)}, RecipeError, "weight of a DistillationLoss is 0"),
        (lambda: {"own_loss": DistillationLoss(fine, weight=float("nan"))}, RecipeError, "weight .* is nan"),
        (lambda: {"own_loss": DistillationLoss("cosine")}, RecipeError, "function of a DistillationLoss is 'cosine'"),
        (lambda: {"own_loss": DistillationLoss(fine, count="words")}, RecipeError, "count .* is 'words'; choose one"),
        (lambda: {"own_loss": DistillationLoss(fine, values=True)}, RecipeError, "values=True"),
        (lambda: {"own_loss": DistillationLoss(fine, phases="extra")}, RecipeError, "phases .* are 'extra'; give a l"),
        (lambda: {"own_loss": DistillationLoss(fine, phases=["inter"])}, RecipeError, "for the phase 'inter'; choose"),
        (lambda: {"own_loss": DistillationLoss(fine, phases=["joint"])}, TinyBertError, "Nothing is to be learnt"),
        (lambda: {}, TinyBertError, "Nothing is to be learnt"),
        (lambda: [fine], RecipeError, "losses by name"),
        (lambda: {"own_loss": DistillationLoss(fine, hidden_states="1:9")}, LayerMapError, "teacher layer 9"),
        (lambda: {"own_loss": DistillationLoss(fine, hidden_states="none")}, CaptureError, 'hidden_states is "none"'),
    ],
)
def test_what_is_no_loss_is_refused_before_anything_runs(make: Any, losses: Any, kind: Any, message: str) -> None:
    with pytest.raises(kind, match=message):
        make(losses())


def test_a_count_that_is_no_number(make: Any) -> None:
    loss = DistillationLoss(fine, count=lambda batch: batch["labels"])
    with pytest.raises(TinyBertError, match=r"count of own_loss gave a tensor of shape \(8,\)"):
        make({"own_loss": loss}).train()


def test_a_teacher_within_a_loss_is_refused(make: Any) -> None:
    class Holding(nn.Module):
        def __init__(self, model: Any) -> None:
            super().__init__()
            self.model = model

        def forward(self, student: Any, teacher: Any, batch: Any) -> Any:
            return fine(student, teacher, batch)

    teacher = small_teacher(id2label=NAMES)
    with pytest.raises(TinyBertError, match="own_loss holds weights of the teacher"):
        make({"own_loss": Holding(teacher)}, teacher)


def test_a_loss_that_becomes_nan_is_named(make: Any) -> None:
    calls = []

    def spoilt(student: Any, teacher: Any, batch: Any) -> Any:
        calls.append(1)
        return fine(student, teacher, batch) * (float("nan") if len(calls) == 3 else 1.0)

    with pytest.raises(TinyBertError, match="own_loss and loss became NaN or infinite in step 2"):
        make({"own_loss": spoilt}, max_steps=4).train()


def test_columns_of_the_rows_reach_the_function(make: Any) -> None:
    seen = []

    def weighted(student: Any, teacher: Any, batch: Any) -> Any:
        seen.append(batch["score"])
        return ((student.logits - teacher.logits).square().mean(-1) * batch["score"]).mean()

    data = rows(8).add_column("score", [float(index) for index in range(8)])
    make({"own_loss": DistillationLoss(weighted, columns=["score"])}, data=data).train()
    assert sorted(seen[-1].tolist()) == [float(index) for index in range(8)]


def test_a_teacher_cache_serves_logits_and_hidden_states(make: Any, tmp_path: Path) -> None:
    losses = {"own_loss": fine, "token_loss": three_losses()["token_loss"]}
    student, courses = bert(vocab_size=64, id2label=NAMES), []
    for cached in ({}, {"teacher_cache": str(tmp_path / "cache"), "teacher_cache_hidden_states": True}):
        trainer = make(losses, student=copy.deepcopy(student), **cached)
        trainer.train()
        courses.append([logged(trainer, name) for name in losses])
    for plain, kept in zip(*courses, strict=True):
        assert kept == pytest.approx(plain, rel=1e-3)
    with pytest.raises(RecipeError, match=r"token_loss needs hidden states.*leave token_loss out of it"):
        make(losses, teacher_cache=str(tmp_path / "cache"))
    attention = {"own_loss": DistillationLoss(fine, attention="last")}
    with pytest.raises(RecipeError, match="does not go with own_loss: it needs the teacher's queries and keys"):
        make(attention, teacher_cache=str(tmp_path / "cache"), teacher_cache_hidden_states=True)


def test_the_best_checkpoint_may_be_chosen_by_it(make: Any) -> None:
    trainer = make(
        {"own_loss": fine}, phase="joint", load_best_model_at_end=True, metric_for_best_model="own_loss",
        save_strategy="steps", save_steps=1, eval_strategy="steps", eval_steps=1,
    )  # fmt: skip
    trainer.train()
    assert trainer.state.best_metric == min(logged(trainer, "eval_own_loss"))


def test_a_trial_begins_with_the_weights_that_a_loss_had(tmp_path: Path, tiny_tokenizer: BertTokenizer) -> None:
    options: dict[str, Any] = {"output_dir": str(tmp_path), "max_steps": 2, "logging_steps": 1, "phase": "extra"}
    trainer = DistillationTrainer(
        None,
        small_teacher(),
        DistillationArguments(**options, save_strategy="no", learning_rate=1e-2, **QUIET),
        extra_losses={"pooled_loss": three_losses()["pooled_loss"]},
        model_init=lambda: bert(vocab_size=64),
        train_dataset=rows(),
        processing_class=tiny_tokenizer,
    )
    trainer.train()
    first = trainer.state.log_history[:2]
    trainer.train()
    for one, other in zip(first, trainer.state.log_history[:2], strict=True):
        assert one["pooled_loss"] == other["pooled_loss"]


def test_phases_hand_on_the_weights_of_a_loss(tmp_path: Path, tiny_tokenizer: BertTokenizer) -> None:
    phases = [
        Phase("intermediate", epochs=1, batch_size=8, learning_rate=1e-2),
        Phase("prediction", epochs=2, batch_size=8, learning_rate=1e-2),
    ]
    options: dict[str, Any] = {"train_dataset": rows(16), "processing_class": tiny_tokenizer}
    options |= {"training_arguments": {**QUIET, "logging_steps": 1}}

    def run(folder: str, count: int, losses: dict[str, Any]) -> Any:
        torch.manual_seed(0)
        student = bert(vocab_size=64)
        teacher = small_teacher()
        return student, run_phases(
            student, teacher, phases[:count], output_dir=tmp_path / folder, extra_losses=losses, **options
        )

    def own() -> dict[str, Any]:
        return {
            "pooled_loss": DistillationLoss(Pooled(), hidden_states="last"),
            "early_loss": DistillationLoss(of_tokens, hidden_states="last", count="tokens", phases=["intermediate"]),
        }

    whole, stopped, resumed = own(), own(), own()
    first, results = run("whole", 2, whole)
    run("parts", 1, stopped)
    second, again = run("parts", 2, resumed)
    assert {"pooled_loss", "early_loss"} <= results[0].losses.keys()
    assert "early_loss" not in results[1].losses
    assert again[1].losses == results[1].losses
    for name, value in first.state_dict().items():
        assert torch.equal(second.state_dict()[name], value), name
    after = whole["pooled_loss"].function.state_dict()
    for name, value in resumed["pooled_loss"].function.state_dict().items():
        assert torch.equal(after[name], value), name
    kept = load_file(tmp_path / "parts" / "phases" / "0-intermediate" / EXTRA_LOSSES_FILE)
    assert torch.equal(kept["pooled_loss.map.weight"], stopped["pooled_loss"].function.map.weight)
    assert not list((tmp_path / "whole").rglob("*cache*"))


def test_a_recipe_cannot_name_a_loss_of_ones_own() -> None:
    from tinybert_hf import load_recipe

    with pytest.raises(RecipeError, match=r"phases\.0: the phase 'extra' is for losses of your own.*run_phases"):
        load_recipe("sst2", {"phases.0.name": "extra", "teacher.model": "teacher"})
    weighed = {"phases.0.name": "extra", "phases.0.prediction_loss_weight": 1.0, "teacher.model": "teacher"}
    assert load_recipe("sst2", weighed).phases[0].loss_weights() == {"prediction_loss": 1.0}
