"""What benchmarks/gpu.py measures: one function a part, on a GPU or, to try it, on a CPU."""

from __future__ import annotations

import copy
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from gpu_bench import Bench, Device, Run, Sizes
from torch import Tensor, nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    BertTokenizer,
    PreTrainedModel,
    PrinterCallback,
    TrainerCallback,
    set_seed,
)

from tinybert_hf import TinyBertConfig, TinyBertForSequenceClassification, TinyBertModel
from tinybert_hf.data.corpus import BlockCollator
from tinybert_hf.distillation import Projections, load_teacher
from tinybert_hf.evaluation.cost import random_inputs, timed_forward, wait_for
from tinybert_hf.training import DistillationArguments, GeneralDistillationTrainer

TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}

# Models and rows.


def make_teacher(sizes: Sizes, length: int, head: bool = False) -> PreTrainedModel:
    """A BERT with random weights, on the CPU; BERT-base's shape unless the sizes say otherwise."""
    torch.manual_seed(0)
    config = BertConfig(max_position_embeddings=max(length, 512), **sizes.teacher)
    return (BertForSequenceClassification(config) if head else BertModel(config)).eval()


def make_student(sizes: Sizes, preset: str, length: int, head: bool = False) -> PreTrainedModel:
    """A student with random weights, on the CPU, with dropout as shipped."""
    torch.manual_seed(0)
    longest = {"max_position_embeddings": max(length, 512)}
    config = TinyBertConfig.from_preset(preset, **longest, **sizes.students[preset])
    return TinyBertForSequenceClassification(config) if head else TinyBertModel(config)


