"""How far a student is from its teacher, in one call."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from tinybert_hf.distillation.batches import labels_of, masks_of
from tinybert_hf.distillation.layer_map import LayerMapSpec
from tinybert_hf.distillation.objective import GivenProjections, Objective
from tinybert_hf.distillation.projections import Projections, as_lookup

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def distillation_losses(
    student: PreTrainedModel,
    teacher: PreTrainedModel,
    batch: Mapping[str, Any],
    layer_map: LayerMapSpec = "uniform",
    projections: Projections | nn.Module | Sequence[nn.Module] | Mapping[int, nn.Module] | None = None,
    *,
    attention_layer_map: LayerMapSpec | None = None,
    decoder_layer_map: LayerMapSpec = "uniform",
    decoder_attention_layer_map: LayerMapSpec | None = None,
    cross_attention_layer_map: LayerMapSpec | None = None,
    decoder_projections: nn.Module | Sequence[nn.Module] | Mapping[int, nn.Module] | None = None,
    temperature: float = 1.0,
    losses: Collection[str] | None = None,
) -> dict[str, Tensor]:
    """How far a student is from its teacher on one batch; what the trainer computes in every step.

    Each model runs once, with its own attention implementation; the teacher in eval mode and without gradient. Both
    are left as they were found.

    Args:
        student: an encoder or an encoder-decoder of transformers, usually a TinyBERT.
        teacher: another of the same kind, with the same tokenizer.
        batch: `input_ids` (B, L), `attention_mask` (B, L) and what else the models take. Between translators also
            `labels` (B, T), -100 at padding: each model makes what its decoder reads from them. Between encoders
            labels are used by the label loss alone.
        layer_map: "uniform", "top", "bottom", a list of teacher layers, or pairs such as "1:3,2:6".
        projections: student width -> teacher width: None where the widths agree, one `nn.Linear` for all layers, or
            one for the embedding output and each mapped layer.
        attention_layer_map: the map for attention scores; None: as `layer_map`.
        decoder_layer_map: the map of the decoders' layers.
        decoder_attention_layer_map: the map for the decoders' own attention; None: as `decoder_layer_map`.
        cross_attention_layer_map: the map for their attention to the source; None: as `decoder_layer_map`.
        decoder_projections: as `projections`, one for each mapped decoder layer. `Projections` hold theirs already.
        temperature: of the prediction loss.
        losses: which to compute; None: all that these models have, without the label loss.

    Returns:
        `attention_loss`, `hidden_state_loss`, `embedding_loss`, `prediction_loss`: each the plain sum over mapped
        layers of the mean over that layer, unweighted, with gradient to the student and the projections. Between
        translators also `decoder_attention_loss`, `cross_attention_loss`, `decoder_hidden_state_loss`, and the
        prediction loss is a mean over target tokens.

    Raises:
        CaptureError: something cannot be taken from a model; names the model, the reason, and what still works.
        LayerMapError: the map does not fit.
        TeacherError: the labels of the two models cannot be matched.

    Source:
        Jiao et al. 2020, TinyBERT, equations 7 to 10.
    """
    objective = Objective.between(
        student,
        teacher,
        losses=losses,
        layer_map=layer_map,
        attention_layer_map=attention_layer_map,
        decoder_layer_map=decoder_layer_map,
        decoder_attention_layer_map=decoder_attention_layer_map,
        cross_attention_layer_map=cross_attention_layer_map,
        temperature=temperature,
    )
    seen = objective.capture_teachers(teacher, batch)
    made = objective.capture_student(student, batch)
    given: GivenProjections = projections
    if not isinstance(given, Projections):  # one for each layer of the map, whichever losses are computed
        layers = objective.each[0].layer_map("hidden_state_loss").student_layers
        given = as_lookup(given, (0, *layers))
    return objective.compute(
        made,
        seen,
        masks_of(batch),
        given,
        decoder_projections=decoder_projections,
        labels=labels_of(batch),
    )
