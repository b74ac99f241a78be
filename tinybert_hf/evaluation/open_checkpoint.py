"""Opens a saved model to measure it, and says what is wrong with a folder that holds none."""

from pathlib import Path
from typing import Any

from tinybert_hf import opening
from tinybert_hf.opening import check_folder as check_folder


def open_config(path: str, kind: str) -> Any:
    """Opens the configuration of a checkpoint that `check_folder` let pass.

    Args:
        path: a folder, or an id on the Hub.
        kind: what the checkpoint should be, with its article; for the message.

    Raises:
        TinyBertError: config.json cannot be read.
    """
    who = _file(path)
    if not Path(path).exists():
        who = f"{path} does not exist (looked from {Path.cwd()}), and as an id on the Hub it"
    return opening.open_config(path, what=f"{who} cannot be opened as {kind}")


def open_model(path: str, auto_class: str, kind: str, dtype: str | None = None) -> tuple[Any, Any]:
    """Opens model and tokenizer, and refuses what would answer at random.

    Args:
        path: a folder, or an id on the Hub.
        auto_class: the class of transformers that opens it.
        kind: what the checkpoint should be, with its article; for the messages.
        dtype: of the weights, as "float32"; None: as saved.

    Raises:
        TinyBertError: it cannot be opened, its weights are missing or were changed after they were saved, or it has
            no tokenizer of its own.
    """
    import transformers

    if opening.is_exported(path):
        exported = opening.open_exported(path)
        return exported, _open_tokenizer(path, exported)
    what = f"{path} cannot be opened as {kind}: config.json and the weights do not fit"
    headless = (
        f"{path} was not trained as {kind}: its weights lack what config.json describes, {{missing}}, which would be "
        "random. Fine-tune or distil it first."
    )
    options: dict[str, Any] = {} if dtype is None else {"dtype": dtype}
    model = opening.open_model(path, getattr(transformers, auto_class), what=what, headless=headless, **options)
    model.config.return_dict = True
    return model, _open_tokenizer(path, model)


def _open_tokenizer(path: str, model: Any) -> Any:
    return opening.open_tokenizer(path, what=f"{path} has no tokenizer that can be opened", config=model)


def _file(path: str) -> str:
    file = Path(path) / "config.json"
    return str(file) if file.is_file() else path
