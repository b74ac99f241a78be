"""The words and phrases of the demo translations: English forms, Chinese words, and what goes with what."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from random import Random
from typing import TypeVar

# The words of the demo translations: English forms, Chinese words, and what goes with what.
#
# A line of a table is one entry, with slashes between its fields.


@dataclass(frozen=True)
class Phrase:
    """An English phrase and its Chinese one."""

    english: str
    chinese: str


@dataclass(frozen=True)
class Person:
    """Somebody who does something.

    Attributes:
        subject: "my father".
        object: "my father", but "him".
        possessive: "my father's".
        pronoun: the subject of a later mention: "he".
        chinese: as subject and as object.
        chinese_pronoun: of a later mention.
    """

    subject: str
    object: str
    possessive: str
    pronoun: str
    chinese: str
    chinese_pronoun: str

    @property
    def third(self) -> bool:
        """Takes the verb form of the third person singular."""
        return self.pronoun in ("he", "she")


@dataclass(frozen=True)
class Noun:
    """A thing that can be counted, or a portion of something that cannot.

    Attributes:
        singular: "book", "cup of tea".
        plural: "books", "cups of tea".
        chinese: without its measure word.
        measure: the measure word.
        kinds: what it is, for the verbs and adjectives that go with it.
    """

    singular: str
    plural: str
    chinese: str
    measure: str
    kinds: frozenset[str]


@dataclass(frozen=True)
class Verb:
    """The English forms of a verb (buy, buys, bought, bought, buying) and the Chinese verb."""

    base: str
    third: str
    past: str
    participle: str
    gerund: str
    chinese: str


@dataclass(frozen=True)
class Handling:
    """A verb with an object: the kinds of nouns that it takes, where it is done, and whether one plans to do it."""

    verb: Verb
    kinds: frozenset[str]
    places: tuple[Phrase, ...]
    planned: bool


@dataclass(frozen=True)
class Activity:
    """Something that is done for a while: a verb, and what follows it in either language."""

    verb: Verb
    rest: Phrase
    places: tuple[Phrase, ...]


@dataclass(frozen=True)
class Adjective:
    """An adjective: big, bigger, after its noun (大), before it (大, but 漂亮的), and the kinds that it goes with."""

    english: str
    comparative: str
    chinese: str
    attribute: str
    kinds: frozenset[str]


def _lines(text: str) -> list[list[str]]:
    return [[field.strip() for field in line.split("/")] for line in text.strip().splitlines()]


def _phrases(text: str) -> tuple[Phrase, ...]:
    return tuple(Phrase(english, chinese) for english, chinese in _lines(text))


def _kinds(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PRONOUNS = {"he": "他", "she": "她", "they": "他们"}
SHORT_PEOPLE = (
    Person("I", "me", "my", "I", "我", "我"),
    Person("you", "you", "your", "you", "你", "你"),
    Person("he", "him", "his", "he", "他", "他"),
    Person("she", "her", "her", "she", "她", "她"),
    Person("we", "us", "our", "we", "我们", "我们"),
    Person("they", "them", "their", "they", "他们", "他们"),
)
LONG_PEOPLE = tuple(
    Person(name, name, f"{name}'" if pronoun == "they" else f"{name}'s", pronoun, chinese, _PRONOUNS[pronoun])
    for name, pronoun, chinese in _lines("""
        Tom / he / 汤姆
        David / he / 大卫
        Mary / she / 玛丽
        Anna / she / 安娜
        my father / he / 我爸爸
        my mother / she / 我妈妈
        my older brother / he / 我哥哥
        my younger sister / she / 我妹妹
        your younger brother / he / 你弟弟
        your mother / she / 你妈妈
        his wife / she / 他妻子
        her husband / he / 她丈夫
        our teacher / she / 我们老师
        our neighbour / he / 我们邻居
        my parents / they / 我父母
        the students / they / 学生们
    """)
)
PEOPLE = SHORT_PEOPLE + LONG_PEOPLE

NOUNS = tuple(
    Noun(singular, plural, chinese, measure, _kinds(kinds))
    for singular, plural, chinese, measure, kinds in _lines("""
        book / books / 书 / 本 / read ware gift small told
        novel / novels / 小说 / 本 / read ware gift small told
        magazine / magazines / 杂志 / 本 / read ware small told
        newspaper / newspapers / 报纸 / 份 / read small told
        dictionary / dictionaries / 词典 / 本 / ware gift small weighed
        letter / letters / 信 / 封 / written small
        postcard / postcards / 明信片 / 张 / written ware small pretty
        email / emails / 电子邮件 / 封 / written
        map / maps / 地图 / 张 / ware small aged
        ticket / tickets / 票 / 张 / ware small
        photo / photos / 照片 / 张 / taken small pretty aged
        pen / pens / 笔 / 支 / ware gift small
        umbrella / umbrellas / 雨伞 / 把 / ware small coloured aged
        key / keys / 钥匙 / 把 / small lost
        cup / cups / 杯子 / 个 / ware gift small coloured pretty
        bag / bags / 包 / 个 / ware gift small coloured weighed aged
        camera / cameras / 相机 / 台 / ware gift small machine aged
        phone / phones / 手机 / 部 / ware gift small machine aged lost
        computer / computers / 电脑 / 台 / ware small machine weighed aged
        watch / watches / 手表 / 块 / ware gift small machine pretty aged lost
        guitar / guitars / 吉他 / 把 / ware gift aged
        bicycle / bicycles / 自行车 / 辆 / ware machine vehicle coloured aged
        car / cars / 汽车 / 辆 / ware machine vehicle coloured aged
        chair / chairs / 椅子 / 把 / ware furniture weighed aged soft coloured
        table / tables / 桌子 / 张 / ware furniture weighed aged sized
        bed / beds / 床 / 张 / ware furniture soft sized aged
        house / houses / 房子 / 栋 / sized aged pretty
        shirt / shirts / 衬衫 / 件 / ware gift small coloured pretty soft worn
        coat / coats / 大衣 / 件 / ware gift coloured pretty soft worn aged
        dress / dresses / 裙子 / 条 / ware gift coloured pretty worn
        hat / hats / 帽子 / 顶 / ware gift small coloured pretty worn aged
        pair of shoes / pairs of shoes / 鞋 / 双 / ware soft worn coloured portion
        apple / apples / 苹果 / 个 / food fruit small sized
        orange / oranges / 橙子 / 个 / food fruit small sized
        banana / bananas / 香蕉 / 根 / food fruit small
        egg / eggs / 鸡蛋 / 个 / food small
        piece of cake / pieces of cake / 蛋糕 / 块 / food portion
        bowl of rice / bowls of rice / 米饭 / 碗 / food portion
        bowl of noodles / bowls of noodles / 面条 / 碗 / food portion
        cup of tea / cups of tea / 茶 / 杯 / drink portion
        cup of coffee / cups of coffee / 咖啡 / 杯 / drink portion
        glass of milk / glasses of milk / 牛奶 / 杯 / drink portion
        bottle of water / bottles of water / 水 / 瓶 / drink portion
        bottle of beer / bottles of beer / 啤酒 / 瓶 / drink portion
        cat / cats / 猫 / 只 / animal
        dog / dogs / 狗 / 只 / animal sized
        bird / birds / 鸟 / 只 / animal
        horse / horses / 马 / 匹 / animal sized
        cow / cows / 牛 / 头 / animal sized
        student / students / 学生 / 个 / human
        child / children / 孩子 / 个 / human
        tourist / tourists / 游客 / 个 / human
        doctor / doctors / 医生 / 个 / human
        policeman / policemen / 警察 / 个 / human
        bank / banks / 银行 / 家 / building
        hotel / hotels / 酒店 / 家 / building sized
        restaurant / restaurants / 饭馆 / 家 / building
        bookshop / bookshops / 书店 / 家 / building
        hospital / hospitals / 医院 / 家 / building sized
        school / schools / 学校 / 所 / building sized
        park / parks / 公园 / 个 / building sized
    """)
)

_PLACES = {
    phrase.english.split()[-1]: phrase
    for phrase in _phrases("""
        at home / 家里
        at school / 学校
        at the office / 办公室
        in the library / 图书馆
        in the park / 公园里
        in the garden / 花园里
        in the kitchen / 厨房里
        in the restaurant / 饭馆
        in the hotel / 酒店
        in the shop / 商店
        in the museum / 博物馆
        in the street / 街上
        in the village / 村子里
        in the river / 河里
        at the market / 市场
        at the station / 车站
        at the airport / 机场
        in the hospital / 医院
        in Beijing / 北京
        in Shanghai / 上海
    """)
}


def _places(text: str) -> tuple[Phrase, ...]:
    return tuple(_PLACES[name] for name in text.split())


def _verb(forms: str, chinese: str) -> Verb:
    base, third, past, participle, gerund = forms.split()
    return Verb(base, third, past, participle, gerund, chinese)


HANDLINGS = tuple(
    Handling(_verb(forms, chinese), _kinds(kinds), _places(places), planned == "planned")
    for forms, chinese, kinds, places, planned in _lines("""
        buy buys bought bought buying / 买 / ware read food drink / market shop Beijing Shanghai / planned
        sell sells sold sold selling / 卖 / fruit vehicle furniture animal / market village Shanghai / planned
        borrow borrows borrowed borrowed borrowing / 借 / read / library school / planned
        read reads read read reading / 看 / read / library home park station garden / planned
        write writes wrote written writing / 写 / written / home office hotel library / planned
        eat eats ate eaten eating / 吃 / food / home restaurant station kitchen park / planned
        drink drinks drank drunk drinking / 喝 / drink / home restaurant airport office / planned
        repair repairs repaired repaired repairing / 修 / machine / home village shop / planned
        wash washes washed washed washing / 洗 / fruit worn vehicle / home garden / planned
        take takes took taken taking / 拍 / taken / museum village park Shanghai / planned
        see sees saw seen seeing / 看见 / animal human vehicle / street park village station /
        find finds found found finding / 找到 / small / school station kitchen garden /
        lose loses lost lost losing / 丢 / lost / airport market park Beijing /
    """)
)
ACTIVITIES = tuple(
    Activity(_verb(forms, verb), Phrase(rest, chinese), _places(places))
    for forms, rest, verb, chinese, places in _lines("""
        study studies studied studied studying / Chinese / 学 / 中文 / school home library Beijing
        study studies studied studied studying / English / 学 / 英语 / school home library Shanghai
        watch watches watched watched watching / television / 看 / 电视 / home hotel
        listen listens listened listened listening / to music / 听 / 音乐 / home park garden
        play plays played played playing / football / 踢 / 足球 / park school street
        play plays played played playing / basketball / 打 / 篮球 / park school
        play plays played played playing / the piano / 弹 / 钢琴 / home school hotel
        play plays played played playing / the guitar / 弹 / 吉他 / home street garden
        swim swims swam swum swimming / / 游 / 泳 / river school hotel
        dance dances danced danced dancing / / 跳 / 舞 / park street restaurant
        sing sings sang sung singing / / 唱 / 歌 / school park garden
        run runs ran run running / / 跑 / 步 / park school
        cook cooks cooked cooked cooking / / 做 / 饭 / home kitchen restaurant
        work works worked worked working / / 工作 / / office hospital hotel airport
        rest rests rested rested resting / / 休息 / / home garden hotel
    """)
)
GO = _verb("go goes went been going", "去")
GIVE = _verb("give gives gave given giving", "给")
CALL = _verb("call calls called called calling", "打")
LIVE = _verb("live lives lived lived living", "住")
WORK = _verb("work works worked worked working", "工作")
RAIN, SNOW = _verb("rain rains rained rained raining", "下雨"), _verb("snow snows snowed snowed snowing", "下雪")

PAST = _phrases("""
    yesterday / 昨天
    yesterday morning / 昨天早上
    yesterday afternoon / 昨天下午
    last night / 昨天晚上
    this morning / 今天早上
    the day before yesterday / 前天
    two days ago / 两天前
    last Sunday / 上个星期天
    last week / 上个星期
    last month / 上个月
