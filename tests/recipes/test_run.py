"""Whole runs: what they leave, how they go on after a stop, and what they refuse right before training."""

import io
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from rich.console import Console
from tiny_run import STUDENT, make_teacher, recipe_mapping, rows, stop_at_step, write_rows
from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer

from tinybert_hf.distillation import teachers
from tinybert_hf.errors import TinyBertError
from tinybert_hf.model import TinyBertConfig, TinyBertForSequenceClassification
from tinybert_hf.recipes import labelled
from tinybert_hf.recipes import run as stages
from tinybert_hf.recipes.loader import apply_overrides, build
from tinybert_hf.recipes.report import RunReport
from tinybert_hf.recipes.run import run_recipe
from tinybert_hf.recipes.schema import Recipe
from tinybert_hf.training import DistillationTrainer
from tinybert_hf.training.finetuning import FinetuneTrainer


def run(folder: Path, model: str, *assignments: str, **changes: Any) -> tuple[RunReport, str]:
    """The report of a run, and what it printed."""
    console = Console(record=True, width=120, file=io.StringIO())
    mapping = apply_overrides(recipe_mapping(folder, model, **changes), assignments)
    return run_recipe(build(Recipe, mapping), console), console.export_text()


@pytest.mark.slow
def test_a_run_with_a_deeper_student_that_starts_from_its_teacher(work: Path, teacher: str) -> None:
    """Two phases without a loss between layers, one of them by the map "none"; it says what the student is not."""
    shape = {"hidden_size": 32, "num_hidden_layers": 5, "intermediate_size": 96}
    deep = {"preset": "4l-312d", "overrides": {**STUDENT, **shape}}
    phases = [{"name": "joint", "layer_map": "none", "epochs": 1}, {"name": "prediction", "epochs": 2}]
    report, printed = run(work, teacher, student=deep, phases=phases, baseline=None)
    assert [sorted(phase["losses"]) for phase in report.phases] == [["loss", "prediction_loss"]] * 2
    assert any("not faster" in note for note in report.notes)
    assert printed.index("Note: The student is") < printed.index("Distilling into")
    content = json.loads((work / "out" / "run.json").read_text())
    assert content["notes"] == report.notes


def test_a_run_leaves_a_student_that_opens_anywhere(work: Path, teacher: str) -> None:
    report, printed = run(work, teacher)
    assert set(report.metrics) == {"teacher", "student", "baseline"}
    assert report.main_metric == "accuracy"
    assert report.costs["student"]["parameters"] < report.costs["teacher"]["parameters"]
    assert [phase["name"] for phase in report.phases] == ["intermediate", "prediction"]
    for word in ("accuracy", "student, distilled", "student, alone", "latency", "pipeline"):
        assert word in printed
    assert [phase["head"] for phase in report.phases] == ["followed", "trained"]
    values = [report.start["accuracy"], *(phase["metrics"]["accuracy"] for phase in report.phases)]
    course = "Student's accuracy: {:.4f} at the start, {:.4f} after intermediate, {:.4f} after prediction"
    assert course.format(*values) in printed.replace("\n", " ")
    content = json.loads((work / "out" / "run.json").read_text())
    assert content["metrics"] == report.metrics
    assert content["start"] == report.start
    assert content["versions"]["torch"] == torch.__version__
    assert content["recipe"]["student"]["overrides"] == STUDENT
    assert not (work / "out" / ".run").exists()
    distances = json.loads((work / "out" / "layer_distances.json").read_text())
    assert distances["before"]["encoder"] != distances["after"]["encoder"]
    assert [len(distances["after"]["encoder"]), len(distances["after"]["encoder"][0])] == [3, 5]
    assert not list((work / "out").glob("phases/*/checkpoint-*"))
    student = AutoModelForSequenceClassification.from_pretrained(work / "out")
    assert isinstance(student, TinyBertForSequenceClassification)
    assert student.config.id2label == {0: "negative", 1: "positive"}
    assert (
        AutoTokenizer.from_pretrained(work / "out").get_vocab() == AutoTokenizer.from_pretrained(teacher).get_vocab()
    )
    AutoModelForSequenceClassification.from_pretrained(work / "out" / "baseline")
    # The same command again shows the result and trains nothing.
    before = (work / "out" / "model.safetensors").stat().st_mtime_ns
    again, said = run(work, teacher)
    assert again == report
    assert "complete" in said
    assert (work / "out" / "model.safetensors").stat().st_mtime_ns == before


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return dict(AutoModelForSequenceClassification.from_pretrained(folder).state_dict())


def with_finetuning(model: str) -> dict[str, Any]:
    return {"model": model, "finetune": {"epochs": 1, "batch_size": 16}}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, headless: str) -> Path:
    """A run that nothing stopped, its teacher fine-tuned first."""
    folder = tmp_path_factory.mktemp("whole")
    run(folder, headless, teacher=with_finetuning(headless))
    return folder / "out"


