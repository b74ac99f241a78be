"""Runs that are killed, terminated, or find their checkpoints damaged or the disk full."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import killed_runs
import pytest
import torch
from tiny_models import QUIET, bert
from transformers import BertTokenizer, TrainerCallback

from tinybert_hf import DistillationArguments, DistillationTrainer, FinetuneSettings, finetune
from tinybert_hf.checkpoints.integrity import verify_manifest
from tinybert_hf.errors import OutputFolderError, TinyBertError
from tinybert_hf.model.manifest_tinybert import MANIFEST_FILE
from tinybert_hf.training.checkpoints import SAVING_FOLDER, complete_checkpoint, put_checkpoint
from tinybert_hf.training.collators import SeededCollator


def slow(*values: Any) -> Any:
    """A case for `pytest -m slow`."""
    return pytest.param(*values, marks=pytest.mark.slow)


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")


@pytest.fixture
def make_trainer(tmp_path: Path, tiny_tokenizer: BertTokenizer) -> Callable[..., DistillationTrainer]:
    def make(
        folder: str = "out", student: Any = None, callbacks: Any = (), eval_dataset: Any = None, **arguments: Any
    ) -> Any:
        options = {"phase": "joint", "per_device_train_batch_size": 8, "max_steps": 6, "learning_rate": 1e-3, **QUIET}
        options.update({"save_steps": 2, "logging_steps": 4, **arguments})
        return DistillationTrainer(
            bert(vocab_size=64, hidden_dropout_prob=0.1),
            bert(layers=4, hidden=32, vocab_size=64),
            DistillationArguments(str(tmp_path / folder), **options),
            train_dataset=killed_runs.rows(),
            eval_dataset=eval_dataset,
            processing_class=tiny_tokenizer,
            callbacks=list(callbacks),
        )

    return make


def ends(trainer: DistillationTrainer) -> Any:
    """Weights and log."""
    log = [{k: v for k, v in entry.items() if "loss" in k} for entry in trainer.state.log_history if "loss" in entry]
    return {name: value.clone() for name, value in trainer.model.state_dict().items()}, log


def assert_same(first: Any, second: Any) -> None:
    assert first[1] == second[1]
    for name, value in first[0].items():
        assert torch.equal(second[0][name], value), name


class At(TrainerCallback):
    """Does something after a step."""

    def __init__(self, step: int, action: Callable[[], None]) -> None:
        self.step, self.action = step, action

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.step:
            self.action()


@pytest.fixture(scope="module")
def whole_runs(tmp_path_factory: pytest.TempPathFactory, tiny_tokenizer: BertTokenizer) -> Any:
    """Of a run left alone, by whether tokens are masked: writes, evaluated batches, its end; made when asked for."""
    base, known = tmp_path_factory.mktemp("whole"), {}

    def of(masked: bool) -> tuple[int, int, dict[str, Any]]:
        if masked not in known:
            counts = killed_runs.count(base / str(masked), tiny_tokenizer, masked=masked)
            known[masked] = (*counts, killed_runs.outcome(base / str(masked)))
        return known[masked]

    return of


@needs_fork
@pytest.mark.parametrize(("cases", "masked"), [(1, True), slow(2, False), slow(20, True), slow(20, False)])
def test_a_killed_run_ends_like_one_that_was_not(
    cases: int, masked: bool, tmp_path: Path, tiny_tokenizer: BertTokenizer, whole_runs: Any
) -> None:
    """Of rows that are not masked the second phase notes the teacher's answers for the third."""
    writes, _, expected = whole_runs(masked)
    chosen = random.Random(cases)
    for case in range(cases):
        folder = tmp_path / f"case {case}"
        number = chosen.randint(1, writes)
        assert killed_runs.kill_at_write(folder, tiny_tokenizer, number, masked=masked) == -signal.SIGKILL
        again = killed_runs.wait(
            killed_runs.in_child(lambda folder=folder: killed_runs.train(folder, tiny_tokenizer, masked=masked))
        )
        assert again == 0, f"killed at write {number} of {writes}, the run did not go on"
        assert killed_runs.outcome(folder) == expected, f"killed at write {number} of {writes}"


