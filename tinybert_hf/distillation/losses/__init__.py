"""The losses, one a file. Each is a pure function of tensors; every mean is over real rows, tokens or pairs.

A loss is a sum over real items divided by a count of them. The count is the batch's own unless the caller gives
`Counts` of a larger whole (gradient accumulation, several processes), so that the parts add up to the mean of the
whole.

LOSSES says of each what it captures, computes and counts, and which layer map it goes by; the objective calls what
stands at its place. So a new loss is a file with its function, an entry here, its weight in `DistillationSettings`
(training/settings.py), and for reports its name in words (LOSSES in checkpoints/run_record.py) and a colour
(publishing/page.css); tests hold them together. A recipe is checked against this table, so it loads no torch: a
file of losses is imported when one of its losses is computed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from tinybert_hf.distillation.layer_map import compares_nothing
from tinybert_hf.distillation.losses.entry import AnswerLoss, LayerLoss, Loss, LossInputs, chosen_map
from tinybert_hf.lazy_names import names_of_modules

if TYPE_CHECKING:
    from tinybert_hf.distillation.losses.attention import attention_loss
    from tinybert_hf.distillation.losses.hidden_state import embedding_loss, hidden_state_loss
    from tinybert_hf.distillation.losses.own import DistillationLoss
    from tinybert_hf.distillation.losses.prediction import (
        SPANS,
        label_loss,
        prediction_loss,
        span_label_loss,
        span_prediction_loss,
    )

LOSSES: dict[str, LayerLoss | AnswerLoss] = {
    "attention_loss": LayerLoss(
        "attention:of_encoders", captures="attention", layer_maps=("attention_layer_map", "layer_map")
    ),
    "hidden_state_loss": LayerLoss(
        "hidden_state:of_encoders", captures="hidden_states", layer_maps=("layer_map",), projected=True
    ),
    "embedding_loss": LayerLoss(
        "hidden_state:of_embeddings",
        captures="hidden_states",
        layer_maps=("layer_map",),
        projected=True,
        of_embeddings=True,
    ),
    # The same between decoders: future positions left out, or target rows against source columns.
    "decoder_attention_loss": LayerLoss(
        "attention:of_decoders",
        captures="decoder_attention",
        layer_maps=("decoder_attention_layer_map", "decoder_layer_map"),
        in_decoder=True,
    ),
    "cross_attention_loss": LayerLoss(
        "attention:from_target_to_source",
        captures="cross_attention",
        layer_maps=("cross_attention_layer_map", "decoder_layer_map"),
        in_decoder=True,
    ),
    "decoder_hidden_state_loss": LayerLoss(
        "hidden_state:of_decoders",
        captures="decoder_hidden_states",
        layer_maps=("decoder_layer_map",),
        in_decoder=True,
        projected=True,
    ),
    "prediction_loss": AnswerLoss("prediction:towards_teachers", phases=("prediction", "joint")),
    "label_loss": AnswerLoss("prediction:towards_labels", of_labels=True),
}
_BETWEEN_LAYERS = {name: loss for name, loss in LOSSES.items() if isinstance(loss, LayerLoss)}
ENCODER_LOSSES = tuple(name for name, loss in _BETWEEN_LAYERS.items() if not loss.in_decoder)
DECODER_LOSSES = tuple(name for name, loss in _BETWEEN_LAYERS.items() if loss.in_decoder)
ANSWER_LOSSES = tuple(name for name in LOSSES if name not in _BETWEEN_LAYERS)
"""Those that reach the head."""
MAPS_OF_LOSSES = {name: loss.layer_maps for name, loss in _BETWEEN_LAYERS.items()}
"""What each loss between layers goes by: the first of these maps that is given."""
MAP_NAMES = tuple(dict.fromkeys(name for names in MAPS_OF_LOSSES.values() for name in names))


def map_of(loss: str, maps: Mapping[str, Any]) -> tuple[str, Any]:
    """The name and the value of the map that a loss between layers goes by.

    Args:
        loss: a name in `MAPS_OF_LOSSES`.
        maps: by name; None, or not there: not given.
    """
    return chosen_map(MAPS_OF_LOSSES[loss], maps)


def turned_off(losses: Iterable[str], maps: Mapping[str, Any]) -> dict[str, str]:
    """The losses between layers whose map is "none", each with the name of that map."""
    found = {loss: map_of(loss, maps) for loss in losses if loss in MAPS_OF_LOSSES}
    return {loss: name for loss, (name, spec) in found.items() if compares_nothing(spec)}


__all__ = [
    "ANSWER_LOSSES",
    "DECODER_LOSSES",
    "ENCODER_LOSSES",
    "LOSSES",
    "MAPS_OF_LOSSES",
    "MAP_NAMES",
    "SPANS",
    "AnswerLoss",
    "DistillationLoss",
    "LayerLoss",
    "Loss",
    "LossInputs",
    "attention_loss",
    "embedding_loss",
    "hidden_state_loss",
    "label_loss",
    "map_of",
    "prediction_loss",
    "span_label_loss",
    "span_prediction_loss",
    "turned_off",
]

__getattr__, __dir__ = names_of_modules(
    __name__,
    {
        "attention": ("attention_loss",),
        "hidden_state": ("embedding_loss", "hidden_state_loss"),
        "own": ("DistillationLoss",),
        "prediction": ("SPANS", "label_loss", "prediction_loss", "span_label_loss", "span_prediction_loss"),
    },
)
