"""The head of a student in a phase that does not train it: it follows the states that it reads."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import killed_runs
import numpy as np
import pytest
import torch
from tiny_models import FAMILIES, bert, make
from torch import Tensor
from transformers import BertForSequenceClassification, BertTokenizer, PreTrainedModel

from tinybert_hf import DistillationArguments, DistillationTrainer, Phase, Teachers
from tinybert_hf.checkpoints.run_record import with_present_names
from tinybert_hf.distillation.architecture import head_of
from tinybert_hf.errors import OutputFolderError
from tinybert_hf.model import TinyBertForSequenceClassification
from tinybert_hf.training.phases import check_same_phases

QUIET = {"disable_tqdm": True, "log_level": "error", "use_cpu": True, "dataloader_pin_memory": False}


rows = partial(killed_runs.rows, 24)


@pytest.fixture
def trained(tmp_path: Path, tiny_tokenizer: BertTokenizer) -> Any:
    def train(student: Any = None, teacher: Any = None, **arguments: Any) -> DistillationTrainer:
        options = {"phase": "intermediate", "max_steps": 6, "learning_rate": 1e-3, "save_strategy": "no", **arguments}
        trainer = DistillationTrainer(
            bert(hidden=32, vocab_size=64, seed=1) if student is None else student,
            teacher or bert(layers=4, hidden=32, vocab_size=64),
            DistillationArguments(
                output_dir=str(tmp_path / "out"), per_device_train_batch_size=8, logging_steps=1, **QUIET, **options
            ),
            train_dataset=rows(),
            eval_dataset=rows(),
            processing_class=tiny_tokenizer,
        )
        trainer.train()
        return trainer

    return train


def last_states(model: PreTrainedModel, every: bool = False) -> tuple[Tensor, Tensor]:
    """At the first token (R, H), or at every one (T, H), and the logits; each row by itself."""
    states, logits = [], []
    with torch.no_grad():
        for ids in rows()["input_ids"]:
            output = model.eval()(input_ids=torch.tensor([ids]), output_hidden_states=True)
            last = output.hidden_states[-1][0]
            states.append(last if every else last[:1])
            logits.append(output.logits[0])
    return torch.cat(states), torch.stack(logits)


def read_by_teacher(student: PreTrainedModel, teacher: PreTrainedModel) -> Tensor:
    """What the teacher's head says of the student's states, mapped onto the teacher's by ridge regression."""
    x, y = (last_states(model, every=True)[0].double().numpy() for model in (student, teacher))
    centred = x - x.mean(0)
    covariance = centred.T @ centred
    weight = np.linalg.solve(
        covariance + 1e-2 * np.trace(covariance) / len(covariance) * np.eye(len(covariance)),
        centred.T @ (y - y.mean(0)),
    )
    mapped = (last_states(student)[0].double().numpy() - x.mean(0)) @ weight + y.mean(0)
    head = head_of(teacher)
    assert head is not None
    with torch.no_grad():
        return head(torch.tensor(mapped).float())


def test_the_head_reads_the_states_as_they_are_at_the_end(trained: Any) -> None:
    trainer = trained()
    _, logits = last_states(trainer.student)
    wanted = read_by_teacher(trainer.student, trainer.teacher)
    torch.testing.assert_close(logits, wanted, rtol=1e-3, atol=1e-3)
    assert trainer.head == "followed"
    assert all(parameter.requires_grad for parameter in trainer.student.parameters())


def test_training_is_the_same_with_and_without(trained: Any) -> None:
    """The head follows, and nothing else: every other weight and each loss is the same to the last bit."""
    follows, stays = trained(), trained(follow_head=False)
    start = bert(hidden=32, vocab_size=64, seed=1).state_dict()
    assert stays.head == "left"
    for name, value in stays.student.state_dict().items():
        if "classifier" in name or "pooler" in name:
            assert torch.equal(start[name], value), name
            is_weight = name.endswith("weight")  # the teacher's biases are zeros, and so are the student's
            assert not (is_weight and torch.equal(follows.student.state_dict()[name], value)), name
        else:
            assert torch.equal(follows.student.state_dict()[name], value), name
    of_steps = [[one["loss"] for one in trainer.state.log_history if "loss" in one] for trainer in (follows, stays)]
    assert of_steps[0] == of_steps[1]
    assert len(of_steps[0]) == 6


