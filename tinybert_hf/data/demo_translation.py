"""English sentences with their Chinese translations from a small grammar, for a demo that needs no download.

The two languages share no word and hardly an order: time, company and place stand before the Chinese verb, what
describes a noun before the noun, counted things need a measure word, and questions keep the order of statements.

A sentence is a line of `PATTERNS` with its slots filled; a line of the other tables is a word with its forms.
"""

import re
from collections.abc import Sequence
from random import Random
from types import SimpleNamespace as Word
from typing import Any

from tinybert_hf.data.demo import demo_rows, pick
from tinybert_hf.data.raw_rows import RawRows
from tinybert_hf.data.settings import DEMO_TRANSLATION

TRAIN_ROWS = 16000
VALIDATION_ROWS = 500
SEED = 0


def _table(fields: str, text: str) -> list[Word]:
    lines = [[cell.strip() for cell in line.split("/")] for line in text.replace(";", "\n").strip().splitlines()]
    return [Word(**dict(zip(fields.split(), cells, strict=True))) for cells in lines]


def _full(pattern: str, side: str) -> str:
    """The pattern with the language of each slot that names no form: {a} becomes {a.en} or {a.zh}."""
    return re.sub(r"{(\w+)}", rf"{{\1.{side}}}", pattern)


_FORMS = {"I": "am was do have want go", "it": "is was does has wants goes", "they": "are were do have want go"}
_PEOPLE = _table("en me my zh like", """
    I / me / my / 我 / I ; you / you / your / 你 / they ; he / him / his / 他 / it ; she / her / her / 她 / it
    we / us / our / 我们 / they ; they / them / their / 他们 / they
""")  # fmt: skip
for _one in _table("en zh like", """
    Tom / 汤姆 / it ; Mary / 玛丽 / it ; Anna / 安娜 / it ; my father / 我爸爸 / it ; my mother / 我妈妈 / it
    your older brother / 你哥哥 / it ; your younger sister / 你妹妹 / it ; his wife / 他妻子 / it
    her husband / 她丈夫 / it ; our teacher / 我们老师 / it ; our neighbour / 我们邻居 / it
    my parents / 我父母 / they ; the students / 学生们 / they
"""):  # fmt: skip
    _PEOPLE.append(Word(me=_one.en, my=f"{_one.en}'{'s' if _one.like == 'it' else ''}", **vars(_one)))
for _one in _PEOPLE:
    vars(_one).update(zip(("be", "was", "do", "have", "want", "go"), _FORMS[_one.like].split(), strict=True))
