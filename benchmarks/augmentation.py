"""Augmentation beside one call of the masked-LM a word, as published scripts make them.

    python benchmarks/augmentation.py [--rows 16] [--rounds 2] [--threads 1 2]

Rows are sentences of the demo's generator; the models have random weights, since speed does not depend on what they
say. Three ways find the candidates of the same words and take turns, on one thread and on all cores:

- published: a call a word on the masked sentence with the original behind it as a second one, all tokens through the
  head, the whole vocabulary sorted;
- one word a call: the same without the second sentence, and the best 15 alone;
- here: `tinybert augment` without its files, that is reading, masking, predicting and drawing 20 copies a row.

Writes docs/results/augmentation.json and .md.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import BertConfig, BertForMaskedLM

from tinybert_hf.data import demo_sentiment, train_wordpiece_tokenizer
from tinybert_hf.data.augmentation import Augmenter
from tinybert_hf.data.augmentation_candidates import words_from
from tinybert_hf.data.augmentation_words import ReplacementSettings, replaceable_words

VOCABULARY = 30522
MODELS: dict[str, dict[str, int]] = {
    "4 layers x 312": {
        "num_hidden_layers": 4,
        "hidden_size": 312,
        "num_attention_heads": 12,
        "intermediate_size": 1200,
    },
    "6 layers x 384": {
        "num_hidden_layers": 6,
        "hidden_size": 384,
        "num_attention_heads": 12,
        "intermediate_size": 1536,
    },
    "BERT-base (12 layers x 768)": {},
}
WAYS = ("published", "one word a call", "here")


def calls(model: Any, tokenizer: Any, texts: list[str], *, second: bool) -> int:
    """A call for each word that is one piece; returns their number."""
    count = 0
    for text in texts:
        for word in replaceable_words(text):
            if len(tokenizer.tokenize(word.text)) != 1:
                continue
            masked = f"{text[: word.start]}{tokenizer.mask_token}{text[word.end :]}"
            inputs = tokenizer(masked, text if second else None, return_tensors="pt")
            place = inputs["input_ids"][0].tolist().index(tokenizer.mask_token_id)
            with torch.no_grad():
                scores = model(**inputs).logits[0, place]
            if second:
                tokenizer.convert_ids_to_tokens(scores.argsort(descending=True)[:15].tolist())
            else:
                tokenizer.convert_ids_to_tokens(scores.topk(15).indices.tolist())
            count += 1
    return count


def seconds(way: Callable[[], Any]) -> float:
    """How long it takes; on one thread that of the processor, so that other work on the machine does not count."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    started = clock()
    way()
    return clock() - started


def measure(shape: dict[str, int], tokenizer: Any, texts: list[str], rounds: int) -> dict[str, Any]:
    """All ways, taking turns; the best of the rounds, since other work on the machine only adds to it."""
    torch.manual_seed(0)
    model = BertForMaskedLM(BertConfig(vocab_size=VOCABULARY, **shape)).eval()
    words = calls(model, tokenizer, texts[:2], second=False)  # warms up
    words = sum(len(tokenizer.tokenize(word.text)) == 1 for text in texts for word in replaceable_words(text))
    augmenter = Augmenter(words_from(model, tokenizer), ReplacementSettings())
    ways: dict[str, Callable[[], Any]] = {
        "published": lambda: calls(model, tokenizer, texts, second=True),
        "one word a call": lambda: calls(model, tokenizer, texts, second=False),
        "here": lambda: augmenter.augment([[text] for text in texts]),
    }
    taken = [{name: seconds(way) for name, way in ways.items()} for _ in range(rounds)]
    best = {name: min(one[name] for one in taken) for name in WAYS}
    return {"words": words, "seconds": best, "words_per_second": {name: words / best[name] for name in WAYS}}


def table(results: dict[str, Any], options: argparse.Namespace, tokens: float) -> str:
    """The Markdown page."""
    lines = [
        "# Augmentation beside one call a word",
        "",
        f"Written by `python benchmarks/augmentation.py --rows {options.rows} --rounds {options.rounds} --threads "
        f"{' '.join(map(str, options.threads))}`.",
        f"CPU, torch {torch.__version__}, {options.rows} sentences of {tokens:.1f} tokens on average, 20 copies each.",
        "Words per second, the best round. On one thread the processor's time counts, on several that of the clock.",
        "",
        "- Published: a call a word on the masked sentence with the original behind it, the whole vocabulary sorted.",
        "- One word a call: without the second sentence, and the best 15 only.",
        "- Here: reading, masking, predicting and drawing all copies.",
        "",
        "| model | threads | published | one word a call | here | faster than published | than one word a call |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, one in results.items():
        for threads, found in one.items():
            published, single, here = (found["words_per_second"][way] for way in WAYS)
            lines.append(
                f"| {name} | {threads} | {published:.0f} | {single:.0f} | {here:.0f} | {here / published:.1f}x | "
                f"{here / single:.1f}x |"
            )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, os.cpu_count() or 1}))
    options = parser.parse_args()
    sentences = [row["text"] for row in demo_sentiment(2000, seed=0)]
    tokenizer = train_wordpiece_tokenizer(sentences, 4000)
    texts = sentences[: options.rows]
    lengths = [len(ids) for ids in tokenizer(texts)["input_ids"]]
    results: dict[str, Any] = {name: {} for name in MODELS}
    for threads in options.threads:
        torch.set_num_threads(threads)
        for name, shape in MODELS.items():
            results[name][threads] = measure(shape, tokenizer, texts, options.rounds)
            print(f"{name}, {threads} thread(s): {results[name][threads]['words_per_second']}", flush=True)
    page = table(results, options, sum(lengths) / len(lengths))
    print(page)
    folder = Path(__file__).parent.parent / "docs" / "results"
    (folder / "augmentation.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (folder / "augmentation.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
