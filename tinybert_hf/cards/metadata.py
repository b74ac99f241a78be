"""License and language of a card: told, or taken from the teacher's own card, never made up."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinybert_hf.errors import TinyBertError

UNKNOWN_LICENSE = "unknown"
UNDETERMINED = "und"
"""ISO 639: a language that nobody has named."""
_OTHER = "other"
_LICENSE_NAMES = """
apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0 bigcode-openrail-m
openrail++ afl-3.0 artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0
cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0
cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0
cdla-permissive-1.0 cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 agpl-3.0 gfdl
gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1 lgpl-3.0 isc h-research intel-research lppl-1.3c ms-pl apple-ascl apple-amlr
mpl-2.0 odc-by odbl openmdw-1.0 osl-3.0 postgresql ofl-1.1 ncsa unlicense zlib pddl lgpl-lr deepfloyd-if-license
fair-noncommercial-research-license llama2 llama3 llama3.1 llama3.2 llama3.3 llama4 grok2-community gemma unknown
other
"""
_LICENSES = frozenset(_LICENSE_NAMES.split())
"""The identifiers of the Hub."""
_LANGUAGE_CODES = """
aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el en
eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv
ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne
ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg sh si sk sl sm sn so sq sr ss
st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu code
multilingual
"""
_LANGUAGES = frozenset(_LANGUAGE_CODES.split())
"""ISO 639-1, and two words that the Hub takes beside it; three letters are taken for ISO 639-3."""
_SHORT = {
    "eng": "en", "zho": "zh", "chi": "zh", "cmn": "zh", "deu": "de", "ger": "de", "fra": "fr", "fre": "fr",
    "spa": "es", "ita": "it", "por": "pt", "nld": "nl", "dut": "nl", "pol": "pl", "tur": "tr", "rus": "ru",
    "jpn": "ja", "kor": "ko", "ara": "ar", "arb": "ar",
    "english": "en", "chinese": "zh", "german": "de", "french": "fr", "spanish": "es", "italian": "it",
    "portuguese": "pt", "dutch": "nl", "polish": "pl", "turkish": "tr", "russian": "ru", "japanese": "ja",
    "korean": "ko", "arabic": "ar",
}  # fmt: skip
# Of this package's generators and of the datasets that its recipes name.
_OF_DATASETS = {
    "demo-sentiment": ("en",), "demo-translation": ("en", "zh"), "nyu-mll/glue": ("en",), "glue": ("en",),
    "stanfordnlp/sst2": ("en",), "rajpurkar/squad": ("en",), "rajpurkar/squad_v2": ("en",),
    "fancyzhx/ag_news": ("en",), "lansinuote/ChnSentiCorp": ("zh",),
}  # fmt: skip
_FEW_LANGUAGES = 2
LICENSE_FIELDS = ("license", "license_name", "license_link")
_SIDES = ("source_language", "target_language")


@dataclass(frozen=True)
class CardSettings:
    """What the model card says that no run can know."""

    license: str | None = None
    """As the Hub names it: apache-2.0, mit, cc-by-sa-4.0, ..., or other. None: the teacher's, where its card names
    one, or else unknown."""
    license_name: str | None = None
    """Of a license that the Hub has no name for (license: other): lower case, such as my-license-1.0."""
    license_link: str | None = None
    """Where its text stands: an address, or LICENSE for a file beside the model."""
    language: str | tuple[str, ...] | None = None
    """Of the texts, in ISO 639: en, or [en, zh]. None: that of the dataset where this package knows it, or that of the
    teacher's card, or what the training rows are written in."""

    def __post_init__(self) -> None:
        """Refuse what the Hub would refuse.

        Raises:
            TinyBertError: no license or language of the Hub.
        """
        wrong = wrong_license(self.license, self.license_name, self.license_link)
        if wrong is not None:
            raise TinyBertError(wrong)
        for one in self.languages:
            if not is_language(one):
                short = short_code(one)
                hint = f" Did you mean {short!r}?" if short else ""
                raise TinyBertError(
                    f"language is {one!r:.60}, which is no code of ISO 639: two letters (en, zh), three where there "
                    f"are no two (yue), or multilingual.{hint}"
                )

    @property
    def languages(self) -> tuple[str, ...]:
        """As a tuple."""
        return (self.language,) if isinstance(self.language, str) else tuple(self.language or ())


