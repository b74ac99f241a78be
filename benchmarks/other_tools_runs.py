"""The child process of other_tools.py and front_others.py: trainings in one tool, and its losses of one batch.

    PYTHON benchmarks/other_tools_runs.py TOOL WORK TEACHER

PYTHON has torch, transformers and the tool; tinybert_hf only where that is the tool. The student is opened with the
code in its folder. Reads a job a line, does it, and answers with a line; what a tool prints goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, RandomSampler, Sampler

# transformers is imported where it is used: torchvision has to be helped first, where it is installed.
MAP = {1: 2, 2: 3, 3: 5, 4: 6}  # what "uniform" is from 6 layers to 4
RATES = {"intermediate": 3e-4, "prediction": 1e-4}
EPOCHS, BATCH = 2, 32
OPERATOR = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def states_of(layer_map: dict[int, int]) -> dict[int, int]:
    """Where hidden states are compared: after the layers, and after the embeddings."""
    return {0: 0, **layer_map}


@dataclass
class Plan:
    """What a training does.

    Attributes:
        layer_map: from the student's layers to the teacher's.
        rates: the highest of each phase, by its name.
        steps: of each phase; empty: EPOCHS of all rows.
        warmup: of each phase, the part of its steps in which the rate rises; empty: none.
    """

    layer_map: dict[int, int] = field(default_factory=lambda: dict(MAP))
    rates: dict[str, float] = field(default_factory=lambda: dict(RATES))
    steps: dict[str, int] = field(default_factory=dict)
    warmup: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.layer_map = {int(layer): int(teachers) for layer, teachers in self.layer_map.items()}  # JSON has texts

    @property
    def states(self) -> dict[int, int]:
        """Where hidden states are compared."""
        return states_of(self.layer_map)


class Run:
    """One training: models, rows, and the time of each phase."""

    def __init__(self, work: Path, teacher: str) -> None:
        from transformers import AutoModelForSequenceClassification, AutoTokenizer, DataCollatorWithPadding

        self.work = work
        self.teacher = AutoModelForSequenceClassification.from_pretrained(teacher, dtype="float32").eval()
        self.student = AutoModelForSequenceClassification.from_pretrained(work / "start", trust_remote_code=True)
        self.start = {name: tensor.clone() for name, tensor in self.student.state_dict().items()}
        self.tokenizer = AutoTokenizer.from_pretrained(teacher)
        self.pad = DataCollatorWithPadding(self.tokenizer)
        self.rows: list[dict[str, list[int]]] = json.loads((work / "rows.json").read_text())
        self.plan = Plan()

    def steps(self, phase: str) -> int:
        """Of a phase."""
        return self.plan.steps.get(phase, EPOCHS * self.steps_of_epoch)

    @property
    def steps_of_epoch(self) -> int:
        """Over all rows."""
        return -(-len(self.rows) // BATCH)

    def warmup_steps(self, phase: str) -> int:
        """Of a phase, in which the rate rises."""
        return round(self.plan.warmup.get(phase, 0.0) * self.steps(phase))

    def factor(self, phase: str) -> Callable[[int], float]:
        """Of the rate, by the step: up, then linearly down to 0."""
        steps, warmup = self.steps(phase), self.warmup_steps(phase)
        return lambda step: step / warmup if step < warmup else max(0.0, (steps - step) / max(1, steps - warmup))

    def common_heads(self) -> int:
        """What scores are compared in: the fewer heads of the two models."""
        return min(int(model.config.num_attention_heads) for model in (self.student, self.teacher))

    def begin(self, job: dict[str, Any]) -> None:
        """Set student, seed and time back."""
        self.out, self.seed, self.like_lengths = Path(job["out"]), job["seed"], job["like_lengths"]
        self.plan = Plan(**(job.get("plan") or {}))
        self.student.load_state_dict(self.start)
        self.seconds: dict[str, dict[str, float]] = {}
        torch.manual_seed(self.seed)

    @contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        """Measure the block, in seconds of the CPU and of the clock."""
        cpu, wall = time.process_time(), time.perf_counter()
        yield
        self.seconds[phase] = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}

    def sampler(self) -> Sampler[int]:
        """Rows in random order, or in batches of like length by transformers' own sampler."""
        from transformers.trainer_pt_utils import LengthGroupedSampler

        generator = torch.Generator().manual_seed(self.seed)
        if self.like_lengths:
            lengths = [len(row["input_ids"]) for row in self.rows]
            return LengthGroupedSampler(BATCH, lengths=lengths, generator=generator)
        return RandomSampler(self.rows, generator=generator)

    def collate(self, rows: list[dict[str, list[int]]]) -> dict[str, Tensor]:
        """A batch, padded to its longest row. A plain dict: TextBrewer takes no other mapping."""
        return dict(self.pad(rows))

    def first_batch(self) -> dict[str, Tensor]:
        """The first rows, with padding; both models are to answer them without dropout."""
        self.student.eval()
        return self.collate(self.rows[:BATCH])

    def set_projections(self, maps: list[Any]) -> None:
        """Give the maps of a tool the weights that all tools are compared with."""
        for projection, weights in zip(maps, torch.load(self.work / "projections.pt"), strict=True):
            projection.load_state_dict(weights)


