"""Whether what a tokenizer gives fits the tables of a model: asked once, before anything runs.

Three tables are looked up by number: token ids in the word embeddings, places in the position embeddings, segment ids
in the segment embeddings. A number beyond a table is an IndexError in the middle of a run, or a memory fault on a GPU.
"""

from __future__ import annotations

import inspect
import json
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tinybert_hf.errors import OpeningWarning, TinyBertError

SEGMENTS = "token_type_ids"
# What families call the table of positions.
_POSITION_TABLES = ("position_embeddings", "char_position_embeddings", "embed_positions", "wpe", "positions_embed")
_PROBE = "A film, 1 2 3."
_SHOWN = 4
_TARGET = "of the target "
_POOLS = "ForSequenceClassification"
_NO_LABEL = -100  # of padding
_LIMITS: dict[tuple[Any, ...], InputLimits] = {}  # by configuration: making a model takes a while


@dataclass(frozen=True)
class InputLimits:
    """What a model can look up; None: no table limits it.

    Attributes:
        tokens: rows of the (source's) word embeddings: ids are below that.
        target_tokens: of an encoder-decoder, rows of the target's.
        positions: tokens of a text that have a position each.
        target_positions: the same of the target.
        made_for: tokens of a text that the configuration speaks of where there is no table: longer ones run, though
            the model may not have learnt them.
        target_made_for: the same of the target.
        no_place: the token id that takes no position, which is that of padding in RoBERTa and its kin.
        segments: rows of the segment embeddings; 0: the model takes no segment ids.
        pads_left: its head looks at the last place, so padding has to stand before the text (XLNet).
    """

    tokens: int | None = None
    target_tokens: int | None = None
    positions: int | None = None
    target_positions: int | None = None
    made_for: int | None = None
    target_made_for: int | None = None
    no_place: int | None = None
    segments: int | None = None
    pads_left: bool = False

    @property
    def length(self) -> int | None:
        """Tokens of a text that it reads where nobody says how many."""
        return self.positions or self.made_for

    @property
    def target_length(self) -> int | None:
        """The same of the target."""
        return self.target_positions or self.target_made_for


def limits_of(model: Any) -> InputLimits:
    """The limits of a model, read from its tables; no weight is looked at and no random number drawn.

    Args:
        model: a model of transformers, an exported one, or a configuration.
    """
    from transformers import PreTrainedModel

    config = getattr(model, "config", model)
    if not isinstance(model, PreTrainedModel):
        key = type(config), config.to_json_string()
        if key not in _LIMITS:
            _LIMITS[key] = _limits(_skeleton(config), config)
        return _LIMITS[key]
    return _limits(model, config)


def _limits(network: Any, config: Any) -> InputLimits:
    two_halves = bool(getattr(config, "is_encoder_decoder", False)) and hasattr(network, "get_decoder")
    encoder = network.get_encoder() if two_halves else network
    decoder = network.get_decoder() if two_halves else None
    positions, first, no_place = _positions(encoder, config)
    return InputLimits(
        tokens=_rows(_embeddings(encoder)) or _rows(_embeddings(network)),
        target_tokens=_rows(_embeddings(decoder)) if two_halves else None,
        positions=None if positions is None else positions - first,
        target_positions=_target_positions(decoder, config),
        made_for=_made_for(config, "encoder"),
        target_made_for=_made_for(config, "decoder") if two_halves else None,
        no_place=no_place,
        segments=_segments(network, config),
        pads_left=getattr(config, "summary_type", None) == "last",
    )


def first_position(table: Any) -> int:
    """The row of a table of positions that the first token of a text has.

    RoBERTa and its kin count from behind the number of the padding token, and give that number to padding; BART's
    table begins with two rows that it never reads.

    Args:
        table: an embedding of positions.
    """
    padding = getattr(table, "padding_idx", None)
    return int(getattr(table, "offset", 0)) if padding is None else int(padding) + 1


def reads_segments(model: Any) -> bool:
    """Whether segment ids tell a model anything: with a table of one row, every token is of the same segment.

    Args:
        model: any module with a configuration, or a configuration.
    """
    return getattr(getattr(model, "config", model), "type_vocab_size", None) != 1


def without_unread_segments(model: Any, batch: Mapping[str, Any]) -> Mapping[str, Any]:
    """The batch for a model: without segment ids where it has one segment, whose table they would leave.

    Args:
        model: that is to read it.
        batch: names and tensors.
    """
    if SEGMENTS not in batch or reads_segments(model):
        return batch
    return {name: value for name, value in batch.items() if name != SEGMENTS}


