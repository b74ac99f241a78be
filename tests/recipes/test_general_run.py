"""A general distillation as a whole run, and the task distillation that goes on from it."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file
from tiny_run import NOUNS, STUDENT, make_teacher, recipe_mapping
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

from tinybert_hf.checkpoints import PROJECTIONS_FILE
from tinybert_hf.checkpoints.model_card import card_of
from tinybert_hf.data import corpus as shards
from tinybert_hf.errors import DataError, RecipeError, TeacherError, TinyBertError
from tinybert_hf.model import TinyBertForMaskedLM, TinyBertModel
from tinybert_hf.publishing import write_report
from tinybert_hf.recipes import general as general_steps
from tinybert_hf.recipes import run as stages
from tinybert_hf.recipes.general import losses_that_rose
from tinybert_hf.recipes.loader import build, load_recipe
from tinybert_hf.recipes.plan import make_plan
from tinybert_hf.recipes.report import describe_plan
from tinybert_hf.recipes.run import run_recipe
from tinybert_hf.recipes.schema import Recipe
from tinybert_hf.training import GeneralDistillationTrainer

PHASE = {"name": "intermediate", "epochs": 2, "batch_size": 16, "learning_rate": 3e-3}


def write_text(folder: Path, count: int = 120) -> None:
    draw = np.random.default_rng(0)
    words = ("good", "bright", "fine", "warm", "bad", "dull", "weak", "cold")
    lines = [
        f"the {NOUNS[draw.integers(6)]} was {words[draw.integers(8)]} number {draw.integers(48)}" for _ in range(count)
    ]
    (folder / "text.txt").write_text("\n".join(lines), encoding="utf-8")


def mapping(folder: Path, model: str, **changes: Any) -> dict[str, Any]:
    corpus = {"files": ["text.txt"], "block_size": 32, "cache": str(folder / "cache"), **changes.pop("corpus", {})}
    return {
        "name": "tiny-general", "task": "general", "corpus": corpus, "teacher": {"model": model},
        "student": {"preset": "4l-312d", "overrides": STUDENT}, "phases": [PHASE],
        "training_arguments": {"use_cpu": True}, "output_dir": str(folder / "general"), **changes,
    }  # fmt: skip


def run(folder: Path, teacher: str, **changes: Any) -> tuple[Any, str]:
    console = Console(record=True, width=160, file=io.StringIO())
    report = run_recipe(build(Recipe, mapping(folder, teacher, **changes)), console)
    return report, console.export_text()


@pytest.fixture
def text(work: Path) -> Path:
    """The current folder, with a text."""
    write_text(work)
    return work


@pytest.mark.parametrize("start", ["teacher", "random"])
def test_a_run_leaves_a_base_model_nearer_to_its_teacher(text: Path, headless: str, start: str) -> None:
    student = {"preset": "4l-312d", "overrides": STUDENT, "init": start}
    report, printed = run(text, headless, student=student)
    after = report.metrics["student"]
    # Projected down, the student begins near its teacher; so few steps bring the attention alone nearer.
    every = ("hidden_state_loss", "embedding_loss") if start == "random" else ()
    for name in ("loss", "attention_loss", *every):
        assert after[name] < after["before"][name]
    assert (
        f"hidden-state loss {after['before']['hidden_state_loss']:.4g} -> {after['hidden_state_loss']:.4g}" in printed
    )
    assert "tokens/s" in printed
    assert report.throughput["tokens"] == 2 * report.corpus["train_tokens"]
    assert report.corpus["validation_blocks"] == 1
    content = json.loads((text / "general" / "run.json").read_text())
    assert content["metrics"]["student"] == after
    assert content["data"]["problem_type"] == "general"
    model = AutoModel.from_pretrained(text / "general")
    assert type(model) is TinyBertModel
    card = (text / "general" / "README.md").read_text()
    assert "no task" in card
    assert "--student" in card
    assert load_file(text / "general" / PROJECTIONS_FILE).keys() == {
        f"maps.{layer}.{part}" for layer in range(3) for part in ("weight", "bias")
    }
    assert AutoTokenizer.from_pretrained(text / "general").get_vocab()
    assert not (text / "general" / ".run").exists()
    # The same command again shows the result.
    again, said = run(text, headless, student=student)
    assert again == report
    assert "complete" in said


def test_every_epoch_and_the_next_run_read_the_same_tokens(
    text: Path, headless: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    add = shards._Writer.add
    monkeypatch.setattr(shards._Writer, "add", lambda self, batch: (calls.append(len(batch)), add(self, batch)))
    run(text, headless)
    assert sum(calls) == 120  # once, in two epochs
    run(text, headless, output_dir=str(text / "second"), phases=[{**PHASE, "epochs": 1}])
    assert sum(calls) == 120


def test_masked_tokens_are_learned_where_that_is_asked_for(text: Path, headless: str) -> None:
    report, printed = run(
        text, headless, corpus={"masked_share": 0.15}, phases=[{**PHASE, "epochs": 4, "label_loss_weight": 1.0}]
    )
    after = report.metrics["student"]
    assert after["label_loss"] < 0.9 * after["before"]["label_loss"]
    assert "masked-LM loss" in printed
    assert type(TinyBertForMaskedLM.from_pretrained(text / "general")) is TinyBertForMaskedLM
    assert "fill-mask" in (text / "general" / "README.md").read_text()
    assert AutoModel.from_pretrained(text / "general").config.num_hidden_layers == 2


def test_both_models_see_the_same_masked_tokens(text: Path, headless: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, list[torch.Tensor]] = {"teacher": [], "student": []}
    compute = GeneralDistillationTrainer.compute_loss

    def noting(self: Any, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        handles = [
            one.register_forward_pre_hook(
                lambda _m, _a, given, who=who: seen[who].append(given["input_ids"].clone()), with_kwargs=True
            )
            for who, one in (("teacher", self.teacher), ("student", self.student))
        ]
        try:
            return compute(self, model, inputs, *args, **kwargs)
        finally:
            for handle in handles:
                handle.remove()

    monkeypatch.setattr(GeneralDistillationTrainer, "compute_loss", noting)
    run(text, headless, corpus={"masked_share": 0.3}, phases=[{**PHASE, "epochs": 0.5}])
    assert seen["teacher"]
    mask = AutoTokenizer.from_pretrained(headless).mask_token_id
    for ours, theirs in zip(seen["student"], seen["teacher"], strict=True):
        assert torch.equal(ours, theirs)
        assert (ours == mask).any()


def test_held_out_text_of_its_own(text: Path, headless: str) -> None:
    (text / "dev.txt").write_text("the film was good number 1\n" * 30)
    report, _ = run(text, headless, corpus={"validation_files": ["dev.txt"]}, phases=[{**PHASE, "epochs": 1}])
    assert report.corpus["validation_blocks"] > 1
    assert report.corpus["train_blocks"] == report.corpus["blocks"]


@pytest.mark.parametrize("stop_in", ["tokenising", "first phase", pytest.param("report", marks=pytest.mark.slow)])
def test_a_stopped_run_goes_on_and_ends_the_same(
    text: Path, headless: str, monkeypatch: pytest.MonkeyPatch, stop_in: str
) -> None:
    monkeypatch.setattr(shards, "SHARD_TOKENS", 500)
    monkeypatch.setattr(shards, "_LINES_AT_ONCE", 20)
    whole, _ = run(text, headless, output_dir=str(text / "whole"), corpus={"cache": str(text / "other")})

    def stop(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if stop_in == "tokenising":
            patch.setattr(shards._Writer, "end_source", stop)
        elif stop_in == "report":
            patch.setattr(general_steps, "measure_costs", stop)
        else:
            step = GeneralDistillationTrainer.training_step

            def stopping(self: Any, *args: Any, **kwargs: Any) -> Any:
                return stop() if self.state.global_step == 10 else step(self, *args, **kwargs)

            patch.setattr(GeneralDistillationTrainer, "training_step", stopping)
        with pytest.raises(KeyboardInterrupt):
            run(text, headless)
    trained: list[int] = []
    step = GeneralDistillationTrainer.training_step
    monkeypatch.setattr(
        GeneralDistillationTrainer, "training_step", lambda self, *a, **k: (trained.append(1), step(self, *a, **k))[1]
    )
    report, printed = run(text, headless)
    assert "Going on" in printed
    total = report.phases[0]["steps"]
    assert {"tokenising": len(trained) == total, "first phase": len(trained) < total, "report": not trained}[stop_in]
    assert report.metrics == whole.metrics
    assert report.throughput["tokens"] == whole.throughput["tokens"]
    for name, values in load_file(text / "whole" / "model.safetensors").items():
        torch.testing.assert_close(load_file(text / "general" / "model.safetensors")[name], values, rtol=0, atol=0)


@pytest.mark.parametrize("masked", [pytest.param(False, marks=pytest.mark.slow), True])
def test_a_task_goes_on_from_the_general_student(text: Path, tmp_path: Path, masked: bool) -> None:
    """The task's teacher is a fine-tuned copy of the general one: it has a head, and is as wide."""
    base = make_teacher(text / "base", head=False)
    tuned = make_teacher(text / "tuned")
    phase = {**PHASE, **({"label_loss_weight": 1.0} if masked else {})}
    run(text, base, corpus={"masked_share": 0.15 if masked else 0.0}, phases=[phase])
    # So slow that the projections end as they began, up to rounding.
    still = [{"name": "intermediate", "epochs": 1, "batch_size": 16, "projection_learning_rate": 1e-12}]
    changes = {"student": {"model": str(text / "general")}, "phases": still, "baseline": None}
    console = Console(record=True, width=120, file=io.StringIO())
    run_recipe(build(Recipe, recipe_mapping(text, tuned, **changes)), console)
    assert "are gone on with" in console.export_text()
    before = load_file(text / "general" / PROJECTIONS_FILE)
    kept = load_file(text / "out" / "phases" / "0-intermediate" / PROJECTIONS_FILE)
    assert before.keys() == kept.keys()
    for name, value in kept.items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=1e-5)
    student = AutoModelForSequenceClassification.from_pretrained(text / "out")
    assert student.config.id2label == {0: "negative", 1: "positive"}


