"""TinyBERT for Hugging Face: distil a transformer into a small BERT that is an ordinary Hugging Face model.

Importing the package registers the TinyBERT family with the Auto classes of transformers; everything else is
imported when its name is first used.
"""

import sys
from typing import TYPE_CHECKING

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
    "AttentionRecord": "tinybert_hf.distillation",
    "Capture": "tinybert_hf.distillation",
    "DistillationLoss": "tinybert_hf.distillation",
    "resolve_layer_map": "tinybert_hf.distillation",
    "LayerMap": "tinybert_hf.distillation",
    "initialize_from_teacher": "tinybert_hf.distillation",
    "load_teacher": "tinybert_hf.distillation",
    "Teachers": "tinybert_hf.distillation",
    "with_teacher_tokens": "tinybert_hf.training",
    "Classifier": "tinybert_hf.evaluation",
    "QuestionAnswerer": "tinybert_hf.evaluation",
    "classify": "tinybert_hf.evaluation",
    "classify_file": "tinybert_hf.evaluation",
    "push": "tinybert_hf.publishing",
    "convert_checkpoint": "tinybert_hf.conversion",
    "prune_vocabulary": "tinybert_hf.conversion.pruning",
    "prune_checkpoint": "tinybert_hf.conversion.pruning",
    "PrunedModel": "tinybert_hf.conversion.pruning",
    "PruningReport": "tinybert_hf.conversion.pruning",
    "export_model": "tinybert_hf.conversion.export",
    "ExportReport": "tinybert_hf.conversion.export",
    "open_exported": "tinybert_hf.checkpoints",
    "benchmark_models": "tinybert_hf.benchmark",
    "BenchmarkSettings": "tinybert_hf.benchmark",
    "BenchmarkReport": "tinybert_hf.benchmark",
    "write_report": "tinybert_hf.publishing",
    "load_recipe": "tinybert_hf.recipes.loader",
    "run_recipe": "tinybert_hf.recipes.run",
    "quiet_libraries": "tinybert_hf.cli.screen",
    "TinyBertError": "tinybert_hf.errors",
}

__all__ = sorted(_MODULE_OF)

# mypy and editors read the imports, and know no other name; at run time a name is imported when it is first used.
if TYPE_CHECKING:
    from tinybert_hf.benchmark import BenchmarkReport as BenchmarkReport
    from tinybert_hf.benchmark import BenchmarkSettings as BenchmarkSettings
    from tinybert_hf.benchmark import benchmark_models as benchmark_models
    from tinybert_hf.checkpoints import open_exported as open_exported
    from tinybert_hf.cli.screen import quiet_libraries as quiet_libraries
    from tinybert_hf.conversion import convert_checkpoint as convert_checkpoint
    from tinybert_hf.conversion.export import ExportReport as ExportReport
    from tinybert_hf.conversion.export import export_model as export_model
    from tinybert_hf.conversion.pruning import PrunedModel as PrunedModel
    from tinybert_hf.conversion.pruning import PruningReport as PruningReport
    from tinybert_hf.conversion.pruning import prune_checkpoint as prune_checkpoint
    from tinybert_hf.conversion.pruning import prune_vocabulary as prune_vocabulary
    from tinybert_hf.distillation import AttentionRecord as AttentionRecord
    from tinybert_hf.distillation import Capture as Capture
    from tinybert_hf.distillation import DistillationLoss as DistillationLoss
    from tinybert_hf.distillation import LayerMap as LayerMap
    from tinybert_hf.distillation import Teachers as Teachers
    from tinybert_hf.distillation import distillation_losses as distillation_losses
    from tinybert_hf.distillation import initialize_from_teacher as initialize_from_teacher
    from tinybert_hf.distillation import load_teacher as load_teacher
    from tinybert_hf.distillation import resolve_layer_map as resolve_layer_map
    from tinybert_hf.errors import TinyBertError as TinyBertError
    from tinybert_hf.evaluation import Classifier as Classifier
    from tinybert_hf.evaluation import QuestionAnswerer as QuestionAnswerer
    from tinybert_hf.evaluation import classify as classify
    from tinybert_hf.evaluation import classify_file as classify_file
    from tinybert_hf.model import TinyBertConfig as TinyBertConfig
    from tinybert_hf.model import TinyBertForMaskedLM as TinyBertForMaskedLM
    from tinybert_hf.model import TinyBertForMultipleChoice as TinyBertForMultipleChoice
    from tinybert_hf.model import TinyBertForQuestionAnswering as TinyBertForQuestionAnswering
    from tinybert_hf.model import TinyBertForSeq2Seq as TinyBertForSeq2Seq
    from tinybert_hf.model import TinyBertForSequenceClassification as TinyBertForSequenceClassification
    from tinybert_hf.model import TinyBertForTokenClassification as TinyBertForTokenClassification
    from tinybert_hf.model import TinyBertModel as TinyBertModel
    from tinybert_hf.publishing import push as push
    from tinybert_hf.publishing import write_report as write_report
    from tinybert_hf.recipes.loader import load_recipe as load_recipe
    from tinybert_hf.recipes.run import run_recipe as run_recipe
    from tinybert_hf.training import DistillationArguments as DistillationArguments
    from tinybert_hf.training import DistillationTrainer as DistillationTrainer
    from tinybert_hf.training import FinetuneSettings as FinetuneSettings
    from tinybert_hf.training import Phase as Phase
    from tinybert_hf.training import Seq2SeqDistillationArguments as Seq2SeqDistillationArguments
    from tinybert_hf.training import Seq2SeqDistillationTrainer as Seq2SeqDistillationTrainer
    from tinybert_hf.training import finetune as finetune
    from tinybert_hf.training import run_phases as run_phases
    from tinybert_hf.training import with_teacher_tokens as with_teacher_tokens

else:
    __getattr__, __dir__ = lazy_names(__name__, _MODULE_OF)
