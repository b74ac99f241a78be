"""The losses, one a file. Each is a pure function of tensors; every mean is over real rows, tokens or pairs.

A loss is a sum over real items divided by a count of them. The count is the batch's own unless the caller gives
`Counts` of a larger whole (gradient accumulation, several processes), so that the parts add up to the mean of the
whole.
"""

from tinybert_hf.distillation.losses.attention import attention_loss
from tinybert_hf.distillation.losses.embedding import embedding_loss
from tinybert_hf.distillation.losses.hidden_state import hidden_state_loss
from tinybert_hf.distillation.losses.prediction import prediction_loss

LOSSES = {
    "attention_loss": attention_loss,
    "hidden_state_loss": hidden_state_loss,
    "embedding_loss": embedding_loss,
    "prediction_loss": prediction_loss,
}

__all__ = ["LOSSES", "attention_loss", "embedding_loss", "hidden_state_loss", "prediction_loss"]