""")
FUTURE = _phrases("""
    tomorrow / 明天
    tomorrow morning / 明天早上
    tomorrow afternoon / 明天下午
    tomorrow evening / 明天晚上
    tonight / 今天晚上
    the day after tomorrow / 后天
    next Sunday / 下个星期天
    next week / 下个星期
    next month / 下个月
""")
HABIT = _phrases("""
    every day / 每天
    every morning / 每天早上
    every afternoon / 每天下午
    every evening / 每天晚上
    every weekend / 每个周末
    every Saturday / 每个星期六
""")
DAYS = _phrases("today / 今天\ntomorrow / 明天\non Monday / 星期一\non Wednesday / 星期三\non Friday / 星期五")
FREQUENCIES = _phrases("often / 常常\nalways / 总是\nsometimes / 有时候\nusually / 通常\nnever / 从来不")
DURATIONS = _phrases("""
    for an hour / 一个小时
    for two hours / 两个小时
    for three hours / 三个小时
    for half an hour / 半个小时
    for forty minutes / 四十分钟
    for a long time / 很长时间
""")
STAYS = _phrases("""
    for two years / 两年
    for five years / 五年
    for ten years / 十年
    for three months / 三个月
    for two weeks / 两个星期
    for a long time / 很长时间
""")
CITIES = _phrases("Beijing / 北京\nShanghai / 上海\nGuangzhou / 广州\nLondon / 伦敦\nBerlin / 柏林")
SPOTS = _phrases("""
    the park / 公园
    the library / 图书馆
    the market / 市场
    the supermarket / 超市
    the museum / 博物馆
    the hospital / 医院
    the station / 车站
    the airport / 机场
    school / 学校
