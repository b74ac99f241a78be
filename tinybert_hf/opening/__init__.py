"""Opens saved models, whoever made them: nothing in the folder runs, damaged files are refused, changes are said."""

from tinybert_hf.opening.config_file import open_config
from tinybert_hf.opening.manifest import check_manifest, damaged_weights
from tinybert_hf.opening.models import check_folder_files, open_model
from tinybert_hf.opening.reasons import reason_of, refusing
from tinybert_hf.opening.tokenizers import open_tokenizer

__all__ = [
    "check_folder_files",
    "check_manifest",
    "damaged_weights",
    "open_config",
    "open_model",
    "open_tokenizer",
    "reason_of",
    "refusing",
]