def run_tinybert_hf(run: Run) -> None:
    """This package as in its README: everything by default but rates and epochs."""
    from datasets import Dataset

    from tinybert_hf import DistillationArguments, DistillationTrainer

    for phase, rate in RATES.items():
        arguments = DistillationArguments(
            str(run.out / phase),
            phase=phase,
            num_train_epochs=EPOCHS,
            learning_rate=rate,
            per_device_train_batch_size=BATCH,
            seed=run.seed,
            disable_tqdm=True,
        )
        trainer = DistillationTrainer(
            run.student,
            run.teacher,
            arguments,
            train_dataset=Dataset.from_list(run.rows),
            processing_class=run.tokenizer,
        )
        with run.timed(phase):
            trainer.train()


def attention_with_scores(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, Tensor]:
    """Eager attention whose second output are the scores, not the probabilities: what `output_attentions` then has."""
    scores = query @ key.transpose(-1, -2) * kwargs["scaling"]
    masked = scores if attention_mask is None else scores + attention_mask
    probabilities = nn.functional.dropout(masked.softmax(-1), kwargs.get("dropout", 0.0), module.training)
    return (probabilities @ value).transpose(1, 2).contiguous(), scores


def in_groups(scores: Tensor, heads: int) -> Tensor:
    """Means of consecutive heads, where there are more: (B, A, L, L) to (B, heads, L, L)."""
    return scores if scores.shape[1] == heads else scores.unflatten(1, (heads, -1)).mean(2)


def textbrewer_distiller(run: Run, phase: str, masked: bool = True) -> Any:
    """A GeneralDistiller with intermediate matches, or with logits alone."""
    from textbrewer import DistillationConfig, GeneralDistiller, TrainingConfig
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface, eager_mask

    AttentionInterface.register("scores", attention_with_scores)
    AttentionMaskInterface.register("scores", eager_mask)
    between = phase == "intermediate"
    for model in (run.student, run.teacher):
        model.set_attn_implementation("scores" if between else "sdpa")
    widths = [run.student.config.hidden_size, run.teacher.config.hidden_size]
    scores = {"feature": "attention", "loss": "attention_mse", "weight": 1}
    states = {"feature": "hidden", "loss": "hidden_mse", "weight": 1}
    matches = [{"layer_S": m - 1, "layer_T": n - 1, **scores} for m, n in run.plan.layer_map.items()]
    projected = {**states, "proj": ["linear", *widths]}
    matches += [{"layer_S": m, "layer_T": n, **projected} for m, n in run.plan.states.items()]
    heads = run.common_heads()

    def layers(batch: dict[str, Tensor], outputs: Any) -> dict[str, Any]:
        mask = {"inputs_mask": batch["attention_mask"]} if masked else {}
        attention = [in_groups(one, heads) for one in outputs.attentions]
        return {"attention": attention, "hidden": outputs.hidden_states, **mask}

    def logits(batch: dict[str, Tensor], outputs: Any) -> dict[str, Any]:
        return {"logits": outputs.logits}

    adaptor = layers if between else logits
    settings = DistillationConfig(temperature=1, intermediate_matches=matches if between else None)
    saved_once = {"ckpt_steps": run.steps(phase)} if run.plan.steps else {}
    training = TrainingConfig(output_dir=str(run.out / phase), device="cpu", **saved_once)
    return GeneralDistiller(training, settings, run.teacher, run.student, adaptor, adaptor)