def test_the_losses_that_rose_are_named() -> None:
    def warnings(after: dict[str, float], phases: int = 1) -> list[str]:
        before = {"loss": 5.0, "attention_loss": 3.0, "hidden_state_loss": 1.0}
        metrics = {**after, "before": before, "tokens": 3}
        return losses_that_rose(metrics, phases)

    assert warnings({"loss": 4.0, "attention_loss": 2.0, "hidden_state_loss": 0.9}) == []
    (one,) = warnings({"loss": 4.0, "attention_loss": 2.0, "hidden_state_loss": 1.5})
    assert "hidden-state loss 1 -> 1.5: there" in one
    assert "attention loss" not in one
    (both,) = warnings({"loss": 7.0, "attention_loss": 5.0, "hidden_state_loss": 1.5})
    assert "did not fall (5 -> 7; attention loss 3 -> 5, hidden-state loss 1 -> 1.5)" in both
    assert warnings({"loss": 7.0, "attention_loss": 5.0, "hidden_state_loss": 1.5}, phases=2) == []


def test_few_steps_are_said(text: Path, headless: str) -> None:
    phases = [{"name": "intermediate", "epochs": 1, "batch_size": 100_000}]
    _, printed = run(text, headless, phases=phases)
    assert "Phase 0 has only 1 step (" in " ".join(printed.split())


