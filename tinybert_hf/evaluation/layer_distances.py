"""How far each layer of a student is from each layer of its teacher, on some rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tinybert_hf.distillation.architecture import decoder_shape, encoder_shape, is_translator
from tinybert_hf.distillation.batch import attention_mask, target_mask
from tinybert_hf.distillation.capturing import Wanted, capture, model_inputs
from tinybert_hf.distillation.objective import evaluation_mode

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel


# How alike two layers are, whatever their widths: linear CKA.


def linear_cka(first: Tensor, second: Tensor) -> float:
    """Linear centred kernel alignment of two layers on the same tokens.

    It compares which tokens are near each other in the one layer and in the other: 1 where they agree up to a
    rotation and a factor, 0 where they have nothing in common. No N x N matrix is made.

    Args:
        first: hidden states, (N, H), one row a token.
        second: of the same tokens, (N, K).

    Returns:
        A number from 0 to 1; 0 where a layer says the same for every token.

    Source:
        Kornblith et al. 2019, Similarity of Neural Network Representations Revisited, section 3: with centred X and
        Y, the squared Frobenius norm of Y'X divided by those of X'X and Y'Y under the root.
    """
    return _between(_scaled(first), _scaled(second))


def layer_distances(students: Sequence[Tensor], teachers: Sequence[Tensor]) -> list[list[float]]:
    """1 - linear CKA between every layer of one model and every layer of another.

    Args:
        students: hidden states of each layer of the student, (N, H).
        teachers: of each layer of the teacher on the same tokens, (N, K).

    Returns:
        For each student layer a list with the distance to each teacher layer.
    """
    scaled_teachers = [_scaled(states) for states in teachers]
    return [[1.0 - _between(_scaled(states), other) for other in scaled_teachers] for states in students]


def _scaled(states: Tensor) -> Tensor:
    """Centred, and scaled so that the norm of the Gram matrix is 1; zeros where there is no difference."""
    states = states.float()
    centred = states - states.mean(0)
    norm = torch.linalg.matrix_norm(centred.T @ centred)
    # What is left of equal rows is rounding, and scaling it up would make a layer of it.
    tiny = len(states) * (1e-6 * states.abs().max()) ** 2
    return torch.zeros_like(centred) if norm <= tiny else centred / norm.sqrt()


def _between(first: Tensor, second: Tensor) -> float:
    return min(1.0, float(torch.linalg.matrix_norm(first.T @ second) ** 2))


MOST_ROWS = 256
# Some tokens for each unit of a usual width, and few enough for a CPU: seconds between a BERT-base and its student.
MOST_TOKENS = 2048
_BATCH = 16


def measure_layer_distances(
    student: PreTrainedModel, teacher: PreTrainedModel, rows: Dataset, tokenizer: Any
) -> dict[str, Any]:
    """1 - linear CKA between all layers, the embedding output included, over real tokens.

    Models and random numbers are left as they were found.

    Args:
        student: an encoder or a translator.
        teacher: another of the same kind that reads the same tokens.
        rows: tokenised; up to 256 of them, drawn the same in every call, and up to 2,048 tokens are looked at.
        tokenizer: that pads.

    Returns:
        `encoder`, and for translators `decoder`: a list for each student layer (0: the embedding output) with the
        distance to each teacher layer; `rows`, `tokens` and for translators `target_tokens` that were looked at.

    Raises:
        CaptureError: a model does not show its hidden states.
    """
    both = is_translator(student)
    kept: dict[tuple[str, str], list[list[Tensor]]] = {}
    seen = {"rows": 0, "tokens": 0, "target_tokens": 0}
    with torch.inference_mode(), evaluation_mode(student), evaluation_mode(teacher):
        for batch in _batches(rows, tokenizer, student if both else None):
            masks = {"encoder": attention_mask(batch), "decoder": target_mask(batch)}
            for whose, model in (("student", student), ("teacher", teacher)):
                for half, states in _all_layers(model, batch).items():
                    real = masks[half].bool()  # type: ignore[union-attr]
                    kept.setdefault((whose, half), []).append([layer[real.to(layer.device)] for layer in states])
            seen["rows"] += len(batch["input_ids"])
            seen["tokens"] += int(masks["encoder"].sum())  # type: ignore[union-attr]
            seen["target_tokens"] += int(masks["decoder"].sum()) if both else 0  # type: ignore[union-attr]
            if seen["tokens"] >= MOST_TOKENS:
                break
        found = {
            half: _distances(kept["student", half], kept["teacher", half])
            for half in masks
            if both or half == "encoder"
        }
    used = {name: min(count, MOST_TOKENS) if name != "rows" else count for name, count in seen.items()}
    return {**found, **{name: count for name, count in used.items() if both or name != "target_tokens"}}


def _batches(rows: Dataset, tokenizer: Any, translator: Any) -> Any:
    """Padded batches of rows that are drawn, so that rows in an order do not show one kind alone."""
    from transformers import DataCollatorForSeq2Seq

    names = [name for name in rows.column_names if name in (*tokenizer.model_input_names, "labels")]
    if translator is None:
        names.remove("labels") if "labels" in names else None
    count = min(MOST_ROWS, len(rows))
    # Drawn by a generator of its own: the run's random numbers stay as they are.
    chosen = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))[:count].tolist()
    picked = rows.select(chosen).select_columns(names)
    collate = DataCollatorForSeq2Seq(tokenizer) if translator is not None else None
    for start in range(0, count, _BATCH):
        if collate is not None:
            yield collate([picked[index] for index in range(start, min(start + _BATCH, count))])
        else:
            yield tokenizer.pad(picked[start : start + _BATCH], return_tensors="pt")


def _all_layers(model: PreTrainedModel, batch: Mapping[str, Any]) -> dict[str, list[Tensor]]:
    """The hidden states of every layer, of both halves where there are two."""
    device: Any = model.device
    inputs = model_inputs(model, {name: value.to(device) for name, value in batch.items()})
    encoder = range(encoder_shape(model.config).layers + 1)
    decoder = range(decoder_shape(model.config).layers + 1) if is_translator(model) else range(0)
    seen = capture(model, inputs, wanted=Wanted(hidden_states=encoder, decoder_hidden_states=decoder))
    halves = {"encoder": seen.hidden_states, "decoder": seen.decoder_hidden_states}
    return {half: [states[layer] for layer in sorted(states)] for half, states in halves.items() if states}


def _distances(student: list[list[Tensor]], teacher: list[list[Tensor]]) -> list[list[float]]:
    student_states, teacher_states = (
        [torch.cat(layers)[:MOST_TOKENS] for layers in zip(*each, strict=True)] for each in (student, teacher)
    )
    device = teacher_states[0].device
    found = layer_distances([states.to(device) for states in student_states], teacher_states)
    return [[round(distance, 4) for distance in row] for row in found]