def test_evaluations_and_checkpoints_see_the_head_of_their_step(trained: Any, tmp_path: Path) -> None:
    trainer = trained(eval_strategy="steps", eval_steps=2, save_strategy="steps", save_steps=2)
    logged = {one["step"]: one["eval_loss"] for one in trainer.state.log_history if "eval_loss" in one}
    assert sorted(logged) == [2, 4, 6]
    for step, loss in logged.items():
        saved = type(trainer.student).from_pretrained(tmp_path / f"out/checkpoint-{step}")
        _, logits = last_states(saved)
        own = torch.nn.functional.cross_entropy(logits, torch.tensor(rows()["labels"]))
        assert loss == pytest.approx(float(own), rel=1e-3), step
    assert len(set(logged.values())) == 3


def test_a_checkpoint_has_the_head_of_its_step(trained: Any, tmp_path: Path) -> None:
    """Also where nothing is evaluated."""
    trainer = trained(save_strategy="steps", save_steps=2)
    trainer.student = type(trainer.student).from_pretrained(tmp_path / "out/checkpoint-2")
    _, logits = last_states(trainer.student)
    wanted = read_by_teacher(trainer.student, trainer.teacher)
    torch.testing.assert_close(logits, wanted, rtol=1e-3, atol=1e-3)


def test_the_best_checkpoint_has_its_own_head(trained: Any) -> None:
    trainer = trained(
        eval_strategy="steps", eval_steps=1, save_strategy="steps", save_steps=1, load_best_model_at_end=True,
        metric_for_best_model="hidden_state_loss",
    )  # fmt: skip
    found = [one for one in trainer.state.log_history if "eval_loss" in one]
    best = min(found, key=lambda one: one["eval_hidden_state_loss"])
    assert best["step"] < 6
    _, logits = last_states(trainer.student)
    own = torch.nn.functional.cross_entropy(logits, torch.tensor(rows()["labels"]))
    assert float(own) == pytest.approx(best["eval_loss"], rel=1e-3)


def test_a_run_that_is_resumed_ends_the_same(trained: Any, tmp_path: Path) -> None:
    trainer = trained(save_strategy="steps", save_steps=3)
    whole = {name: value.clone() for name, value in trainer.student.state_dict().items()}
    trainer.train(resume_from_checkpoint=str(tmp_path / "out/checkpoint-3"))
    assert all(torch.equal(value, whole[name]) for name, value in trainer.student.state_dict().items())


@pytest.mark.parametrize("arguments", [{"layer_map": "bottom"}, {"hidden_state_loss_weight": 0.0}])
def test_without_a_projection_of_the_last_layer_the_head_stays(trained: Any, arguments: dict[str, Any]) -> None:
    trainer = trained(**arguments)
    start = bert(hidden=32, vocab_size=64, seed=1).state_dict()
    kept = {name: value for name, value in trainer.student.state_dict().items() if "classifier" in name}
    assert all(torch.equal(value, start[name]) for name, value in kept.items())
    assert trainer.head == "left"


def test_a_head_that_is_trained_is_left_to_its_loss(trained: Any) -> None:
    assert trained(phase="joint").head == trained(phase="prediction").head == "trained"


@pytest.mark.parametrize("projection", ["none", "shared"])
def test_whatever_the_projection_the_head_follows(trained: Any, projection: str) -> None:
    trainer = trained(projection=projection)
    _, logits = last_states(trainer.student)
    torch.testing.assert_close(logits, read_by_teacher(trainer.student, trainer.teacher), rtol=1e-3, atol=1e-3)


def unlike_heads(family: str) -> PreTrainedModel:
    """With another activation than BERT's, and dropout: a number that is drawn too many would show."""
    config = FAMILIES[family]()
    config.vocab_size = 64
    return make(config)


@pytest.mark.parametrize("family", ["electra", "distilbert"])
def test_no_random_number_is_drawn_for_it(trained: Any, family: str) -> None:
    student = {"hidden_dropout_prob": 0.1, "hidden": 32, "vocab_size": 64}
    follows, stays = (
        trained(student=bert(seed=1, **student), teacher=unlike_heads(family), follow_head=one)
        for one in (True, False)
    )
    assert (follows.head, stays.head) == ("followed", "left")
    for name, value in stays.student.state_dict().items():
        if "classifier" not in name and "pooler" not in name:
            assert torch.equal(follows.student.state_dict()[name], value), name