_ASKED = [one for one in _PEOPLE if one.en not in ("I", "we")]
NOUNS = _table("en plural measure zh kinds", """
    book / books / 本 / 书 / read ware ; novel / novels / 本 / 小说 / read ware ; map / maps / 张 / 地图 / ware
    magazine / magazines / 本 / 杂志 / read ware ; dictionary / dictionaries / 本 / 词典 / borrowed ware
    newspaper / newspapers / 份 / 报纸 / read ; letter / letters / 封 / 信 / written
    email / emails / 封 / 电子邮件 / written ; postcard / postcards / 张 / 明信片 / written ware
    ticket / tickets / 张 / 票 / ware ; pen / pens / 支 / 笔 / ware ; key / keys / 把 / 钥匙 / small
    umbrella / umbrellas / 把 / 雨伞 / ware colour used ; bag / bags / 个 / 包 / ware colour used heavy
    cup / cups / 个 / 杯子 / ware colour ; camera / cameras / 台 / 相机 / ware used repaired heavy
    phone / phones / 部 / 手机 / ware used repaired ; computer / computers / 台 / 电脑 / ware used repaired heavy
    watch / watches / 块 / 手表 / ware used repaired ; bicycle / bicycles / 辆 / 自行车 / vehicle colour used repaired
    car / cars / 辆 / 汽车 / vehicle colour used repaired washed ; chair / chairs / 把 / 椅子 / seat used heavy colour
    table / tables / 张 / 桌子 / furniture used heavy sized ; bed / beds / 张 / 床 / seat used heavy sized
    shirt / shirts / 件 / 衬衫 / ware colour worn washed ; coat / coats / 件 / 大衣 / ware colour worn washed used
    dress / dresses / 条 / 裙子 / ware colour worn washed ; hat / hats / 顶 / 帽子 / ware colour worn washed used
    apple / apples / 个 / 苹果 / food sized washed ; orange / oranges / 个 / 橙子 / food sized washed
    banana / bananas / 根 / 香蕉 / food ; egg / eggs / 个 / 鸡蛋 / food ; cup of tea / cups of tea / 杯 / 茶 / drink
    bowl of rice / bowls of rice / 碗 / 米饭 / meal ; bowl of noodles / bowls of noodles / 碗 / 面条 / meal
    cup of coffee / cups of coffee / 杯 / 咖啡 / drink ; glass of milk / glasses of milk / 杯 / 牛奶 / drink
    bottle of water / bottles of water / 瓶 / 水 / drink ; cat / cats / 只 / 猫 / animal
    dog / dogs / 只 / 狗 / animal sized ; bird / birds / 只 / 鸟 / animal ; horse / horses / 匹 / 马 / animal sized
    student / students / 个 / 学生 / human ; child / children / 个 / 孩子 / human
    tourist / tourists / 个 / 游客 / human ; doctor / doctors / 个 / 医生 / human
""")  # fmt: skip
_PLACES = {word.en.split()[-1]: word for word in _table("en zh", """
    at home / 在家里 ; at school / 在学校 ; at the office / 在办公室 ; in the library / 在图书馆
    in the park / 在公园里 ; in the garden / 在花园里 ; in the kitchen / 在厨房里 ; in the restaurant / 在饭馆
    in the hotel / 在酒店 ; in the shop / 在商店 ; in the village / 在村子里 ; at the market / 在市场
    at the station / 在车站 ; at the airport / 在机场 ; in Beijing / 在北京 ; in Shanghai / 在上海
""")}  # fmt: skip
_VERBS = _table("base past zh kinds places", """
    buy / bought / 买 / ware food meal drink vehicle seat furniture / market shop Beijing Shanghai
    sell / sold / 卖 / ware food vehicle seat furniture animal / market village Shanghai
    borrow / borrowed / 借 / read borrowed / library school ; read / read / 看 / read / library home park station
    write / wrote / 写 / written / home office hotel library ; eat / ate / 吃 / food meal / home restaurant park
    drink / drank / 喝 / drink / home restaurant airport office ; repair / repaired / 修 / repaired / home shop
    wash / washed / 洗 / washed / home garden hotel ; see / saw / 看见 / animal human vehicle / park village
""")  # fmt: skip
_ACTIVITIES = _table("base third past gerund rest verb object places", """
    study / studies / studied / studying / Chinese / 学 / 中文 / school home library Beijing
    study / studies / studied / studying / English / 学 / 英语 / school home library Shanghai
    watch / watches / watched / watching / television / 看 / 电视 / home hotel
    listen / listens / listened / listening / to music / 听 / 音乐 / home park garden
    play / plays / played / playing / football / 踢 / 足球 / park school village
    play / plays / played / playing / the piano / 弹 / 钢琴 / home school hotel
    dance / dances / danced / dancing // 跳 / 舞 / park garden restaurant
    sing / sings / sang / singing // 唱 / 歌 / school park garden
    run / runs / ran / running // 跑 / 步 / park school ; cook / cooks / cooked / cooking // 做 / 饭 / home kitchen
    work / works / worked / working // 工作 // office hotel ; rest / rests / rested / resting // 休息 // home garden
""")  # fmt: skip
_ADJECTIVES = _table("en er zh attribute kinds", """
    big / bigger / 大 / 大 / sized ; small / smaller / 小 / 小 / sized ; new / newer / 新 / 新 / used
    old / older / 旧 / 旧 / used ; expensive / more expensive / 贵 / 很贵的 / ware food vehicle seat furniture
    cheap / cheaper / 便宜 / 便宜的 / ware food vehicle seat furniture ; heavy / heavier / 重 / 很重的 / heavy
    beautiful / more beautiful / 漂亮 / 漂亮的 / colour ; comfortable / more comfortable / 舒服 / 舒服的 / worn seat
    boring / more boring / 无聊 / 无聊的 / read
""")  # fmt: skip
_COLOURS = _table("en attribute kinds", """
    red / 红色的 / colour ; black / 黑色的 / colour ; white / 白色的 / colour ; blue / 蓝色的 / colour
""")  # fmt: skip
# Slots for nouns that depend on no verb or adjective.
_OTHERS = {name: Word(kinds=kinds) for name, kinds in (
    ("gift", "ware"), ("thing", "ware read small"), ("who", "human"), ("y", "animal human vehicle"),
)}  # fmt: skip
WORDS = {name: _table(fields, text) for name, fields, text in (
    ("past", "en zh", """yesterday / 昨天 ; yesterday morning / 昨天早上 ; yesterday afternoon / 昨天下午
        last night / 昨天晚上 ; this morning / 今天早上 ; two days ago / 两天前 ; last Sunday / 上个星期天
        last week / 上个星期 ; last month / 上个月"""),
    ("next", "en zh", """tomorrow / 明天 ; tomorrow morning / 明天早上 ; tomorrow evening / 明天晚上
        the day after tomorrow / 后天 ; next Sunday / 下个星期天 ; next week / 下个星期 ; next month / 下个月"""),
    ("every", "en zh", """every day / 每天 ; every morning / 每天早上 ; every evening / 每天晚上
        every weekend / 每个周末 ; every Saturday / 每个星期六"""),
    ("day", "en zh", "today / 今天 ; tomorrow / 明天 ; on Monday / 星期一 ; on Friday / 星期五"),
    ("often", "en zh", "often / 常常 ; always / 总是 ; sometimes / 有时候 ; usually / 通常 ; never / 从来不"),
    ("long", "en zh", """for an hour / 一个小时 ; for two hours / 两个小时 ; for half an hour / 半个小时
        for forty minutes / 四十分钟 ; for a long time / 很长时间"""),
    ("city", "en zh", "Beijing / 北京 ; Shanghai / 上海 ; Guangzhou / 广州 ; London / 伦敦 ; Berlin / 柏林"),
    ("goal", "en zh", """the park / 公园 ; the library / 图书馆 ; the market / 市场 ; the museum / 博物馆
        the hospital / 医院 ; the station / 车站 ; the airport / 机场 ; school / 学校"""),
    ("ride", "en zh", "by bus / 坐公共汽车 ; by bicycle / 骑自行车 ; by taxi / 坐出租车 ; on foot / 走路"),
    ("far", "en zh", "by train / 坐火车 ; by plane / 坐飞机 ; by bus / 坐公共汽车 ; by car / 开车"),
    ("spot", "en zh", """in the garden / 花园里 ; in the park / 公园里 ; in front of the hotel / 酒店前面
        behind the school / 学校后面 ; next to the bank / 银行旁边 ; near the station / 车站附近"""),
    ("shelf", "en zh", """on the table / 桌子上 ; on the bed / 床上 ; on the floor / 地上 ; under the chair / 椅子下面
        next to the window / 窗户旁边 ; behind the door / 门后面 ; in the box / 盒子里"""),
    ("degree", "en zh end", "very / 很 / ; very / 很 / ; not / 不 / ; too / 太 / 了 ; really / 真 /"),
    ("state", "en zh", "busy / 忙 ; tired / 累 ; hungry / 饿 ; thirsty / 渴 ; nervous / 紧张 ; happy / 高兴"),
    ("trait", "en er zh", "tall / taller / 高 ; young / younger / 年轻 ; clever / cleverer / 聪明"),
    ("rain", "base third past zh", "rain / rains / rained / 下雨 ; snow / snows / snowed / 下雪"),
    ("event", "en zh base third verb", """film / 电影 / start / starts / 开始 ; film / 电影 / end / ends / 结束
        lesson / 课 / start / starts / 开始 ; meeting / 会议 / end / ends / 结束 ; bank / 银行 / open / opens / 开门
        shop / 商店 / close / closes / 关门 ; museum / 博物馆 / open / opens / 开门"""),
    ("count", "en zh", """two / 两 ; three / 三 ; four / 四 ; five / 五 ; six / 六 ; seven / 七 ; eight / 八
        nine / 九 ; ten / 十"""),
    ("tens", "en zh", "twenty / 二十 ; thirty / 三十 ; fifty / 五十 ; sixty / 六十 ; eighty / 八十 ; ninety / 九十"),
    ("ones", "en zh", "one / 一 ; two / 二 ; three / 三 ; five / 五 ; six / 六 ; eight / 八 ; nine / 九"),
    ("clock", "en zh", """at six o'clock in the morning / 早上六点 ; at eight o'clock in the morning / 早上八点
        at half past nine in the morning / 早上九点半 ; at noon / 中午 ; at two o'clock in the afternoon / 下午两点
        at half past four in the afternoon / 下午四点半 ; at seven o'clock in the evening / 晚上七点
        at half past ten in the evening / 晚上十点半 ; at midnight / 半夜"""),
)}  # fmt: skip
# a, b: two people; c: one who is not "I"; v: verb with its object (some, this, noun); act: what is done for a while;
# x: a thing with its adjective; y: a thing at a place.
PATTERNS = [Word(en=_full(one.en, "en"), zh=_full(one.zh, "zh")) for one in _table("en zh", """
    {a} {v.past} {some} {at} {past}. / {a}{past}{at}{v}了{some}。
    {a} {v.past} {some} {past}. / {a}{past}{v}了{some}。
    {past} {a} {v.past} {some} {at}. / {past}{a}{at}{v}了{some}。
    {a} did not {v.base} {this} {at} {past}. / {a}{past}没{at}{v}{this}。
    did {c} {v.base} {this} {at} {past}? / {c}{past}{at}{v}了{this}吗？
    {a} will {v.base} {some} {at} {next}. / {a}{next}会{at}{v}{some}。
    {next} {a} will not {v.base} {this}. / {next}{a}不会{v}{this}。
    {a} {a.want} to {v.base} {some} {at} {next}. / {a}{next}想{at}{v}{some}。
    {a} {a.do} not want to {v.base} {this} {at}. / {a}不想{at}{v}{this}。
    can {c} {v.base} {some} {at} {next}? / {c}{next}可以{at}{v}{some}吗？
    what did {c} {v.base} {at} {past}? / {c}{past}{at}{v}了什么？
    where did {c} {v.base} {this}? / {c}是在哪儿{v}的{this}？
    how many {noun.plural} did {c} {v.base} {at} {past}? / {c}{past}{at}{v}了几{noun.measure}{noun}？
    {a} bought {gift} for {b.me} {past}. / {a}{past}给{b}买了{gift}。
    {a} gave {b.me} {gift} {past}. / {a}{past}给了{b}{gift}。
    {a} {act.past} {where} {past}. / {a}{past}{where}{act}了。
    {a} {act.past} {where} with {b.me} {past}. / {a}{past}和{b}一起{where}{act}了。
    {a} {act.past} {where} {long} {past}. / {a}{past}{where}{act.verb}了{long}{act.object}。
    {a} {often} {now} {where} with {b.me}. / {a}{often}和{b}一起{where}{act}。
    {a} {now} {where} {every}. / {a}{every}{where}{act}。
    {a} {a.be} {act.gerund} {there}. / {a}正{there}{act}。
    how long did {c} {act.base} {past}? / {c}{past}{act.verb}了多长时间{act.object}？
    the {who.plural} who {act.past} {there} were {degree} {state}. / {there}{act}的{who}{degree}{state}{degree.end}。
    {a} did not {act.base} {past} because it {rain.past}. / 因为{rain}，{a}{past}没{act}。
    if it {rain.third} {next}, {a} will {act.base} {where}. / 如果{next}{rain}，{a}就会{where}{act}。
    {a} went to {goal} {ride} with {b.me} {past}. / {a}{past}和{b}一起{ride}去了{goal}。
    {a} will go to {city} {far} {next}. / {a}{next}会{far}去{city}。
    {a} {often} {a.go} to {goal} {ride}. / {a}{often}{ride}去{goal}。
    {a} {a.have} never been to {city} with {b.me}. / {a}从来没和{b}一起去过{city}。
    there {y.be} {y} {spot}. / {spot}有{y}。
    there are no {y.plural} {spot}. / {spot}没有{y.noun}。
    how many {y.plural} are there {spot}? / {spot}有几{y.measure}{y.noun}？
    {b.my} {thing} is {shelf}. / {b}的{thing}在{shelf}。
    {b.my} {thing} is not {shelf}. / {b}的{thing}不在{shelf}。
    is {b.my} {thing} {shelf}? / {b}的{thing}在{shelf}吗？
    {b.my} {x} is {degree} {adj}. / {b}的{x}{degree}{adj}{degree.end}。
    those {x.plural} are {degree} {adj}. / 那些{x}{degree}{adj}{degree.end}。
    {a.my} {x} is {adj.er} than {b.my} {x}. / {a}的{x}比{b}的{x}{adj}。
    is this {x} {adj.er} than {b.my} {x}? / 这{x.measure}{x}比{b}的{x}{adj}吗？
    the {x} that {a} saw {past} is {degree} {adj}. / {a}{past}看见的{x}{degree}{adj}{degree.end}。
    {b.my} {x} costs {number} yuan. / {b}的{x}{number}块钱。
    this {x} is {number} yuan cheaper than that one. / 这{x.measure}{x}比那{x.measure}便宜{number}块钱。
    {a} {a.was} {degree} {state} {past}. / {a}{past}{degree}{state}{degree.end}。
    {a} {a.be} {trait.er} than {b.me}. / {a}比{b}{trait}。
    {a} {a.be} not as {trait} as {b.me}. / {a}没有{b}{trait}。
    {a} {a.be} {count} years older than {b.me}. / {a}比{b}大{count}岁。
    the train to {city} leaves {clock} {day}. / 去{city}的火车{day}{clock}出发。
    does the {event} {event.base} {clock} {day}? / {event}{day}{clock}{event.verb}吗？
""")]  # fmt: skip