def fit_tokenizer(
    tokenizer: Any, model: Any, whose: str, kind: type[TinyBertError] = TinyBertError, advice: str | None = None
) -> Any:
    """The tokenizer as a model takes it: checked, and with settings that fit the model.

    Args:
        tokenizer: of the model.
        model: or its configuration.
        whose: the model, at the beginning of a sentence.
        kind: the error.
        advice: what to do about tokens without an embedding; None: what helps with a saved model.

    Returns:
        As `with_fitting_settings`.

    Raises:
        TinyBertError: of that kind: no tokenizer at all, none that pads, or tokens, segments or input names that the
            model lacks.
    """
    limits = limits_of(model)
    _check_names(tokenizer, whose, kind)
    tokenizer = _with_padding(tokenizer, getattr(model, "config", model), whose, kind)
    check_tokens(tokenizer, limits, whose, kind, advice)
    fitted = with_fitting_settings(_with_segments(tokenizer, limits, whose), limits)
    if limits.segments and SEGMENTS in fitted.model_input_names:
        with _as_it_was(tokenizer):
            given = fitted(_PROBE, _PROBE).get(SEGMENTS, [0])
        if max(given) >= limits.segments:
            raise kind(
                f"{whose} knows {limits.segments} segments (type_vocab_size of config.json), and its tokenizer gives "
                f"{max(given) + 1}. Save the tokenizer that the model was trained with beside it, or take "
                f"{SEGMENTS} out of model_input_names in tokenizer_config.json."
            )
    return fitted


def with_fitting_settings(tokenizer: Any, model: Any) -> Any:
    """The tokenizer with settings that a model can use.

    Its length is not more than the positions of the model, it gives no segments to a model that has one, and it pads
    behind the text, since heads look at its first place (before it, where a head looks at the last one). Whatever is
    saved, or padded, with it then fits.

    Args:
        tokenizer: it is not changed. What is no tokenizer of transformers is given back.
        model: or its configuration, or its limits.

    Returns:
        The same tokenizer where it fits; else another one on the same vocabulary.
    """
    if not hasattr(tokenizer, "model_input_names"):
        return tokenizer
    limits = model if isinstance(model, InputLimits) else limits_of(model)
    settings: dict[str, Any] = {}
    if limits.positions is not None and tokenizer.model_max_length > limits.positions:
        settings["model_max_length"] = limits.positions
    if SEGMENTS in tokenizer.model_input_names and limits.segments in (0, 1):
        settings["model_input_names"] = [name for name in tokenizer.model_input_names if name != SEGMENTS]
    side = "left" if limits.pads_left else "right"
    if tokenizer.padding_side != side:
        settings["padding_side"] = side
    if not settings:
        return tokenizer
    fitted = _changed(tokenizer, settings)
    for backend in _backends(tokenizer) if "padding_side" in settings else ():
        if backend.padding is not None:  # it stands in tokenizer.json, which other programs read
            backend.enable_padding(**{**backend.padding, "direction": side})
    return fitted


def _changed(tokenizer: Any, settings: dict[str, Any]) -> Any:
    """A copy that shares the vocabulary: copy.copy would read some tokenizers from their files anew."""
    made = object.__new__(type(tokenizer))
    made.__dict__.update(tokenizer.__dict__)
    if "_special_tokens_map" in made.__dict__:
        made.__dict__["_special_tokens_map"] = dict(tokenizer._special_tokens_map)
    made.init_kwargs = {**getattr(tokenizer, "init_kwargs", {}), **settings}  # what is saved
    for name, value in settings.items():
        setattr(made, name, value)
    return made


def _with_padding(tokenizer: Any, config: Any, whose: str, kind: type[TinyBertError]) -> Any:
    """The tokenizer with a token for padding, which the model's configuration may name alone."""
    if tokenizer.pad_token_id is not None:
        return tokenizer
    index = getattr(config, "pad_token_id", None)
    # A word of a text is none: made a special token, it would be split off everywhere.
    added = getattr(tokenizer, "added_tokens_decoder", {}).get(index)
    if added is None:
        raise kind(
            f"the tokenizer of {whose} does not fit the model: it has no padding token, which batches need. Write "
            '"pad_token" with the token that the model was trained with into tokenizer_config.json, and its id as '
            "pad_token_id into config.json."
        )
    warnings.warn(
        f"{whose}: its tokenizer has no padding token; {str(added)!r} is taken, by pad_token_id of config.json. For "
        f"other programs, write {_field('pad_token', str(added))} into tokenizer_config.json.",
        OpeningWarning,
        stacklevel=3,
    )
    return _changed(tokenizer, {"pad_token": str(added)})