def test_a_general_run_goes_on_from_a_general_student(text: Path, headless: str) -> None:
    first, _ = run(text, headless)
    changes = {"student": {"model": str(text / "general")}, "output_dir": str(text / "second")}
    second, printed = run(text, headless, **changes)
    assert "are gone on with" in printed
    before = second.metrics["student"]["before"]
    for name, value in before.items():
        assert value == pytest.approx(first.metrics["student"][name], rel=1e-4)


def test_the_shipped_recipe_applies(text: Path, headless: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    class Seen(Exception):
        pass

    def note(student: Any, teacher: Any, chosen: Any, **kwargs: Any) -> None:
        seen.update(kwargs, student=student, phases=chosen)
        raise Seen

    monkeypatch.setattr(stages, "run_phases", note)
    overrides = {
        "corpus.files": ["text.txt"], "corpus.cache": "cache", "teacher.model": headless, "corpus.block_size": 64,
        "student.overrides": STUDENT, "output_dir": "out", "training_arguments.use_cpu": True,
    }  # fmt: skip
    with pytest.raises(Seen):
        run_recipe(load_recipe("general", overrides), Console(quiet=True))
    (phase,) = seen["phases"]
    arguments = phase.arguments("x", seed=1, has_eval=True)
    assert phase.loss_weights() == {"attention_loss": 1.0, "hidden_state_loss": 1.0, "embedding_loss": 1.0}
    assert (arguments.num_train_epochs, arguments.per_device_train_batch_size) == (3, 256)
    assert arguments.learning_rate == 3e-4
    assert seen["data_collator"].masked_share == 0
    assert seen["trainer_class"] is GeneralDistillationTrainer
    assert load_recipe("general").corpus is not None
    assert load_recipe("general").corpus.block_size == 128  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"corpus": None}, "needs text"),
        ({"data": {"train_file": "a.jsonl"}}, r"data.train_file: a general distillation reads no rows"),
        ({"baseline": {}}, "baseline: there are no labels"),
        ({"teacher": {"model": "x", "finetune": {}}}, "teacher.finetune: there are no labels"),
        ({"extra_teachers": [{"model": "x"}]}, "one teacher"),
        ({"phases": [{"name": "prediction"}]}, "no prediction_loss; call the phase intermediate"),
        ({"phases": [{**PHASE, "label_loss_weight": 1.0}]}, "masked_share: 0.15"),
        ({"phases": [{**PHASE, "teacher_cache": "x"}]}, "teacher_cache"),
        ({"task": "text-classification"}, "plain text is for `task: general`"),
        ({"student": {"preset": "seq2seq-3-1-128d"}}, "is a translator"),
        ({"prune_vocabulary": {"corpus": ["train"]}}, "prune_vocabulary: a task distillation goes on"),
        ({"metric": "f1"}, "measured by its losses"),
        ({"further_metrics": ["f1"]}, "measured by its losses"),
    ],
)
def test_what_does_not_belong_is_refused(work: Path, changes: dict[str, Any], message: str) -> None:
    whole = {**mapping(work, "x"), **changes}
    with pytest.raises(RecipeError, match=message):
        build(Recipe, whole)


