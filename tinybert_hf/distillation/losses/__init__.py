"""The losses, one a file. Each is a pure function of tensors; every mean is over real rows, tokens or pairs.

A loss is a sum over real items divided by a count of them. The count is the batch's own unless the caller gives
`Counts` of a larger whole (gradient accumulation, several processes), so that the parts add up to the mean of the
whole.
"""

from tinybert_hf.distillation.losses.attention import attention_loss
from tinybert_hf.distillation.losses.embedding import embedding_loss
from tinybert_hf.distillation.losses.hidden_state import hidden_state_loss
from tinybert_hf.distillation.losses.label import label_loss
from tinybert_hf.distillation.losses.prediction import prediction_loss
from tinybert_hf.distillation.losses.spans import SPANS, span_label_loss, span_prediction_loss

ENCODER_LOSSES = {
    "attention_loss": attention_loss,
    "hidden_state_loss": hidden_state_loss,
    "embedding_loss": embedding_loss,
}
# The same functions between the decoders: future positions left out, or target rows against source columns.
DECODER_LOSSES = {
    "decoder_attention_loss": attention_loss,
    "cross_attention_loss": attention_loss,
    "decoder_hidden_state_loss": hidden_state_loss,
}
LOSSES = {
    **ENCODER_LOSSES,
    **DECODER_LOSSES,
    "prediction_loss": prediction_loss,
    "label_loss": label_loss,
}

__all__ = [
    "DECODER_LOSSES",
    "ENCODER_LOSSES",
    "LOSSES",
    "SPANS",
    "attention_loss",
    "embedding_loss",
    "hidden_state_loss",
    "label_loss",
    "prediction_loss",
    "span_label_loss",
    "span_prediction_loss",
]
