"""Opens the tokenizer of a saved model, finds out whether it reads texts as its files say, and saves it."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tinybert_hf.checkpoints.input_limits import fit_tokenizer, with_fitting_settings
from tinybert_hf.checkpoints.integrity import (
    in_short,
    modules_of,
    numbers_in,
    read_object,
    refusing,
    write_atomically,
    write_json,
)
from tinybert_hf.errors import OpeningWarning, TinyBertError

# Whether a tokenizer reads texts as its tokenizer.json says, and one that does.
#
# transformers 5 reads that file with the class that tokenizer_config.json names (or the model's family): it takes the
# vocabulary out, and makes normalizer, pre-tokenizer and the settings of the vocabulary anew from the class's
# arguments. Where those are not the file's, a text becomes other tokens than the model was trained on.

# Capitals, accents, several scripts, spaces of all kinds, numbers, marks, a word that is very long: what the parts of
# tokenizers differ in.
_PROBES = (
    "The Café's 12 films, e.g. “Ünder-dog” (1999), weren't bad!",
    "  Two  spaces,\ta tab\nand a line; naïve\u00a0coöperation … ﬁne ½ ＡＢＣ don't  ",
    "我喜欢这部电影。 東京 서울에서 Привет, мир! ΑΒΓ İstanbul straße नमस्ते สวัสดี 😀",
    f"{'honorificabilitudinitatibus' * 4} x{'y' * 120} snake_case user@example.org #tag 3.14",
)
_MOST_ADDED = 20
_PARTS = ("normalizer", "pre_tokenizer", "decoder")
_MODEL_SETTINGS = (
    "unk_token", "continuing_subword_prefix", "max_input_chars_per_word", "end_of_word_suffix", "fuse_unk",
    "byte_fallback", "ignore_merges", "dropout",
)  # fmt: skip
_GENERIC = "PreTrainedTokenizerFast"


def as_its_file_says(tokenizer: Any, path: str | Path, kind: type[TinyBertError], **options: Any) -> Any:
    """The tokenizer, where it does what its tokenizer.json says; else one that does, and a warning.

    What has no such file (a vocab.txt or a SentencePiece model alone) passes.

    Args:
        tokenizer: as transformers has opened it.
        path: where: a folder, or an id on the Hub.
        kind: the error.
        **options: of `from_pretrained`.

    Raises:
        TinyBertError: of that kind: there is no way here to open it as the file says.
    """
    file = _file_of(path, options)
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if file is None or backend is None:
        return tokenizer
    from tokenizers import Tokenizer

    said = Tokenizer.from_file(str(file))
    said.encode_special_tokens = backend.encode_special_tokens
    # Which languages stand around a text is for its user to set.
    has_languages = hasattr(tokenizer, "set_src_lang_special_tokens")
    found = differences(backend, said, around=not has_languages)
    if not found:
        return tokenizer
    given = {} if has_languages else _settings_of_class(tokenizer, path, said)
    made = _with_parts_of(tokenizer, said) if has_languages else _generic(path, {**options, **given})
    left = differences(made.backend_tokenizer, said, around=not has_languages)
    who = f"{path}: read as a {type(tokenizer).__name__} (tokenizer_class in tokenizer_config.json, or by the model's "
    who += f"family), the tokenizer is not the one of tokenizer.json: {'; '.join(found)}. "
    fields = json.dumps({"tokenizer_class": _GENERIC, **given}, ensure_ascii=False)[1:-1]
    remedy = f"write {fields} into tokenizer_config.json"
    if left:
        raise kind(
            f"{who}Opened as {_GENERIC} it is not either ({'; '.join(left)}). Save the tokenizer once more as the "
            f"model needs it, or {remedy} and take out what contradicts tokenizer.json."
        )
    if has_languages:
        remedy = "save it once more with the transformers that made it, and compare"
    warnings.warn(
        f"{who}It is opened as tokenizer.json says. For programs that use transformers alone, {remedy}.",
        OpeningWarning,
        stacklevel=3,
    )
    return made


def opened_by_its_file(path: str | Path, **options: Any) -> Any:
    """The tokenizer of a folder whose class cannot read its tokenizer.json, with a warning; None where it has none.

    Args:
        path: a folder.
        **options: of `from_pretrained`.
    """
    file = _file_of(path, options)
    if file is None:
        return None
    from tokenizers import Tokenizer

    given = _settings_of_class(None, path, Tokenizer.from_file(str(file)))
    made = _generic(path, {**options, **given})
    fields = json.dumps({"tokenizer_class": _GENERIC, **given}, ensure_ascii=False)[1:-1]
    warnings.warn(
        f"{path}: the class that tokenizer_config.json names, or the model's family, cannot read tokenizer.json. The "
        f"tokenizer is opened as that file says; write {fields} into tokenizer_config.json.",
        OpeningWarning,
        stacklevel=3,
    )
    return made


def differences(backend: Any, wanted: Any, *, around: bool = True) -> list[str]:
    """What one tokenizer does otherwise than another, a clause each; both are left as they were.

    Args:
        backend: of the `tokenizers` library.
        wanted: likewise; what it should be.
        around: compare the special tokens around a text, too.
    """
    found = [
        f"its {name} is {_short(own)}, and {_short(filed)} in the file"
        for name in _PARTS
        if (filed := _state(wanted, name)) != (own := _state(backend, name))
        and not (name == "decoder" and filed is None)  # nothing of the file is lost
    ]
    own, filed = _model_settings(backend.model), _model_settings(wanted.model)
    found += [
        f"{name} is {own.get(name)!r:.60}, and {filed.get(name)!r:.60} in the file"
        for name in sorted({*own, *filed})
        if own.get(name) != filed.get(name)
    ]
    with whole_texts(backend), whole_texts(wanted):
        added = [str(token) for token in wanted.get_added_tokens_decoder().values()][:_MOST_ADDED]
        for text in (*_PROBES, *(f"a {token} b{token}C" for token in added)):
            other = wanted.encode(text, add_special_tokens=around)
            try:
                one = backend.encode(text, add_special_tokens=around)
            except Exception as error:  # of the vocabulary of another class, without the file's unknown token
                return [*found, f"{text!r:.40} cannot be read ({error!s:.80})"]
            if (one.ids, one.type_ids) != (other.ids, other.type_ids):
                return [*found, f"{text!r:.40} becomes {_first_difference(one.tokens, other.tokens)}"]
        if around:
            one, other = (each.encode(_PROBES[0], _PROBES[2]) for each in (backend, wanted))
            if (one.ids, one.type_ids) != (other.ids, other.type_ids):
                found.append("two texts are joined otherwise (post_processor)")
    return found


def _first_difference(tokens_now: list[str], wanted: list[str]) -> str:
    """Some tokens of both, from where they differ; of tokens that are alike, the beginning: their ids differ."""
    pairs = enumerate(zip(tokens_now, wanted, strict=False))
    start = next((place for place, (one, other) in pairs if one != other), 0)
    mine, its = (", ".join(tokens[start : start + 4]) for tokens in (tokens_now, wanted))
    return f"{mine!r:.60}, and {its!r:.60} by the file"


@contextmanager
def whole_texts(backend: Any) -> Iterator[None]:
    """A tokenizer of the `tokenizers` library that neither cuts nor pads, and afterwards does what it did."""
    truncation, padding = backend.truncation, backend.padding
    backend.no_truncation()
    backend.no_padding()
    try:
        yield
    finally:
        backend.no_truncation()
        backend.no_padding()
        if truncation is not None:
            backend.enable_truncation(**truncation)
        if padding is not None:
            backend.enable_padding(**padding)


def _file_of(path: str | Path, options: dict[str, Any]) -> Path | None:
    """tokenizer.json of a folder, or of a repository that was just fetched; None where there is none."""
    if Path(path).is_dir():
        file = Path(path) / str(options.get("subfolder") or "") / "tokenizer.json"
        return file if file.is_file() else None
    from transformers.utils import cached_file

    fetched = cached_file(
        str(path),
        "tokenizer.json",
        revision=options.get("revision"),
        subfolder=options.get("subfolder") or "",
        cache_dir=options.get("cache_dir"),
        local_files_only=True,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
        _raise_exceptions_for_gated_repo=False,
    )
    return None if fetched is None else Path(fetched)


def _state(tokenizer: Any, name: str) -> Any:
    """A part of a tokenizer as JSON, in one form for what does the same."""
    part = getattr(tokenizer, name)
    return None if part is None else _one_form(json.loads(part.__getstate__()), name)


def _one_form(value: Any, name: str) -> Any:
    if isinstance(value, list):
        return [_one_form(one, name) for one in value]
    if not isinstance(value, dict):
        return value
    found = {key: _one_form(one, name) for key, one in value.items()}
    found = with_accents(found)
    if found.get("type") == "ByteLevel" and name == "decoder":
        return {"type": "ByteLevel"}  # it looks at no setting
    return found


def _model_settings(model: Any) -> dict[str, Any]:
    """Kind and settings of a vocabulary; those of a Unigram cannot be asked for, unknown characters tell of them."""
    found: dict[str, Any] = {"kind of vocabulary": type(model).__name__}
    for name in _MODEL_SETTINGS:
        found[name] = getattr(model, name, None) or None  # "" and False are None
    return found


def _generic(path: str | Path, options: dict[str, Any]) -> Any:
    """The file as it is, with the special tokens and settings of tokenizer_config.json."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast.from_pretrained(path, **options)