""")
FAR_RIDES = _phrases("by train / 坐火车\nby plane / 坐飞机\nby bus / 坐公共汽车\nby car / 开车")
NEAR_RIDES = _phrases(
    "by bus / 坐公共汽车\nby bicycle / 骑自行车\nby taxi / 坐出租车\nby underground / 坐地铁\non foot / 走路"
)
SMALL_SPOTS = _phrases("""
    on the table / 桌子上
    on the bed / 床上
    on the sofa / 沙发上
    on the floor / 地上
    under the table / 桌子下面
    under the chair / 椅子下面
    next to the computer / 电脑旁边
    behind the door / 门后面
    in the box / 盒子里
""")
OPEN_SPOTS = _phrases("""
    in the garden / 花园里
    in the park / 公园里
    in the street / 街上
    in front of the hotel / 酒店前面
    in front of the museum / 博物馆前面
    behind the school / 学校后面
    behind the house / 房子后面
    next to the bank / 银行旁边
    near the station / 车站附近
""")
NEAR_SPOTS = _phrases("""
    near the station / 车站附近
    near the airport / 机场附近
    near our office / 我们办公室附近
    near my home / 我家附近
    next to the museum / 博物馆旁边
    next to the library / 图书馆旁边
    opposite the market / 市场对面
    behind the supermarket / 超市后面