def wrong_license(license: Any, name: Any, link: Any) -> str | None:
    """What the Hub would say against a license; None where it takes it."""
    if license is None:
        return (
            None if name is None and link is None else "license_name and license_link belong to the license 'other'."
        )
    if not isinstance(license, str) or license not in _LICENSES:
        near = difflib.get_close_matches(str(license).lower(), sorted(_LICENSES), n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return (
            f"license is {license!r:.60}, which is no identifier of the Hub (apache-2.0, mit, cc-by-sa-4.0, ...)."
            f"{hint} For any other license give 'other' with license_name and license_link."
        )
    if license != _OTHER:
        return (
            None if name is None and link is None else "license_name and license_link belong to the license 'other'."
        )
    if not (name and re.fullmatch(r"[a-z0-9][a-z0-9.-]*", str(name))):
        return f"the license 'other' needs license_name in lower case, such as my-license-1.0; it is {name!r:.60}."
    if not (link and re.fullmatch(r"https?://\S+|[\w.-]+", str(link))):
        return f"the license 'other' needs license_link, an address or LICENSE; it is {link!r:.60}."
    return None


def is_language(code: Any) -> bool:
    """Whether the Hub takes it for a language."""
    return isinstance(code, str) and (code in _LANGUAGES or re.fullmatch(r"[a-z]{3}", code) is not None)


def short_code(name: Any) -> str | None:
    """The ISO 639 code that a name, a locale or a code of a translator means: zh of zh-CN, zho_Hans, Chinese."""
    first = re.split(r"[-_ ]", str(name).strip().lower())[0]
    code = _SHORT.get(first, first)
    return code if code in _LANGUAGES or (code == first and is_language(code)) else None


def values_of_card(model: str) -> dict[str, Any]:
    """What the card of a model says of license and language, where the Hub would take it; nothing is downloaded.

    Args:
        model: a folder, or an id on the Hub whose card is in the cache.
    """
    from huggingface_hub import metadata_load, try_to_load_from_cache

    file = Path(model) / "README.md"
    if not file.is_file():
        try:
            cached = try_to_load_from_cache(model, "README.md")
        except ValueError:  # a path that is not there any more, and no id
            return {}
        if not isinstance(cached, str):
            return {}
        file = Path(cached)
    try:
        found = metadata_load(file) or {}
    except Exception:  # a card that a person has damaged says nothing
        return {}
    of_license = [found.get(name) for name in LICENSE_FIELDS]
    if wrong_license(*of_license) is not None:
        of_license = [None] * 3
    given = found.get("language")
    codes = [short_code(one) for one in (given if isinstance(given, list) else [given]) if isinstance(one, str)]
    values = dict(zip(LICENSE_FIELDS, of_license, strict=True))
    languages = [one for one in dict.fromkeys(codes) if one not in (None, UNDETERMINED)]
    if values["license"] == UNKNOWN_LICENSE:
        values["license"] = None
    return {name: one for name, one in {**values, "language": languages}.items() if one}


def fetch_card(model: str) -> None:
    """Bring the card of a model on the Hub into the cache; without a connection nothing is said."""
    from huggingface_hub import hf_hub_download

    if Path(model).exists():
        return
    try:
        hf_hub_download(model, "README.md", etag_timeout=5)
    except Exception:  # a card is a courtesy: no run may fail for one
        return


def metadata(
    settings: CardSettings,
    models: Sequence[Mapping[str, Any]],
    languages: Sequence[str] = (),
    read: Sequence[str] = (),
) -> dict[str, Any]:
    """License and language for a card.

    Args:
        settings: what was told; it wins.
        models: values of the cards of those models that the weights come from, as `values_of_card` gives them.
        languages: where they are known otherwise, of the dataset or of a translator.
        read: that the rows are written in.

    Returns:
        Fields of `ModelCardData`. A license that nobody names is `unknown`, a language `und`.
    """
    licenses = [{name: one[name] for name in LICENSE_FIELDS if name in one} for one in models]
    if settings.license is not None:
        said = {name: getattr(settings, name) for name in LICENSE_FIELDS if getattr(settings, name) is not None}
    elif licenses and licenses[0] and all(one == licenses[0] for one in licenses):
        said = licenses[0]
    else:
        said = {"license": UNKNOWN_LICENSE}
    taught = list(dict.fromkeys(code for one in models for code in one.get("language", ())))
    # A teacher of a hundred languages says less than the rows that its student has learnt from.
    many = len(taught) > _FEW_LANGUAGES and read
    known = settings.languages or languages or (() if many else taught) or read or (UNDETERMINED,)
    codes = list(dict.fromkeys(known))
    return {**said, "language": codes[0] if len(codes) == 1 else codes}


def languages_of_dataset(name: str | None) -> tuple[str, ...]:
    """Of a generator of this package, or of a dataset that its recipes name; empty for others."""
    return _OF_DATASETS.get(name or "", ())


def languages_of_translator(recipe: Mapping[str, Any]) -> tuple[str, ...]:
    """Source and target, where the teacher's settings or its name say both; else nothing."""
    teacher = recipe["teacher"]
    told = [short_code(teacher.get(name)) if teacher.get(name) else None for name in _SIDES]
    marian = re.search(r"opus-mt-(?:[a-z]+-)*?([a-z]{2,3})-([a-z]{2,3})$", str(teacher.get("model") or "").rstrip("/"))
    if marian is not None:
        told = [one or short_code(code) for one, code in zip(told, marian.groups(), strict=True)]
    return tuple(str(one) for one in told) if all(told) else ()