def make_tokenizer(size: int) -> BertTokenizer:
    """As many tokens as the models embed."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{n}" for n in range(size - 5))]
    return BertTokenizer(vocab={word: place for place, word in enumerate(words)})


class RandomBlocks:
    """Rows of random tokens that look like those of `CorpusBlocks`: numbers are drawn once, rows cut out of them."""

    def __init__(self, count: int, length: int, shortest: int, vocabulary: int) -> None:
        draws = np.random.default_rng(0)
        self.column_names = ["input_ids", "attention_mask", "token_type_ids", "length"]
        self.lengths = draws.integers(shortest, length + 1, count)
        self._tokens = draws.integers(5, vocabulary, (count, length))

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, which: Any) -> Any:
        if which == "length":
            return self.lengths
        length = int(self.lengths[which])
        ones, zeros = np.ones(length, np.int64), np.zeros(length, np.int64)
        tokens = self._tokens[which, :length]
        return {"input_ids": tokens, "attention_mask": ones, "token_type_ids": zeros, "length": length}


@dataclass(frozen=True)
class Case:
    """What is distilled on which batches. `shortest`: None: all rows are of full length."""

    preset: str
    rows: int
    length: int
    steps: int
    shortest: int | None = None

    @property
    def name(self) -> str:
        """In a table."""
        span = f"{self.length}" if self.shortest is None else f"{self.shortest} to {self.length}"
        return f"{self.preset}, {self.rows} x {span}"


class Models:
    """Teacher and student of a case on the CPU, of which each run takes copies, and the rows."""

    def __init__(self, bench: Bench, case: Case, teacher: PreTrainedModel | None = None) -> None:
        self.bench, self.case = bench, case
        self.teacher = teacher or make_teacher(bench.sizes, case.length)
        self.student = make_student(bench.sizes, case.preset, case.length)
        self.tokenizer = make_tokenizer(self.teacher.config.vocab_size)
        count = case.rows * (bench.sizes.warm + case.steps)
        self.blocks = RandomBlocks(count, case.length, case.shortest or case.length, len(self.tokenizer))

    @property
    def tokens(self) -> float:
        """Of a step, without padding, in the mean."""
        return float(self.blocks.lengths.mean()) * self.case.rows

    @property
    def operations(self) -> float:
        """Of a step: of the teacher's forward, and three times those of the student's forward and its projections."""
        mean = [float((self.blocks.lengths**power).mean()) * self.case.rows for power in (1, 2)]
        of_teacher, of_student = (_forward_operations(one.config, *mean) for one in (self.teacher, self.student))
        layers = self.student.config.num_hidden_layers + 1
        projecting = 2 * mean[0] * layers * self.student.config.hidden_size * self.teacher.config.hidden_size
        return of_teacher + 3 * (of_student + projecting)


def _forward_operations(config: Any, tokens: float, pairs: float) -> float:
    """Of the matrix products of a forward: 8 H^2 + 4 H I for a token, 4 H for a pair of tokens, in each layer."""
    width, inner = config.hidden_size, config.intermediate_size
    return float(config.num_hidden_layers * (tokens * (8 * width**2 + 4 * width * inner) + 4 * width * pairs))


# One training of ours, and one of the plain procedure.


class Clock(TrainerCallback):
    """Seconds and peak of the steps after the warm-up."""

    def __init__(self, device: Device, warm: int, steps: int) -> None:
        self.device, self.warm, self.last = device, warm, warm + steps
        self.run: Run | None = None
        self._started = self._warm_seconds = 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The warm-up begins."""
        if state.global_step == 0:
            self.begin()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The warm-up ends, or the run."""
        self.count(state.global_step)

    def begin(self) -> None:
        """Before the first step."""
        wait_for(self.device.torch)
        self._started = time.perf_counter()

    def count(self, steps: int) -> None:
        """After each step, from 1."""
        if steps not in (self.warm, self.last):
            return
        wait_for(self.device.torch)
        seconds = time.perf_counter() - self._started
        if steps == self.warm:
            self._warm_seconds = seconds
            self.device.reset_peak()
            self.begin()
        else:
            self.run = Run(seconds / (self.last - self.warm), self.device.peak(), self._warm_seconds)


def train_ours(models: Models, **arguments: Any) -> Run:
    """The trainer of a general distillation as it is, in bf16.

    Args:
        models: of which copies are trained.
        **arguments: further ones of DistillationArguments.
    """
    bench, case = models.bench, models.case
    clock = Clock(bench.device, bench.sizes.warm, case.steps)
    set_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        trainer = GeneralDistillationTrainer(
            copy.deepcopy(models.student),
            copy.deepcopy(models.teacher),
            DistillationArguments(
                output_dir=folder,
                phase="intermediate",
                max_steps=bench.sizes.warm + case.steps,
                per_device_train_batch_size=case.rows,
                learning_rate=1e-5,
                bf16=True,
                use_cpu=not bench.device.is_gpu,
                dataloader_pin_memory=bench.device.is_gpu,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                log_level="error",
                **arguments,
            ),
            train_dataset=models.blocks,
            data_collator=BlockCollator(models.tokenizer),
            processing_class=models.tokenizer,
            callbacks=[clock],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    assert clock.run is not None
    return clock.run


def train_compiled(models: Models) -> Run:
    """The same with `torch_compile`; compiled anew in each run."""
    torch._dynamo.reset()  # what earlier runs compiled counts against its limit, beyond which it gives up silently
    return train_ours(models, torch_compile=True, torch_compile_backend=models.bench.sizes.backend)


def train_plain(models: Models) -> Run:
    """The plain procedure in bf16: rows in random order, eager attention, the maps and states of all layers built."""
    bench, case = models.bench, models.case
    device = bench.device.torch
    set_seed(0)
    teacher, student = (copy.deepcopy(one).to(device) for one in (models.teacher, models.student))
    for model in (teacher, student):
        model.set_attn_implementation("eager")
    step = PlainStep(teacher, student.train())
    collate, clock = BlockCollator(models.tokenizer), Clock(bench.device, bench.sizes.warm, case.steps)
    batches = []
    for start in range(0, len(models.blocks), case.rows):
        batch = collate([models.blocks[row] for row in range(start, start + case.rows)])
        batches.append({name: values.to(device) for name, values in batch.items()})
    clock.begin()
    for number, batch in enumerate(batches, start=1):
        step(batch)
        clock.count(number)
    assert clock.run is not None
    return clock.run


class PlainStep:
    """One step of the plain procedure."""

    def __init__(self, teacher: PreTrainedModel, student: PreTrainedModel) -> None:
        self.teacher, self.student = teacher, student
        layers, depth = student.config.num_hidden_layers, teacher.config.num_hidden_layers
        self.pairs = [(m, m * depth // layers) for m in range(1, layers + 1)]
        widths = student.config.hidden_size, teacher.config.hidden_size
        self.projections = Projections("per_layer", *widths, range(layers + 1)).to(student.device)
        self.parameters = [*student.parameters(), *self.projections.parameters()]
        self.optimizer = torch.optim.AdamW(self.parameters, lr=1e-5, fused=True)

    def __call__(self, batch: dict[str, Tensor]) -> None:
        """Forward of both, backward, update."""
        wants = {"output_attentions": True, "output_hidden_states": True}
        with torch.autocast(self.student.device.type, torch.bfloat16):
            with torch.no_grad():
                seen = self.teacher(**batch, **wants)
            made = self.student(**batch, **wants)
            loss = self._loss(made, seen)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()

    def _loss(self, made: Any, seen: Any) -> Tensor:
        parts = [nn.functional.mse_loss(made.attentions[m - 1], seen.attentions[n - 1]) for m, n in self.pairs]
        for m, n in [(0, 0), *self.pairs]:
            projection = self.projections.of_layer(m)
            assert projection is not None
            parts.append(nn.functional.mse_loss(projection(made.hidden_states[m]), seen.hidden_states[n]))
        return torch.stack(parts).sum()


# The parts.


def _measure_steps(bench: Bench, cases: list[Case], ways: Mapping[str, Callable[[Models], Run]], rounds: int) -> None:
    """Each way to train the models of each case."""

    def measure(case: Case) -> dict[str, Any]:
        models = Models(bench, case)
        turns = {name: partial(way, models) for name, way in ways.items()}
        return bench.with_rates(bench.interleaved(turns, rounds), models.tokens, models.operations)

    bench.measure_each({case.name: partial(measure, case) for case in cases})


def general(bench: Bench) -> None:
    """Steps of a general distillation, ours and plain."""
    sizes = bench.sizes
    cases = [Case(preset, *batch, sizes.steps) for preset in sizes.students for batch in sizes.batches]
    cases.append(Case(next(iter(sizes.students)), *sizes.batches[0], sizes.steps, shortest=sizes.shortest))
    _measure_steps(bench, cases, {"ours": train_ours, "plain": train_plain}, sizes.rounds)


def lengths(bench: Bench) -> None:
    """Steps over the length of the rows, the tokens of a batch being the same; ours and plain.

    Where the plain procedure has no room for that batch, one row of it is measured beside.
    """
    sizes, preset = bench.sizes, next(iter(bench.sizes.students))
    cases = [Case(preset, max(1, sizes.tokens // one), one, sizes.long_steps) for one in sizes.lengths]

    def measure(case: Case) -> dict[str, Any]:
        models = Models(bench, case)
        ways = {"ours": partial(train_ours, models), "plain": partial(train_plain, models)}
        row = bench.with_rates(bench.interleaved(ways, sizes.long_rounds), models.tokens, models.operations)
        if "out_of_memory" in row["ways"]["plain"] and case.rows > 1:
            single = Models(bench, Case(preset, 1, case.length, case.steps), models.teacher)
            found = bench.interleaved({"plain, 1 row": partial(train_plain, single)}, 1)
            row["ways"] |= bench.with_rates(found, single.tokens, single.operations)["ways"]
        return {"length": case.length, "rows": case.rows, **row}

    bench.measure_each({case.name: partial(measure, case) for case in cases})


def teacher(bench: Bench) -> None:
    """Steps with the teacher's weights in bfloat16, as `teacher.dtype` opens it, and in fp32."""
    sizes = bench.sizes
    cases = [Case(preset, *sizes.batches[0], sizes.steps) for preset in sizes.students]

    def measure(folder: str, case: Case) -> dict[str, Any]:
        each = {
            name: Models(bench, case, load_teacher(folder, task="general", dtype=dtype)[0])
            for name, dtype in (("fp32", "float32"), ("bf16", "bfloat16"))
        }
        ways = {name: partial(train_ours, models) for name, models in each.items()}
        one = each["fp32"]
        return bench.with_rates(bench.interleaved(ways, sizes.rounds), one.tokens, one.operations)

    with tempfile.TemporaryDirectory() as folder:
        model = make_teacher(sizes, sizes.batches[0][1])
        model.save_pretrained(folder)
        make_tokenizer(model.config.vocab_size).save_pretrained(folder)
        bench.measure_each({case.name: partial(measure, folder, case) for case in cases})


