"""The losses between translators against plain loops over rows, heads and tokens, and what they have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tiny_models import batch_of, bert
from tiny_seq2seq import (
    FAMILIES,
    LENGTHS,
    TARGET_LENGTHS,
    VOCABULARY,
    decoder_inputs,
    student,
    teacher,
    translation_batch,
)
from torch import Tensor, nn
from transformers import PreTrainedModel, T5Config, T5ForConditionalGeneration

from tinybert_hf.distillation import AttentionRecord, Counts, Masks, Objective, Projections, distillation_losses
from tinybert_hf.distillation.batch import causal_pairs
from tinybert_hf.distillation.losses import DECODER_LOSSES, ENCODER_LOSSES
from tinybert_hf.distillation.losses.attention import attention_loss
from tinybert_hf.distillation.losses.prediction import label_loss
from tinybert_hf.errors import CaptureError

MAPS = {
    "layer_map": "uniform",
    "attention_layer_map": "top",
    "decoder_layer_map": "top",
    "decoder_attention_layer_map": "bottom",
    "cross_attention_layer_map": "1:3,2:1",
}
PAIRS = {
    "layer_map": [(1, 2), (2, 4)],
    "attention_layer_map": [(1, 3), (2, 4)],
    "decoder_layer_map": [(1, 2), (2, 3)],
    "decoder_attention_layer_map": [(1, 1), (2, 2)],
    "cross_attention_layer_map": [(1, 3), (2, 1)],
}


@pytest.fixture(scope="module")
def maps() -> dict[str, nn.Module]:
    """A map from width to width for each half."""
    torch.manual_seed(5)
    return {"projections": nn.Linear(24, 32), "decoder_projections": nn.Linear(16, 32)}


def attention_parts(model: PreTrainedModel, family: str) -> dict[str, list[tuple[nn.Module, nn.Module, int]]]:
    """The layers that make queries and keys, and their heads, by kind of attention."""
    if family == "tinybert":
        read, write = model.tinybert.encoder.layer, model.decoder.encoder.layer
        found = {
            "encoder": [layer.attention.self for layer in read],
            "decoder": [layer.attention.self for layer in write],
            "cross": [layer.crossattention.self for layer in write],
        }
        return {kind: [(p.query, p.key, p.num_attention_heads) for p in parts] for kind, parts in found.items()}
    read, write = model.model.encoder.layers, model.model.decoder.layers
    found = {
        "encoder": [layer.self_attn for layer in read],
        "decoder": [layer.self_attn for layer in write],
        "cross": [layer.encoder_attn for layer in write],
    }
    return {kind: [(p.q_proj, p.k_proj, p.num_heads) for p in parts] for kind, parts in found.items()}


def seen_by_hooks(model: PreTrainedModel, family: str, batch: Mapping[str, Tensor]) -> tuple[dict[str, Any], Any]:
    """An ordinary forward: its scores by kind and layer (from 1), from the layers' own outputs, and its output."""
    outputs: dict[nn.Module, Tensor] = {}
    handles, parts = [], attention_parts(model, family)
    for query, key, _ in (part for of_kind in parts.values() for part in of_kind):
        for layer in (query, key):
            handles.append(layer.register_forward_hook(lambda module, _, output: outputs.update({module: output})))
    output = model(
        input_ids=batch["input_ids"],
        attention_mask=batch["attention_mask"],
        decoder_input_ids=decoder_inputs(family, batch["labels"]),
        output_hidden_states=True,
        use_cache=False,
    )
    for handle in handles:
        handle.remove()
    scores: dict[str, Any] = {kind: {} for kind in parts}
    for kind, of_kind in parts.items():
        for number, (query, key, heads) in enumerate(of_kind, start=1):
            q, k = (outputs[layer].unflatten(-1, (heads, -1)).transpose(1, 2) for layer in (query, key))
            scores[kind][number] = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
    return scores, output


def in_groups(scores: Tensor, groups: int) -> Tensor:
    """Scores (A, Q, K) averaged over consecutive heads."""
    size = scores.shape[0] // groups
    return torch.stack([scores[g * size : (g + 1) * size].mean(0) for g in range(groups)])


