"""Opens saved models, whoever made them: nothing in the folder runs, damaged files are refused, changes are said.

And puts them in place, so that a folder is whole or absent.
"""

from tinybert_hf.opening.config_file import open_config
from tinybert_hf.opening.exported import EXPORT_FILE, ExportedModel, is_exported, open_exported
from tinybert_hf.opening.extras import require
from tinybert_hf.opening.folders import check_folder, modules_of
from tinybert_hf.opening.heads import HEADS, QUESTION_ANSWERING, TEXT_CLASSIFICATION, Head, task_of
from tinybert_hf.opening.input_limits import (
    InputLimits,
    check_batch,
    check_ids,
    check_length,
    check_tokens,
    fit_tokenizer,
    limits_of,
    with_fitting_settings,
)
from tinybert_hf.opening.manifest import check_manifest, damaged_weights
from tinybert_hf.opening.models import check_folder_files, open_model
from tinybert_hf.opening.placing import check_writable, made_beside, put_in_place
from tinybert_hf.opening.projections_file import PROJECTIONS_FILE, read_projections
from tinybert_hf.opening.reasons import reason_of, refusing
from tinybert_hf.opening.sentence_vectors import carry_modules, sentence_steps
from tinybert_hf.opening.tokenizers import open_tokenizer

__all__ = [
    "EXPORT_FILE",
    "HEADS",
    "PROJECTIONS_FILE",
    "QUESTION_ANSWERING",
    "TEXT_CLASSIFICATION",
    "ExportedModel",
    "Head",
    "InputLimits",
    "carry_modules",
    "check_batch",
    "check_folder",
    "check_folder_files",
    "check_ids",
    "check_length",
    "check_manifest",
    "check_tokens",
    "check_writable",
    "damaged_weights",
    "fit_tokenizer",
    "is_exported",
    "limits_of",
    "made_beside",
    "modules_of",
    "open_config",
    "open_exported",
    "open_model",
    "open_tokenizer",
    "put_in_place",
    "read_projections",
    "reason_of",
    "refusing",
    "require",
    "sentence_steps",
    "task_of",
    "with_fitting_settings",
]