@pytest.mark.parametrize(
    ("module", "stop_in"),
    [
        pytest.param(stages, "make_start", marks=pytest.mark.slow),
        (stages, "run_phases"),
        pytest.param(labelled, "measure_costs", marks=pytest.mark.slow),
    ],
)
def test_a_stopped_run_goes_on_and_ends_the_same(
    work: Path, whole: Path, headless: str, monkeypatch: pytest.MonkeyPatch, module: ModuleType, stop_in: str
) -> None:
    settings = with_finetuning(headless)

    def stop(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, stop_in, stop)
        with pytest.raises(KeyboardInterrupt):
            run(work, headless, teacher=settings)
    stopped = work / "out"
    assert not (stopped / "run.json").exists()
    assert (stopped / "teacher" / "config.json").exists()
    # The finished stages are not run again.
    tuned: list[str] = []
    finetune = stages.finetune

    def counting(*args: Any, **kwargs: Any) -> Any:
        tuned.append(Path(kwargs["output_dir"]).name)
        return finetune(*args, **kwargs)

    monkeypatch.setattr(stages, "finetune", counting)
    report, printed = run(work, headless, teacher=settings)
    assert tuned == ([] if stop_in == "measure_costs" else ["baseline"])
    assert "Going on with the run" in printed
    assert report.metrics == json.loads((whole / "run.json").read_text())["metrics"]
    for kept in ("layer_distances.json", "phases/0-intermediate/log.json", "phases/1-prediction/log.json"):
        assert json.loads((stopped / kept).read_text()) == json.loads((whole / kept).read_text()), kept
    ended = weights(stopped)
    for name, values in weights(whole).items():
        torch.testing.assert_close(ended[name], values, rtol=0, atol=0)


@pytest.mark.parametrize(
    "stopped",
    [
        pytest.param(DistillationTrainer, id="phase"),
        pytest.param(FinetuneTrainer, id="baseline", marks=pytest.mark.slow),
    ],
)
def test_a_training_that_was_stopped_says_from_which_step_it_goes_on(
    work: Path, teacher: str, monkeypatch: pytest.MonkeyPatch, stopped: type[Trainer]
) -> None:
    settings = {"phases": [{"name": "joint", "epochs": 5}], "baseline": {"epochs": 5, "batch_size": 16}}
    with monkeypatch.context() as patch:
        stop_at_step(patch, stopped, 5)  # of 10 or 15; a checkpoint is kept after each fifth of them
        with pytest.raises(KeyboardInterrupt):
            run(work, teacher, **settings)
    printed = run(work, teacher, **settings)[1]
    assert f"It goes on from step {4 if stopped is DistillationTrainer else 3}." in printed


def test_another_recipe_does_not_go_on_in_the_folder(work: Path, teacher: str) -> None:
    run(work, teacher, baseline=None)
    with pytest.raises(TinyBertError, match=r"another run:\n  seed: 42 there, 1 now"):
        run(work, teacher, "seed=1", baseline=None)
    with pytest.raises(TinyBertError, match=r"another run:\n  metric: not named there, 'f1' now"):
        run(work, teacher, "metric=f1", baseline=None)


def test_without_baseline_and_with_a_random_start(work: Path, teacher: str) -> None:
    report, printed = run(work, teacher, "student.init=random", baseline=None)
    assert set(report.metrics) == {"teacher", "student"}
    assert "alone" not in printed
    assert not (work / "out" / "baseline").exists()