""")

ADJECTIVES = tuple(
    Adjective(english, comparative, chinese, attribute, _kinds(kinds))
    for english, comparative, chinese, attribute, kinds in _lines("""
        big / bigger / 大 / 大 / sized
        small / smaller / 小 / 小 / sized
        new / newer / 新 / 新 / aged
        old / older / 旧 / 旧 / aged
        expensive / more expensive / 贵 / 很贵的 / ware
        cheap / cheaper / 便宜 / 便宜的 / ware
        beautiful / more beautiful / 漂亮 / 漂亮的 / pretty
        heavy / heavier / 重 / 很重的 / weighed
        light / lighter / 轻 / 很轻的 / weighed
        comfortable / more comfortable / 舒服 / 舒服的 / soft
        interesting / more interesting / 有意思 / 有意思的 / told
        boring / more boring / 无聊 / 无聊的 / told
    """)
)
TRAITS = tuple(
    Adjective(english, comparative, chinese, "", frozenset())
    for english, comparative, chinese in _lines("""
        tall / taller / 高
        young / younger / 年轻
        clever / cleverer / 聪明
        friendly / friendlier / 友好
        strong / stronger / 强壮
    """)
)
COLOURS = _phrases("red / 红色的\nblack / 黑色的\nwhite / 白色的\nblue / 蓝色的\ngreen / 绿色的\nyellow / 黄色的")
BAD_STATES = _phrases("busy / 忙\ntired / 累\nhungry / 饿\nthirsty / 渴\nnervous / 紧张")
STATES = (*BAD_STATES, Phrase("happy", "高兴"))
WEATHER = _phrases("hot / 热\ncold / 冷\nwarm / 暖和\ncool / 凉快")
JOBS = _phrases("doctor / 医生\nteacher / 老师\nstudent / 学生\ncook / 厨师\nwriter / 作家\nengineer / 工程师")

EVENTS = tuple(
    (Phrase(english, chinese), _verb(forms, did))
    for english, chinese, forms, did in _lines("""
        train / 火车 / leave leaves left left leaving / 出发
        bus / 公共汽车 / leave leaves left left leaving / 出发
        ship / 船 / leave leaves left left leaving / 出发
        film / 电影 / start starts started started starting / 开始
        film / 电影 / end ends ended ended ending / 结束
        lesson / 课 / start starts started started starting / 开始
        meeting / 会议 / start starts started started starting / 开始
        meeting / 会议 / end ends ended ended ending / 结束
        concert / 音乐会 / start starts started started starting / 开始
        shop / 商店 / open opens opened opened opening / 开门
        shop / 商店 / close closes closed closed closing / 关门
        bank / 银行 / open opens opened opened opening / 开门
        museum / 博物馆 / close closes closed closed closing / 关门
        library / 图书馆 / open opens opened opened opening / 开门
    """)
)
ROUTINES = tuple(
    (_verb(forms, chinese), rest, part)
    for forms, rest, chinese, part in _lines("""
        get gets got got getting / up / 起床 / morning
        have has had had having / breakfast / 吃早饭 / morning
        go goes went gone going / to work / 上班 / morning
        go goes went gone going / home / 回家 / afternoon
        have has had had having / dinner / 吃晚饭 / evening
        go goes went gone going / to bed / 睡觉 / evening
    """)
)
DAY_PARTS = {"morning": ("早上", (6, 10)), "afternoon": ("下午", (1, 5)), "evening": ("晚上", (6, 10))}
"""Part of the day -> its Chinese name, its first and its last full hour."""


# The parts of a demo translation in both languages: amounts of things, doings with their place and company, times.
#
# English puts place, company and time behind the verb; Chinese puts them before it, the time first.

_SMALL_NUMBERS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("zero", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_DIGITS = "零一二三四五六七八九"

T = TypeVar("T")
Kind = Callable[[Random], Phrase]
"""Makes one kind of sentence: without a capital, and without a full stop unless it is a question."""


def pick(rng: Random, options: Sequence[T]) -> T:
    """One of the options."""
    # Random.random is the one method whose sequence is promised for every Python version.
    return options[int(rng.random() * len(options))]


def number(value: int) -> Phrase:
    """A number from 1 to 99 in words: twenty-five, 二十五."""
    tens, ones = divmod(value, 10)
    if value < len(_SMALL_NUMBERS):
        english = _SMALL_NUMBERS[value]
    else:
        english = f"{_TENS[tens]}-{_SMALL_NUMBERS[ones]}" if ones else _TENS[tens]
    chinese = ("" if tens == 0 else "十" if tens == 1 else f"{_DIGITS[tens]}十") + (_DIGITS[ones] if ones else "")
    return Phrase(english, chinese)


def count(value: int) -> Phrase:
    """A number before a measure word, where two is another word."""
    return Phrase("two", "两") if value == 2 else number(value)


def with_article(phrase: str) -> str:
    """The phrase after "a" or "an"."""
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def people(rng: Random, *others: Person) -> Person:
    """Somebody other than those who are named already."""
    person = pick(rng, PEOPLE)
    while any(person is other or {person.subject, other.subject} == {"I", "we"} for other in others):
        person = pick(rng, PEOPLE)
    return person


@cache
def nouns(kinds: frozenset[str], without: str = "") -> tuple[Noun, ...]:
    """The nouns of any of the kinds."""
    return tuple(noun for noun in NOUNS if noun.kinds & kinds and without not in noun.kinds)


@cache
def adjectives(kinds: frozenset[str]) -> tuple[Adjective, ...]:
    """The adjectives that go with nouns of any of the kinds."""
    return tuple(adjective for adjective in ADJECTIVES if adjective.kinds & kinds)


def described(rng: Random, noun: Noun, chance: float = 0.3) -> Noun:
    """The noun, sometimes with an adjective or a colour before it."""
    options = [Phrase(adjective.english, adjective.attribute) for adjective in adjectives(noun.kinds)]
    if "coloured" in noun.kinds:
        options += COLOURS
    if not options or "portion" in noun.kinds or rng.random() >= chance:
        return noun
    added = pick(rng, options)
    return replace(
        noun,
        singular=f"{added.english} {noun.singular}",
        plural=f"{added.english} {noun.plural}",
        chinese=f"{added.chinese}{noun.chinese}",
    )


def amount(rng: Random, noun: Noun, one: float = 0.35) -> tuple[Phrase, bool]:
    """An amount of a thing, "three books", and whether it is more than one."""
    noun = described(rng, noun)
    if rng.random() < one:
        return Phrase(with_article(noun.singular), f"一{noun.measure}{noun.chinese}"), False
    how_many = rng.random()
    if how_many < 0.7 or "portion" in noun.kinds:
        many = count(2 + int(rng.random() * (3 if "portion" in noun.kinds else 9)))
        return Phrase(f"{many.english} {noun.plural}", f"{many.chinese}{noun.measure}{noun.chinese}"), True
    if how_many < 0.8:
        return Phrase(f"a few {noun.plural}", f"几{noun.measure}{noun.chinese}"), True
    english, chinese = ("many", "很多") if how_many < 0.9 else ("some", "一些")
    return Phrase(f"{english} {noun.plural}", f"{chinese}{noun.chinese}"), True


def pointed(rng: Random, noun: Noun) -> tuple[Phrase, bool]:
    """A thing that is pointed at, "this book", and whether it is more than one."""
    if "portion" in noun.kinds or rng.random() < 0.6:
        english, chinese = pick(rng, (("this", "这"), ("that", "那")))
        return Phrase(f"{english} {noun.singular}", f"{chinese}{noun.measure}{noun.chinese}"), False
    english, chinese = pick(rng, (("these", "这些"), ("those", "那些")))
    return Phrase(f"{english} {noun.plural}", f"{chinese}{noun.chinese}"), True


def definite(rng: Random, noun: Noun, person: Person | None = None) -> tuple[Phrase, bool]:
    """A thing that is pointed at or belongs to somebody, and whether it is more than one.

    Args:
        rng: the source of chance.
        noun: the thing.
        person: who is named already, and would not be named again as its owner.
    """
    if noun.kinds & {"portion", "human", "building"} or "的" in noun.chinese or rng.random() < 0.65:
        return pointed(rng, noun)
    return owned(rng, noun, person), False


def owned(rng: Random, noun: Noun, person: Person | None = None) -> Phrase:
    """Somebody's thing: as for `definite`."""
    owner = pick(rng, PEOPLE)
    while owner is person and owner in LONG_PEOPLE:
        owner = pick(rng, PEOPLE)
    return Phrase(f"{owner.possessive} {noun.singular}", f"{owner.chinese}的{noun.chinese}")