@needs_fork
@pytest.mark.parametrize("cases", [0, pytest.param(20, marks=pytest.mark.slow)])
def test_a_run_killed_in_an_evaluation_ends_like_one_that_was_not(
    cases: int, tmp_path: Path, tiny_tokenizer: BertTokenizer, whole_runs: Any
) -> None:
    """Also where the checkpoint of an epoch's last step was written just before, as in the first evaluation."""
    _, batches, expected = whole_runs(True)
    for case, batch in enumerate([2, *random.Random(cases).choices(range(1, batches + 1), k=cases)]):
        folder = tmp_path / f"case {case}"
        number = signal.SIGINT if case % 2 else signal.SIGKILL
        assert killed_runs.kill_in_evaluation(folder, tiny_tokenizer, batch, number) != 0
        assert killed_runs.wait(killed_runs.in_child(lambda f=folder: killed_runs.train(f, tiny_tokenizer))) == 0
        assert killed_runs.outcome(folder) == expected, f"killed in batch {batch} of {batches}"


@needs_fork
def test_sigterm_in_the_last_evaluation_of_a_phase_ends_the_run_behind_it(
    tmp_path: Path, tiny_tokenizer: BertTokenizer, whole_runs: Any
) -> None:
    """Batch 8 of 5 a time is in the second one, at the end of the first phase."""
    _, _, expected = whole_runs(True)
    folder = tmp_path / "run"
    assert killed_runs.kill_in_evaluation(folder, tiny_tokenizer, 8, signal.SIGTERM) == 128 + signal.SIGTERM
    assert [path.parent.name for path in folder.glob("phases/*/result.json")] == ["0-intermediate"]
    left = folder / "phases" / "0-intermediate" / "checkpoint-2"  # as of a run that was killed in its clean-up
    left.mkdir()
    assert killed_runs.wait(killed_runs.in_child(lambda: killed_runs.train(folder, tiny_tokenizer))) == 0
    assert killed_runs.outcome(folder) == expected
    assert not left.exists()


class FailsIn(TrainerCallback):
    """Raises in a certain evaluation, as if the process had been killed there."""

    def __init__(self, evaluation: int) -> None:
        self.left = evaluation

    def on_prediction_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def whole_log(trainer: DistillationTrainer) -> list[dict[str, Any]]:
    """Everything that does not depend on the clock."""
    clock = ("runtime", "_per_second", "total_flos", "train_loss")
    return [{k: v for k, v in entry.items() if not k.endswith(clock)} for entry in trainer.state.log_history]


# 42 rows are 6 steps an epoch; the evaluation is one batch.
@pytest.mark.parametrize(
    ("settings", "evaluation"),
    [
        ({"eval_strategy": "epoch"}, 1),
        ({"eval_strategy": "epoch", "max_steps": 8}, 2),  # an epoch that is cut short
        slow({"eval_strategy": "epoch"}, 2),  # at the end of the run
        slow({"eval_strategy": "epoch", "logging_strategy": "epoch"}, 1),
        slow({"eval_strategy": "epoch", "eval_on_start": True}, 2),
        slow(
            {"eval_strategy": "epoch", "lr_scheduler_type": "reduce_lr_on_plateau", "metric_for_best_model": "loss"}, 1
        ),
        slow({"eval_strategy": "steps", "eval_steps": 3}, 2),
        slow({"eval_strategy": "epoch", "save_strategy": "epoch"}, 2),
    ],
)
def test_a_missed_evaluation_is_made_up_for(make_trainer: Any, settings: dict[str, Any], evaluation: int) -> None:
    options = {"max_steps": 12, "save_steps": 3, "logging_steps": 4, "per_device_eval_batch_size": 64, **settings}
    whole = make_trainer("whole", eval_dataset=killed_runs.rows(10), **options)
    whole.train()
    stopped = make_trainer(eval_dataset=killed_runs.rows(10), callbacks=[FailsIn(evaluation)], **options)
    with pytest.raises(KeyboardInterrupt):
        stopped.train()
    resumed = make_trainer(eval_dataset=killed_runs.rows(10), **options)
    resumed.train(resume_from_checkpoint=True)
    assert whole_log(resumed) == whole_log(whole)
    assert_same(ends(whole), ends(resumed))


class Draws(TrainerCallback):
    """Draws a random number at each epoch's end, as a user's own callback may."""

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        torch.rand(3)


def test_random_numbers_of_a_callback_are_drawn_once(make_trainer: Any) -> None:
    options = {"max_steps": 12, "save_steps": 3, "eval_strategy": "epoch"}
    whole = make_trainer("whole", eval_dataset=killed_runs.rows(10), callbacks=[Draws()], **options)
    whole.train()
    stopped = make_trainer(eval_dataset=killed_runs.rows(10), callbacks=[Draws(), FailsIn(1)], **options)
    with pytest.raises(KeyboardInterrupt):
        stopped.train()
    resumed = make_trainer(eval_dataset=killed_runs.rows(10), **options)
    resumed.add_callback(Draws())  # after the trainer's own
    resumed.train(resume_from_checkpoint=True)
    assert_same(ends(whole), ends(resumed))