def _with_segments(tokenizer: Any, limits: InputLimits, whose: str) -> Any:
    """The tokenizer with the segments that its file gives, where only a class without a family leaves them out.

    transformers 4 gave them where nothing named model_input_names, transformers 5 does not.
    """
    from transformers import PreTrainedTokenizerFast

    names = list(getattr(tokenizer, "model_input_names", []))
    if (
        (limits.segments or 0) < 2
        or SEGMENTS in names
        or type(tokenizer) is not PreTrainedTokenizerFast
        or "model_input_names" in tokenizer.init_kwargs
    ):
        return tokenizer
    with _as_it_was(tokenizer):
        given = tokenizer(_PROBE, _PROBE, return_token_type_ids=True)[SEGMENTS]
    if not any(given):
        return tokenizer
    names.insert(1, SEGMENTS)
    warnings.warn(
        f"{whose}: tokenizer.json tells two texts apart, and the model has {limits.segments} segments, but the "
        f"tokenizer's class leaves them out. They are given here. For other programs, write "
        f"{_field('model_input_names', names)} into tokenizer_config.json (without {SEGMENTS} where the model was "
        "trained without them).",
        OpeningWarning,
        stacklevel=3,
    )
    return _changed(tokenizer, {"model_input_names": names})


def _field(name: str, value: Any) -> str:
    return json.dumps({name: value}, ensure_ascii=False)[1:-1]


def check_tokens(
    tokenizer: Any,
    model: Any,
    whose: str,
    kind: type[TinyBertError] = TinyBertError,
    advice: str | None = None,
) -> None:
    """Refuse a tokenizer with tokens that a model has no embedding for.

    A table that is larger than the vocabulary is right, and so are ids that no token has. Every token of the
    vocabulary counts: it cannot be told which of them no text will give.

    Args:
        tokenizer: of the model.
        model: or its configuration, or its limits.
        whose: the model, at the beginning of a sentence.
        kind: the error.
        advice: what to do about it; None: what helps with a saved model.

    Raises:
        TinyBertError: of that kind, with the tokens.
    """
    limits = model if isinstance(model, InputLimits) else limits_of(model)
    vocabulary = tokenizer.get_vocab()
    if not set(vocabulary) - set(tokenizer.all_special_tokens):
        # transformers makes an empty tokenizer where the folder has none, and reads every word as unknown.
        raise kind(
            f"{whose} comes without a tokenizer: only {len(tokenizer)} special tokens were found"
            f"{f', and the model embeds {limits.tokens}' if limits.tokens else ''}. Save its tokenizer "
            "(tokenizer.json) into the same folder."
        )
    target = _target_vocabulary(tokenizer)
    sides = [("", vocabulary, limits.tokens, {"text": _PROBE})]
    if target is not None:
        sides.append((_TARGET, target, limits.target_tokens, {"text_target": _PROBE}))
    for side, tokens, rows, probe in sides:
        if rows is None:
            continue
        # The ids around a text come from another part of tokenizer.json than the vocabulary.
        names = {index: str(token) for token, index in tokens.items()}
        with _as_it_was(tokenizer):
            around = tokenizer(**probe)["input_ids"]
        ids = {*names, *around, *([] if tokenizer.pad_token_id is None else [tokenizer.pad_token_id])}
        beyond = sorted(index for index in ids if not 0 <= index < rows)
        if beyond:
            named = [(names.get(one), one) for one in beyond]
            raise kind(_no_embedding(whose, rows, side, named, max(ids) + 1, advice, "the tokenizer gives"))


def check_ids(
    ids: Collection[int],
    model: Any,
    whose: str,
    kind: type[TinyBertError] = TinyBertError,
    tokenizer: Any = None,
    *,
    target: bool = False,
) -> None:
    """Refuse token ids of rows that a model has no embedding for.

    Args:
        ids: of the rows.
        model: or its configuration, or its limits.
        whose: the model, at the beginning of a sentence.
        kind: the error.
        tokenizer: to call the tokens by name; None: not known.
        target: they are of the target.

    Raises:
        TinyBertError: of that kind, with the tokens.
    """
    limits = model if isinstance(model, InputLimits) else limits_of(model)
    rows, side = (limits.target_tokens, _TARGET) if target else (limits.tokens, "")
    beyond = [] if rows is None else sorted(index for index in ids if not 0 <= index < rows)
    if rows is not None and beyond:
        named = {index: str(name) for name, index in tokenizer.get_vocab().items()} if tokenizer is not None else {}
        named_ids = [(named.get(index), index) for index in beyond]
        raise kind(_no_embedding(whose, rows, side, named_ids, max([*named, *beyond]) + 1, None, "the rows hold"))