def plain_attention_loss(ours: Tensor, theirs: Tensor, is_pair: Callable[[int, int, int], bool]) -> Tensor:
    """Loops over rows, groups of heads and all places; `is_pair(row, query, key)` says which count."""
    groups, terms = min(ours.shape[1], theirs.shape[1]), []
    for row in range(ours.shape[0]):
        difference = in_groups(ours[row], groups) - in_groups(theirs[row], groups)
        for group in range(groups):
            for query in range(ours.shape[2]):
                for key in range(ours.shape[3]):
                    if is_pair(row, query, key):
                        terms.append(difference[group, query, key] ** 2)
    return torch.stack(terms).mean()


def plain_state_loss(ours: Tensor, theirs: Tensor, lengths: list[int], projection: nn.Module) -> Tensor:
    """Loops over rows and real tokens."""
    terms = [
        ((projection(ours[row, token]) - theirs[row, token]) ** 2).mean()
        for row, length in enumerate(lengths)
        for token in range(length)
    ]
    return torch.stack(terms).mean()


def plain_prediction_loss(ours: Tensor, theirs: Tensor, temperature: float) -> Tensor:
    """Loops over rows and real target tokens."""
    terms = []
    for row, length in enumerate(TARGET_LENGTHS):
        for token in range(length):
            wanted = (theirs[row, token] / temperature).exp()
            scores = ours[row, token] / temperature
            terms.append(-(wanted / wanted.sum() * (scores - scores.exp().sum().log())).sum())
    return torch.stack(terms).mean()


