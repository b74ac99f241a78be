"""Every pipeline of transformers that reads text and has a head of ours."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from transformers import BertTokenizer, pipeline
from transformers.pipelines import SUPPORTED_TASKS

from tinybert_hf import TinyBertConfig
from tinybert_hf.model.configuration_tinybert import AUTO_CLASSES

TEXTS = ["the film was good", "a good film"]
EXTRA: dict[str, dict[str, Any]] = {"zero-shot-classification": {"candidate_labels": ["film", "good"]}}


def heads_of(task: str) -> list[str]:
    """The Auto classes of a pipeline that a TinyBERT registers with."""
    return [auto.__name__ for auto in SUPPORTED_TASKS[task].get("pt", ()) if auto.__name__ in AUTO_CLASSES]


TASKS = sorted(task for task, about in SUPPORTED_TASKS.items() if about.get("type") == "text" and heads_of(task))


def test_the_usual_ones_are_among_them() -> None:
    usual = {
        "feature-extraction",
        "text-classification",
        "token-classification",
        "fill-mask",
        "zero-shot-classification",
    }
    assert usual <= set(TASKS)


@pytest.mark.parametrize("task", TASKS)
def test_a_pipeline_answers_what_the_model_says(
    task: str, tmp_path: Path, tiny_tokenizer: BertTokenizer, caplog: pytest.LogCaptureFixture
) -> None:
    auto = getattr(transformers, heads_of(task)[0])
    torch.manual_seed(0)
    config = TinyBertConfig(
        vocab_size=64, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=32, initializer_range=0.3, id2label={0: "contradiction", 1: "entailment"},
        label2id={"contradiction": 0, "entailment": 1},
    )  # fmt: skip
    model = auto.from_config(config).eval()
    model.save_pretrained(tmp_path)
    tiny_tokenizer.save_pretrained(tmp_path)
    texts = [f"{text} [MASK]" for text in TEXTS] if task == "fill-mask" else TEXTS
    with caplog.at_level(logging.WARNING, logger="transformers"):
        answers = pipeline(task, str(tmp_path))(texts, batch_size=2, **EXTRA.get(task, {}))
    assert "not supported" not in caplog.text
    assert len(answers) == len(texts)
    for text, answer in zip(texts, answers, strict=True):
        with torch.no_grad():
            output = model(**tiny_tokenizer(text, return_tensors="pt"))
        CHECKS[task](answer, output, tiny_tokenizer, text)


def _classes(answer: Any, output: Any, *_: Any) -> None:
    best = output.logits.softmax(-1)[0].max(0)
    assert answer["label"] == ("contradiction", "entailment")[best.indices]
    assert answer["score"] == pytest.approx(best.values.item(), rel=1e-4)


def _tokens(answer: Any, output: Any, *_: Any) -> None:
    best = output.logits.softmax(-1)[0, 1:-1].max(-1)
    assert [one["entity"] for one in answer] == [("contradiction", "entailment")[i] for i in best.indices]
    assert [one["score"] for one in answer] == pytest.approx(best.values.tolist(), rel=1e-4)


def _masked(answer: Any, output: Any, tokenizer: BertTokenizer, text: str) -> None:
    place = tokenizer(text)["input_ids"].index(tokenizer.mask_token_id)
    best = output.logits.softmax(-1)[0, place].topk(len(answer))
    assert [one["token"] for one in answer] == best.indices.tolist()


def _states(answer: Any, output: Any, *_: Any) -> None:
    states = output.last_hidden_state[0]
    torch.testing.assert_close(torch.tensor(answer)[0][: len(states)], states, rtol=1e-4, atol=1e-5)


def _zero_shot(answer: Any, *_: Any) -> None:
    assert sorted(answer["labels"]) == ["film", "good"]
    assert sum(answer["scores"]) == pytest.approx(1.0)


CHECKS = {
    "text-classification": _classes,
    "token-classification": _tokens,
    "fill-mask": _masked,
    "feature-extraction": _states,
    "zero-shot-classification": _zero_shot,
}


def test_sentence_transformers_opens_a_student(tmp_path: Path, tiny_tokenizer: BertTokenizer) -> None:
    """With the mean of the tokens as the sentence."""
    library = pytest.importorskip("sentence_transformers")
    torch.manual_seed(0)
    config = TinyBertConfig(
        vocab_size=64, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=32, initializer_range=0.3,
    )  # fmt: skip
    model = transformers.AutoModel.from_config(config).eval()
    model.save_pretrained(tmp_path)
    tiny_tokenizer.save_pretrained(tmp_path)
    sentences = library.SentenceTransformer(str(tmp_path), device="cpu").encode(TEXTS)
    batch = tiny_tokenizer(TEXTS, padding=True, return_tensors="pt")
    mask = batch["attention_mask"][..., None]
    with torch.no_grad():
        states = model(**batch).last_hidden_state
    torch.testing.assert_close(torch.tensor(sentences), (states * mask).sum(1) / mask.sum(1), rtol=1e-4, atol=1e-5)