def check_length(
    field: str,
    wanted: int,
    kind: type[TinyBertError] = TinyBertError,
    *,
    option: str = "",
    target: bool = False,
    **models: Any,
) -> None:
    """Refuse rows that are longer than a model's table of positions.

    Args:
        field: with the length; for the message.
        wanted: tokens.
        kind: the error.
        option: of the command line that sets the field.
        target: the length is that of a translation.
        **models: by name; or their configurations.

    Raises:
        TinyBertError: of that kind, naming the model and the length that works.
    """
    for name, model in models.items():
        limits = limits_of(model)
        positions = limits.target_positions if target else limits.positions
        if positions is not None and 0 < positions < wanted:
            raise kind(
                f"{field}: {wanted} tokens are more than the {positions} positions of the {name}; set "
                f"{field}{f' ({option})' if option else ''} to {positions} or less"
            )


def check_batch(
    model: Any, batch: Mapping[str, Any], whose: str, kind: type[TinyBertError] = TinyBertError, tokenizer: Any = None
) -> None:
    """Refuse a batch with numbers that a model's tables do not hold, before the model reads it.

    Args:
        model: that is to read it, or its limits.
        batch: tensors by name, `input_ids` (B, L) among them; what is there of the rest is looked at too.
        whose: the model, at the beginning of a sentence.
        kind: the error.
        tokenizer: that made the rows, to call the tokens by name; None: not known.

    Raises:
        TinyBertError: of that kind: what is beyond which table, and what to do.
    """
    limits = model if isinstance(model, InputLimits) else limits_of(model)
    ids, mask, segments = (batch.get(name) for name in ("input_ids", "attention_mask", SEGMENTS))
    if ids is None or ids.ndim != 2 or not ids.numel():
        return
    check_ids(ids.unique().tolist(), limits, whose, kind, tokenizer)
    if limits.target_tokens is not None and "labels" in batch:
        labels = batch["labels"]
        check_ids(labels[labels != _NO_LABEL].unique().tolist(), limits, whose, kind, target=True)
    length = ids.shape[1] if limits.no_place is None else int((ids != limits.no_place).sum(1).max())
    if limits.positions is not None and length > limits.positions:
        raise kind(
            f"{whose} has {limits.positions} positions, and a row has {length} tokens. Tokenise "
            f"the rows with truncation=True, max_length={limits.positions}."
        )
    # A model with one segment is given none.
    if segments is not None and (limits.segments or 0) > 1 and int(segments.max()) >= (limits.segments or 0):
        raise kind(
            f"{whose} knows {limits.segments} segments (type_vocab_size of its configuration), and the rows have the "
            f"segment id {int(segments.max())}. Remove the column {SEGMENTS}, or tokenise the rows with the tokenizer "
            "of this model."
        )
    _check_side(model, mask, limits.pads_left, whose, kind)


def _check_side(model: Any, mask: Any, pads_left: bool, whose: str, kind: type[TinyBertError]) -> None:
    """Refuse rows that are padded on the side that a head looks at, or that shifts the places of their tokens."""
    if mask is None or mask.ndim != 2 or (pads_left and not type(model).__name__.endswith(_POOLS)):
        return
    place, behind, side = (-1, "behind", "left") if pads_left else (0, "before", "right")
    if bool(((mask[:, place] == 0) & mask.any(1)).any()):
        raise kind(
            f"{whose} looks at the {'last' if pads_left else 'first'} place of a row, and the rows are padded "
            f"{behind} their tokens, so its answers would depend on the other rows of a batch. Set "
            f'tokenizer.padding_side = "{side}" for the collator.'
        )