def inference(bench: Bench) -> None:
    """Forwards of classifiers, teacher and students, at each size of batch and in each number format."""
    sizes, length = bench.sizes, bench.sizes.batches[0][1]
    made = {"teacher": make_teacher(sizes, length, head=True)}
    made |= {preset: make_student(sizes, preset, length, head=True).eval() for preset in sizes.students}

    def call(model: PreTrainedModel, batch: dict[str, Tensor]) -> Run:
        seconds, forward = [], timed_forward(model, batch, bench.device.torch)
        with torch.inference_mode():
            for _ in range(sizes.warm + sizes.calls):
                started = time.perf_counter()
                forward()
                seconds.append(time.perf_counter() - started)
        return Run(statistics.median(seconds[sizes.warm :]), None, sum(seconds[: sizes.warm]))

    def measure(rows: int, dtype: torch.dtype) -> dict[str, Any]:
        models = {name: copy.deepcopy(model).to(bench.device.torch, dtype) for name, model in made.items()}
        batch = random_inputs(made["teacher"].config, rows, length, bench.device.torch)
        ways = bench.interleaved({name: partial(call, one, batch) for name, one in models.items()}, sizes.rounds)
        for way in ways.values():
            if "seconds" in way:
                way["texts_per_second"] = rows / way["seconds"]
        return {"rows": rows, "ways": ways}

    every = [(rows, name) for rows in sizes.inference for name in TYPES]
    bench.measure_each({f"{rows} x {length}, {name}": partial(measure, rows, TYPES[name]) for rows, name in every})


def compiled(bench: Bench) -> None:
    """Steps with `torch_compile`, and without."""
    sizes = bench.sizes
    cases = [Case(preset, *sizes.batches[0], sizes.steps) for preset in sizes.compiled]
    _measure_steps(bench, cases, {"eager": train_ours, "compiled": train_compiled}, sizes.compile_rounds)


PARTS: dict[str, Callable[[Bench], None]] = {
    "general": general,
    "lengths": lengths,
    "teacher": teacher,
    "inference": inference,
    "compiled": compiled,
}
