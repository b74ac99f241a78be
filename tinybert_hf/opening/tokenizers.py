"""Opens the tokenizer of a saved model."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tinybert_hf.errors import TinyBertError
from tinybert_hf.opening.input_limits import fit_tokenizer
from tinybert_hf.opening.json_files import in_short, numbers_in, read_object
from tinybert_hf.opening.reasons import refusing
from tinybert_hf.opening.tokenizer_file import as_its_file_says, opened_by_its_file

FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "source_tokenizer.json",
    "target_tokenizer.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
# No vocabulary is so large, and a padding of so many tokens would fill the memory.
_MAX_NUMBER = 10_000_000


def open_tokenizer(
    path: str | Path, kind: type[TinyBertError] = TinyBertError, what: str = "", config: Any = None, **options: Any
) -> Any:
    """Opens a tokenizer; no code of the folder runs.

    It reads texts as tokenizer.json says, where there is one: see `as_its_file_says`.

    Args:
        path: a folder, or an id on the Hub.
        kind: the error.
        what: the beginning of the message, up to the reason.
        config: of the model, or the model itself; the tokenizer is made to fit its tables (`fit_tokenizer`).
        **options: of `from_pretrained`; `trust_remote_code=True` lets the code of the folder run.

    Raises:
        TinyBertError: of that kind: a file is damaged, or the tokenizer is not the model's.
    """
    from transformers import AutoTokenizer

    import tinybert_hf.model  # noqa: F401  # registers the family with the Auto classes

    trusted = bool(options.pop("trust_remote_code", False))
    files = check_tokenizer_files(path, kind)
    named = f"{path} ({', '.join(files)})" if files else str(path)
    with refusing(what.replace(str(path), named, 1) or f"the tokenizer of {named} cannot be used", kind):
        try:
            tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=trusted, **options)
        except (TypeError, ValueError, KeyError, AttributeError):  # of a class that another file was made by
            tokenizer = None if trusted else opened_by_its_file(path, **options)
            if tokenizer is None:
                raise
        else:
            if not trusted:  # else the code of the folder decides
                tokenizer = as_its_file_says(tokenizer, path, kind, **options)
        if config is None:
            return tokenizer
        try:
            return fit_tokenizer(tokenizer, config, str(path), kind)
        except TinyBertError as error:
            if not files:  # on the Hub
                raise
            raise kind(f"{error} What the tokenizer gives stands in {', '.join(files)}.") from error


def check_tokenizer_files(path: str | Path, kind: type[TinyBertError] = TinyBertError) -> list[str]:
    """Refuses tokenizer files that are no JSON, or hold numbers that would exhaust the memory.

    Returns:
        The names of the files that are there.

    Raises:
        TinyBertError: of that kind.
    """
    there = [name for name in FILES if (Path(path) / name).is_file()]
    for name in there:
        file = Path(path) / name
        content = read_object(file, kind)
        for field, number in _numbers(content):
            if field != "model_max_length" and not abs(number) <= _MAX_NUMBER:
                raise kind(f"{file}: {field} is {in_short(number)}, which no tokenizer has.")
        if name == "tokenizer_config.json":
            _check_settings(content, file, kind)
    return there


def _numbers(content: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Those of a file; of a vocabulary, which may have 250,000, the smallest and the largest."""
    model = content.get("model")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    if isinstance(vocabulary, dict) and vocabulary and all(type(one) is int for one in vocabulary.values()):
        yield from (("vocab", choose(vocabulary.values())) for choose in (min, max))
        content = {**content, "model": {**content["model"], "vocab": None}}
    elif isinstance(vocabulary, list) and vocabulary and all(_is_piece(one) for one in vocabulary):
        yield from (("vocab", choose(score for _, score in vocabulary)) for choose in (min, max))
        content = {**content, "model": {**content["model"], "vocab": None}}
    yield from numbers_in(content)


def _is_piece(one: Any) -> bool:
    return isinstance(one, list) and len(one) == 2 and type(one[0]) is str and type(one[1]) in (int, float)


def _check_settings(content: dict[str, Any], file: Path, kind: type[TinyBertError]) -> None:
    length = content.get("model_max_length")
    if length is not None and (isinstance(length, bool) or not isinstance(length, int | float) or not length >= 1):
        raise kind(f"{file}: model_max_length is {length!r:.60}; expected a number of tokens.")
    names = content.get("model_input_names")
    if names is not None and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise kind(f"{file}: model_input_names is {names!r:.60}; expected a list of names.")
