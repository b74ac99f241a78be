"""Opens the weights of a saved model."""

from pathlib import Path
from typing import Any

from tinybert_hf.errors import TinyBertError
from tinybert_hf.opening.config_file import open_config
from tinybert_hf.opening.manifest import check_manifest
from tinybert_hf.opening.reasons import refusing
from tinybert_hf.opening.weights_file import check_weights


def check_folder_files(path: str | Path, kind: type[TinyBertError] = TinyBertError) -> None:
    """Refuses a folder whose weights are not those that were saved, or not those of its configuration.

    What is no folder passes: it may be an id on the Hub, whose client checks what it downloads.

    Raises:
        TinyBertError: of that kind.
    """
    if not (Path(path) / "config.json").is_file():
        return
    config = open_config(path, kind)
    check_weights(path, config, kind)
    check_manifest(path, kind)


def open_model(
    path: str | Path,
    model_class: Any,
    kind: type[TinyBertError] = TinyBertError,
    what: str = "",
    whole: bool = False,
    **options: Any,
) -> tuple[Any, dict[str, Any]]:
    """Opens a model; no code of the folder runs, and pickled weights only as plain tensors.

    Args:
        path: a folder, or an id on the Hub.
        model_class: a class of models, or an Auto class.
        kind: the error.
        what: the beginning of the message, up to the reason.
        whole: refuse weights that lack a part of the model, which would be random; else the report says so.
        **options: of `from_pretrained`; `trust_remote_code=True` lets the code of the folder run.

    Returns:
        The model, and what transformers says about keys that are missing or unexpected.

    Raises:
        TinyBertError: of that kind: the weights were changed, are of another shape below the head, or lack a part;
            or it cannot be opened.
    """
    import tinybert_hf.model  # noqa: F401  # registers the family with the Auto classes

    trusted = bool(options.pop("trust_remote_code", False))
    if trusted:
        check_manifest(path, kind)
    else:
        check_folder_files(path, kind)
    with refusing(what or f"{path} cannot be opened: config.json and the weights do not fit", kind):
        model, report = model_class.from_pretrained(
            path, output_loading_info=True, trust_remote_code=trusted, weights_only=True, **options
        )
    body = f"{model.base_model_prefix}."
    random = sorted({key for key, *_ in report["mismatched_keys"] if key.startswith(body)})
    random += sorted(report["missing_keys"]) if whole else []
    if random:
        raise kind(
            f"{path}: the weights and config.json do not describe the same model: {', '.join(random[:5])}"
            f"{' and more' if len(random) > 5 else ''} would be random."
        )
    return model, report