def plain_losses(
    model: PreTrainedModel, other: PreTrainedModel, family: str, batch: dict[str, Tensor], maps: dict[str, nn.Module]
) -> dict[str, Tensor]:
    ours, made = seen_by_hooks(model, "tinybert", batch)
    with torch.no_grad():
        theirs, seen = seen_by_hooks(other, family, batch)

    def attention(kind: str, layers: str, is_pair: Callable[[int, int, int], bool]) -> Tensor:
        return sum(plain_attention_loss(ours[kind][m], theirs[kind][n], is_pair) for m, n in PAIRS[layers])

    def states(name: str, layers: list[tuple[int, int]], lengths: list[int], projection: str) -> Tensor:
        return sum(plain_state_loss(made[name][m], seen[name][n], lengths, maps[projection]) for m, n in layers)

    return {
        "attention_loss": attention(
            "encoder", "attention_layer_map", lambda row, q, k: q < LENGTHS[row] and k < LENGTHS[row]
        ),
        "hidden_state_loss": states("encoder_hidden_states", PAIRS["layer_map"], LENGTHS, "projections"),
        "embedding_loss": states("encoder_hidden_states", [(0, 0)], LENGTHS, "projections"),
        "decoder_attention_loss": attention(
            "decoder", "decoder_attention_layer_map", lambda row, q, k: k <= q < TARGET_LENGTHS[row]
        ),
        "cross_attention_loss": attention(
            "cross", "cross_attention_layer_map", lambda row, q, k: q < TARGET_LENGTHS[row] and k < LENGTHS[row]
        ),
        "decoder_hidden_state_loss": states(
            "decoder_hidden_states", PAIRS["decoder_layer_map"], TARGET_LENGTHS, "decoder_projections"
        ),
        "prediction_loss": plain_prediction_loss(made.logits, seen.logits, temperature=2.0),
    }


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_loss_equals_the_plain_loops_and_so_does_its_gradient(family: str, maps: dict[str, nn.Module]) -> None:
    model, other, batch = student(), teacher(family), translation_batch()
    expected = plain_losses(model, other, family, batch, maps)
    losses = distillation_losses(model, other, batch, **MAPS, **maps, temperature=2.0)
    assert list(losses) == [*ENCODER_LOSSES, *DECODER_LOSSES, "prediction_loss"]
    parameters = list(model.parameters())
    for name, loss in losses.items():
        torch.testing.assert_close(loss, expected[name], rtol=1e-4, atol=1e-5, msg=lambda m, name=name: f"{name}: {m}")
        ours, plain = (
            torch.autograd.grad(each, parameters, retain_graph=True, allow_unused=True)
            for each in (loss, expected[name])
        )
        assert any(gradient is not None and gradient.abs().max() > 1e-4 for gradient in ours), name
        for a, b in zip(ours, plain, strict=True):
            assert (a is None) == (b is None), name
            if a is not None:
                torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4, msg=lambda m, name=name: f"{name}: {m}")


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_padding_of_source_or_target_changes_no_loss_and_no_gradient(family: str, maps: dict[str, nn.Module]) -> None:
    model, other, results = student(), teacher(family), []
    # 90 is wider than the heads of both models together, so that the other form of the product is taken.
    for source_width, target_width in ((9, 7), (14, 7), (9, 12), (90, 90)):
        batch = translation_batch(source_width, target_width)
        losses = distillation_losses(model, other, batch, **maps)
        results.append((losses, torch.autograd.grad(sum(losses.values()), list(model.parameters()))))
    for losses, gradients in results[1:]:
        for name, loss in losses.items():
            torch.testing.assert_close(loss, results[0][0][name], rtol=2e-6, atol=1e-6, msg=name)
        for a, b in zip(gradients, results[0][1], strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_each_model_begins_its_target_with_its_own_start_token(family: str) -> None:
    model, other, batch = student(), teacher(family), translation_batch()
    read: dict[str, Tensor] = {}
    for name, half in (("tinybert", model.get_decoder()), (family, other.get_decoder())):

        def note(_module: Any, args: Any, kwargs: Any, name: str = name) -> None:
            read[name] = args[0] if args else kwargs["input_ids"]

        half.register_forward_pre_hook(note, with_kwargs=True)
    distillation_losses(model, other, batch, losses=["prediction_loss"])
    for name, ids in read.items():
        assert torch.equal(ids, decoder_inputs(name, batch["labels"])), name
    assert not torch.equal(read["tinybert"][:, 0], read[family][:, 0])


def test_the_teacher_is_untouched() -> None:
    other = teacher("marian", dropout=0.3).train()
    other.get_decoder().layers[0].eval()
    weights = {name: value.clone() for name, value in other.state_dict().items()}
    modes = [module.training for module in other.modules()]
    trainable = [weight.requires_grad for weight in other.parameters()]
    projections = Projections("shared", 24, 32, (0, 1, 2), Projections("shared", 16, 32, (1, 2)))
    model, randomness = student(), torch.random.get_rng_state()
    losses = distillation_losses(model, other, translation_batch(), projections=projections)
    assert torch.equal(randomness, torch.random.get_rng_state()), "the teacher ran with dropout"
    sum(losses.values()).backward()
    assert all(weight.grad is None for weight in other.parameters())
    assert [weight.requires_grad for weight in other.parameters()] == trainable
    assert all(torch.equal(value, weights[name]) for name, value in other.state_dict().items())
    assert [module.training for module in other.modules()] == modes
    assert other.config._attn_implementation == "sdpa"
    assert all(weight.grad is not None for weight in projections.parameters())


def test_parts_of_a_batch_add_up_to_the_whole(maps: dict[str, nn.Module]) -> None:
    model, other, whole = student(), teacher("marian"), translation_batch()
    objective = Objective.between(
        model, other, losses=[*ENCODER_LOSSES, *DECODER_LOSSES, "prediction_loss", "label_loss"]
    )

    def losses(batch: dict[str, Tensor], counts: Counts | None) -> dict[str, Tensor]:
        return objective.compute(
            objective.capture_student(model, batch),
            objective.capture_teachers(other, batch),
            Masks(batch["attention_mask"], batch["labels"] != -100),
            dict.fromkeys((0, 1, 2), maps["projections"]),
            counts,
            decoder_projections=dict.fromkeys((1, 2), maps["decoder_projections"]),
            labels=batch["labels"],
        )

    counts = Counts.of(whole["attention_mask"], whole["labels"] != -100)
    pairs = [n * (n + 1) // 2 for n in TARGET_LENGTHS]
    assert [int(count) for count in counts.as_tensor(torch.device("cpu"))] == [
        3,
        sum(LENGTHS),
        sum(n * n for n in LENGTHS),
        sum(TARGET_LENGTHS),
        sum(pairs),
        sum(n * m for n, m in zip(LENGTHS, TARGET_LENGTHS, strict=True)),
        0,  # words with a label each
    ]
    expected = losses(whole, None)
    first, rest = ({k: v[rows] for k, v in whole.items()} for rows in (slice(0, 1), slice(1, 3)))
    parts = losses(first, counts), losses(rest, counts)
    assert len(expected) == 8
    for name, loss in expected.items():
        torch.testing.assert_close(parts[0][name] + parts[1][name], loss, rtol=1e-5, atol=1e-6, msg=name)


class TestCausal:
    """The triangle of the decoder's attention, in rows shorter and longer than a block."""

    @pytest.mark.parametrize("length", [5, 13, 40, 41])  # blocks are as wide as the joint heads: 13
    @pytest.mark.parametrize(("student_heads", "teacher_heads"), [(2, 2), (2, 4)])
    def test_equals_the_plain_triangle(self, length: int, student_heads: int, teacher_heads: int) -> None:
        lengths = [length, max(length - 3, 1), 2]
        ours, theirs = _record(student_heads, 5, length), _record(teacher_heads, 8 * 2 // teacher_heads, length)
        scores = [r.scaling * r.query @ r.key.transpose(-1, -2) for r in (ours, theirs)]
        expected = plain_attention_loss(*scores, lambda row, q, k: k <= q < lengths[row])
        mask = (torch.arange(length) < torch.tensor(lengths)[:, None]).long()
        loss = attention_loss(ours, theirs, mask, causal=True)
        torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)
        inputs = (ours.query, ours.key)
        pairs = zip(torch.autograd.grad(loss, inputs), torch.autograd.grad(expected, inputs), strict=True)
        for gradient, plain in pairs:
            torch.testing.assert_close(gradient, plain, rtol=1e-4, atol=1e-6)

    def test_pairs_are_those_of_the_triangle(self) -> None:
        mask = torch.tensor([[1, 1, 1, 1, 0], [0, 1, 1, 0, 0], [1, 0, 1, 0, 1]])
        expected = sum(int(r[k] and r[q]) for r in mask for q in range(5) for k in range(q + 1))
        assert int(causal_pairs(mask)) == expected

    @pytest.mark.parametrize(("queries", "keys"), [(3, 7), (60, 7), (60, 70)])
    def test_keys_of_another_text(self, queries: int, keys: int) -> None:
        ours, theirs = _record(2, 5, queries, keys), _record(2, 8, queries, keys)
        scores = [r.scaling * r.query @ r.key.transpose(-1, -2) for r in (ours, theirs)]
        rows, columns = [queries, 2, 1], [2, keys, 5]
        expected = plain_attention_loss(*scores, lambda row, q, k: q < rows[row] and k < columns[row])
        masks = [(torch.arange(n) < torch.tensor(real)[:, None]) for n, real in ((queries, rows), (keys, columns))]
        loss = attention_loss(ours, theirs, masks[0], key_mask=masks[1])
        torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)


def _record(heads: int, width: int, queries: int, keys: int | None = None) -> AttentionRecord:
    query = torch.randn(3, heads, queries, width, requires_grad=True)
    return AttentionRecord(query, torch.randn(3, heads, keys or queries, width, requires_grad=True), width**-0.5)


class TestLabelLoss:
    """What the student learns from the labels alone, beside torch's own losses."""

    @pytest.mark.parametrize(
        ("problem_type", "labels", "theirs"),
        [
            ("single_label_classification", lambda: torch.randint(0, 3, (4,)), F.cross_entropy),
            (
                "multi_label_classification",
                lambda: torch.randint(0, 2, (4, 3)),
                lambda x, y: F.binary_cross_entropy_with_logits(x, y.float()),
            ),
            ("regression", lambda: torch.randn(4, 3), F.mse_loss),
        ],
    )
    def test_is_torchs(self, problem_type: str, labels: Any, theirs: Any) -> None:
        logits, wanted = torch.randn(4, 3), labels()
        torch.testing.assert_close(label_loss(logits, wanted, problem_type=problem_type), theirs(logits, wanted))
        doubled = label_loss(logits, wanted, problem_type=problem_type, row_count=8)
        torch.testing.assert_close(2 * doubled, theirs(logits, wanted))

    def test_one_number_a_row(self) -> None:
        logits, wanted = torch.randn(4, 1), torch.randn(4)
        torch.testing.assert_close(
            label_loss(logits, wanted, problem_type="regression"), F.mse_loss(logits[:, 0], wanted)
        )

    def test_labels_of_another_shape_are_refused(self) -> None:
        with pytest.raises(CaptureError, match=r"Labels of shape \(4, 3\) do not fit logits of shape \(4, 3\)"):
            label_loss(torch.randn(4, 3), torch.ones(4, 3), problem_type="single_label_classification")

    def test_of_a_classifier_is_its_own_loss(self) -> None:
        model, batch = bert(), {**batch_of([5, 3]), "labels": torch.tensor([2, 0])}
        loss = distillation_losses(model, bert(layers=4), batch, losses=["label_loss"])["label_loss"]
        torch.testing.assert_close(loss, model(**batch).loss)

    def test_of_a_translator_is_its_own_loss_and_runs_no_teacher(self) -> None:
        model, other, batch = student(), teacher("marian"), translation_batch()
        other.forward = None
        loss = distillation_losses(model, other, batch, losses=["label_loss"])["label_loss"]
        torch.testing.assert_close(loss, model(**batch).loss)

    def test_without_labels(self) -> None:
        with pytest.raises(CaptureError, match="needs labels in the batch"):
            distillation_losses(bert(), bert(layers=4), batch_of([5, 3]), losses=["label_loss"])


def _t5() -> T5ForConditionalGeneration:
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=VOCABULARY, d_model=32, d_kv=4, d_ff=48, num_layers=4, num_decoder_layers=3, num_heads=8,
        dropout_rate=0.0, decoder_start_token_id=0, initializer_factor=3.0,
    )  # fmt: skip
    return T5ForConditionalGeneration(config).eval()


