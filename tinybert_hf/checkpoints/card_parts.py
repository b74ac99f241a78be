"""What every model card has: names as they were given, license, language, examples to try, common parts."""

from __future__ import annotations

import json
import re
import shlex
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf.errors import TinyBertError
from tinybert_hf.messages import counted, counted_layers, did_you_mean
from tinybert_hf.tasks import TASKS

if TYPE_CHECKING:
    from huggingface_hub import ModelCardData


# Names as they were given, wherever a card writes them: in a sentence, in a table, in code, on a command line.

# What Markdown, HTML or a formula would read as its own sign. An underscore within a word means nothing.
_SIGNS = re.compile(r"[\\`*\[\]<>|~$&#!]|(?<![^\W_])_|_(?![^\W_])")


def plain(text: Any) -> str:
    """A text that any file can hold: half characters, control characters and signs of direction are replaced, line
    breaks are spaces."""
    flat = re.sub(r"[\s\x85\u2028\u2029]", " ", str(text))
    flat = re.sub(r"[\u202a-\u202e\u2066-\u2069]", "\ufffd", flat)  # they turn what stands behind them around
    return "".join("\ufffd" if unicodedata.category(one) in ("Cc", "Cs") else one for one in flat)


def escaped(text: Any) -> str:
    """A text that a Markdown reader shows as it is, also in a heading and in a table."""
    return _SIGNS.sub(lambda sign: "\\" + sign.group(), plain(text).strip())


def in_code(text: Any) -> str:
    """A text between backticks, more of them than it holds itself; not for tables, where `|` would end the cell."""
    shown = plain(text)
    ticks = "`" * (1 + max(map(len, re.findall("`+", shown)), default=0))
    room = " " if shown.startswith(("`", " ")) or shown.endswith(("`", " ")) else ""
    return f"{ticks}{room}{shown}{room}{ticks}"


def literal(text: Any) -> str:
    """A text as Python code, on one line, with the very characters that were given."""
    code = json.dumps(str(text), ensure_ascii=False)
    code = re.sub(r"[\x7f-\x9f\u2028\u2029]", lambda sign: f"\\u{ord(sign.group()):04x}", code)
    return code.encode("utf-8", "backslashreplace").decode()


def argument(text: Any) -> str:
    """A text as one word of a command line."""
    return shlex.quote(plain(text))


def table(heads: Sequence[Any], rows: Iterable[Sequence[Any]], *, names: int = 1) -> Iterator[str]:
    """The lines of a table; every cell shows what was given.

    Args:
        heads: of the columns.
        rows: as wide as `heads`.
        names: how many columns hold names; the others hold numbers, which stand on the right.
    """
    rules = ["---"] * names + ["---:"] * (len(heads) - names)
    for cells in (map(escaped, heads), rules, *(map(escaped, row) for row in rows)):
        yield f"| {' | '.join(cells)} |"


# One example text of each kind in the languages that this package can write; of our own, never a user's row.


@dataclass(frozen=True)
class ExampleTexts:
    """Of one language.

    Attributes:
        opinion: for labels such as positive and negative.
        statement: for any other labels.
        pair: two texts that can be compared.
        names: with named entities.
        question: that `context` answers.
        context: a sentence.
        masked: with {mask} where a word is to be guessed.
        source: to be translated.
    """

    opinion: str
    statement: str
    pair: tuple[str, str]
    names: str
    question: str
    context: str
    masked: str
    source: str


