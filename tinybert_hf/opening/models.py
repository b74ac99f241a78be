"""Opens the weights of a saved model."""

from pathlib import Path
from typing import Any

from tinybert_hf.errors import TinyBertError
from tinybert_hf.opening.config_file import open_config
from tinybert_hf.opening.exported import is_exported
from tinybert_hf.opening.folders import WEIGHTS, check_folder
from tinybert_hf.opening.loaded_weights import check_loaded, reporting_all_missing
from tinybert_hf.opening.manifest import check_manifest
from tinybert_hf.opening.reasons import refusing
from tinybert_hf.opening.weights_file import check_weights


def check_folder_files(path: str | Path, kind: type[TinyBertError] = TinyBertError) -> None:
    """Refuses a folder whose weights are not those that were saved, or not those of its configuration.

    What is no folder passes: it may be an id on the Hub, whose client checks what it downloads.

    Raises:
        TinyBertError: of that kind.
    """
    check_folder(path, kind)
    if not Path(path).is_dir():
        return
    config = open_config(path, kind)
    if is_exported(path):
        raise kind(f"{path} is an export. Give the folder of the model that it was made from.")
    if not any(any(Path(path).glob(pattern)) for pattern in WEIGHTS):
        others = sorted(item.name for item in Path(path).iterdir() if item.suffix in _OTHER_WEIGHTS)
        raise kind(
            f"{path} has a config.json, but no weights of torch (model.safetensors or pytorch_model.bin)."
            + (f" It holds {', '.join(others[:5])}, which transformers 5 does not read." if others else "")
            + " Save the model there with save_pretrained."
        )
    check_weights(path, config, kind)
    check_manifest(path, kind)


_OTHER_WEIGHTS = (".h5", ".msgpack", ".onnx", ".gguf", ".ckpt", ".ot", ".tflite", ".pt", ".pth")


def open_model(
    path: str | Path,
    model_class: Any,
    kind: type[TinyBertError] = TinyBertError,
    what: str = "",
    *,
    new_head: bool = False,
    headless: str = "",
    **options: Any,
) -> Any:
    """Opens a model; no code of the folder runs, and pickled weights only as plain tensors.

    Args:
        path: a folder, or an id on the Hub.
        model_class: a class of models, or an Auto class.
        kind: the error.
        what: the beginning of the message, up to the reason.
        new_head: whether a head may be new, where the weights have none of that shape. The body never is.
        headless: what to say where the weights have no such head, and it may not be new; `{missing}` in it becomes
            the names of its tensors. Empty: that they would be random.
        **options: of `from_pretrained`; `trust_remote_code=True` lets the code of the folder run.

    Returns:
        The model. Without a head it has no pooler either, where the weights have none.

    Raises:
        TinyBertError: of that kind: there is no model; the weights were changed, are of another shape, lack a part, or
            hold one that the class has no place for; or it cannot be opened.
    """
    import tinybert_hf.model  # noqa: F401  # registers the family with the Auto classes

    trusted = bool(options.pop("trust_remote_code", False))
    if trusted:
        check_folder(path, kind)
        check_manifest(path, kind)
    else:
        check_folder_files(path, kind)
    said = what or f"{path} cannot be opened: config.json and the weights do not fit"
    with refusing(said, kind), reporting_all_missing():
        model, report = model_class.from_pretrained(
            path,
            output_loading_info=True,
            trust_remote_code=trusted,
            weights_only=True,
            ignore_mismatched_sizes=True,  # check_loaded says which, and refuses them
            **options,
        )
    check_loaded(path, model, report, kind, new_head=new_head, headless=headless)
    return model
