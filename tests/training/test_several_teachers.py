"""Training with several teachers, with one in fewer bits, and with one that reads tokens of its own."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file
from tiny_models import QUIET, bert, logged
from transformers import BertTokenizer

from tinybert_hf import DistillationArguments, DistillationTrainer, Phase, Teachers, run_phases, with_teacher_tokens
from tinybert_hf.checkpoints import PROJECTIONS_FILE
from tinybert_hf.distillation.teachers import round_to_int8
from tinybert_hf.errors import CaptureError, DataError, RecipeError, TeacherError

TEXTS = ["a good film", "the plot is very dull", "not bad", "the film was bright and good , but the plot dull ."] * 4


def rows(tokenizer: BertTokenizer, count: int = 16) -> Dataset:
    encoded = tokenizer(TEXTS[:count])
    return Dataset.from_dict({**encoded, "labels": [index % 3 for index in range(count)]})


@pytest.fixture
def make(tmp_path: Path, tiny_tokenizer: BertTokenizer) -> Any:
    def make(teacher: Any, data: Dataset | None = None, student: Any = None, **arguments: Any) -> DistillationTrainer:
        options = {"output_dir": str(tmp_path / "out"), "per_device_train_batch_size": 8, "max_steps": 2, **QUIET}
        options |= {"logging_steps": 1, "save_strategy": "no", "learning_rate": 1e-3, **arguments}
        return DistillationTrainer(
            student or bert(vocab_size=64),
            teacher,
            DistillationArguments(**options),
            train_dataset=data or rows(tiny_tokenizer),
            processing_class=tiny_tokenizer,
        )

    return make


def weights(trainer: Any) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in trainer.student.state_dict().items()}


def other_tokenizer(tokenizer: BertTokenizer) -> BertTokenizer:
    """The same pieces with other ids, and six more of them."""
    special, pieces = tokenizer.all_special_tokens, [*tokenizer.get_vocab()]
    kept = [piece for piece in pieces if piece not in special]
    order = [*special, *(f"more{number}" for number in range(6)), *reversed(kept)]
    return BertTokenizer(vocab={piece: index for index, piece in enumerate(order)}, model_max_length=64)


def test_twice_the_same_teacher_is_that_teacher(make: Any) -> None:
    one = bert(layers=4, hidden=32, vocab_size=64)
    single, both = make(one, phase="prediction"), make([one, copy.deepcopy(one)], phase="prediction")
    single.train()
    both.train()
    for name, value in weights(single).items():
        torch.testing.assert_close(weights(both)[name], value, rtol=1e-4, atol=1e-5)
    listed = make([one], phase="prediction")
    listed.train()
    assert logged(listed) == logged(single)
    for name, value in weights(single).items():
        assert torch.equal(weights(listed)[name], value), "a list of one is the model itself"


def test_a_stopped_run_with_several_teachers_goes_on_exactly(make: Any, tmp_path: Path) -> None:
    options = {"phase": "joint", "max_steps": 4, "save_strategy": "steps", "save_steps": 2}
    models = [bert(layers=4, hidden=32, vocab_size=64), bert(layers=3, hidden=40, vocab_size=64)]
    teachers = Teachers(models, [2, 1], layer_maps=[None, "1:3,2:1"])
    before = copy.deepcopy(teachers.state_dict())
    student = bert(vocab_size=64, hidden_dropout_prob=0.1)
    start = copy.deepcopy(student)
    whole = make(teachers, student=student, **options)
    whole.train()
    saved = load_file(tmp_path / "out" / "checkpoint-2" / PROJECTIONS_FILE)
    assert saved["of_teacher.0.maps.1.weight"].shape == (32, 24)
    assert saved["of_teacher.1.maps.1.weight"].shape == (40, 24)
    resumed = make(teachers, student=start, **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / "out" / "checkpoint-2"))
    for name, value in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], value), name
    assert logged(resumed)[-2:] == logged(whole)[-2:]
    assert all(torch.equal(value, before[name]) for name, value in teachers.state_dict().items())
    assert not any(module.training for model in models for module in model.modules())


def test_least_squares_starts_are_solved_for_each_teacher(make: Any) -> None:
    models = [bert(layers=4, hidden=32, vocab_size=64), bert(layers=4, hidden=40, vocab_size=64)]
    first = {}
    for start in ("least_squares", "random"):
        trainer = make(models, phase="intermediate", projection_start=start, max_steps=1)
        trainer.train()
        first[start] = trainer.state.log_history[0]["hidden_state_loss"]
    assert first["least_squares"] < 0.8 * first["random"]


@pytest.mark.parametrize("dtype", ["bfloat16", "int8", "products in bfloat16"])
def test_a_teacher_in_fewer_bits_teaches_nearly_the_same_and_stays_as_it_is(make: Any, dtype: str) -> None:
    full = bert(layers=4, hidden=32, vocab_size=64, hidden_dropout_prob=0.3)
    smaller = copy.deepcopy(full)
    if dtype == "int8":
        round_to_int8(smaller)
    elif dtype == "bfloat16":
        smaller.to(torch.bfloat16)
    smaller.train()  # as somebody may have left it
    before = copy.deepcopy(smaller.state_dict())
    expected = make(full, phase="joint", teacher_bf16=False)
    found = make(smaller, phase="joint", teacher_bf16=dtype == "products in bfloat16")
    expected.train()
    found.train()
    assert logged(found) == pytest.approx(logged(expected), rel=0.02)
    assert logged(found) != logged(expected)
    after = smaller.state_dict()
    assert all(torch.equal(value, after[name]) and value.dtype == after[name].dtype for name, value in before.items())
    assert all(parameter.grad is None for parameter in smaller.parameters())


def test_a_teacher_with_another_tokenizer_reads_its_own_tokens(make: Any, tiny_tokenizer: BertTokenizer) -> None:
    other = other_tokenizer(tiny_tokenizer)
    teacher = bert(layers=4, hidden=32, vocab_size=len(other))
    seen: list[dict[str, torch.Tensor]] = []
    teacher.register_forward_pre_hook(lambda _m, _a, kwargs: seen.append(dict(kwargs)), with_kwargs=True)
    data = with_teacher_tokens(rows(tiny_tokenizer, 8), other(TEXTS[:8]))
    trainer = make(
        Teachers([teacher], tokenizers=[other]), data, phase="prediction", label_loss_weight=0.5, max_steps=1
    )
    student = copy.deepcopy(trainer.student)
    trainer.train()
    read = [other.decode(ids, skip_special_tokens=True) for ids in seen[-1]["input_ids"]]
    assert sorted(read) == sorted(
        tiny_tokenizer.decode(tiny_tokenizer(text)["input_ids"], skip_special_tokens=True) for text in TEXTS[:8]
    )
    assert "labels" not in seen[-1]
    with torch.no_grad():
        theirs = teacher(**other(TEXTS[:8], padding=True, return_tensors="pt")).logits.softmax(-1)
        ours = student(**tiny_tokenizer(TEXTS[:8], padding=True, return_tensors="pt")).logits.log_softmax(-1)
    first = trainer.state.log_history[0]
    assert first["prediction_loss"] == pytest.approx(float(-(theirs * ours).sum(-1).mean()), rel=1e-4)
    assert first["label_loss"] == pytest.approx(float(-ours[torch.arange(8), torch.arange(8) % 3].mean()), rel=1e-4)


def test_teachers_of_both_kinds_teach_together(make: Any, tiny_tokenizer: BertTokenizer) -> None:
    other = other_tokenizer(tiny_tokenizer)
    models = [bert(layers=4, hidden=32, vocab_size=64), bert(layers=3, hidden=32, vocab_size=len(other))]
    teachers = Teachers(models, layer_maps=[None, "none"], tokenizers=[None, other])
    data = with_teacher_tokens(rows(tiny_tokenizer), other(TEXTS), teacher=1)
    trainer = make(teachers, data, phase="joint", max_steps=4)
    trainer.train()
    assert logged(trainer)[-1] < logged(trainer)[0]


def test_what_a_teacher_with_other_tokens_cannot_do(make: Any, tiny_tokenizer: BertTokenizer) -> None:
    other = other_tokenizer(tiny_tokenizer)
    teachers = Teachers([bert(layers=4, vocab_size=len(other))], tokenizers=[other])
    with pytest.raises(TeacherError, match=r"attention_loss, hidden_state_loss, embedding_loss, which compare token"):
        make(teachers, phase="intermediate")
    trainer = make(teachers, phase="prediction")
    with pytest.raises(CaptureError, match=r"no column teacher_0_input_ids.*with_teacher_tokens"):
        trainer.train()
    assert trainer.state.global_step == 0
    with pytest.raises(DataError, match="16 rows for the student and 15"):
        with_teacher_tokens(rows(tiny_tokenizer), other(TEXTS[:15]))


def test_a_cache_is_for_one_teacher(make: Any, tmp_path: Path, tiny_tokenizer: BertTokenizer) -> None:
    models = [bert(layers=4, vocab_size=64), bert(layers=3, vocab_size=64)]
    with pytest.raises(RecipeError, match="here are 2 teachers"):
        make(models, phase="prediction", teacher_cache=str(tmp_path / "cache"))
    # None asked for one here, where a single teacher would have got it.
    phases = [Phase("prediction", epochs=2, batch_size=8)]
    options: dict[str, Any] = {"output_dir": tmp_path / "run", "train_dataset": rows(tiny_tokenizer)}
    options |= {"processing_class": tiny_tokenizer, "training_arguments": QUIET}
    results = run_phases(bert(vocab_size=64), models, phases, **options)
    assert results[0].steps == 4
    assert not list((tmp_path / "run").rglob("*cache*"))


def test_phases_hand_on_and_keep_the_projections_of_each_teacher(
    tmp_path: Path, tiny_tokenizer: BertTokenizer
) -> None:
    models = [bert(layers=4, hidden=32, vocab_size=64), bert(layers=3, hidden=40, vocab_size=64)]
    phases = [Phase("intermediate", epochs=1, batch_size=8), Phase("joint", batch_size=8)]
    options: dict[str, Any] = {"output_dir": tmp_path, "train_dataset": rows(tiny_tokenizer)}
    options |= {"processing_class": tiny_tokenizer, "training_arguments": {**QUIET, "logging_steps": 1}}
    student = bert(vocab_size=64)
    first = run_phases(student, models, phases[:1], **options)
    kept = load_file(tmp_path / "phases" / "0-intermediate" / PROJECTIONS_FILE)
    assert {name.split(".")[1] for name in kept} == {"0", "1"}
    both = run_phases(bert(vocab_size=64), models, phases, **options)
    assert both[0] == first[0]
    assert set(both[1].losses) >= {"attention_loss", "hidden_state_loss", "embedding_loss", "prediction_loss"}


def test_the_figures_of_each_teacher_and_of_their_mean(make: Any, tiny_tokenizer: BertTokenizer) -> None:
    texts = ["a film", "not bad", "very good", "bad"]  # each begins with another word
    labels = [0, 1, 0, 2]
    encoded = Dataset.from_dict({**tiny_tokenizer(texts), "labels": labels})
    names = {"id2label": {0: "no", 1: "yes", 2: "perhaps"}}
    turned = {"id2label": {0: "perhaps", 1: "yes", 2: "no"}}
    words = [tiny_tokenizer(text)["input_ids"][1] for text in texts]

    def teacher(said: list[int], labels: dict[str, Any]) -> Any:
        model = bert(layers=1, vocab_size=64, **labels)
        table = dict(zip(words, said, strict=True))

        def answer(_module: Any, _positional: Any, named: Any, output: Any) -> Any:
            chosen = torch.tensor([table[int(ids[1])] for ids in named["input_ids"]])
            output.logits = 4.0 * torch.nn.functional.one_hot(chosen, 3)
            return output

        model.register_forward_hook(answer, with_kwargs=True)
        return model

    good, poor = teacher([0, 1, 0, 0], names), teacher([2, 2, 0, 1], turned)  # of the second only the first is right
    student = bert(vocab_size=64, **names)
    trainer = make(Teachers([good, poor], [1, 2]), encoded, student, phase="prediction")
    with pytest.warns(
        UserWarning, match=r"teachers\[1\]'s accuracy is 0\.2500, no better .* \(0\.5000\).*perhaps, yes, no"
    ):
        metrics = trainer.evaluate_teacher(encoded)
    assert metrics == {"teacher_0_accuracy": 0.75, "teacher_1_accuracy": 0.25, "teachers_accuracy": 0.25}
    trainer = make(good, encoded, bert(vocab_size=64, **names), phase="intermediate", layer_map="1:1")
    trainer.compute_metrics = lambda outcome: {"rows": float(len(outcome.label_ids))}
    assert trainer.evaluate_teacher(encoded) == {"teacher_rows": 4.0, "teacher_accuracy": 0.75}


@pytest.mark.parametrize("kind", ["multi_label_classification", "regression"])
def test_a_teacher_that_answers_the_same_for_every_row_is_warned_of(
    make: Any, tiny_tokenizer: BertTokenizer, kind: str
) -> None:
    several = kind.startswith("multi")
    wanted = [[1.0, 0.0], [1.0, 1.0], [1.0, 0.0], [0.0, 1.0]] if several else [0.0, 1.0, 2.0, 3.0]
    encoded = Dataset.from_dict({**tiny_tokenizer(TEXTS[:4]), "labels": wanted})
    teacher, student = (bert(vocab_size=64, problem_type=kind, num_labels=2 if several else 1) for _ in range(2))
    said = {"": torch.tensor(wanted).view(4, -1) * 2 - 1}

    def answer(_module: Any, _positional: Any, _named: Any, output: Any) -> Any:
        output.logits = said[""]
        return output

    teacher.register_forward_hook(answer, with_kwargs=True)
    trainer = make(teacher, encoded, student, phase="prediction", per_device_eval_batch_size=4)
    trainer.evaluate_teacher(encoded)  # right answers: a warning would be an error
    said[""] = said[""][:1].expand(4, -1)
    what = r"the teacher's f1_micro is 0\.6667, no better .*\(0\.7692\)" if several else "do not rise"
    with pytest.warns(UserWarning, match=what):
        trainer.evaluate_teacher(encoded)


@pytest.mark.filterwarnings("ignore:.*no better than always answering")
def test_columns_for_a_teacher_that_reads_the_students_tokens_are_not_needed(
    make: Any, tiny_tokenizer: BertTokenizer
) -> None:
    """Whoever follows the README need not know whether two tokenizers are the same."""
    models = [bert(layers=4, hidden=32, vocab_size=64), bert(layers=3, hidden=32, vocab_size=64)]
    teachers = Teachers(models, tokenizers=[None, copy.deepcopy(tiny_tokenizer)])
    data = with_teacher_tokens(rows(tiny_tokenizer), tiny_tokenizer(TEXTS[:16]), teacher=1)
    given, plain = make(teachers, data, phase="prediction"), make(models, phase="prediction")
    assert "teachers_accuracy" in given.evaluate_teacher(data)
    given.train()
    plain.train()
    assert logged(given) == logged(plain)