WITH_LAYERS = {"output_attentions": True, "output_hidden_states": True}


def run_textbrewer(run: Run) -> None:
    """Both phases, as in its documentation."""
    from transformers import get_linear_schedule_with_warmup

    for phase, rate in run.plan.rates.items():
        distiller = textbrewer_distiller(run, phase)
        optimizer = torch.optim.AdamW(run.student.parameters(), lr=rate, weight_decay=0.0, fused=True)
        rows: Any = run.rows
        loader = DataLoader(rows, batch_size=BATCH, sampler=run.sampler(), collate_fn=run.collate)
        length = {"num_steps": run.steps(phase)} if run.plan.steps else {"num_epochs": EPOCHS}
        with run.timed(phase), distiller:
            distiller.train(
                optimizer,
                loader,
                **length,
                scheduler_class=get_linear_schedule_with_warmup,
                scheduler_args={"num_warmup_steps": run.warmup_steps(phase), "num_training_steps": run.steps(phase)},
                max_grad_norm=1.0,
                **(WITH_LAYERS if phase == "intermediate" else {}),
            )


def textbrewer_losses(run: Run) -> dict[str, float]:
    """Its losses of one batch, with the mask and without."""
    found = {}
    for name, masked in (("", True), (" without mask", False)):
        distiller = textbrewer_distiller(run, "intermediate", masked)
        run.set_projections([projection for projection in distiller.projs if projection is not None])
        _, parts = distiller.train_on_batch(run.first_batch(), WITH_LAYERS)
        for kind in ("attention", "hidden"):
            found[kind + name] = sum(float(v.detach()) for k, v in parts.items() if k.startswith(f"unweighted_{kind}"))
    return found


@cache
def register_in_torchdistill(run: Run) -> None:
    """What it does not bring: projections around the student, and losses that leave padding out."""
    from torchdistill.datasets.registry import register_collate_func
    from torchdistill.losses.registry import register_mid_level_loss
    from torchdistill.models.registry import register_auxiliary_model_wrapper
    from torchdistill.models.wrapper import AuxiliaryModelWrapper

    @register_auxiliary_model_wrapper(key="WithProjections")
    class WithProjections(AuxiliaryModelWrapper):  # type: ignore[misc, no-any-unimported]
        def __init__(self, student_model: nn.Module, paths: list[str], widths: list[int], **kwargs: Any) -> None:
            super().__init__()
            self.student_model, self.paths = student_model, paths
            self.maps = nn.ModuleList(nn.Linear(*widths) for _ in paths)

        def forward(self, **batch: Tensor) -> Any:
            return self.student_model(**batch)

        def secondary_forward(self, io_dict: dict[str, Any]) -> None:
            for path, projection in zip(self.paths, self.maps, strict=True):
                projection(io_dict[path]["output"])

    class Between(nn.Module):
        def __init__(self, student: str, teacher: str, heads: tuple[int, int] = (0, 0)) -> None:
            super().__init__()
            self.student, self.teacher, self.heads = student, teacher, heads

        def scores(self, io_dict: dict[str, Any], path: str, heads: int) -> Tensor:
            sides = (io_dict[f"{path}.{side}"]["output"] for side in ("query", "key"))
            query, key = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in sides)
            return in_groups(query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5, min(self.heads))

    @register_mid_level_loss(key="RealTokensMSE")
    class RealTokensMSE(Between):
        def forward(self, student: dict[str, Any], teacher: dict[str, Any], mask: Tensor) -> Tensor:
            error = (student[self.student]["output"] - teacher[self.teacher]["output"]).square().mean(-1)
            return (error * mask).sum() / mask.sum()

    @register_mid_level_loss(key="RealPairsMSE")
    class RealPairsMSE(Between):
        def forward(self, student: dict[str, Any], teacher: dict[str, Any], mask: Tensor) -> Tensor:
            ours, theirs = self.heads
            made, seen = self.scores(student, self.student, ours), self.scores(teacher, self.teacher, theirs)
            error = (made - seen).square().mean(1)
            pairs = mask[:, :, None] * mask[:, None, :]
            return (error * pairs).sum() / pairs.sum()

    register_collate_func(key="pad")(run.collate)