def test_a_run_that_was_stopped_early_stays_stopped(make_trainer: Any) -> None:
    """Killed after its last checkpoint, before its end: transformers would train on."""

    class Stops(TrainerCallback):
        def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            control.should_training_stop = state.global_step == 6

    options = {"max_steps": 12, "save_steps": 3, "eval_strategy": "steps", "eval_steps": 3}
    whole = make_trainer("whole", eval_dataset=killed_runs.rows(10), callbacks=[Stops()], **options)
    whole.train()
    assert whole.state.global_step == 6
    again = make_trainer("whole", eval_dataset=killed_runs.rows(10), **options)
    with pytest.warns(UserWarning, match="no step is left"):
        again.train(resume_from_checkpoint=True)
    assert again.state.global_step == 6
    assert_same(ends(whole), ends(again))


def test_a_finished_run_can_be_made_longer(make_trainer: Any) -> None:
    make_trainer(max_steps=6).train()
    longer = make_trainer(max_steps=8)
    longer.train(resume_from_checkpoint=True)
    assert longer.state.global_step == 8


@pytest.mark.parametrize("method", ["evaluate", "predict"])
def test_an_evaluation_leaves_the_random_numbers_as_they_were(make_trainer: Any, method: str) -> None:
    trainer = make_trainer(eval_dataset=killed_runs.rows(10))
    before = torch.get_rng_state(), random.getstate()
    getattr(trainer, method)(killed_runs.rows(10))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]


def test_sigterm_finishes_the_step_and_saves(make_trainer: Any) -> None:
    whole = make_trainer("whole")
    whole.train()
    before = signal.getsignal(signal.SIGTERM)
    stopped = make_trainer(callbacks=[At(3, lambda: os.kill(os.getpid(), signal.SIGTERM))])
    with pytest.raises(SystemExit) as stop:
        stopped.train()
    assert stop.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == before
    assert verify_manifest(Path(stopped.args.output_dir) / "checkpoint-3") is None
    resumed = make_trainer()
    resumed.train(resume_from_checkpoint=True)
    assert_same(ends(whole), ends(resumed))


@pytest.fixture(scope="module")
def two_checkpoints(tmp_path_factory: pytest.TempPathFactory, tiny_tokenizer: BertTokenizer) -> Path:
    folder = tmp_path_factory.mktemp("run")
    DistillationTrainer(
        bert(vocab_size=64),
        bert(layers=4, hidden=32, vocab_size=64),
        DistillationArguments(str(folder), max_steps=4, save_steps=2, per_device_train_batch_size=8, **QUIET),
        train_dataset=killed_runs.rows(),
        processing_class=tiny_tokenizer,
    ).train()
    return folder


def test_the_tokenizer_of_a_checkpoint_keeps_nothing_of_a_call(two_checkpoints: Path) -> None:
    content = json.loads((two_checkpoints / "checkpoint-4" / "tokenizer.json").read_text())
    length = json.loads((two_checkpoints / "checkpoint-4" / "tokenizer_config.json").read_text())["model_max_length"]
    assert content["padding"] is None
    assert content["truncation"]["max_length"] == length


