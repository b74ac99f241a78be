"""Tiny models of several families, with weights large enough that a fault shows, and what their trainings share."""

from __future__ import annotations

from typing import Any

import torch
from datasets import Dataset
from transformers import (
    AlbertConfig,
    AutoModelForSequenceClassification,
    BertConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    PreTrainedModel,
    RobertaConfig,
    T5Config,
    TrainerCallback,
)

COMMON = {"vocab_size": 60, "num_labels": 3, "initializer_range": 0.3}
SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4}

FAMILIES: dict[str, Any] = {
    "bert": lambda: BertConfig(**COMMON, **SIZES, num_hidden_layers=4),
    "roberta": lambda: RobertaConfig(**COMMON, **SIZES, num_hidden_layers=4, max_position_embeddings=80),
    "electra": lambda: ElectraConfig(**COMMON, **SIZES, num_hidden_layers=4, embedding_size=16),
    "distilbert": lambda: DistilBertConfig(**COMMON, dim=32, hidden_dim=48, n_heads=4, n_layers=4),
    "albert": lambda: AlbertConfig(**COMMON, **SIZES, num_hidden_layers=4, embedding_size=16),
}
UNFIT: dict[str, Any] = {
    "t5": lambda: T5Config(
        vocab_size=60, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, num_labels=3, decoder_start_token_id=0
    ),
    "deberta-v2": lambda: DebertaV2Config(**COMMON, **SIZES, num_hidden_layers=2),
}


def make(config: Any, seed: int = 0) -> PreTrainedModel:
    """A model with random weights, in eval mode."""
    torch.manual_seed(seed)
    return AutoModelForSequenceClassification.from_config(config).eval()


def bert(layers: int = 2, hidden: int = 24, heads: int = 4, seed: int = 0, **more: Any) -> PreTrainedModel:
    """A small BERT classifier; its dropout is off in training mode too, so that values can be compared."""
    options = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, **COMMON, **more}
    return make(
        BertConfig(
            hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=48, **options
        ),
        seed,
    )


def batch_of(lengths: list[int], padded_to: int | None = None, seed: int = 0) -> dict[str, torch.Tensor]:
    """Random token rows, padded at the right with token 1."""
    generator = torch.Generator().manual_seed(seed)
    width = padded_to or max(lengths)
    ids, mask = torch.ones(len(lengths), width, dtype=torch.long), torch.zeros(len(lengths), width, dtype=torch.long)
    for row, length in enumerate(lengths):
        ids[row, :length] = torch.randint(5, 60, (length,), generator=generator)
        mask[row, :length] = 1
    return {"input_ids": ids, "attention_mask": mask}


# Of trainings.

QUIET = {"disable_tqdm": True, "log_level": "error", "use_cpu": True, "dataloader_pin_memory": False}


def rows_by_first_token(count: int = 32) -> Dataset:
    """Rows whose label can be read off the first token."""
    generator = torch.Generator().manual_seed(0)
    first = torch.randint(5, 8, (count,), generator=generator).tolist()
    ids = [[token, *torch.randint(8, 24, (4,), generator=generator).tolist()] for token in first]
    return Dataset.from_dict(
        {"input_ids": ids, "attention_mask": [[1] * 5] * count, "labels": [token - 5 for token in first]}
    )


class StopAt(TrainerCallback):
    """Ctrl-C after a step of a phase, or before its first."""

    def __init__(self, step: int, phase: str) -> None:
        self.step, self.phase = step, phase

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.on_step_end(args, state, control)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if args.phase == self.phase and state.global_step == self.step:
            raise KeyboardInterrupt


def logged(trainer: Any, name: str = "loss") -> list[float]:
    """What a trainer has logged under a name."""
    return [entry[name] for entry in trainer.state.log_history if name in entry]