def _fitting(one: Word, others: Sequence[Word]) -> list[Word]:
    return [other for other in others if set(one.kinds.split()) & set(other.kinds.split())]


for _one in _ACTIVITIES:
    _one.zh = f"{_one.verb}{_one.object}"
    for _form in ("base", "third", "past", "gerund"):
        setattr(_one, _form, f"{getattr(_one, _form)} {_one.rest}".strip())
for _one in NOUNS:
    _one.adjectives = _fitting(_one, [*_ADJECTIVES, *_COLOURS])
for _one in (*_VERBS, *_ADJECTIVES, *_OTHERS.values()):
    _one.nouns = _fitting(_one, NOUNS)


def amount(rng: Random, noun: Word) -> Word:
    """An amount of a thing, "three new books", with `be`, "is" or "are"."""
    added = pick(rng, noun.adjectives) if noun.adjectives and rng.random() < 0.25 else Word(en="", attribute="")
    singular, plural = (f"{added.en} {one}".strip() for one in (noun.en, noun.plural))
    thing, form = f"{added.attribute}{noun.zh}", rng.random()
    if form < 0.35:
        article = "an" if singular[0] in "aeiou" else "a"
        return Word(en=f"{article} {singular}", zh=f"一{noun.measure}{thing}", be="is")
    if form < 0.9:
        many = pick(rng, WORDS["count"])
        return Word(en=f"{many.en} {plural}", zh=f"{many.zh}{noun.measure}{thing}", be="are")
    return Word(en=f"many {plural}", zh=f"很多{thing}", be="are")