@pytest.mark.parametrize("named", [None, "float32"])
def test_models_multiply_in_bfloat16_unless_their_format_is_named(
    work: Path, teacher: str, monkeypatch: pytest.MonkeyPatch, named: str | None
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    monkeypatch.setattr(teachers, "LEAST_WIDTH", 8)
    of_student = [] if named is None else ["training_arguments.bf16=false"]
    _, printed = run(work, teacher, f"teacher.dtype={named or 'null'}", *of_student, baseline=None)
    assert ("The teacher multiplies in bfloat16" in printed) is (named is None)
    assert ("The student learns with products in bfloat16" in printed) is (named is None)
    logs = [json.loads(file.read_text()) for file in (work / "out").glob("phases/*/log.json")]
    phases = json.loads((work / "out" / "run.json").read_text())["phases"]
    for who in ("teacher_bf16", "student_bf16"):
        assert [one[who] for one in (*logs, *phases)] == 4 * [named is None]


def test_the_baseline_begins_where_the_student_began(
    work: Path, teacher: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begins: dict[str, torch.Tensor] = {}

    def note(name: str, real: Any) -> Any:
        def noting(model: Any, *args: Any, **kwargs: Any) -> Any:
            begins[name] = model.tinybert.embeddings.word_embeddings.weight.detach().clone()
            return real(model, *args, **kwargs)

        return noting

    monkeypatch.setattr(stages, "run_phases", note("student", stages.run_phases))
    monkeypatch.setattr(stages, "finetune", note("baseline", stages.finetune))
    run(work, teacher)
    torch.testing.assert_close(begins["student"], begins["baseline"], rtol=0, atol=0)


def test_an_untrained_head_is_refused_before_training(work: Path, headless: str) -> None:
    with pytest.raises(TinyBertError, match="--finetune-teacher"):
        run(work, headless)
    assert not (work / "out" / "phases").exists()


def test_a_teacher_no_better_than_chance_is_said(work: Path, teacher: str) -> None:
    write_rows(work / "odd.jsonl", [{**row, "label": "positive"} for row in rows(15)] + rows(1))
    report, printed = run(work, teacher, "data.validation_file=odd.jsonl", baseline=None)
    accuracy = report.metrics["teacher"]["accuracy"]
    assert bool(report.warnings) == (accuracy <= 15 / 16)
    assert ("most frequent label" in printed) == bool(report.warnings)


def test_a_student_with_another_vocabulary_is_refused(work: Path, teacher: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(teacher)
    config = TinyBertConfig(**STUDENT, vocab_size=len(tokenizer))
    TinyBertForSequenceClassification(config).save_pretrained(work / "general")
    tokenizer.save_pretrained(work / "general")
    report, _ = run(work, teacher, student={"model": str(work / "general")}, baseline=None)
    assert report.metrics["student"]
    # As many tokens, two of them exchanged: the sizes agree and the ids mean other words.
    vocabulary = tokenizer.get_vocab()
    first, second = list(vocabulary)[-2:]
    vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]
    type(tokenizer)(vocab=vocabulary).save_pretrained(work / "general")
    with pytest.raises(TinyBertError, match=r"the same ids would mean other words, for example '"):
        run(work, teacher, "output_dir=out2", student={"model": str(work / "general")}, baseline=None)


def test_a_teacher_that_cannot_be_captured_is_refused_before_its_fine_tuning(
    work: Path, teacher: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "finetune", lambda *a, **k: pytest.fail("trained before the check"))
    from transformers import DebertaV2Config, DebertaV2ForSequenceClassification

    size = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 64}
    tokenizer = AutoTokenizer.from_pretrained(teacher)
    DebertaV2ForSequenceClassification(
        DebertaV2Config(vocab_size=len(tokenizer), max_position_embeddings=64, **size)
    ).save_pretrained(work / "deberta")
    tokenizer.save_pretrained(work / "deberta")
    settings = {"model": str(work / "deberta"), "finetune": {"epochs": 1}}
    with pytest.raises(TinyBertError, match="DebertaV2"):
        run(work, teacher, "student.init=random", teacher=settings)


def test_a_very_long_row_is_cut(work: Path, teacher: str) -> None:
    mapping = recipe_mapping(work, teacher, baseline=None)
    write_rows(work / "train.jsonl", [*rows(), {"text": "good " * 20_000, "label": "positive"}])
    assert run_recipe(build(Recipe, mapping), Console(quiet=True)).metrics


def test_teacher_metrics_use_the_students_label_order(work: Path, teacher: str) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(teacher)
    # The same teacher with its two outputs exchanged, and named so: every figure of the run stays what it was.
    turned = AutoModelForSequenceClassification.from_pretrained(teacher)
    with torch.no_grad():
        turned.classifier.weight.copy_(model.classifier.weight[[1, 0]])
        turned.classifier.bias.copy_(model.classifier.bias[[1, 0]])
    turned.config.id2label, turned.config.label2id = {0: "positive", 1: "negative"}, {"positive": 0, "negative": 1}
    turned.save_pretrained(work / "turned")
    AutoTokenizer.from_pretrained(teacher).save_pretrained(work / "turned")
    straight, _ = run(work, teacher, "output_dir=straight", baseline=None)
    crossed, _ = run(work, str(work / "turned"), "output_dir=crossed", baseline=None)
    assert straight.metrics["teacher"] == crossed.metrics["teacher"]


@pytest.mark.slow
def test_a_killed_run_goes_on(work: Path, teacher: str) -> None:
    """SIGKILL in the middle of the phases: no clean-up runs, and the second start ends the run."""
    make_teacher(work / "own")
    mapping = recipe_mapping(work, str(work / "own"), baseline=None)
    (work / "recipe.json").write_text(json.dumps(mapping))
    script = (
        "import json, os, signal, torch\n"
        "from transformers import TrainerCallback\n"
        "from tinybert_hf.recipes import run as stages\n"
        "from tinybert_hf.recipes.run import run_recipe\n"
        "from tinybert_hf.recipes.loader import build\n"
        "from tinybert_hf.recipes.schema import Recipe\n"
        "torch.set_num_threads(1)\n"
        "class Kill(TrainerCallback):\n"
        "    def on_step_end(self, args, state, control, **kwargs):\n"
        "        if state.global_step == 2:\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        "phases = stages.run_phases\n"
        "stages.run_phases = lambda *a, **k: phases(*a, **k, callbacks=[Kill()])\n"
        "run_recipe(build(Recipe, json.load(open('recipe.json'))))\n"
    )
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=280, check=False)
    assert process.returncode == -9, process.stderr
    report = run_recipe(build(Recipe, mapping), Console(quiet=True))
    assert report.metrics["student"]
    AutoModelForSequenceClassification.from_pretrained(work / "out")
