"""A model with a smaller vocabulary: the same numbers, bit for bit, on text whose pieces all stay."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_vocabularies import texts
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    ElectraConfig,
    ElectraForTokenClassification,
    RobertaConfig,
    RobertaForMaskedLM,
    RobertaForSequenceClassification,
    XLMRobertaConfig,
    XLMRobertaForSequenceClassification,
    pipeline,
)

from tinybert_hf import model as family
from tinybert_hf.conversion import pruning
from tinybert_hf.conversion.pruning import PrunedModel, prune_embeddings, prune_vocabulary
from tinybert_hf.errors import DataError, TinyBertError

HEADS = [name for name in dir(family) if name.startswith("TinyBertFor") and name != "TinyBertForSeq2Seq"]
SHAPE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 70,
    "initializer_range": 0.3,
    "num_labels": 3,
}


def inside(tokenizer: Any, pruned: PrunedModel, count: int = 24) -> list[str]:
    """Texts that no corpus held, of kept pieces only."""
    kept = set(pruned.kept)
    found = [text for text in texts(99, 400) if set(tokenizer(text)["input_ids"]) <= kept]
    assert len(found) >= count
    return found[:count]


def outputs(model: Any, tokenizer: Any, batch: list[str], **padding: Any) -> dict[str, torch.Tensor]:
    inputs = tokenizer(batch, return_tensors="pt", truncation=True, **padding)
    if "MultipleChoice" in type(model).__name__:
        inputs = {name: values.unsqueeze(1) for name, values in inputs.items()}
    with torch.no_grad():
        found = model.eval()(**inputs)
    return {name: values for name, values in found.items() if torch.is_tensor(values)}


@pytest.fixture(scope="module")
def tokenizer(tokenizer_of: Callable[[str], Any]) -> Any:
    return tokenizer_of("WordPiece")


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("head", [*HEADS, "TinyBertModel"])
def test_every_head_gives_the_same_bits(
    head: str, attention: str, tokenizer: Any, tiny_config: Any, corpus: list[str]
) -> None:
    config = tiny_config(vocab_size=len(tokenizer) + 6, num_labels=3, attn_implementation=attention)
    model = getattr(family, head)(config)
    assert model.config._attn_implementation == attention
    pruned = prune_vocabulary(model, tokenizer, corpus, margin=0.2)
    assert type(pruned.model) is type(model)
    assert pruned.model.config._attn_implementation == attention
    batch = inside(tokenizer, pruned)
    for rows in (batch[:1], batch[:7], batch):
        for padding in (
            {"padding": True},
            {"padding": "max_length", "max_length": 40},
            {"padding": True, "max_length": 8},
        ):
            before = outputs(model, tokenizer, rows, **padding)
            after = outputs(pruned.model, pruned.tokenizer, rows, **padding)
            assert before.keys() == after.keys()
            for name, values in before.items():
                if head == "TinyBertForMaskedLM":
                    torch.testing.assert_close(after[name], values[..., list(pruned.kept)], rtol=1e-5, atol=1e-5)
                else:
                    assert torch.equal(after[name], values), name


def test_a_masked_language_model_keeps_its_last_layer_to_the_bit(
    tokenizer: Any, tiny_config: Any, corpus: list[str]
) -> None:
    model = family.TinyBertForMaskedLM(tiny_config(vocab_size=len(tokenizer)))
    torch.nn.init.normal_(model.cls.predictions.bias)
    pruned = prune_vocabulary(model, tokenizer, corpus)
    batch = inside(tokenizer, pruned)
    before, after = (
        outputs(one.tinybert, words, batch, padding=True)["last_hidden_state"]
        for one, words in ((model, tokenizer), (pruned.model, pruned.tokenizer))
    )
    assert torch.equal(before, after)
    kept = list(pruned.kept)
    head, old = pruned.model.cls.predictions, model.cls.predictions
    assert torch.equal(head.bias, old.bias[kept])
    assert torch.equal(head.decoder.weight, old.decoder.weight[kept])
    # still one matrix, and one bias
    assert head.decoder.weight is pruned.model.tinybert.embeddings.word_embeddings.weight
    assert head.decoder.bias is head.bias


def test_an_untied_decoder_is_cut_by_itself(tokenizer: Any, corpus: list[str]) -> None:
    config = BertConfig(vocab_size=len(tokenizer), **{**SHAPE, "tie_word_embeddings": False})
    model = BertForMaskedLM(config)
    pruned = prune_vocabulary(model, tokenizer, corpus)
    kept = list(pruned.kept)
    assert torch.equal(pruned.model.cls.predictions.decoder.weight, model.cls.predictions.decoder.weight[kept])
    assert not torch.equal(
        pruned.model.cls.predictions.decoder.weight, pruned.model.bert.embeddings.word_embeddings.weight
    )


@pytest.mark.parametrize(
    ("model_class", "config_class", "kind"),
    [
        (BertForSequenceClassification, BertConfig, "WordPiece"),
        (ElectraForTokenClassification, ElectraConfig, "WordPiece"),
        (RobertaForSequenceClassification, RobertaConfig, "BPE"),
        (RobertaForMaskedLM, RobertaConfig, "BPE"),
        (XLMRobertaForSequenceClassification, XLMRobertaConfig, "Unigram"),
    ],
)
def test_other_families(
    model_class: Any, config_class: Any, kind: str, tokenizer_of: Callable[[str], Any], corpus: list[str]
) -> None:
    tokenizer = tokenizer_of(kind)
    model = model_class(config_class(vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, **SHAPE))
    pruned = prune_vocabulary(model, tokenizer, corpus)
    assert pruned.model.config.vocab_size == len(pruned.kept) == len(pruned.tokenizer) < len(tokenizer)
    batch = inside(tokenizer, pruned, 8)
    before = outputs(model, tokenizer, batch, padding=True)["logits"]
    after = outputs(pruned.model, pruned.tokenizer, batch, padding=True)["logits"]
    if model_class is RobertaForMaskedLM:
        torch.testing.assert_close(after, before[..., list(pruned.kept)], rtol=1e-5, atol=1e-5)
    else:
        assert torch.equal(before, after)


def test_distilbert(tokenizer: Any, corpus: list[str]) -> None:
    model = DistilBertForSequenceClassification(
        DistilBertConfig(vocab_size=len(tokenizer), dim=32, n_layers=2, n_heads=4, hidden_dim=48)
    )
    pruned = prune_vocabulary(model, tokenizer, corpus)
    batch = inside(tokenizer, pruned, 8)
    before = outputs(model, tokenizer, batch, padding=True)["logits"]
    assert torch.equal(before, outputs(pruned.model, pruned.tokenizer, batch, padding=True)["logits"])


def test_positions_that_count_from_the_padding_keep_it_in_its_place(
    tokenizer_of: Callable[[str], Any], corpus: list[str]
) -> None:
    """RoBERTa's first position is the id of the padding token plus one."""
    tokenizer = copy.deepcopy(tokenizer_of("BPE"))
    tokenizer.pad_token = tokenizer.convert_ids_to_tokens(40)
    config = RobertaConfig(
        vocab_size=len(tokenizer),
        pad_token_id=40,
        bos_token_id=0,
        eos_token_id=2,
        **{**SHAPE, "max_position_embeddings": 110},
    )
    model = RobertaForSequenceClassification(config)
    pruned = prune_vocabulary(model, tokenizer, corpus)
    assert pruned.model.config.pad_token_id == 40


