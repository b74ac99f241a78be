"""A smaller vocabulary for a trained model: tokenizer and embeddings together, the same answers on the kept pieces."""

from tinybert_hf.pruning.checkpoint import prune_checkpoint
from tinybert_hf.pruning.choice import check_choice
from tinybert_hf.pruning.report import PruningReport
from tinybert_hf.pruning.vocabulary import PrunedModel, check_prunable, prune_vocabulary

__all__ = [
    "PrunedModel",
    "PruningReport",
    "check_choice",
    "check_prunable",
    "prune_checkpoint",
    "prune_vocabulary",
]