def test_what_does_not_fit_is_refused_before_anything_is_read(text: Path, headless: str) -> None:
    def plan(**changes: Any) -> Any:
        return make_plan(build(Recipe, mapping(text, headless, **changes)))

    with pytest.raises(RecipeError, match=r"128 tokens are more than the 64 positions of the teacher.*--block-size"):
        plan(corpus={"block_size": 128})
    with pytest.raises(DataError, match=r"absent.txt does not exist"):
        plan(corpus={"files": ["absent.txt"]})
    with pytest.raises(RecipeError, match="cannot start from it"):
        plan(student={"preset": "4l-312d", "overrides": {**STUDENT, "hidden_size": 64}})
    with pytest.raises(RecipeError, match="for example a pretrained BERT"):
        plan(teacher={})
    with pytest.raises(TinyBertError, match="there is no such folder"):
        plan(teacher={"model": "nowhere"})
    shown = describe_plan(plan())
    for words in ("text: 1 source,", "the last 1 % of the blocks", "layer map", "cache"):
        assert words in shown
    assert "label_column" not in shown
    assert not (text / "cache").exists()


def test_another_corpus_does_not_go_on_in_the_folder(text: Path, headless: str) -> None:
    run(text, headless, phases=[{**PHASE, "epochs": 1}])
    with (text / "text.txt").open("a") as file:
        file.write("\nthe cast was good number 3")
    with pytest.raises(TinyBertError, match=r"another run:\n  content of the corpus"):
        run(text, headless, phases=[{**PHASE, "epochs": 1}])
    # Where the tokens are kept does not matter.
    write_text(text)
    assert run(text, headless, phases=[{**PHASE, "epochs": 1}], corpus={"cache": "elsewhere"})[0].metrics


def test_a_translator_is_no_encoder(text: Path, translator: str) -> None:
    with pytest.raises(TeacherError, match="is a translator"):
        make_plan(build(Recipe, mapping(text, translator)))


def test_a_report_and_a_card_can_be_written(text: Path, headless: str) -> None:
    run(text, headless, phases=[{**PHASE, "epochs": 1}])
    page = write_report(text / "general").read_text(encoding="utf-8")
    for words in (
        "of the loss on held-out text",
        "tokens of plain text (text.txt)",
        "before any task",
        "hidden states",
    ):
        assert words in page
    card = card_of(text / "general", "me/general")
    assert "tinybert distill sst2 --student me/general" in card
    assert "feature-extraction" in card


@pytest.mark.slow
def test_two_processes_carry_out_one_run(text: Path, headless: str) -> None:
    """One of them tokenises, writes and speaks; the student is that of a run in one process."""
    single, _ = run(text, headless, output_dir="single", corpus={"cache": "other"})
    whole = mapping(text, headless, output_dir="both")
    whole["phases"] = [{**PHASE, "batch_size": 8}]  # of each
    (text / "recipe.json").write_text(json.dumps(whole))
    script = (
        "import json, torch\n"
        "from tinybert_hf.recipes.loader import build\n"
        "from tinybert_hf.recipes.run import run_recipe\n"
        "from tinybert_hf.recipes.schema import Recipe\n"
        "torch.set_num_threads(1)\n"
        "run_recipe(build(Recipe, json.load(open('recipe.json'))))\n"
    )
    (text / "run.py").write_text(script)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "run.py"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("Corpus: 1 source,") == 1
    metrics = json.loads((text / "both" / "run.json").read_text())["metrics"]["student"]
    for name, value in single.metrics["student"].items():
        if name != "before":
            assert metrics[name] == pytest.approx(value, rel=0.05)  # dropout draws other numbers in each process