def test_ids_in_the_configuration_follow(tokenizer: Any, tiny_config: Any, corpus: list[str]) -> None:
    vocabulary = tokenizer.get_vocab()
    config = tiny_config(
        vocab_size=len(tokenizer), pad_token_id=vocabulary["[MASK]"], bos_token_id=vocabulary["x"], eos_token_id=None
    )
    pruned = prune_vocabulary(family.TinyBertForSequenceClassification(config), tokenizer, corpus)
    new = pruned.tokenizer.get_vocab()
    assert pruned.model.config.pad_token_id == new["[MASK]"]
    assert pruned.model.config.bos_token_id == new["x"]
    assert pruned.model.config.eos_token_id is None
    assert pruned.model.tinybert.embeddings.word_embeddings.padding_idx == new["[MASK]"]


def test_the_report_counts(tokenizer: Any, tiny_config: Any) -> None:
    model = family.TinyBertForSequenceClassification(tiny_config(vocab_size=len(tokenizer)))
    pruned = prune_vocabulary(model, tokenizer, ["ba ba ko", "ba"], margin=0.0)
    report = pruned.report
    assert (report.texts, report.tokens, report.used, report.margin) == (2, 4, 2, 0)
    assert report.kept_share == 1.0
    assert report.unseen_share == 0.25  # ko came once
    assert report.pieces_after == pruned.model.config.vocab_size
    assert report.parameters_before - report.parameters_after == 32 * (len(tokenizer) - report.pieces_after)
    assert report.megabytes_after == pytest.approx(report.parameters_after * 4 / 1e6)
    assert report.checked == 2
    assert not list(report.warnings())


def test_the_margin_takes_the_lowest_ids(tokenizer: Any, tiny_config: Any) -> None:
    model = family.TinyBertForSequenceClassification(tiny_config(vocab_size=len(tokenizer)))
    none, some, all_ = (set(prune_vocabulary(model, tokenizer, ["ba"], margin=one).kept) for one in (0.0, 0.3, 1.0))
    assert none < some < all_
    assert max(some - none) < min(all_ - some)
    assert len(some - none) == round(0.3 * len(all_ - none))


