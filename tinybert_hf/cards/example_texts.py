"""One example text of each kind in the languages that this package can write; of our own, never a user's row."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass


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