def _settings_of_class(tokenizer: Any, path: str | Path, said: Any) -> dict[str, Any]:
    """What a class gives a tokenizer without a file that says it: special tokens, and the names of what it gives."""
    settings = Path(path) / "tokenizer_config.json"
    named = read_object(settings) if settings.is_file() else dict(getattr(tokenizer, "init_kwargs", {}))
    given: dict[str, Any] = {}
    for role, token in getattr(tokenizer, "special_tokens_map", {}).items():
        # Of a role that no file names, the class has a token of its own.
        if role not in named and isinstance(token, str) and said.token_to_id(token) is not None:
            given[role] = token
    if "model_input_names" not in named:
        names = list(getattr(tokenizer, "model_input_names", ("input_ids", "attention_mask")))
        if "token_type_ids" not in names and any(said.encode("a", "b").type_ids):
            names.insert(1, "token_type_ids")  # the file tells two texts apart, whatever the class thinks
        given["model_input_names"] = names
    return given


def _with_parts_of(tokenizer: Any, said: Any) -> Any:
    """A tokenizer that sets languages, which no other class does, with the parts of the file."""
    backend = tokenizer.backend_tokenizer
    for name in (*_PARTS, "model"):
        setattr(backend, name, getattr(said, name))
    return tokenizer


def _short(state: Any) -> str:
    if state is None:
        return "none"
    text = json.dumps(state, ensure_ascii=False).replace('"', "")
    return text if len(text) <= 120 else f"{text[:117]}..."


