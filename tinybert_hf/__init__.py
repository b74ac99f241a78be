"""TinyBERT for Hugging Face: distil a transformer into a small BERT that is an ordinary Hugging Face model.

Importing the package registers the TinyBERT family with the Auto classes of transformers; everything else is
imported when its name is first used.
"""

import sys

from tinybert_hf.lazy_names import lazy_names

if "tinybert_hf_command" not in sys.modules:  # the command `tinybert`, which loads models only when it needs them
    import tinybert_hf.model as _model  # noqa: F401  registers the family with the Auto classes

__version__ = "0.1.0"

_MODULE_OF = {
    "TinyBertConfig": "tinybert_hf.model",
    "TinyBertModel": "tinybert_hf.model",
    "TinyBertForMaskedLM": "tinybert_hf.model",
    "TinyBertForSequenceClassification": "tinybert_hf.model",
    "TinyBertForTokenClassification": "tinybert_hf.model",
    "TinyBertForSeq2Seq": "tinybert_hf.model",
    "TinyBertForQuestionAnswering": "tinybert_hf.model",
    "TinyBertForMultipleChoice": "tinybert_hf.model",
    "DistillationTrainer": "tinybert_hf.training",
    "DistillationArguments": "tinybert_hf.training",
    "Seq2SeqDistillationTrainer": "tinybert_hf.training",
    "Seq2SeqDistillationArguments": "tinybert_hf.training",
    "Phase": "tinybert_hf.training",
    "FinetuneSettings": "tinybert_hf.training",
    "run_phases": "tinybert_hf.training",
    "finetune": "tinybert_hf.training",
    "distillation_losses": "tinybert_hf.distillation",
    "DistillationLoss": "tinybert_hf.distillation",
    "resolve_layer_map": "tinybert_hf.distillation",
    "LayerMap": "tinybert_hf.distillation",
    "initialize_from_teacher": "tinybert_hf.distillation",
    "load_teacher": "tinybert_hf.distillation",
    "Teachers": "tinybert_hf.distillation",
    "with_teacher_tokens": "tinybert_hf.training",
    "QuestionAnswerer": "tinybert_hf.evaluation",
    "push": "tinybert_hf.hub",
    "convert_checkpoint": "tinybert_hf.conversion",
    "load_recipe": "tinybert_hf.recipes.loader",
    "run_recipe": "tinybert_hf.recipes.run",
    "quiet_libraries": "tinybert_hf.cli.quiet",
    "TinyBertError": "tinybert_hf.errors",
}

__all__ = sorted(_MODULE_OF)


__getattr__, __dir__ = lazy_names(__name__, _MODULE_OF)