def _remove(path: Path) -> None:
    path.unlink()


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("harm", [_remove, _cut, _empty, _flip])
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_is_used(
    two_checkpoints: Path, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    names = sorted(path.name for path in (two_checkpoints / "checkpoint-4").iterdir())
    needed = {"config.json", "model.safetensors", "projections.safetensors", "optimizer.pt", "scheduler.pt"}
    needed |= {"rng_state.pth", "trainer_state.json", "training_args.bin", "running_sums.json", MANIFEST_FILE}
    assert needed <= set(names)
    for name in names:
        run = tmp_path / name
        shutil.copytree(two_checkpoints, run)
        harm(run / "checkpoint-4" / name)
        named = "" if name == MANIFEST_FILE else name  # a changed hash speaks of the file that it belongs to
        with pytest.warns(UserWarning, match=rf"checkpoint-4 cannot be used: .*{named}.*goes on from checkpoint-2"):
            assert complete_checkpoint(run) == str(run / "checkpoint-2")


def test_without_a_whole_checkpoint_nothing_is_guessed(make_trainer: Any, two_checkpoints: Path) -> None:
    trainer = make_trainer()
    with pytest.raises(OutputFolderError, match="no checkpoint in"):
        trainer.train(resume_from_checkpoint=True)
    run = Path(trainer.args.output_dir)
    shutil.copytree(two_checkpoints, run, dirs_exist_ok=True)
    _flip(run / "checkpoint-2" / "optimizer.pt")
    with pytest.raises(OutputFolderError, match=r"optimizer\.pt.* was changed after it was saved"):
        trainer.train(resume_from_checkpoint=str(run / "checkpoint-2"))
    _remove(run / "checkpoint-4" / MANIFEST_FILE)
    with pytest.raises(OutputFolderError, match=r"No checkpoint .* is whole.*not written to the end.*optimizer\.pt"):
        trainer.train(resume_from_checkpoint=True)
    assert trainer.state.global_step == 0


def test_a_checkpoint_saved_without_the_optimizer_is_not_gone_on_from(make_trainer: Any) -> None:
    make_trainer(save_only_model=True).train()
    with pytest.raises(OutputFolderError, match=r"saved without optimizer\.pt"):
        make_trainer(max_steps=8).train(resume_from_checkpoint=True)


def test_files_in_folders_of_a_checkpoint_count_too_and_a_damaged_one_is_replaced(tmp_path: Path) -> None:
    target = tmp_path / "checkpoint-2"
    for content in ("first", "second"):
        (tmp_path / SAVING_FOLDER / "shards").mkdir(parents=True)
        (tmp_path / SAVING_FOLDER / "shards" / "a").write_text(content)
        put_checkpoint(tmp_path / SAVING_FOLDER, target)
        assert verify_manifest(target) is None
        assert (target / "shards" / "a").read_text() == content
        (target / "shards" / "a").write_text("other")
        assert str(verify_manifest(target)).startswith("shards/a, which its")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-2"]


def test_files_that_came_later_do_no_harm(two_checkpoints: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(two_checkpoints, run)
    (run / "checkpoint-4" / "notes.txt").write_text("mine")
    assert complete_checkpoint(run) == str(run / "checkpoint-4")


@pytest.mark.skipif(os.name != "posix", reason="limits the size of files")
@pytest.mark.parametrize("most", [slow(3_000), 6_000, slow(30_000), 70_000])
def test_a_full_disk_leaves_the_checkpoint_before(make_trainer: Any, most: int) -> None:
    """A limit on the size of files fails the writes that a full disk would, the large ones first."""
    whole = make_trainer("whole")
    whole.train()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        full = make_trainer(
            save_total_limit=1, callbacks=[At(3, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard)))]
        )
        with pytest.raises(OutputFolderError, match=r"checkpoint-4 could not be written.*make room"):
            full.train()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    run = Path(full.args.output_dir)
    assert [path.name for path in run.iterdir()] == ["checkpoint-2"]
    resumed = make_trainer(save_total_limit=1)
    resumed.train(resume_from_checkpoint=True)
    assert_same(ends(whole), ends(resumed))


def test_the_only_good_checkpoint_is_not_deleted(make_trainer: Any) -> None:
    make_trainer(save_total_limit=1).train()
    trainer = make_trainer(save_total_limit=1, max_steps=8)
    run = Path(trainer.args.output_dir)
    assert [path.name for path in run.iterdir()] == ["checkpoint-6"]
    (run / SAVING_FOLDER / "checkpoint-8").mkdir(parents=True)  # of a run that was stopped
    trainer.train(resume_from_checkpoint=True)
    assert sorted(path.name for path in run.iterdir()) == ["checkpoint-8"]


def test_the_best_checkpoint_is_kept_where_it_stands(make_trainer: Any) -> None:
    options = {"eval_strategy": "steps", "eval_steps": 2, "load_best_model_at_end": True, "save_total_limit": 1}
    trainer = make_trainer(metric_for_best_model="eval_loss", eval_dataset=killed_runs.rows(8), **options)
    trainer.train()
    best = Path(trainer.state.best_model_checkpoint)
    assert best.parent == Path(trainer.args.output_dir)
    assert verify_manifest(best) is None
    assert json.loads((best / "trainer_state.json").read_text())["best_model_checkpoint"] == str(best)


# -- numbers that are not finite --