EXAMPLES = {
    "en": ExampleTexts(
        "A gripping film, well told from beginning to end.",
        "The central bank has raised interest rates again.",
        ("A man is playing a guitar.", "Someone is making music."),
        "Ada Lovelace lived in London.",
        "Where was she born?",
        "She was born in Paris in 1867.",
        "The capital of France is {mask}.",
        "The train leaves at noon.",
    ),
    "zh": ExampleTexts(
        "这部电影非常好看，剧情也很感人。",
        "中央银行再次上调了利率。",
        ("一个男人在弹吉他。", "有人在演奏音乐。"),
        "鲁迅出生在绍兴。",
        "她出生在哪里？",
        "她1867年出生在巴黎。",
        "法国的首都是巴{mask}。",
        "火车中午出发。",
    ),
    "de": ExampleTexts(
        "Ein packender Film, gut erzählt von Anfang bis Ende.",
        "Die Zentralbank hat die Zinsen erneut erhöht.",
        ("Ein Mann spielt Gitarre.", "Jemand macht Musik."),
        "Johann Wolfgang von Goethe lebte in Weimar.",
        "Wo wurde sie geboren?",
        "Sie wurde 1867 in Paris geboren.",
        "Die Hauptstadt von Frankreich ist {mask}.",
        "Der Zug fährt um zwölf Uhr ab.",
    ),
    "fr": ExampleTexts(
        "Un film captivant, bien raconté du début à la fin.",
        "La banque centrale a encore relevé ses taux d'intérêt.",
        ("Un homme joue de la guitare.", "Quelqu'un fait de la musique."),
        "Victor Hugo est né à Besançon.",
        "Où est-elle née ?",
        "Elle est née à Paris en 1867.",
        "La capitale de la France est {mask}.",
        "Le train part à midi.",
    ),
    "es": ExampleTexts(
        "Una película cautivadora, bien contada de principio a fin.",
        "El banco central ha vuelto a subir los tipos de interés.",
        ("Un hombre toca la guitarra.", "Alguien hace música."),
        "Miguel de Cervantes nació en Alcalá de Henares.",
        "¿Dónde nació?",
        "Nació en París en 1867.",
        "La capital de Francia es {mask}.",
        "El tren sale al mediodía.",
    ),
    "it": ExampleTexts(
        "Un film avvincente, ben raccontato dall'inizio alla fine.",
        "La banca centrale ha alzato di nuovo i tassi di interesse.",
        ("Un uomo suona la chitarra.", "Qualcuno fa musica."),
        "Dante Alighieri nacque a Firenze.",
        "Dove è nata?",
        "È nata a Parigi nel 1867.",
        "La capitale della Francia è {mask}.",
        "Il treno parte a mezzogiorno.",
    ),
    "pt": ExampleTexts(
        "Um filme cativante, bem contado do início ao fim.",
        "O banco central voltou a subir os juros.",
        ("Um homem toca violão.", "Alguém faz música."),
        "Fernando Pessoa nasceu em Lisboa.",
        "Onde ela nasceu?",
        "Ela nasceu em Paris em 1867.",
        "A capital da França é {mask}.",
        "O trem parte ao meio-dia.",
    ),
    "nl": ExampleTexts(
        "Een meeslepende film, goed verteld van begin tot eind.",
        "De centrale bank heeft de rente opnieuw verhoogd.",
        ("Een man speelt gitaar.", "Iemand maakt muziek."),
        "Rembrandt werd geboren in Leiden.",
        "Waar is zij geboren?",
        "Zij is in 1867 in Parijs geboren.",
        "De hoofdstad van Frankrijk is {mask}.",
        "De trein vertrekt om twaalf uur.",
    ),
    "pl": ExampleTexts(
        "Wciągający film, dobrze opowiedziany od początku do końca.",
        "Bank centralny ponownie podniósł stopy procentowe.",
        ("Mężczyzna gra na gitarze.", "Ktoś gra muzykę."),
        "Fryderyk Chopin mieszkał w Paryżu.",
        "Gdzie się urodziła?",
        "Urodziła się w Paryżu w 1867 roku.",
        "Stolicą Francji jest {mask}.",
        "Pociąg odjeżdża w południe.",
    ),
    "tr": ExampleTexts(
        "Baştan sona sürükleyici, iyi anlatılmış bir film.",
        "Merkez bankası faizleri yeniden artırdı.",
        ("Bir adam gitar çalıyor.", "Birisi müzik yapıyor."),
        "Orhan Pamuk İstanbul'da doğdu.",
        "Nerede doğdu?",
        "1867'de Paris'te doğdu.",
        "Fransa'nın başkenti {mask}.",
        "Tren öğlen kalkıyor.",
    ),
    "ru": ExampleTexts(
        "Захватывающий фильм, хорошо рассказанный от начала до конца.",
        "Центральный банк снова повысил процентную ставку.",
        ("Мужчина играет на гитаре.", "Кто-то играет музыку."),
        "Антон Чехов родился в Таганроге.",
        "Где она родилась?",
        "Она родилась в Париже в 1867 году.",
        "Столица Франции — {mask}.",
        "Поезд отправляется в полдень.",
    ),
    "ja": ExampleTexts(
        "最初から最後まで引き込まれる、素晴らしい映画でした。",
        "中央銀行は再び金利を引き上げた。",
        ("男の人がギターを弾いている。", "誰かが音楽を演奏している。"),
        "夏目漱石は東京で生まれた。",
        "彼女はどこで生まれましたか。",
        "彼女は1867年にパリで生まれました。",
        "フランスの首都は{mask}です。",
        "電車は正午に出発します。",
    ),
    "ko": ExampleTexts(
        "처음부터 끝까지 흥미진진한 영화였다.",
        "중앙은행이 금리를 다시 인상했다.",
        ("한 남자가 기타를 치고 있다.", "누군가 음악을 연주하고 있다."),
        "세종대왕은 서울에서 태어났다.",
        "그녀는 어디에서 태어났습니까?",
        "그녀는 1867년 파리에서 태어났습니다.",
        "프랑스의 수도는 {mask}이다.",
        "기차는 정오에 출발한다.",
    ),
    "ar": ExampleTexts(
        "فيلم مشوق ومحكي بشكل جيد من البداية إلى النهاية.",
        "رفع البنك المركزي أسعار الفائدة مرة أخرى.",
        ("رجل يعزف على الغيتار.", "شخص ما يعزف الموسيقى."),
        "ولد نجيب محفوظ في القاهرة.",
        "أين ولدت؟",
        "ولدت في باريس عام 1867.",
        "عاصمة فرنسا هي {mask}.",
        "يغادر القطار عند الظهر.",
    ),
}
# Where the language is not known, or is none of these: a place for a text, rather than a text of another language.
_PLACES = ExampleTexts(
    "YOUR TEXT", "YOUR TEXT", ("FIRST TEXT", "SECOND TEXT"), "YOUR TEXT", "YOUR QUESTION", "A TEXT THAT ANSWERS IT",
    "YOUR TEXT WITH {mask}", "YOUR TEXT",
)  # fmt: skip
_OPINION_WORDS = """
positive negative pos neg neutral mixed good bad positiv negativ positif négatif negatif positivo negativo
positieve negatieve olumlu olumsuz pozytywny negatywny положительный отрицательный позитивный негативный 正面 负面 積極
消極 积极 消极 好评 差评 正向 负向 正 负 ポジティブ ネガティブ 긍정 부정 joy sadness anger love stars star
"""
_OPINIONS = frozenset(_OPINION_WORDS.split())


