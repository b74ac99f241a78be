"""Training: the settings, the arguments, the distilling Trainer, phases, and plain fine-tuning."""

from typing import TYPE_CHECKING

from tinybert_hf.lazy_names import names_of_modules

if TYPE_CHECKING:
    from tinybert_hf.training.arguments import DistillationArguments, Seq2SeqDistillationArguments
    from tinybert_hf.training.collators import with_teacher_tokens
    from tinybert_hf.training.finetuning import finetune
    from tinybert_hf.training.general_trainer import GeneralDistillationTrainer
    from tinybert_hf.training.phases import projections_from, run_phases
    from tinybert_hf.training.settings import DistillationSettings, FinetuneSettings, Phase, PhaseResult
    from tinybert_hf.training.trainer import DistillationTrainer, Seq2SeqDistillationTrainer

__all__ = [
    "DistillationArguments",
    "DistillationSettings",
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

# Late, so that a recipe and the command line can look at settings before torch is loaded.
__getattr__, __dir__ = names_of_modules(
    __name__,
    {
        "arguments": ("DistillationArguments", "Seq2SeqDistillationArguments"),
        "collators": ("with_teacher_tokens",),
        "finetuning": ("finetune",),
        "general_trainer": ("GeneralDistillationTrainer",),
        "phases": ("projections_from", "run_phases"),
        "settings": ("DistillationSettings", "FinetuneSettings", "Phase", "PhaseResult"),
        "trainer": ("DistillationTrainer", "Seq2SeqDistillationTrainer"),
    },
)