def _no_embedding(
    whose: str,
    rows: int,
    side: str,
    beyond: Sequence[tuple[str | None, int]],
    wanted: int,
    advice: str | None,
    who_gives: str,
) -> str:
    """The one sentence about tokens without an embedding; `wanted` rows would hold them all."""
    shown = ", ".join(f"{index}" if name is None else f"{name!r} ({index})" for name, index in beyond[:_SHOWN])
    if any(index < 0 for _, index in beyond):
        advice = (
            "A number below 0 is no token: labels have -100 where nothing is asked, input_ids have the padding token. "
            "Tokenise the rows once more."
        )
    more = f" and {len(beyond) - _SHOWN} more" if len(beyond) > _SHOWN else ""
    return (
        f"{whose} embeds {rows} tokens {side}(ids 0 to {rows - 1}), and {who_gives} {len(beyond)} without an "
        f"embedding: {shown}{more}. "
    ) + (
        advice
        or f"Give the model an embedding for each with model.resize_token_embeddings({wanted}), train it with them "
        "and save it again; or take the tokenizer that the model was trained with."
    )


@contextmanager
def _as_it_was(tokenizer: Any) -> Iterator[None]:
    """Around a call of a tokenizer, which would change the padding and truncation that are saved with it."""
    kept = [(backend, backend.truncation, backend.padding) for backend in _backends(tokenizer)]
    yield
    for backend, truncation, padding in kept:
        backend.no_truncation() if truncation is None else backend.enable_truncation(**truncation)
        backend.no_padding() if padding is None else backend.enable_padding(**padding)


def _backends(tokenizer: Any) -> list[Any]:
    """What a fast tokenizer is made of: one, or one for each side of a translation."""
    both = (getattr(tokenizer, name, None) for name in ("_tokenizer", "_target_tokenizer"))
    return [one for one in both if hasattr(one, "enable_padding")]


def _check_names(tokenizer: Any, whose: str, kind: type[TinyBertError]) -> None:
    if "input_ids" not in tokenizer.model_input_names:
        given = ", ".join(tokenizer.model_input_names) or "nothing"
        raise kind(f"the tokenizer of {whose} does not fit the model: it gives {given}, and no input_ids")


def _skeleton(config: Any) -> Any:
    """A model of that configuration without memory for its weights."""
    import torch
    from transformers import AutoModel, AutoModelForSeq2SeqLM

    import tinybert_hf.model  # noqa: F401  # registers the family with the Auto classes

    writes = getattr(config, "is_encoder_decoder", False) and type(config) in AutoModelForSeq2SeqLM._model_mapping
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        return (AutoModelForSeq2SeqLM if writes else AutoModel).from_config(config)


def _embeddings(part: Any) -> Any:
    try:
        return part.get_input_embeddings()
    except (AttributeError, NotImplementedError):
        return None  # a family that looks words up in another way


def _rows(table: Any) -> int | None:
    weight = getattr(table, "weight", None)
    return int(weight.shape[0]) if weight is not None and weight.ndim == 2 else None


def _positions(part: Any, config: Any) -> tuple[int | None, int, int | None]:
    """Rows of the table of positions, the first that is read, and the token id that is passed over."""
    for name, table in part.named_modules():
        if name.rpartition(".")[2] not in _POSITION_TABLES:
            continue
        rows, first = _rows(table), first_position(table)
        # A sinusoidal table that is lengthened where a text needs it is no limit.
        if rows is None or hasattr(table, "make_weights") or hasattr(table, "make_weight"):
            continue
        if getattr(table, "padding_idx", None) is not None:
            return rows, first, int(table.padding_idx)
        # Some tables begin with rows that are never read, and only the configuration tells it.
        said = getattr(config, "max_position_embeddings", None)
        return (rows if not said or first else min(rows, said)), first, None
    return None, 0, None


def _target_positions(decoder: Any, config: Any) -> int | None:
    if decoder is None:
        return None
    rows, first, _ = _positions(decoder, config)
    return None if rows is None else rows - first


def _made_for(config: Any, half: str) -> int | None:
    own = getattr(config, half, None) or config
    said = getattr(own, f"max_{half}_position_embeddings", None) or getattr(own, "max_position_embeddings", None)
    return said if isinstance(said, int) and said > 0 else None


def _segments(network: Any, config: Any) -> int | None:
    if SEGMENTS not in inspect.signature(type(network).forward).parameters:
        return 0
    size = getattr(config, "type_vocab_size", None)
    return size if isinstance(size, int) and size > 0 else None  # no table: segments that are given are passed over


def _target_vocabulary(tokenizer: Any) -> Mapping[str, int] | None:
    """Tokens of the target where it has a vocabulary of its own."""
    own = getattr(tokenizer, "get_target_vocab", None)
    if own is not None:
        return own()  # type: ignore[no-any-return]
    if getattr(tokenizer, "separate_vocabs", False):  # Marian's
        return tokenizer.target_encoder  # type: ignore[no-any-return]
    return None