def examples_in(languages: Sequence[str]) -> ExampleTexts:
    """The texts of the first of these languages that there are any in."""
    return next((EXAMPLES[one] for one in languages if one in EXAMPLES), _PLACES)


def are_opinions(labels: Sequence[str]) -> bool:
    """Whether labels say what somebody thinks of something."""
    words = {word for label in labels for word in re.split(r"[\W_\d]+", label.lower()) if word}
    return bool(words) and bool(words & _OPINIONS)


# License and language of a card: told, or taken from the teacher's own card, never made up.

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
        hint = did_you_mean(license, sorted(_LICENSES), shown=repr)
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


# What every card of a model says, whoever writes it.

CARD_FILE = "README.md"
MARK = "<!-- Written by tinybert_hf, from the run itself. -->"
TAGS = ("tinybert", "distillation", "knowledge-distillation")
PIPELINES = {
    **{spec.student: spec.name for spec in TASKS.values()},
    "TinyBertForMaskedLM": "fill-mask",
    "TinyBertModel": "feature-extraction",
}
_WITH_PIPELINE = ("text-classification", "token-classification", "fill-mask")
MULTI_LABEL, REGRESSION = "multi_label_classification", "regression"
_MOST_LABELS = 20
_HUB_NAME = r"[\w.-]{1,96}/[\w.-]{1,96}|[\w.]+-[\w.-]{1,96}"
_CITATION = """@article{jiao2020tinybert,
  title   = {TinyBERT: Distilling BERT for Natural Language Understanding},
  author  = {Jiao, Xiaoqi and Yin, Yichun and Shang, Lifeng and Jiang, Xin and Chen, Xiao and Li, Linlin and
             Wang, Fang and Liu, Qun},
  journal = {Findings of EMNLP},
  year    = {2020},
  note    = {arXiv:1909.10351}
}"""