@dataclass(frozen=True)
class Doing:
    """What somebody does, without saying who and when.

    Attributes:
        verb: English forms and the Chinese verb.
        rest: what follows the English verb: object, place, company.
        before: what precedes the Chinese verb: company, place, means.
        after: the Chinese object.
        bare: the object is bare (看电视), so that 了 stands behind it; it stands before a counted one (看了两本书).
    """

    verb: Verb
    rest: str
    before: str
    after: str
    bare: bool = False

    @property
    def chinese(self) -> str:
        """As it is said of the present, the future, and where it is negated."""
        return f"{self.before}{self.verb.chinese}{self.after}"

    @property
    def done(self) -> str:
        """As it is said of the past."""
        if self.bare:
            return f"{self.chinese}了"
        return f"{self.before}{self.verb.chinese}了{self.after}"

    def english(self, form: str) -> str:
        """With a form of the verb, "base" or "past" for example."""
        return f"{getattr(self.verb, form)} {self.rest}".rstrip()

    def present(self, person: Person) -> str:
        """In English, of a person."""
        return self.english("third" if person.third else "base")


def handling(rng: Random, person: Person, *, planned: bool, sure: bool, place: float = 0.5) -> Doing:
    """Somebody does something with a thing.

    Args:
        rng: the source of chance.
        person: who does it.
        planned: only what one can plan to do: not to find or to lose.
        sure: with a thing that is pointed at ("this book") rather than an amount ("three books").
        place: chance of a place.
    """
    own = pick(rng, [one for one in HANDLINGS if one.planned or not planned])
    noun = pick(rng, nouns(own.kinds))
    thing, _ = definite(rng, described(rng, noun, 0.1), person) if sure else amount(rng, noun)
    where = pick(rng, own.places) if rng.random() < place else Phrase("", "")
    before = f"在{where.chinese}" if where.chinese else ""
    return Doing(own.verb, f"{thing.english} {where.english}".rstrip(), before, thing.chinese)