class TestRefused:
    @pytest.mark.parametrize("name", ["attention_loss", "decoder_attention_loss", "cross_attention_loss"])
    def test_attention_of_t5(self, name: str) -> None:
        with pytest.raises(CaptureError) as error:
            distillation_losses(student(), _t5(), translation_batch(), losses=[name])
        assert "T5" in str(error.value)
        assert "hidden-state" in str(error.value)
        assert "prediction losses still work" in str(error.value)

    def test_the_other_losses_of_t5_work(self, maps: dict[str, nn.Module]) -> None:
        model, other, batch = student(), _t5(), translation_batch()
        names = ["hidden_state_loss", "embedding_loss", "decoder_hidden_state_loss", "prediction_loss"]
        losses = distillation_losses(model, other, batch, **maps, losses=names)
        start = torch.zeros(3, 1, dtype=torch.long)
        read = torch.cat([start, batch["labels"][:, :-1].clamp(min=0)], dim=1)
        source = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
        seen = other(**source, decoder_input_ids=read, output_hidden_states=True)
        made = model(**batch, output_hidden_states=True)
        expected = plain_prediction_loss(made.logits, seen.logits, temperature=1.0)
        torch.testing.assert_close(losses["prediction_loss"], expected, rtol=1e-4, atol=1e-5)
        expected = sum(
            plain_state_loss(
                made.decoder_hidden_states[m],
                seen.decoder_hidden_states[n],
                TARGET_LENGTHS,
                maps["decoder_projections"],
            )
            for m, n in ((1, 2), (2, 3))
        )
        torch.testing.assert_close(losses["decoder_hidden_state_loss"], expected, rtol=1e-4, atol=1e-5)

    def test_an_encoder_and_a_translator(self) -> None:
        with pytest.raises(CaptureError, match=r"student is an encoder.*teacher a translator \(MarianMTModel\)"):
            distillation_losses(bert(), teacher("marian"), translation_batch())
        with pytest.raises(CaptureError, match=r"student is a translator \(TinyBertForSeq2Seq\).*teacher an encoder"):
            distillation_losses(student(), bert(layers=4), translation_batch())

    def test_decoder_losses_between_encoders(self) -> None:
        with pytest.raises(CaptureError, match="cross_attention_loss compares decoders"):
            distillation_losses(bert(), bert(layers=4), batch_of([5]), losses=["cross_attention_loss"])

    def test_heads_of_the_decoders_that_do_not_divide(self) -> None:
        model = student(decoder_hidden_size=18, decoder_num_attention_heads=3)
        with pytest.raises(CaptureError, match="student has 3 attention heads and the teacher 8"):
            distillation_losses(model, teacher("marian"), translation_batch(), losses=["cross_attention_loss"])
        rest = distillation_losses(model, teacher("marian"), translation_batch(), losses=["prediction_loss"])
        assert torch.isfinite(rest["prediction_loss"])

    def test_a_teacher_that_does_not_say_how_targets_begin(self) -> None:
        other = _t5()
        other.config.decoder_start_token_id = None
        with pytest.raises(CaptureError, match=r"T5ForConditionalGeneration cannot make.*decoder_start_token_id None"):
            distillation_losses(student(), other, translation_batch(), losses=["prediction_loss"])
        other = teacher("m2m100")
        other.config.decoder_start_token_id = None
        with pytest.raises(CaptureError, match="M2M100ForConditionalGeneration cannot make"):
            distillation_losses(student(), other, translation_batch(), losses=["prediction_loss"])

    def test_a_batch_without_a_target(self) -> None:
        batch = translation_batch()
        del batch["labels"]
        with pytest.raises(CaptureError, match=r"no target.*labels"):
            distillation_losses(student(), teacher("marian"), batch, losses=["prediction_loss"])
