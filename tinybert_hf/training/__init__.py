"""Training: the arguments, the distilling Trainer, phases, and plain fine-tuning."""

from tinybert_hf.training.arguments import DistillationArguments, Seq2SeqDistillationArguments
from tinybert_hf.training.finetuning import FinetuneSettings, finetune
from tinybert_hf.training.general_trainer import GeneralDistillationTrainer
from tinybert_hf.training.own_tokens import with_teacher_tokens
from tinybert_hf.training.phase import Phase, PhaseResult
from tinybert_hf.training.phase_projections import projections_from
from tinybert_hf.training.phases import run_phases
from tinybert_hf.training.seq2seq_trainer import Seq2SeqDistillationTrainer
from tinybert_hf.training.trainer import DistillationTrainer

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