def _slots(rng: Random) -> dict[str, Any]:
    """A word for every slot of the patterns; those that depend on another one come after it."""
    word: dict[str, Any] = {name: pick(rng, words) for name, words in WORDS.items()}
    word |= {name: pick(rng, kind.nouns) for name, kind in _OTHERS.items()}
    a, b, act, verb, adjective = (pick(rng, words) for words in (_PEOPLE, _PEOPLE, _ACTIVITIES, _VERBS, _ADJECTIVES))
    while b is a or {a.en, b.en} == {"I", "we"}:
        b = pick(rng, _PEOPLE)
    noun, y = pick(rng, verb.nouns), word["y"]
    pointed = [("this", f"这{noun.measure}"), ("that", f"那{noun.measure}"), (b.my, f"{b.zh}的")]
    # A portion, such as a cup of tea, is nobody's: it has just been ordered.
    this, chinese = pick(rng, pointed[:2] if " of " in noun.en else pointed)
    word |= {"a": a, "b": b, "c": pick(rng, _ASKED)}
    word |= {"v": verb, "noun": noun, "some": amount(rng, noun)}
    word["this"] = Word(en=f"{this} {noun.en}", zh=f"{chinese}{noun.zh}")
    word |= {"act": act, "now": Word(en=act.third if a.like == "it" else act.base), "adj": adjective}
    word |= {"x": pick(rng, adjective.nouns), "y": Word(**{**vars(y), **vars(amount(rng, y)), "noun": y.zh})}
    word |= {name: _PLACES[pick(rng, one.places.split())] for name, one in (("at", verb), ("there", act))}
    word["number"] = Word(en=f"{word['tens'].en}-{word['ones'].en}", zh=f"{word['tens'].zh}{word['ones'].zh}")
    word |= {"gift": amount(rng, word["gift"]), "where": word["there"]}
    # Not every sentence says when and where.
    return word | {name: Word(en="", zh="") for name in ("past", "next", "day", "at", "where") if rng.random() < 0.25}