def torchdistill_stage(run: Run, phase: str, rate: float) -> dict[str, Any]:
    """One stage as its YAML files describe it."""

    def paths(trunk: str, layers: Any) -> list[str]:
        return [f"{trunk}.encoder.layer.{n - 1}" if n else f"{trunk}.embeddings" for n in layers]

    student: dict[str, Any] = {"forward_proc": "forward_batch_only_as_kwargs"}
    teacher: dict[str, Any] = {"forward_proc": "forward_batch_only_as_kwargs", "requires_grad": False}
    if phase == "prediction":
        sides = {"student_module_path": "classifier", "teacher_module_path": "classifier"}
        sides |= {"student_module_io": "output", "teacher_module_io": "output"}
        terms = {"kd": {"criterion": {"key": "KDLoss", "kwargs": {**sides, "temperature": 1.0, "alpha": 0.0}}}}
        student["forward_hook"] = teacher["forward_hook"] = {"output": ["classifier"]}
    else:
        states = run.plan.states
        ours, theirs = paths("student_model.tinybert", states), paths("bert", states.values())
        widths = [run.student.config.hidden_size, run.teacher.config.hidden_size]
        wrapper = {"key": "WithProjections", "kwargs": {"paths": ours, "widths": widths}}
        maps = [f"+maps.{i}" for i in range(len(ours))]
        terms = {
            f"states {a}": {"criterion": {"key": "RealTokensMSE", "kwargs": {"student": a, "teacher": b}}}
            for a, b in zip(maps, theirs, strict=True)
        }
        hooks: tuple[list[str], list[str]] = ([*ours, *maps], [*theirs])
        heads = [model.config.num_attention_heads for model in (run.student, run.teacher)]
        for a, b in zip(ours[1:], theirs[1:], strict=True):
            a, b = f"{a}.attention.self", f"{b}.attention.self"
            sides = {"student": a, "teacher": b, "heads": heads}
            terms[f"scores {a}"] = {"criterion": {"key": "RealPairsMSE", "kwargs": sides}}
            for hook, path in zip(hooks, (a, b), strict=True):
                hook.extend((f"{path}.query", f"{path}.key"))
        student.update(auxiliary_model_wrapper=wrapper, forward_hook={"output": hooks[0]})
        teacher["forward_hook"] = {"output": hooks[1]}
    loader = {"dataset_id": "train", "requires_supp": False, "collate_fn": "pad", "kwargs": {"batch_size": BATCH}}
    optimizer = {"key": "AdamW", "kwargs": {"lr": rate, "weight_decay": 0.0, "fused": True}, "max_grad_norm": 1.0}
    return {
        "num_epochs": -(-run.steps(phase) // run.steps_of_epoch),
        "train_data_loader": {**loader, "sampler": {"class_or_func": lambda rows: run.sampler()}},
        "teacher": teacher,
        "student": student,
        "optimizer": optimizer,
        "scheduler": {"key": "LambdaLR", "kwargs": {"lr_lambda": run.factor(phase)}, "scheduling_step": 1},
        "criterion": {
            "key": "WeightedSumLoss",
            "kwargs": {"sub_terms": {name: {**term, "weight": 1.0} for name, term in terms.items()}},
        },
    }


def torchdistill_box(run: Run, phase: str, rate: float) -> Any:
    """A DistillationBox with forward hooks."""
    from torchdistill.core.distillation import get_distillation_box

    stage = torchdistill_stage(run, phase, rate)
    rows, device = {"train": run.rows}, torch.device("cpu")
    return get_distillation_box(run.teacher, run.student, rows, stage, device, None, False, 1.0)


def run_torchdistill(run: Run) -> None:
    """Both phases, with the loop of its example scripts."""
    register_in_torchdistill(run)
    for phase, rate in run.plan.rates.items():
        box = torchdistill_box(run, phase, rate)
        with run.timed(phase):
            left = run.steps(phase)
            for epoch in range(box.num_epochs):
                box.pre_epoch_process(epoch=epoch)
                for batch in islice(box.train_data_loader, left):
                    box.pre_forward_process()
                    box.post_forward_process(loss=box.forward_process(batch, batch["attention_mask"]))
                box.post_epoch_process()
                left -= len(box.train_data_loader)
        box.clean_modules()


def torchdistill_losses(run: Run) -> dict[str, float]:
    """The losses of one batch, all together."""
    register_in_torchdistill(run)
    box = torchdistill_box(run, "intermediate", 0.0)
    run.set_projections(list(box.student_model.maps))
    batch = run.first_batch()
    loss = float(box.forward_process(batch, batch["attention_mask"]).detach())
    box.clean_modules()
    return {"sum": loss}


def import_torchvision() -> str:
    """Import what torchdistill imports; the error that had to be got over, or nothing.

    Beside a CPU build of torch, a torchvision that was built for CUDA does not find its compiled operators, and stops
    at the first. torchdistill needs none of them here: two names are declared, and torchvision goes on without.
    """
    try:
        import torchvision
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        for module in [module for module in sys.modules if module.split(".")[0] == "torchvision"]:
            del sys.modules[module]
        for name in ("nms", "qnms"):
            torch.library.define(f"torchvision::{name}", OPERATOR)
        import torchvision

        assert torchvision
        return str(error)
    return ""


def prepare(tool: str) -> dict[str, Any]:
    """Import the tool, and say which versions there are."""
    packages, got_over = [tool.lower(), "torch", "transformers"], ""
    if tool == "tinybert_hf":
        import tinybert_hf  # registers the student with the Auto classes

        assert tinybert_hf
    elif tool == "torchdistill":
        packages.append("torchvision")
        got_over = import_torchvision()
    return {"versions": {name: version(name) for name in packages}, "got_over": got_over}


TOOLS: dict[str, tuple[Callable[[Run], None], Callable[[Run], dict[str, float]]]] = {
    "tinybert_hf": (run_tinybert_hf, lambda run: {}),
    "TextBrewer": (run_textbrewer, textbrewer_losses),
    "torchdistill": (run_torchdistill, torchdistill_losses),
}


def do(run: Run, tool: str, job: dict[str, Any]) -> dict[str, Any]:
    """One job: the losses of one batch where it names no seed's folder, else a training."""
    train, losses = TOOLS[tool]
    run.begin(job)
    if job["losses"]:
        return {"losses": losses(run)}
    train(run)
    weights = {name: tensor.detach().contiguous() for name, tensor in run.student.state_dict().items()}
    save_file(weights, run.out / "student.safetensors")
    return {"seconds": run.seconds}


def main() -> None:
    """Answer each job."""
    tool, work, teacher = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    torch.set_num_threads(1)
    run, about = None, {}
    for line in sys.stdin:
        try:
            about = about or prepare(tool)
            run = run or Run(Path(work), teacher)
            answer = {**about, **do(run, tool, json.loads(line))}
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
