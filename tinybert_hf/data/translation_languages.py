"""Source and target language of a multilingual translator (NLLB, M2M100, mBART): set, or asked for."""

import difflib
import re
from typing import TYPE_CHECKING, Any

from tinybert_hf.errors import TeacherError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# NLLB's codes: language and script.
_NLLB_CODE = re.compile(r"[a-z]{3}_[A-Z][a-z]{3}")
_SHOWN = 12


def language_codes(tokenizer: Any) -> dict[str, int]:
    """The languages that a tokenizer has tokens for: code -> token; empty for a tokenizer of one pair of languages."""
    known = getattr(tokenizer, "lang_code_to_id", None)
    if known:
        return dict(known)
    if not hasattr(tokenizer, "src_lang"):
        return {}
    codes = [str(token) for token in tokenizer.all_special_tokens if _NLLB_CODE.fullmatch(str(token))]
    return {code: tokenizer.convert_tokens_to_ids(code) for code in codes}


def set_languages(
    model: "PreTrainedModel", tokenizer: Any, source: str | None = None, target: str | None = None
) -> None:
    """Tells a multilingual translator what it reads and what it should write; leaves any other as it is.

    The tokenizer's `src_lang` and `tgt_lang` are set, and the token that the model's translations begin with. Where
    the model has such a token already (a student, or a model fine-tuned on one pair), the languages may be left away.

    Args:
        model: the translator; its generation_config is changed.
        tokenizer: of the model.
        source: code of the source language, as the tokenizer calls it.
        target: code of the target language.

    Raises:
        TeacherError: a language is missing or unknown, or given to a model that knows only one pair.
    """
    codes = language_codes(tokenizer)
    name = model.config.name_or_path or type(model).__name__
    if not codes:
        if source or target:
            raise TeacherError(
                f"{name} has no tokens for languages: leave the languages away.{_marian_hint(tokenizer)}"
            )
        return
    if source is None and target is None and not _must_be_told(model, codes):
        return
    if source is None or target is None:
        raise TeacherError(
            f"{name} translates between {len(codes)} languages. Give both, as --source-language and --target-language "
            f"(in Python, set_languages), for instance {_example(codes)}. {_listing(codes)}"
        )
    for language in (source, target):
        if language not in codes:
            near = difflib.get_close_matches(language, codes, n=3, cutoff=0.4)
            hint = f" Did you mean {' or '.join(near)}?" if near else ""
            raise TeacherError(f"{name} has no language {language!r}.{hint} {_listing(codes)}")
    tokenizer.tgt_lang = target
    tokenizer.src_lang = source  # last: it also sets the tokens around a source text
    if model.generation_config.decoder_start_token_id in codes.values():
        model.generation_config.decoder_start_token_id = codes[target]
    else:
        model.generation_config.forced_bos_token_id = codes[target]


def _must_be_told(model: "PreTrainedModel", codes: dict[str, int]) -> bool:
    """Whether nothing says yet in which language the model should write. A student writes its own token first."""
    settings = model.generation_config
    given = {settings.forced_bos_token_id, settings.decoder_start_token_id}
    return model.config.model_type != "tinybert" and given.isdisjoint(codes.values())


def _example(codes: dict[str, int]) -> str:
    english = next((code for code in codes if code.startswith("en")), next(iter(codes)))
    other = next((code for code in codes if code.startswith(("zh", "de"))), list(codes)[-1])
    return f"--source-language {english} --target-language {other}"


def _listing(codes: dict[str, int]) -> str:
    shown = sorted(codes)[:_SHOWN]
    more = f" and {len(codes) - _SHOWN} more" if len(codes) > _SHOWN else ""
    return f"Its languages: {', '.join(shown)}{more}."


def _marian_hint(tokenizer: Any) -> str:
    codes = getattr(tokenizer, "supported_language_codes", None)
    if not codes:
        return ""
    return f' This one takes the target language in front of each text: --prefix "{codes[0]} ".'