def activity(
    rng: Random, person: Person, *, place: float = 0.6, company: float = 0.25, duration: float = 0.0
) -> Doing:
    """Somebody does something for a while, somewhere, with somebody; each with its chance."""
    own = pick(rng, ACTIVITIES)
    rest, before = own.rest.english, ""
    if rng.random() < place:
        where = pick(rng, own.places)
        rest, before = f"{rest} {where.english}", f"在{where.chinese}"
    if rng.random() < company:
        friend = people(rng, person)
        rest, before = f"{rest} with {friend.object}", f"和{friend.chinese}一起{before}"
    if rng.random() < duration:
        time = pick(rng, DURATIONS)
        return Doing(own.verb, f"{rest} {time.english}".strip(), before, f"{time.chinese}{own.rest.chinese}")
    return Doing(own.verb, rest.strip(), before, own.rest.chinese, bare=True)


def journey(rng: Random, person: Person, *, far: float = 0.5, company: float = 0.3) -> Doing:
    """Somebody goes somewhere."""
    goals, rides = (CITIES, FAR_RIDES) if rng.random() < far else (SPOTS, NEAR_RIDES)
    goal = pick(rng, goals)
    rest, before = f"to {goal.english}", ""
    if rng.random() < 0.6:
        ride = pick(rng, rides)
        rest, before = f"{rest} {ride.english}", ride.chinese
    if rng.random() < company:
        friend = people(rng, person)
        rest, before = f"{rest} with {friend.object}", f"和{friend.chinese}一起{before}"
    return Doing(GO, rest, before, goal.chinese)