@dataclass(frozen=True)
class Subject:
    """The model that a card is about.

    Attributes:
        name: of the model, the heading of the card.
        place: what loads it: its id on the Hub, or a folder.
        config: content of config.json.
        pipeline: as the Hub calls its task.
        languages: of its texts, the source's first.
        problem_type: as transformers calls it; None: as the configuration says.
        pairs: it reads two texts.
        export: content of export.json, of a model in another program's format.
        on_hub: its place is an id on the Hub.
    """

    name: str
    place: str
    config: Mapping[str, Any]
    pipeline: str
    languages: Sequence[str] = ()
    problem_type: str | None = None
    pairs: bool = False
    export: Mapping[str, Any] | None = None
    on_hub: bool = False

    @property
    def runtime(self) -> str | None:
        """What it runs in, a name that `open_exported` knows; None: transformers opens it."""
        return None if self.export is None else self.export.get("runtime")

    @property
    def is_ours(self) -> bool:
        """Whether transformers opens it with the code that lies beside it."""
        return self.config.get("model_type") == "tinybert" and self.runtime is None

    @property
    def labels(self) -> list[str]:
        """In their order; empty where the model gives no label."""
        labels = self.config.get("id2label")
        if not self.pipeline.endswith("classification") or self.kind == REGRESSION or not labels:
            return []
        # JSON has sorted them as texts: 0, 1, 10, 11, 2.
        return [str(labels[place]) for place in sorted(labels, key=lambda place: int(place))]

    @property
    def names_entities(self) -> bool:
        """Whether its labels say where a name of several words begins and goes on."""
        return self.pipeline == "token-classification" and any(label.startswith(("B-", "I-")) for label in self.labels)

    @property
    def is_translator(self) -> bool:
        """Whether it writes text."""
        return self.pipeline == "translation"

    @property
    def kind(self) -> str | None:
        """The problem type."""
        return self.problem_type or self.config.get("problem_type")


def introduction(subject: Subject, teachers: Sequence[str], size: str = "") -> Iterator[str]:
    """What a model is, what it was distilled from, and how to load it.

    Args:
        subject: the model.
        teachers: as `named` names them; none where they are not known.
        size: in parentheses, with a space before.
    """
    encoder, decoder, width = (_first(subject.config, names) for names in _SIZES)
    layers = counted_layers(encoder, decoder)
    made = str((subject.export or {}).get("model_class") or "")
    what = "A TinyBERT" if made.startswith("TinyBert") or not made else f"A {escaped(made)}"
    yield f"# {escaped(subject.name.rpartition('/')[2] or subject.name)}"
    yield ""
    origin = f", distilled from {' and '.join(teachers)}" if teachers else ""
    yield f"{what} of {layers} of width {width}{size}{origin}."
    labels = subject.labels
    if labels:
        yield ""
        more = " and more" if len(labels) > _MOST_LABELS else ""
        yield f"Label{'s' * (len(labels) > 1)}: {', '.join(map(escaped, labels[:_MOST_LABELS]))}{more}."
    yield ""
    yield "## How to load it"
    yield ""
    yield _opens_with(subject)
    yield ""
    yield "```python"
    yield from _code(subject)
    yield "```"


# The names that families have for the layers of an encoder, those of a decoder, and the width.
_SIZES = (
    ("num_hidden_layers", "n_layers", "encoder_layers"),
    ("num_decoder_layers", "decoder_layers"),
    ("hidden_size", "dim", "d_model"),
)
_RUNTIMES = {
    "onnxruntime": ("onnxruntime", "onnx"), "openvino": ("OpenVINO", "openvino"), "litert": ("LiteRT", "tflite"),
}  # fmt: skip


