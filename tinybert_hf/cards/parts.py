"""What every card of a model says, whoever writes it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf.cards.example_texts import ExampleTexts, are_opinions, examples_in
from tinybert_hf.cards.markup import escaped, in_code, literal
from tinybert_hf.wording import counted, counted_layers

if TYPE_CHECKING:
    from huggingface_hub import ModelCardData

CARD_FILE = "README.md"
MARK = "<!-- Written by tinybert_hf, from the run itself. -->"
TAGS = ("tinybert", "distillation", "knowledge-distillation")
PIPELINES = {
    "TinyBertForSequenceClassification": "text-classification",
    "TinyBertForTokenClassification": "token-classification",
    "TinyBertForQuestionAnswering": "question-answering",
    "TinyBertForMaskedLM": "fill-mask",
    "TinyBertForSeq2Seq": "translation",
    "TinyBertModel": "feature-extraction",
}
MULTI_LABEL, REGRESSION = "multi_label_classification", "regression"
_MOST_LABELS = 20
_HUB_NAME = r"[\w.-]{1,96}/[\w.-]{1,96}|[\w.]+-[\w.-]{1,96}"
_CITATION = """@article{jiao2020tinybert,
  title   = {TinyBERT: Distilling BERT for Natural Language Understanding},
  author  = {Jiao, Xiaoqi and Yin, Yichun and Shang, Lifeng and Jiang, Xin and Chen, Xiao and Li, Linlin and
             Wang, Fang and Liu, Qun},
  journal = {Findings of EMNLP},
  year    = {2020},
  note    = {arXiv:1909.10351}
}"""


@dataclass(frozen=True)
class Subject:
    """The model that a card is about.

    Attributes:
        name: of the model, the heading of the card.
        place: what loads it: its id on the Hub, or a folder.
        config: content of config.json.
        pipeline: as the Hub calls its task.
        languages: of its texts, the source's first.
        problem_type: as transformers calls it; None: as the configuration says.
        pairs: it reads two texts.
    """

    name: str
    place: str
    config: Mapping[str, Any]
    pipeline: str
    languages: Sequence[str] = ()
    problem_type: str | None = None
    pairs: bool = False

    @property
    def labels(self) -> list[str]:
        """In their order; empty where the model gives no label."""
        labels = self.config.get("id2label")
        if not self.pipeline.endswith("classification") or self.kind == REGRESSION or not labels:
            return []
        # JSON has sorted them as texts: 0, 1, 10, 11, 2.
        return [str(labels[place]) for place in sorted(labels, key=lambda place: int(place))]

    @property
    def kind(self) -> str | None:
        """The problem type."""
        return self.problem_type or self.config.get("problem_type")


def introduction(subject: Subject, teachers: Sequence[str], size: str = "") -> Iterator[str]:
    """What a model is, what it was distilled from, and how to load it.

    Args:
        subject: the model.
        teachers: as `named` names them; none where they are not known.
        size: in parentheses, with a space before.
    """
    config = subject.config
    layers = counted_layers(config["num_hidden_layers"], config.get("num_decoder_layers"))
    yield f"# {escaped(subject.name.rpartition('/')[2] or subject.name)}"
    yield ""
    origin = f", distilled from {' and '.join(teachers)}" if teachers else ""
    yield f"A TinyBERT of {layers} of width {config['hidden_size']}{size}{origin}."
    labels = subject.labels
    if labels:
        yield ""
        more = " and more" if len(labels) > _MOST_LABELS else ""
        yield f"Label{'s' * (len(labels) > 1)}: {', '.join(map(escaped, labels[:_MOST_LABELS]))}{more}."
    yield ""
    yield "## How to load it"
    yield ""
    yield "The code travels with the weights; where `tinybert_hf` is imported, `trust_remote_code` is not needed."
    yield ""
    yield "```python"
    yield from _code(subject)
    yield "```"


def _code(subject: Subject) -> Iterator[str]:
    """Lines of Python that load the model and try it."""
    texts, place, pipeline = examples_in(subject.languages), literal(subject.place), subject.pipeline
    opened = f'pipeline("{pipeline}", {place}, trust_remote_code=True)'
    if pipeline in ("text-classification", "token-classification", "fill-mask"):
        yield "from transformers import pipeline"
        yield ""
    if pipeline == "text-classification":
        text = literal(texts.opinion if are_opinions(subject.labels) else texts.statement)
        if subject.pairs:
            first, second = map(literal, texts.pair)
            text = f'{{"text": {first}, "text_pair": {second}}}'
        if subject.kind == MULTI_LABEL:
            yield "# Each label has a probability of its own, and any number of them may be above 1/2."
            yield f"{opened}({text}, top_k=None)"
        elif subject.kind == REGRESSION:
            yield "# The score is the number that the model gives."
            yield f'{opened}({text}, function_to_apply="none")'
        else:
            yield f"{opened}({text})"
    elif pipeline == "token-classification":
        yield f"{opened}({literal(texts.names)})"
    elif pipeline == "fill-mask":
        before, after = texts.masked.split("{mask}")
        yield f"fill = {opened}"
        yield f"fill({literal(before)} + fill.tokenizer.mask_token + {literal(after)})"
    else:
        yield from _model_code(pipeline, place, texts)


def _model_code(pipeline: str, place: str, texts: ExampleTexts) -> Iterator[str]:
    """Where transformers has no pipeline for the task."""
    auto = {"translation": "AutoModelForSeq2SeqLM", "question-answering": "AutoModelForQuestionAnswering"}
    loader = auto.get(pipeline, "AutoModel")
    yield f"from transformers import {loader}, AutoTokenizer"
    yield ""
    yield f"model = {loader}.from_pretrained({place}, trust_remote_code=True)"
    yield f"tokenizer = AutoTokenizer.from_pretrained({place}, trust_remote_code=True)"
    if pipeline == "question-answering":
        yield f'batch = tokenizer({literal(texts.question)}, {literal(texts.context)}, return_tensors="pt")'
        yield "output = model(**batch)"
        yield "first, last = int(output.start_logits.argmax()), int(output.end_logits.argmax())"
        yield 'print(tokenizer.decode(batch["input_ids"][0, first : last + 1]))'
        yield f"# Long texts, in windows: tinybert_hf.QuestionAnswerer({place})(question, context)"
    if pipeline == "translation":
        yield f'batch = tokenizer([{literal(texts.source)}], return_tensors="pt")'
        yield "print(tokenizer.batch_decode(model.generate(**batch), skip_special_tokens=True))"


def latency_in_words(costs: Mapping[str, Mapping[str, Any]], device: str) -> str | None:
    """How the speeds of a run's models were measured, a sentence; None where the run does not say it.

    Args:
        costs: of a run.json.
        device: likewise.
    """
    cost = costs["student"]
    where = "CPU" if device == "cpu" else device
    if cost.get("threads"):
        where += f", {counted(cost['threads'], 'thread')}"
    if "sentences_per_second" in cost:
        return f"Speed: the median of interleaved rounds, tokenizing and decoding included ({where})."
    if "length" not in cost:
        return None
    size = f"{counted(cost['batch_size'], 'row')} of {counted(cost['length'], 'token')}"
    return f"Latency: a forward of {size}, the median of interleaved rounds ({where})."


def limits() -> Iterator[str]:
    """What a distilled model is not good at."""
    yield ""
    yield "## Limits"
    yield ""
    yield (
        "A student knows what its teacher and its training rows showed it: it keeps their mistakes and their bias, "
        "and loses most on texts that are unlike those rows. Measure it on your own data before you rely on it."
    )


def whole_card(data: ModelCardData, parts: Iterable[str]) -> str:
    """The text of README.md: metadata, mark and sections."""
    return f"---\n{data.to_yaml()}\n---\n\n{MARK}\n\n" + "\n".join(parts) + "\n"


def citation() -> Iterator[str]:
    """Of the method."""
    yield ""
    yield "## Citation"
    yield ""
    yield "```bibtex"
    yield _CITATION
    yield "```"


def hub_name(model: Any) -> str | None:
    """The id of a model on the Hub; None for one that lies on this machine."""
    # A bare word such as `teacher` is a folder that is not here any more; bert-base-uncased is a model.
    if not isinstance(model, str) or not re.fullmatch(_HUB_NAME, model, re.ASCII) or model.startswith("."):
        return None
    return None if Path(model).exists() else model


def named(model: Any) -> str:
    """A teacher, as a card names it; None: it was trained in the run."""
    if model is None:
        return "a teacher that was trained in the same run"
    hub = hub_name(model)
    return f"[{escaped(hub)}](https://huggingface.co/{hub})" if hub else f"a local model ({in_code(last_part(model))})"


def place_of(folder: Path) -> str:
    """A folder as a card may name it: as it was typed, which loads it from there, but nothing of the machine."""
    if folder.is_absolute() or ".." in folder.parts or not folder.name:
        return folder.resolve().name
    return folder.as_posix()


def last_part(path: str) -> str:
    """A local path as others may see it."""
    return Path(path).name or str(path)
