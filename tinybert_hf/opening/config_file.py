"""Opens the configuration of a saved model."""

from pathlib import Path
from typing import Any

from tinybert_hf.errors import TinyBertError
from tinybert_hf.opening.folders import check_folder
from tinybert_hf.opening.json_files import in_short, numbers_in, read_object
from tinybert_hf.opening.reasons import refusing

# transformers makes a table with a line for each label before it looks at anything else.
_MAX_LABELS = 1_000_000
_MAX_SIZE = 10_000_000
_SIZES = ("_size", "_layers", "_heads", "_dim", "d_model", "embeddings", "_positions", "n_embd", "n_layer", "n_head")


def open_config(path: str | Path, kind: type[TinyBertError] = TinyBertError, what: str = "", **fields: Any) -> Any:
    """Opens a configuration; no code of the folder runs.

    Args:
        path: a folder, or an id on the Hub.
        kind: the error.
        what: the beginning of the message, up to the reason.
        **fields: of the configuration, which win over the file's.

    Raises:
        TinyBertError: of that kind: there is no model; config.json cannot be read, or says what cannot be.
    """
    from transformers import AutoConfig

    import tinybert_hf.model  # noqa: F401  # registers the family with the Auto classes

    check_folder(path, kind)
    file = check_config_file(path, kind)
    with refusing(what or f"{file} cannot be used", kind):
        return AutoConfig.from_pretrained(path, trust_remote_code=False, **fields)


def check_config_file(path: str | Path, kind: type[TinyBertError] = TinyBertError) -> Path | str:
    """Refuses a config.json that would exhaust the memory, or fetch code from elsewhere.

    Returns:
        The file, or the id on the Hub, where there is nothing to look at yet.

    Raises:
        TinyBertError: of that kind.
    """
    file = Path(path) / "config.json"
    if not file.is_file():
        return str(path)
    content = read_object(file, kind)
    labels = content.get("num_labels")
    if labels is not None and not _is_count(labels, _MAX_LABELS):
        raise kind(f"{file}: num_labels is {labels!r:.60}; expected a whole number from 1 to {_MAX_LABELS:,}.")
    classes = content.get("architectures")
    if classes is not None and not (isinstance(classes, list) and all(isinstance(one, str) for one in classes)):
        raise kind(f"{file}: architectures is {classes!r:.60}; expected a list of names of classes.")
    for name, number in numbers_in(content):
        if name.endswith(_SIZES) and not abs(number) <= _MAX_SIZE:
            raise kind(f"{file}: {name} is {in_short(number)}, which no model has.")
    for name in ("attn_implementation", "_attn_implementation", "experts_implementation"):
        # "owner/kernel" would be fetched from the Hub and run.
        if name in content and not _is_built_in(content[name]):
            raise kind(f"{file}: {name} is {content[name]!r:.80}; only the implementations of transformers are used.")
    return file


def _is_count(value: Any, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most


def _is_built_in(name: Any) -> bool:
    return name is None or (isinstance(name, str) and name.replace("_", "").isalnum())
