"""What every card of a model says, whoever writes it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

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
_LOADING = {
    "text-classification": 'pipeline("text-classification", "{name}", trust_remote_code=True)("a gripping film")',
    "token-classification": 'pipeline("token-classification", "{name}", trust_remote_code=True)("Ada lives in Paris")',
    "fill-mask": 'pipeline("fill-mask", "{name}", trust_remote_code=True)("a [MASK] film")',
}
_CITATION = """@article{jiao2020tinybert,
  title   = {TinyBERT: Distilling BERT for Natural Language Understanding},
  author  = {Jiao, Xiaoqi and Yin, Yichun and Shang, Lifeng and Jiang, Xin and Chen, Xiao and Li, Linlin and
             Wang, Fang and Liu, Qun},
  journal = {Findings of EMNLP},
  year    = {2020},
  note    = {arXiv:1909.10351}
}"""


def introduction(
    name: str, config: Mapping[str, Any], pipeline: str, teachers: Sequence[str], size: str = ""
) -> Iterator[str]:
    """What a model is, what it was distilled from, and how to load it.

    Args:
        name: id on the Hub, or a folder.
        config: content of config.json.
        pipeline: as the Hub calls its task.
        teachers: as `named` names them; none where they are not known.
        size: in parentheses, with a space before.
    """
    layers = str(config["num_hidden_layers"])
    if config.get("num_decoder_layers"):
        layers += f" + {config['num_decoder_layers']}"
    yield f"# {name.rpartition('/')[2]}"
    yield ""
    origin = f", distilled from {' and '.join(teachers)}" if teachers else ""
    yield f"A TinyBERT of {layers} layers of width {config['hidden_size']}{size}{origin}."
    labels = config.get("id2label")
    if labels and pipeline.endswith("classification"):
        shown = [str(value) for value in labels.values()]
        yield ""
        yield f"Labels: {', '.join(shown[:20])}{' and more' if len(shown) > 20 else ''}."
    yield ""
    yield from _loading(name, pipeline)


def _loading(name: str, pipeline: str) -> Iterator[str]:
    yield "## How to load it"
    yield ""
    yield "The code travels with the weights; where `tinybert_hf` is imported, `trust_remote_code` is not needed."
    yield ""
    yield "```python"
    if pipeline in _LOADING:
        yield "from transformers import pipeline"
        yield ""
        yield _LOADING[pipeline].format(name=name)
    else:
        auto = {"translation": "AutoModelForSeq2SeqLM", "question-answering": "AutoModelForQuestionAnswering"}
        loader = auto.get(pipeline, "AutoModel")
        yield f"from transformers import {loader}, AutoTokenizer"
        yield ""
        yield f'model = {loader}.from_pretrained("{name}", trust_remote_code=True)'
        yield f'tokenizer = AutoTokenizer.from_pretrained("{name}", trust_remote_code=True)'
        if pipeline == "question-answering":
            yield 'batch = tokenizer("Where was she born?", "She was born in Paris.", return_tensors="pt")'
            yield "output = model(**batch)"
            yield "first, last = int(output.start_logits.argmax()), int(output.end_logits.argmax())"
            yield 'print(tokenizer.decode(batch["input_ids"][0, first : last + 1]))'
            yield '# Long texts, in windows: tinybert_hf.QuestionAnswerer("{name}")(question, context)'.replace(
                "{name}", name
            )
        if pipeline == "translation":
            yield 'batch = tokenizer(["The train leaves at noon."], return_tensors="pt")'
            yield "print(tokenizer.batch_decode(model.generate(**batch), skip_special_tokens=True))"
    yield "```"


def limits() -> Iterator[str]:
    """What a distilled model is not good at."""
    yield ""
    yield "## Limits"
    yield ""
    yield (
        "A student knows what its teacher and its training rows showed it: it keeps their mistakes and their bias, "
        "and loses most on texts that are unlike those rows. Measure it on your own data before you rely on it."
    )


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
    if not isinstance(model, str) or Path(model).exists():
        return None
    # A bare word such as `teacher` is a folder that is not here any more; bert-base-uncased is a model.
    return model if re.fullmatch(r"[\w.-]+/[\w.-]+|[\w.]+-[\w.-]+", model) and not model.startswith(".") else None


def named(model: Any) -> str:
    """A teacher, as a card names it; None: it was trained in the run."""
    if model is None:
        return "a teacher that was trained in the same run"
    hub = hub_name(model)
    return f"[{hub}](https://huggingface.co/{hub})" if hub else f"a local model (`{last_part(str(model))}`)"


def last_part(path: str) -> str:
    """A local path as others may see it."""
    return Path(path).name