def favour(rng: Random, person: Person, *, sure: bool = False) -> Doing:
    """Somebody does something for somebody else: the other one stands before the Chinese verb, or right behind 给."""
    friend = people(rng, person)
    form = rng.random()
    if form < 0.15:
        return Doing(CALL, friend.object, f"给{friend.chinese}", "电话")
    written = form < 0.45
    noun = pick(rng, nouns(frozenset({"written" if written else "gift"})))
    thing, _ = pointed(rng, noun) if sure else amount(rng, noun)
    if form < 0.75:
        verb = next(one.verb for one in HANDLINGS if one.verb.base == ("write" if written else "buy"))
        preposition = "to" if written else "for"
        rest = f"{thing.english} {preposition} {friend.object}"
        return Doing(verb, rest, f"给{friend.chinese}", thing.chinese)
    return Doing(GIVE, f"{friend.object} {thing.english}", "", f"{friend.chinese}{thing.chinese}")


def doing(rng: Random, person: Person, *, planned: bool = True, sure: bool = False, duration: float = 0.0) -> Doing:
    """Any doing of a person."""
    kind = rng.random()
    if kind < 0.4:
        return handling(rng, person, planned=planned, sure=sure)
    if kind < 0.65:
        return activity(rng, person, duration=duration)
    if kind < 0.85:
        return journey(rng, person)
    return favour(rng, person, sure=sure)