# Opens the tokenizer of a saved model.

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


# Saves a tokenizer: its files say what it is, and nothing of what the last call asked for.

_BACKENDS = ("tokenizer.json", "source_tokenizer.json", "target_tokenizer.json")
# Of the call that opened it, or that used it last; transformers takes them for settings.
_OF_A_CALL = ("max_length", "stride", "truncation_strategy", "pad_to_multiple_of", "is_local", "local_files_only")


def save_tokenizer(tokenizer: Any, model: Any, folder: str | Path) -> None:
    """Saves a tokenizer with settings that fit its model, in the one form that `settle_tokenizer` gives.

    Args:
        tokenizer: it is not changed.
        model: or its configuration.
        folder: of the model.
    """
    with_fitting_settings(tokenizer, model).save_pretrained(folder)
    settle_tokenizer(folder)


def settle_tokenizer(folder: str | Path) -> None:
    """Brings the files of a tokenizer that was just saved into one form, which other programs read alike.

    A call leaves its padding and truncation in the tokenizer, and a save writes them into tokenizer.json, which
    programs without transformers do as it says: here it never pads, and cuts at the length that the model reads. What
    stands there as "null" for "as the letters' case" is written out, since some read it as "no". Names that
    transformers 4 does not know are written as both versions read them.

    Args:
        folder: where they are; one without a tokenizer is left as it is.
    """
    place = Path(folder)
    file = place / "tokenizer_config.json"
    if not file.is_file():
        return
    before = read_object(file)
    settings = {name: value for name, value in before.items() if name not in _OF_A_CALL}
    if settings.get("tokenizer_class") == "TokenizersBackend":
        settings["tokenizer_class"] = _GENERIC
    if isinstance(settings.get("extra_special_tokens"), list):
        settings["additional_special_tokens"] = settings.pop("extra_special_tokens")
    if settings.get("do_lower_case") and "strip_accents" in settings and settings["strip_accents"] is None:
        settings["strip_accents"] = True
    if settings != before:
        write_json(file, settings)
    for name in _BACKENDS:
        if (place / name).is_file():
            content = read_object(place / name)
            settled = {
                **content,
                "truncation": _truncation(settings),
                "padding": None,
                "normalizer": with_accents(content.get("normalizer")),
            }
            if settled != content:
                write_json(place / name, settled)