def _first(config: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((config[name] for name in names if config.get(name) is not None), None)


def _opens_with(subject: Subject) -> str:
    """What is needed to open it, in a line."""
    from tinybert_hf.model.configuration_tinybert import OLDEST_TRANSFORMERS

    if subject.runtime is not None:
        name, extra = _RUNTIMES.get(subject.runtime, (subject.runtime, "onnx"))
        known = not subject.is_translator and subject.config.get("model_type") != "tinybert"
        others = " transformers.js and Optimum open the folder, too." if known and extra == "onnx" else ""
        return f'It runs in {name}: `pip install "tinybert_hf[{extra}]"`.{others}'
    if not subject.is_ours:
        return "It is a stock model of transformers: any version opens it, 4 too, without further code."
    told = (
        "The code travels with the weights; where `tinybert_hf` is imported, `trust_remote_code` is not needed. It "
        f"opens with transformers {OLDEST_TRANSFORMERS} and later"
    )
    stock = _stock_format(subject)
    if stock is None:
        return f"{told}."
    name = f"`--to {stock}` makes a stock {stock.upper()}"
    return f"{told}; `tinybert export` with {name} for older ones and for other programs."


def _stock_format(subject: Subject) -> str | None:
    """The format of the stock model that a TinyBERT can become; None where there is none."""
    config = subject.config
    if not subject.is_translator:
        return None if config.get("classifier_activation") else "bert"
    same = all(config.get(f"decoder_{name}") in (None, config.get(name)) for name in ("vocab_size", "hidden_size"))
    return "bart" if same and config.get("tie_embeddings") in (None, "all") else None


def _code(subject: Subject) -> Iterator[str]:
    """Lines of Python that load the model and try it."""
    texts, place, pipeline = examples_in(subject.languages), literal(subject.place), subject.pipeline
    trusted = ", trust_remote_code=True" if subject.is_ours else ""
    # One label a word, as it was trained: "simple" cuts words into their pieces.
    whole_words = ', aggregation_strategy="first"' if subject.names_entities else ""
    opened = f'pipeline("{pipeline}", {place}{trusted}{whole_words})'
    if subject.runtime is not None:
        yield from _exported_code(subject)
        opened = f'pipeline("{pipeline}", model=model, tokenizer=tokenizer{whole_words})'
    elif pipeline in _WITH_PIPELINE:
        yield "from transformers import pipeline"
        yield ""
    if pipeline == "text-classification":
        text = literal(texts.opinion if are_opinions(subject.labels) else texts.statement)
        if subject.pairs:
            first, second = map(literal, texts.pair)
            text = f'{{"text": {first}, "text_pair": {second}}}'
        if subject.kind == MULTI_LABEL:
            yield "# Each label has a probability of its own, and any number of them may be above 1/2."
            yield f"{opened}({text}, top_k=None)"
        elif subject.kind == REGRESSION:
            yield "# The score is the number that the model gives."
            yield f'{opened}({text}, function_to_apply="none")'
        else:
            yield f"{opened}({text})"
    elif pipeline == "token-classification":
        if whole_words:
            yield '# "first": a word has the label of its first piece, as it was trained; "simple" cuts words apart.'
        yield f"{opened}({literal(texts.names)})"
    elif pipeline == "fill-mask":
        before, after = texts.masked.split("{mask}")
        yield f"fill = {opened}"
        yield f"fill({literal(before)} + fill.tokenizer.mask_token + {literal(after)})"
    else:
        if subject.runtime is None:
            loader = TASKS[pipeline].auto_class if pipeline in TASKS else "AutoModel"
            yield f"from transformers import {loader}, AutoTokenizer"
            yield ""
            yield f"model = {loader}.from_pretrained({place}{trusted})"
            yield f"tokenizer = AutoTokenizer.from_pretrained({place}{trusted})"
        yield from _model_code(subject, texts)


def _exported_code(subject: Subject) -> Iterator[str]:
    """Lines that open a model in another program's format."""
    if subject.on_hub:
        yield "from huggingface_hub import snapshot_download"
    yield f"from transformers import AutoTokenizer{', pipeline' if subject.pipeline in _WITH_PIPELINE else ''}"
    yield ""
    yield "from tinybert_hf import open_exported"
    yield ""
    place = literal(subject.place)
    yield f"folder = {f'snapshot_download({place})' if subject.on_hub else place}"
    code = ", trust_remote_code=True" if subject.is_translator and subject.config["model_type"] == "tinybert" else ""
    export = subject.export or {}
    others = export.get("others")
    for name in others if isinstance(others, Mapping) else ():
        yield f"# Opened is {plain(export.get('format'))}; the other: open_exported(folder, format={literal(name)})"
    yield f"model, tokenizer = open_exported(folder), AutoTokenizer.from_pretrained(folder{code})"


def _model_code(subject: Subject, texts: ExampleTexts) -> Iterator[str]:
    """What to do with model and tokenizer where transformers has no pipeline for the task."""
    pipeline = subject.pipeline
    if pipeline == "question-answering":
        yield f'batch = tokenizer({literal(texts.question)}, {literal(texts.context)}, return_tensors="pt")'
        yield "output = model(**batch)"
        yield "first, last = int(output.start_logits.argmax()), int(output.end_logits.argmax())"
        yield 'print(tokenizer.decode(batch["input_ids"][0, first : last + 1]))'
        if not (subject.runtime and subject.on_hub):
            place = literal(subject.place)
            yield f"# Long texts, in windows: tinybert_hf.QuestionAnswerer({place})(question, context)"
    if pipeline == "translation":
        yield f'batch = tokenizer([{literal(texts.source)}], return_tensors="pt")'
        yield "print(tokenizer.batch_decode(model.generate(**batch), skip_special_tokens=True))"


def format_latency(costs: Mapping[str, Mapping[str, Any]], device: str) -> str | None:
    """How the speeds of a run's models were measured, a sentence; None where the run does not say it.

    Args:
        costs: of a run.json.
        device: likewise.
    """
    cost = costs["student"]
    where = "CPU" if device == "cpu" else device
    if cost.get("threads"):
        where += f", {counted(cost['threads'], 'thread')}"
    if "sentences_per_second" in cost:
        return f"Speed: the median of interleaved rounds, tokenizing and decoding included ({where})."
    if "length" not in cost:
        return None
    size = f"{counted(cost['batch_size'], 'row')} of {counted(cost['length'], 'token')}"
    return f"Latency: a forward of {size}, the median of interleaved rounds ({where})."


def format_speed(run: Mapping[str, Any]) -> str:
    """The same sentence, and what became of the speed that was asked for; empty where a run.json says neither."""
    said = format_latency(run["costs"], run.get("device", "cpu")), (run.get("budget") or {}).get("said")
    return " ".join(filter(None, said))


def limits() -> Iterator[str]:
    """What a distilled model is not good at."""
    yield ""
    yield "## Limits"
    yield ""
    yield (
        "A student knows what its teacher and its training rows showed it: it keeps their mistakes and their bias, "
        "and loses most on texts that are unlike those rows. Measure it on your own data before you rely on it."
    )


def whole_card(data: ModelCardData, parts: Iterable[str]) -> str:
    """The text of README.md: metadata, mark and sections."""
    return f"---\n{data.to_yaml()}\n---\n\n{MARK}\n\n" + "\n".join(parts) + "\n"


def citation() -> Iterator[str]:
    """Of the method."""
    yield ""
    yield "## Citation"
    yield ""
    yield "```bibtex"
    yield _CITATION
    yield "```"


def hub_name(model: Any) -> str | None:
    """The id of a model on the Hub; None for one that lies on this machine."""
    # A bare word such as `teacher` is a folder that is not here any more; bert-base-uncased is a model.
    if not isinstance(model, str) or not re.fullmatch(_HUB_NAME, model, re.ASCII) or model.startswith("."):
        return None
    return None if Path(model).exists() else model


def named(model: Any) -> str:
    """A teacher, as a card names it; None: it was trained in the run."""
    if model is None:
        return "a teacher that was trained in the same run"
    hub = hub_name(model)
    return f"[{escaped(hub)}](https://huggingface.co/{hub})" if hub else f"a local model ({in_code(last_part(model))})"


def place_of(folder: Path) -> str:
    """A folder as a card may name it: as it was typed, which loads it from there, but nothing of the machine."""
    if folder.is_absolute() or ".." in folder.parts or not folder.name:
        return folder.resolve().name
    return folder.as_posix()


def last_part(path: str) -> str:
    """A local path as others may see it."""
    return Path(path).name or str(path)