def test_pieces_below_the_count_go(tokenizer: Any, tiny_config: Any) -> None:
    model = family.TinyBertForSequenceClassification(tiny_config(vocab_size=len(tokenizer)))
    corpus = [word for word in tokenizer.get_vocab() if word.isalpha() and word.isascii() and len(word) > 2][:2]
    pruned = prune_vocabulary(model, tokenizer, [corpus[0]] * 3 + [corpus[1]] * 2, min_count=3, margin=0.0)
    assert corpus[0] in pruned.tokenizer.get_vocab()
    assert corpus[1] not in pruned.tokenizer.get_vocab()
    assert pruned.report.kept_share == 0.6


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_number_format_mode_and_random_state_stay(
    dtype: torch.dtype, tokenizer: Any, tiny_config: Any, corpus: list[str]
) -> None:
    model = family.TinyBertForSequenceClassification(tiny_config(vocab_size=len(tokenizer))).to(dtype).train()
    weights = {name: values.clone() for name, values in model.state_dict().items()}
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    pruned = prune_vocabulary(model, tokenizer, corpus)
    assert torch.equal(torch.rand(2), expected)
    assert {one.dtype for one in pruned.model.parameters()} == {dtype}
    assert pruned.model.training
    assert model.training
    assert all(torch.equal(values, weights[name]) for name, values in model.state_dict().items())
    assert model.config.vocab_size == len(tokenizer)


def test_pipeline_save_and_open(tokenizer: Any, tiny_config: Any, corpus: list[str], tmp_path: Path) -> None:
    model = family.TinyBertForSequenceClassification(tiny_config(vocab_size=len(tokenizer), num_labels=3)).eval()
    pruned = prune_vocabulary(model, tokenizer, corpus)
    pruned.model.save_pretrained(tmp_path)
    pruned.tokenizer.save_pretrained(tmp_path)
    batch = inside(tokenizer, pruned)
    before, after, again = (
        pipeline("text-classification", **parts)(batch, function_to_apply="none")
        for parts in (
            {"model": model, "tokenizer": tokenizer},
            {"model": pruned.model, "tokenizer": pruned.tokenizer},
            {"model": str(tmp_path)},
        )
    )
    assert after == before
    # Any saved model may lie in memory otherwise than in its file, and then differs from itself in the last bit.
    assert [one["score"] for one in again] == pytest.approx([one["score"] for one in before], rel=1e-5)
    assert [one["label"] for one in again] == [one["label"] for one in before]


def test_a_corpus_in_another_script_is_said_loudly(tokenizer: Any, tiny_config: Any) -> None:
    model = family.TinyBertForSequenceClassification(tiny_config(vocab_size=len(tokenizer)))
    report = prune_vocabulary(model, tokenizer, ["ая ая ая ba"]).report
    assert report.unknown_share == 0.75
    assert "75.0% of the corpus' tokens are unknown" in next(report.warnings())


def test_what_is_refused(tokenizer: Any, tiny_config: Any, corpus: list[str]) -> None:
    model = family.TinyBertForSequenceClassification(tiny_config(vocab_size=len(tokenizer)))
    with pytest.raises(TinyBertError, match=r"min_count .* is 0"):
        prune_vocabulary(model, tokenizer, corpus, min_count=0)
    for margin in (-0.1, 1.5, float("nan")):
        with pytest.raises(TinyBertError, match=r"margin .* expected a share"):
            prune_vocabulary(model, tokenizer, corpus, margin=margin)
    for empty in ([], ["", "  "]):
        with pytest.raises(DataError, match="not one token"):
            prune_vocabulary(model, tokenizer, empty)
    small = family.TinyBertForSequenceClassification(tiny_config(vocab_size=50))
    with pytest.raises(TinyBertError, match="embeds 50 tokens"):
        prune_vocabulary(small, tokenizer, corpus)


def test_a_translator_is_refused_with_the_reason(tokenizer: Any, tiny_config: Any, corpus: list[str]) -> None:
    halves = {"is_encoder_decoder": True, "num_decoder_layers": 1, "eos_token_id": 1}
    model = family.TinyBertForSeq2Seq(tiny_config(vocab_size=len(tokenizer), **halves))
    with pytest.raises(TinyBertError, match=r"writes text .*chooses each word among all pieces"):
        prune_vocabulary(model, tokenizer, corpus)


def test_an_output_that_changed_is_noticed(tokenizer: Any, tiny_config: Any, corpus: list[str]) -> None:
    """The check that stands between a wrong model and the disk."""
    model = family.TinyBertForSequenceClassification(tiny_config(vocab_size=len(tokenizer)))
    pruned = prune_vocabulary(model, tokenizer, corpus)
    before, after, kept = (model, tokenizer), (pruned.model, pruned.tokenizer), pruned.kept
    assert pruning.check_unchanged(before, after, kept, corpus) == len(corpus)
    wrong = prune_embeddings(model, [*kept[:-2], kept[-1], kept[-1]])
    with torch.no_grad():
        wrong.tinybert.embeddings.word_embeddings.weight[pruned.tokenizer.convert_tokens_to_ids("x")] += 1e-6
        wrong.classifier.bias += 1e-6
    with pytest.raises(TinyBertError, match="logits of the pruned model differs"):
        pruning.check_unchanged(before, (wrong, pruned.tokenizer), kept, corpus)
    with pytest.raises(TinyBertError, match="becomes other pieces"):
        pruning.check_unchanged(before, (pruned.model, tokenizer), kept, corpus)