def timed(rng: Random, sentence: str, person: Person, rest: str, time: Phrase | None, front: float = 0.3) -> Phrase:
    """A statement at a time.

    The time stands in front in both languages, or last in English and after the person in Chinese.

    Args:
        rng: the source of chance.
        sentence: the English statement.
        person: whose it is.
        rest: the Chinese statement without the person.
        time: None where none is said.
        front: chance of the time in front.
    """
    if time is None:
        return Phrase(sentence, f"{person.chinese}{rest}")
    if rng.random() < front:
        return Phrase(f"{time.english} {sentence}", f"{time.chinese}{person.chinese}{rest}")
    return Phrase(f"{sentence} {time.english}", f"{person.chinese}{time.chinese}{rest}")


def clock(rng: Random, part: str | None) -> Phrase:
    """A time of the clock, at a part of the day that the caller says; None: one that is said here too."""
    if part is None and rng.random() < 0.15:
        return pick(rng, (Phrase("at noon", "中午"), Phrase("at midnight", "半夜")))
    named = part or pick(rng, tuple(DAY_PARTS))
    chinese, (first, last) = DAY_PARTS[named]
    hour = count(first + int(rng.random() * (last - first + 1)))
    english, minutes = pick(rng, ((f"{hour.english} o'clock", ""), (f"half past {hour.english}", "半")))
    said = "" if part else f" in the {named}"
    return Phrase(f"at {english}{said}", f"{'' if part else chinese}{hour.chinese}点{minutes}")


def do(person: Person) -> str:
    """The form of "do"."""
    return "does" if person.third else "do"


def be(person: Person, past: bool = False) -> str:
    """The form of "be"."""
    if past:
        return "was" if person.third or person.pronoun == "I" else "were"
    return "am" if person.pronoun == "I" else "is" if person.third else "are"


def has(person: Person) -> str:
    """The form of "have"."""
    return "has" if person.third else "have"


def asked(rng: Random) -> Person:
    """Somebody of whom one asks: not oneself."""
    person = people(rng)
    while person.pronoun in ("I", "we"):
        person = people(rng)
    return person


def maybe(rng: Random, times: Sequence[Phrase], chance: float = 0.8) -> Phrase | None:
    """One of the times, or none."""
    return pick(rng, times) if rng.random() < chance else None


def attached(time: Phrase | None) -> Phrase:
    """The time as it goes behind an English sentence, and before the rest of a Chinese one."""
    return Phrase("", "") if time is None else Phrase(f" {time.english}", time.chinese)


def falling(rng: Random) -> Verb:
    """It rains or snows."""
    return pick(rng, (RAIN, SNOW))


def degree(rng: Random, chinese: str) -> tuple[str, str]:
    """What stands before an English adjective, and a Chinese adjective with what stands around it."""
    said, no = ("very ", f"很{chinese}"), "没" if chinese.startswith("有") else "不"
    return pick(rng, (said, said, ("not ", f"{no}{chinese}"), ("too ", f"太{chinese}了"), ("really ", f"真{chinese}")))
