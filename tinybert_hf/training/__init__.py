"""Training: the arguments, the distilling Trainer, phases, and plain fine-tuning."""

from tinybert_hf.training.arguments import DistillationArguments
from tinybert_hf.training.finetuning import FinetuneSettings, finetune
from tinybert_hf.training.phases import Phase, PhaseResult, run_phases
from tinybert_hf.training.trainer import DistillationTrainer

__all__ = [
    "DistillationArguments",
    "DistillationTrainer",
    "FinetuneSettings",
    "Phase",
    "PhaseResult",
    "finetune",
    "run_phases",
]
