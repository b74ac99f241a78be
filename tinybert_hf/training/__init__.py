"""Training: the arguments, the distilling Trainer, phases, and plain fine-tuning."""

from tinybert_hf.training.arguments import DistillationArguments, Seq2SeqDistillationArguments
from tinybert_hf.training.collators import with_teacher_tokens
from tinybert_hf.training.finetuning import FinetuneSettings, finetune
from tinybert_hf.training.general_trainer import GeneralDistillationTrainer
from tinybert_hf.training.phase import Phase, PhaseResult
from tinybert_hf.training.phases import projections_from, run_phases
from tinybert_hf.training.trainer import DistillationTrainer, Seq2SeqDistillationTrainer

__all__ = [
    "DistillationArguments",
    "DistillationTrainer",
    "FinetuneSettings",
    "GeneralDistillationTrainer",
    "Phase",
    "PhaseResult",
    "Seq2SeqDistillationArguments",
    "Seq2SeqDistillationTrainer",
    "finetune",
    "projections_from",
    "run_phases",
    "with_teacher_tokens",
]