def test_a_loss_that_is_not_finite_names_itself_the_step_and_the_rows(make_trainer: Any) -> None:
    trainer = make_trainer(train_sampling_strategy="sequential", per_device_train_batch_size=3)
    teacher, poisoned = trainer.teacher, killed_runs.rows()[10]["input_ids"]
    forward = teacher.forward

    def poison(input_ids: Any, **kwargs: Any) -> Any:
        output = forward(input_ids=input_ids, **kwargs)
        hit = (input_ids[:, : len(poisoned)] == torch.tensor(poisoned)[: input_ids.shape[1]]).all(1)
        if hit.any() and trainer.state.max_steps:
            output.logits = output.logits.masked_fill(hit[:, None], float("nan"))
        return output

    poison.__signature__ = __import__("inspect").signature(forward)  # type: ignore[attr-defined]
    teacher.forward = poison
    before = {}
    trainer.add_callback(At(3, lambda: before.update(ends(trainer)[0])))
    with pytest.raises(TinyBertError, match=r"prediction_loss.* in step 4, in the batch of rows 9, 10, 11 ") as error:
        trainer.train()
    assert "checkpoint-2" in str(error.value)
    assert complete_checkpoint(trainer.args.output_dir).endswith("checkpoint-2")  # type: ignore[union-attr]
    for name, value in trainer.model.state_dict().items():
        assert torch.equal(value, before[name]), "the student is as it was before the step"


@pytest.mark.parametrize("max_grad_norm", [1.0, 0.0])
def test_gradients_that_are_not_finite_spoil_no_checkpoint(make_trainer: Any, max_grad_norm: float) -> None:
    trainer = make_trainer(max_grad_norm=max_grad_norm, max_steps=4)
    parameter = trainer.student.classifier.weight
    calls = [0]

    def spoil(gradient: torch.Tensor) -> torch.Tensor:
        calls[0] += 1
        return gradient * (float("inf") if calls[0] == 5 else 1.0)  # the first call looks for idle parameters

    parameter.register_hook(spoil)
    with pytest.raises(TinyBertError, match="the norm of the gradients became NaN or infinite in step 4"):
        trainer.train()
    assert [path.name for path in Path(trainer.args.output_dir).iterdir()] == ["checkpoint-2"]


def test_weights_that_are_not_finite_are_not_saved(make_trainer: Any) -> None:
    trainer = make_trainer(max_steps=4)
    weight = trainer.student.classifier.weight
    trainer.add_callback(At(4, lambda: weight.data.fill_(float("nan"))))
    with pytest.raises(TinyBertError, match=r"1 of \d+ parameters .* when checkpoint-4 .*classifier\.weight"):
        trainer.train()
    assert [path.name for path in Path(trainer.args.output_dir).iterdir()] == ["checkpoint-2"]


def test_finetuning_stops_at_a_loss_that_is_not_finite(tmp_path: Path, tiny_tokenizer: BertTokenizer) -> None:
    model = bert(vocab_size=64)
    with torch.no_grad():
        model.bert.embeddings.word_embeddings.weight[20] = float("nan")
    with pytest.raises(TinyBertError, match=r"loss became NaN or infinite in step 1, in the batch of rows"):
        finetune(
            model,
            FinetuneSettings(epochs=1, batch_size=16),
            output_dir=tmp_path / "out",
            train_dataset=killed_runs.rows(),
            processing_class=tiny_tokenizer,
            training_arguments=QUIET,
        )
    assert not (tmp_path / "out").exists()


# -- masking --


def test_masks_depend_on_the_rows_and_the_epoch_alone(make_trainer: Any, tiny_tokenizer: BertTokenizer) -> None:
    def batches(workers: int, epoch: int) -> list[torch.Tensor]:
        trainer = make_trainer(dataloader_num_workers=workers, max_steps=2)
        trainer.data_collator = killed_runs.Masking(tiny_tokenizer, mlm_probability=0.3)
        loader = trainer.get_train_dataloader()
        trainer._collator.set_epoch(epoch)
        return [batch["input_ids"] for batch in loader]

    first, other = batches(0, 0), batches(0, 1)
    assert any((ids == tiny_tokenizer.mask_token_id).any() for ids in first)
    assert all(torch.equal(a, b) for a, b in zip(first, batches(0, 0), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(first, batches(2, 0), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, other, strict=True))
    state = torch.get_rng_state()
    SeededCollator(killed_runs.Masking(tiny_tokenizer, mlm_probability=0.3), seed=0)(list(killed_runs.rows(4)))
    assert torch.equal(torch.get_rng_state(), state)