def _truncation(settings: dict[str, Any]) -> dict[str, Any] | None:
    """At the tokenizer's length; none where it has no limit."""
    length = settings.get("model_max_length")
    if not isinstance(length, int | float) or not length <= _MAX_NUMBER:
        return None
    side = "Left" if settings.get("truncation_side") == "left" else "Right"
    return {"direction": side, "max_length": int(length), "strategy": "LongestFirst", "stride": 0}


def with_accents(part: Any, *, said: bool = True) -> Any:
    """A normalizer as JSON, in one form of what BERT's does to accents.

    Args:
        part: of a tokenizer.json.
        said: written out; else left to `lowercase` where that means the same.
    """
    if isinstance(part, dict) and "normalizers" in part:
        return {**part, "normalizers": [with_accents(one, said=said) for one in part["normalizers"]]}
    if not isinstance(part, dict) or part.get("type") != "BertNormalizer":
        return part
    lower, stripped = bool(part.get("lowercase")), part.get("strip_accents")
    if said:
        return {**part, "strip_accents": lower if stripped is None else stripped}
    return {**part, "strip_accents": None if stripped == lower else stripped}


def write_vocabulary_files(tokenizer: Any, folder: Path) -> None:
    """Writes what programs that read no tokenizer.json, or no special tokens in it, look for beside it.

    Args:
        tokenizer: that was saved in the folder.
        folder: gets special_tokens_map.json and, where the vocabulary is BERT's, vocab.txt.
    """
    write_json(folder / "special_tokens_map.json", {role: _content(one) for role, one in _roles(tokenizer)})
    if type(getattr(getattr(tokenizer, "backend_tokenizer", None), "model", None)).__name__ != "WordPiece":
        return
    tokens = sorted(tokenizer.get_vocab().items(), key=lambda one: one[1])
    if [index for _, index in tokens] == list(range(len(tokens))) and not any("\n" in token for token, _ in tokens):
        write_atomically(folder / "vocab.txt", "".join(f"{token}\n" for token, _ in tokens))


def _roles(tokenizer: Any) -> Iterator[tuple[str, Any]]:
    yield from tokenizer.special_tokens_map.items()
    further = getattr(tokenizer, "extra_special_tokens", None)
    if further and isinstance(further, list):
        yield "additional_special_tokens", further


def _content(token: Any) -> Any:
    return [str(one) for one in token] if isinstance(token, list) else str(token)


# How a model of sentence-transformers makes one vector of a text: what follows its encoder, as its folder says.

_OF_FOLDER = ("modules.json", "sentence_bert_config.json", "config_sentence_transformers.json")
_OF_MODULE = ("config.json", "model.safetensors", "pytorch_model.bin")
_OLD_MODES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}


def sentence_steps(folder: str | Path) -> list[str]:
    """What follows the encoder, a few words each: "mean pooling", "Normalize"; empty for a model of another kind.

    Args:
        folder: of the model.
    """
    parts = modules_of(folder)[1:]
    return [f"{_mode(Path(folder) / path)} pooling" if kind == "Pooling" else kind for path, kind in parts]


def carry_modules(folder: str | Path, target: Path) -> None:
    """Copies what sentence-transformers adds to an encoder, so that the target opens with it, too.

    Args:
        folder: of the model; one of another kind is passed over.
        target: of the new model.
    """
    parts = modules_of(folder)
    if not parts:
        return
    for name in _OF_FOLDER:
        if (Path(folder) / name).is_file():
            shutil.copyfile(Path(folder) / name, target / name)
    for path, _ in parts:
        if not path or Path(path).name != path:
            continue
        (target / path).mkdir(exist_ok=True)
        for name in _OF_MODULE:
            if (Path(folder) / path / name).is_file():
                shutil.copyfile(Path(folder) / path / name, target / path / name)


def _mode(folder: Path) -> str:
    try:
        said: Any = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "an unknown"
    if not isinstance(said, dict):
        return "an unknown"
    modes = said.get("pooling_mode") or [mode for name, mode in _OLD_MODES.items() if said.get(name)]
    return " + ".join(map(str, modes if isinstance(modes, list) else [modes])) or "an unknown"