def _pair(rng: Random) -> tuple[str, str]:
    pattern, slots = pick(rng, PATTERNS), _slots(rng)
    source = re.sub(r" +(?=[ ,.?])", "", pattern.en.format_map(slots)).strip()
    return source[0].upper() + source[1:], pattern.zh.format_map(slots)


def demo_translation(rows: int, seed: int = SEED) -> list[dict[str, Any]]:
    """Generates pairs of sentences, none of which stands twice on its side.

    The same seed gives the same rows in every process, and more rows only add to the end.

    Args:
        rows: how many.
        seed: of the generator.

    Returns:
        Rows with `source` (English) and `target` (Chinese).
    """
    rng = Random(seed)
    seen: set[str] = set()
    made: list[dict[str, Any]] = []
    while len(made) < rows:
        source, target = _pair(rng)
        if source not in seen and target not in seen:
            seen.update((source, target))
            made.append({"source": source, "target": target})
    return made


def demo_translation_splits(
    train_rows: int = TRAIN_ROWS, validation_rows: int = VALIDATION_ROWS, seed: int = SEED
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Generates a train and a validation split that share no sentence, on neither side.

    The validation rows come first out of the generator, so they stay the same whatever `train_rows` is.

    Returns:
        Train rows and validation rows, as `demo_translation` makes them.
    """
    rows = demo_translation(train_rows + validation_rows, seed)
    return rows[validation_rows:], rows[:validation_rows]


def demo_translation_rows(part: str, columns: Sequence[str], most: tuple[int | None, int | None]) -> RawRows:
    """One split of the dataset "demo-translation": see `demo_rows`."""
    return demo_rows(DEMO_TRANSLATION, demo_translation, (TRAIN_ROWS, VALIDATION_ROWS), part, columns, most)
