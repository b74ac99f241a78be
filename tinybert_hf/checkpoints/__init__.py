"""Saved models, whoever made them: nothing in the folder runs, damaged files are refused, changes are said.

And what is written is put in place, so that a folder is whole or absent.
"""

from typing import TYPE_CHECKING

from tinybert_hf.lazy_names import names_of_modules

if TYPE_CHECKING:
    from tinybert_hf.checkpoints.exported import (
        EXPORT_FILE,
        ONNX_FOLDER,
        ExportedModel,
        files_of_export,
        is_exported,
        open_exported,
        require,
    )
    from tinybert_hf.checkpoints.input_limits import (
        InputLimits,
        check_batch,
        check_ids,
        check_length,
        check_tokens,
        fit_tokenizer,
        limits_of,
        with_fitting_settings,
    )
    from tinybert_hf.checkpoints.integrity import (
        check_folder,
        check_manifest,
        check_writable,
        damaged_weights,
        made_beside,
        modules_of,
        open_config,
        reason_of,
        refusing,
        save_atomically,
    )
    from tinybert_hf.checkpoints.loading import (
        PROJECTIONS_FILE,
        Checkpoint,
        check_folder_files,
        open_model,
        read_projections,
        usual_device,
    )
    from tinybert_hf.checkpoints.tokenizers import (
        carry_modules,
        open_tokenizer,
        save_tokenizer,
        sentence_steps,
        settle_tokenizer,
    )

__all__ = [
    "EXPORT_FILE",
    "ONNX_FOLDER",
    "PROJECTIONS_FILE",
    "Checkpoint",
    "ExportedModel",
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
    "files_of_export",
    "fit_tokenizer",
    "is_exported",
    "limits_of",
    "made_beside",
    "modules_of",
    "open_config",
    "open_exported",
    "open_model",
    "open_tokenizer",
    "read_projections",
    "reason_of",
    "refusing",
    "require",
    "save_atomically",
    "save_tokenizer",
    "sentence_steps",
    "settle_tokenizer",
    "usual_device",
    "with_fitting_settings",
]

# Late, so that a recipe can be checked before torch is loaded.
__getattr__, __dir__ = names_of_modules(
    __name__,
    {
        "exported": (
            "EXPORT_FILE",
            "ONNX_FOLDER",
            "ExportedModel",
            "files_of_export",
            "is_exported",
            "open_exported",
            "require",
        ),
        "input_limits": (
            "InputLimits",
            "check_batch",
            "check_ids",
            "check_length",
            "check_tokens",
            "fit_tokenizer",
            "limits_of",
            "with_fitting_settings",
        ),
        "integrity": (
            "check_folder",
            "check_manifest",
            "check_writable",
            "damaged_weights",
            "made_beside",
            "modules_of",
            "open_config",
            "reason_of",
            "refusing",
            "save_atomically",
        ),
        "loading": (
            "PROJECTIONS_FILE",
            "Checkpoint",
            "check_folder_files",
            "open_model",
            "read_projections",
            "usual_device",
        ),
        "tokenizers": (
            "carry_modules",
            "open_tokenizer",
            "save_tokenizer",
            "sentence_steps",
            "settle_tokenizer",
        ),
    },
)