class MeanOfTokens(BertForSequenceClassification):
    """A classifier of one's own, which reads all tokens under the names of BERT's head."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, **more: Any) -> Any:
        output = super().forward(input_ids, attention_mask, **{**more, "output_hidden_states": True})
        output.logits = self.classifier(output.hidden_states[-1].mean(1))
        return output


def test_a_head_that_reads_something_else_is_left(trained: Any) -> None:
    teacher = bert(layers=4, hidden=32, vocab_size=64)
    own = MeanOfTokens(teacher.config).eval()
    own.load_state_dict(teacher.state_dict())
    assert trained(teacher=own).head == "left"
    assert trained(teacher=teacher).head == "followed"


def test_packed_weights_are_not_read(trained: Any) -> None:
    """As 4-bit layers have them."""

    class Packed(torch.nn.Linear):
        def forward(self, input: Tensor) -> Tensor:
            return torch.nn.functional.linear(input, self.unpacked, self.bias)

    teacher = bert(layers=4, hidden=32, vocab_size=64)
    packed = Packed(32, 3)
    packed.unpacked = teacher.classifier.weight.detach().clone()
    packed.weight = torch.nn.Parameter(torch.zeros(48, 1, dtype=torch.uint8), requires_grad=False)
    teacher.classifier = packed
    assert trained(teacher=teacher).head == "left"


@pytest.mark.parametrize("frozen", ["classifier", "pooler"])
def test_what_a_user_froze_stays(trained: Any, frozen: str) -> None:
    student = bert(hidden=32, vocab_size=64, seed=1)
    for name, parameter in student.named_parameters():
        parameter.requires_grad_(frozen not in name)
    before = {name: value.clone() for name, value in student.state_dict().items() if frozen in name}
    trainer = trained(student=student)
    assert trainer.head == "left"
    assert all(torch.equal(trainer.student.state_dict()[name], value) for name, value in before.items())


def test_of_several_teachers_the_head_is_that_of_the_heaviest(trained: Any) -> None:
    teachers = [bert(layers=4, hidden=32, vocab_size=64), bert(layers=4, hidden=32, vocab_size=64, seed=5)]
    trainer = trained(teacher=Teachers(teachers, weights=(1.0, 3.0)))
    _, logits = last_states(trainer.student)
    wanted = read_by_teacher(trainer.student, teachers[1])
    torch.testing.assert_close(logits, wanted, rtol=1e-3, atol=1e-3)


def test_the_published_form_is_a_setting_of_a_phase() -> None:
    phase = Phase("intermediate", epochs=1, learning_rate=1e-3, follow_head=False)
    assert phase.arguments("out", seed=1, has_eval=False).follow_head is False
    assert json.loads(json.dumps(phase.follow_head)) is False
    assert Phase("intermediate").follow_head


def test_a_phase_of_an_earlier_version_left_the_head(tmp_path: Path) -> None:
    """Its settings do not name the field, and did what false does now: so it can be gone on with."""
    settings = asdict(Phase("intermediate", epochs=1, learning_rate=1e-3))
    del settings["follow_head"]
    place = tmp_path / "0-intermediate"
    place.mkdir()
    (place / "phase.json").write_text(json.dumps(settings))
    check_same_phases(tmp_path, [Phase("intermediate", epochs=1, learning_rate=1e-3, follow_head=False)])
    with pytest.raises(OutputFolderError, match="follow_head: False there, True now"):
        check_same_phases(tmp_path, [Phase("intermediate", epochs=1, learning_rate=1e-3)])
    result = {"name": "intermediate", "steps": 4}
    read = with_present_names({"recipe": {"phases": [settings], "further_teachers": []}, "phases": [result]})
    assert read == {
        "recipe": {"phases": [{**settings, "follow_head": False}], "extra_teachers": []}, "phases": [result]
    }  # fmt: skip
    assert with_present_names({"phases": [{**settings, "follow_head": True}]})["phases"][0]["follow_head"] is True


def test_narrow_students_of_ours_follow(trained: Any) -> None:
    """A TinyBERT half as wide as its teacher: near what the teacher's head says, not the same."""
    from tinybert_hf import TinyBertConfig

    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 32}
    torch.manual_seed(1)
    config = TinyBertConfig(vocab_size=64, num_labels=3, initializer_range=0.3, **shape)
    trainer = trained(student=TinyBertForSequenceClassification(config))
    _, logits = last_states(trainer.student)
    wanted = read_by_teacher(trainer.student, trainer.teacher)
    stayed = TinyBertForSequenceClassification(config).state_dict()
    error = (logits - wanted).square().mean()
    trainer.student.load_state_dict(
        {name: value for name, value in stayed.items() if "classifier" in name or "pooler" in name}, strict=False
    )
    assert error < 0.5 * (last_states(trainer.student)[1] - wanted).square().mean()
