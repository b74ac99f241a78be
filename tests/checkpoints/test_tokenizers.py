"""The tokenizer of a folder reads texts as its tokenizer.json says, whatever class another file names."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from tiny_vocabularies import KINDS, texts
from tokenizers import Tokenizer
from transformers import AutoTokenizer, BertTokenizer, MBartTokenizer, PreTrainedTokenizerFast

from tinybert_hf.checkpoints import open_tokenizer, save_tokenizer, settle_tokenizer
from tinybert_hf.checkpoints.tokenizers import differences, whole_texts, write_vocabulary_files
from tinybert_hf.data.shards import tokenizer_digest
from tinybert_hf.errors import OpeningWarning, TinyBertError
from tinybert_hf.model import TinyBertConfig

_TEXTS = [*texts(5, 40), "Éta bako  KO", "中ba", "ba" * 60, "☃ ba[MASK]ko <mask>"]


@pytest.fixture(scope="module")
def tokenizers() -> Mapping[str, Any]:
    return {kind: make() for kind, make in KINDS.items()}


@pytest.fixture
def saved(tmp_path: Path, tokenizers: Mapping[str, Any]) -> Callable[..., Path]:
    """A tokenizer in a folder, of which tokenizer.json or tokenizer_config.json was changed."""

    def save(kind: str, change: Callable[[Any], Any] = dict, **settings: Any) -> Path:
        tokenizers[kind].save_pretrained(tmp_path)
        for name, edit in (("tokenizer.json", change), ("tokenizer_config.json", lambda one: one.update(settings))):
            content = json.loads((tmp_path / name).read_text())
            edit(content)
            (tmp_path / name).write_text(json.dumps(content))
        return tmp_path

    return save


def reads_as_its_file(tokenizer: Any, folder: Path) -> None:
    """The oracle: the library that wrote the file."""
    said = Tokenizer.from_file(str(folder / "tokenizer.json"))
    for text in _TEXTS:
        assert tokenizer(text)["input_ids"] == said.encode(text).ids
        pair, own = tokenizer(text, "ko"), said.encode(text, "ko")
        assert pair["input_ids"] == own.ids
        assert pair.get("token_type_ids", own.type_ids) == own.type_ids


@pytest.mark.parametrize("kind", KINDS)
def test_what_agrees_opens_as_its_class_without_a_word(kind: str, saved: Callable[..., Path]) -> None:
    folder = saved(kind)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opened = open_tokenizer(folder)
    assert type(opened).__name__ == json.loads((folder / "tokenizer_config.json").read_text())["tokenizer_class"]
    reads_as_its_file(opened, folder)


CHANGES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "normalizer": ("WordPiece", lambda one: one.update(normalizer={"type": "NFC"})),
    "no normalizer": ("WordPiece", lambda one: one.update(normalizer=None)),
    "letters kept": ("WordPiece", lambda one: one["normalizer"].update(lowercase=False)),
    "accents kept": ("WordPiece", lambda one: one["normalizer"].update(strip_accents=False)),
    "characters of a script": ("WordPiece", lambda one: one["normalizer"].update(handle_chinese_chars=False)),
    "pre-tokenizer": ("WordPiece", lambda one: one.update(pre_tokenizer={"type": "WhitespaceSplit"})),
    "long words": ("WordPiece", lambda one: one["model"].update(max_input_chars_per_word=9)),
    "no [CLS]": ("WordPiece", lambda one: one.update(post_processor=None)),
    "space before": ("BPE", lambda one: one["pre_tokenizer"].update(add_prefix_space=True)),
    "lowered": ("BPE", lambda one: one.update(normalizer={"type": "Lowercase"})),
    "first word": ("Unigram", lambda one: one["pre_tokenizer"]["pretokenizers"][1].update(prepend_scheme="first")),
    "two forms": ("Unigram", lambda one: one.update(normalizer={"type": "NFKC"})),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_the_file_says_wins(change: str, saved: Callable[..., Path]) -> None:
    kind, edit = CHANGES[change]
    folder = saved(kind, edit)
    with pytest.warns(OpeningWarning, match=r'tokenizer_class.*"tokenizer_class": "PreTrainedTokenizerFast"'):
        opened = open_tokenizer(folder)
    assert isinstance(opened, PreTrainedTokenizerFast)
    reads_as_its_file(opened, folder)
    by_class = AutoTokenizer.from_pretrained(folder)
    assert differences(by_class.backend_tokenizer, Tokenizer.from_file(str(folder / "tokenizer.json")))


WRONG = [
    ("WordPiece", "RobertaTokenizerFast"),
    ("WordPiece", "XLMRobertaTokenizer"),  # cannot even read it
    ("Unigram", "BertTokenizer"),
    ("Unigram", "RobertaTokenizer"),
    ("Unigram", "AlbertTokenizer"),
    ("BPE", "BertTokenizerFast"),
]


@pytest.mark.parametrize(("kind", "name"), WRONG)
def test_the_class_of_another_file(kind: str, name: str, saved: Callable[..., Path]) -> None:
    folder = saved(kind, tokenizer_class=name)
    with pytest.warns(OpeningWarning, match="tokenizer_class"):
        opened = open_tokenizer(folder)
    reads_as_its_file(opened, folder)
    assert any(opened("ba", "ko").get("token_type_ids", [])) == (kind == "WordPiece")  # the file tells two apart


def test_a_class_whose_vocabulary_cannot_read_a_text(saved: Callable[..., Path]) -> None:
    """Byte pairs need no unknown token; a BERT's vocabulary fails without one, in the middle of a text."""
    folder = saved("BPE", tokenizer_class="BertTokenizer")
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text())
    vocabulary = {name: index for name, index in content["model"]["vocab"].items() if not name.startswith("<")}
    content["model"]["vocab"] = {name: index for index, name in enumerate(vocabulary)}
    file.write_text(json.dumps({**content, "added_tokens": [], "post_processor": None}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer"}))
    with pytest.warns(OpeningWarning, match="tokenizer_class"):
        opened = open_tokenizer(folder)
    said = Tokenizer.from_file(str(file))
    assert [opened(text)["input_ids"] for text in _TEXTS] == [said.encode(text).ids for text in _TEXTS]


def test_settings_stay(saved: Callable[..., Path]) -> None:
    edit = CHANGES["normalizer"][1]
    settings = {"padding_side": "left", "model_max_length": 33, "model_input_names": ["input_ids", "attention_mask"]}
    with pytest.warns(OpeningWarning):
        opened = open_tokenizer(saved("WordPiece", edit, **settings))
    assert {name: getattr(opened, name) for name in settings} == settings
    assert opened.special_tokens_map == KINDS["WordPiece"]().special_tokens_map


def test_the_remedy_makes_it_what_was_opened(saved: Callable[..., Path]) -> None:
    folder = saved("WordPiece", CHANGES["normalizer"][1])
    file = folder / "tokenizer_config.json"
    tokens = ("pad_token", "cls_token", "sep_token", "unk_token", "mask_token")
    content = {name: value for name, value in json.loads(file.read_text()).items() if name not in tokens}
    file.write_text(json.dumps(content))  # the class knows them itself
    with pytest.warns(OpeningWarning) as caught:
        opened = open_tokenizer(folder)
    fields = str(caught[0].message).partition("write ")[2].partition(" into tokenizer_config.json")[0]
    file.write_text(json.dumps({**content, **json.loads(f"{{{fields}}}")}))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = open_tokenizer(folder)
    for one in (again, AutoTokenizer.from_pretrained(folder)):
        assert one("ba ko", "ri") == opened("ba ko", "ri")
        assert one.special_tokens_map == opened.special_tokens_map


def test_a_tokenizer_that_sets_languages_keeps_them(tokenizers: Mapping[str, Any], tmp_path: Path) -> None:
    pieces = tokenizers["Unigram"]._vocab
    MBartTokenizer(vocab=pieces, src_lang="en_XX", tgt_lang="de_DE").save_pretrained(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain = open_tokenizer(tmp_path)
    plain.src_lang = "de_DE"
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "normalizer": {"type": "Lowercase"}}))
    with pytest.warns(OpeningWarning):
        opened = open_tokenizer(tmp_path)
    opened.src_lang = "de_DE"
    assert opened("BA KO")["input_ids"] == plain("ba ko")["input_ids"] != plain("BA KO")["input_ids"]


def test_a_vocabulary_alone_opens(tmp_path: Path) -> None:
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "film", "##s"]
    (tmp_path / "vocab.txt").write_text("\n".join(vocabulary))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    assert open_tokenizer(tmp_path).tokenize("films") == ["film", "##s"]


def test_what_was_switched_on_stays_on_and_nothing_else(tokenizers: Mapping[str, Any], tmp_path: Path) -> None:
    tokenizer = tokenizers["WordPiece"]
    tokenizer(["ba"] * 2, truncation=True, max_length=5, padding="max_length")  # leaves both switched on below
    tokenizer.save_pretrained(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # texts are compared whole: cut at 5 tokens, most would agree
        opened = open_tokenizer(tmp_path)
    assert opened.backend_tokenizer.truncation["max_length"] == 5
    assert opened.backend_tokenizer.padding["length"] == 5
    with whole_texts(opened.backend_tokenizer):
        assert len(opened.backend_tokenizer.encode("ba ko ri tu sen la mi or un").ids) > 5
        opened.backend_tokenizer.enable_truncation(3)
    assert opened.backend_tokenizer.truncation["max_length"] == 5
    clean = BertTokenizer(vocab=tokenizer.get_vocab())
    with whole_texts(clean.backend_tokenizer):
        clean("ba", truncation=True, max_length=4)
    assert clean.backend_tokenizer.truncation is None


def test_added_tokens_are_compared(tokenizers: Mapping[str, Any], tmp_path: Path) -> None:
    import copy

    tokenizer = copy.deepcopy(tokenizers["WordPiece"])
    tokenizer.add_tokens(["<user>", "zz qq"])
    tokenizer.save_pretrained(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opened = open_tokenizer(tmp_path)
    assert opened.tokenize("ba zz qq <user>")[-2:] == ["zz qq", "<user>"]


def test_a_damaged_file_is_one_error(saved: Callable[..., Path]) -> None:
    folder = saved("WordPiece", lambda one: one["model"].pop("vocab"))
    with pytest.raises(TinyBertError):
        open_tokenizer(folder)


def test_large_numbers_in_a_vocabulary_are_refused(saved: Callable[..., Path]) -> None:
    folder = saved("WordPiece", lambda one: one["model"]["vocab"].update(ba=10**12))
    with pytest.raises(TinyBertError, match="vocab is 1e"):
        open_tokenizer(folder)


CALLS: dict[str, Callable[[Any], Any]] = {
    "none": lambda tokenizer: None,
    "padded": lambda tokenizer: tokenizer(_TEXTS, padding=True),
    "cut and padded to 9": lambda tokenizer: tokenizer(
        _TEXTS, padding="max_length", truncation=True, max_length=9, pad_to_multiple_of=3
    ),
    "in windows": lambda tokenizer: tokenizer(
        _TEXTS, truncation="only_first", max_length=8, stride=2, return_overflowing_tokens=True
    ),
}


def written(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_saved_does_not_depend_on_the_last_call(
    kind: str, tokenizers: Mapping[str, Any], tmp_path: Path
) -> None:
    config = TinyBertConfig(max_position_embeddings=20)
    tokenizer, found = tokenizers[kind], []
    for name, call in CALLS.items():
        call(tokenizer)
        before = tokenizer.backend_tokenizer.to_str()
        save_tokenizer(tokenizer, config, tmp_path / name)
        assert tokenizer.backend_tokenizer.to_str() == before
        found.append(written(tmp_path / name))
    assert found[0] == found[1] == found[2] == found[3]
    content = json.loads(found[0]["tokenizer.json"])
    assert content["padding"] is None
    assert content["truncation"] == {
        "direction": "Right", "max_length": 20, "strategy": "LongestFirst", "stride": 0,
    }  # fmt: skip
    # Opened, used and saved once more it is the same.
    opened = open_tokenizer(tmp_path / "padded", local_files_only=True)
    opened(_TEXTS, padding=True, truncation=True, max_length=5)
    save_tokenizer(opened, config, tmp_path / "again")
    again = written(tmp_path / "again")
    assert again["tokenizer.json"] == found[0]["tokenizer.json"]
    settings, first = (json.loads(one["tokenizer_config.json"]) for one in (again, found[0]))
    assert settings.pop("truncation_side") == "right"  # the default, named
    assert settings == first
    for text in _TEXTS:  # programs that know the library below alone
        raw = Tokenizer.from_file(str(tmp_path / "padded" / "tokenizer.json")).encode(text)
        assert raw.ids == opened(text, truncation=True)["input_ids"]
        assert opened(text)["input_ids"] == tokenizer(text)["input_ids"]


def test_without_a_limit_nothing_is_cut(tokenizers: Mapping[str, Any], tmp_path: Path) -> None:
    tokenizer = tokenizers["WordPiece"]
    tokenizer(_TEXTS, truncation=True, max_length=7)
    tokenizer.save_pretrained(tmp_path)
    file = tmp_path / "tokenizer_config.json"
    settings = json.loads(file.read_text())
    file.write_text(json.dumps({**settings, "model_max_length": int(1e30)}))
    settle_tokenizer(tmp_path)
    assert json.loads((tmp_path / "tokenizer.json").read_text())["truncation"] is None
    settle_tokenizer(tmp_path / "nowhere")  # a model without a tokenizer
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("lowercase", [True, False])
def test_what_happens_to_accents_is_written_out(lowercase: bool, tmp_path: Path) -> None:
    """Some programs read "as the letters' case" (null) as "they stay"."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cafe", "café", "ete", "été"]
    tokenizer = BertTokenizer(vocab={word: i for i, word in enumerate(words)}, do_lower_case=lowercase)
    save_tokenizer(tokenizer, TinyBertConfig(), tmp_path)
    assert json.loads((tmp_path / "tokenizer.json").read_text())["normalizer"]["strip_accents"] is lowercase
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opened = open_tokenizer(tmp_path)
    assert opened.tokenize("café été") == tokenizer.tokenize("café été")
    assert opened.tokenize("café été") == (["cafe", "ete"] if lowercase else ["café", "été"])
    assert tokenizer_digest(opened) == tokenizer_digest(tokenizer)  # a run that was stopped before goes on


def test_names_that_transformers_4_knows(tokenizers: Mapping[str, Any], tmp_path: Path) -> None:
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=tokenizers["WordPiece"].backend_tokenizer, pad_token="[PAD]", unk_token="[UNK]"
    )
    tokenizer.add_special_tokens({"extra_special_tokens": ["<x>", "<y>"]})
    save_tokenizer(tokenizer, TinyBertConfig(), tmp_path)
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    assert settings["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert settings["additional_special_tokens"] == ["<x>", "<y>"]  # a list under the new name breaks it
    assert "extra_special_tokens" not in settings
    opened = open_tokenizer(tmp_path)
    assert opened.extra_special_tokens == ["<x>", "<y>"]
    assert opened("ba<x>ko")["input_ids"] == tokenizer("ba<x>ko")["input_ids"]


@pytest.mark.parametrize("kind", KINDS)
def test_files_for_programs_that_read_no_tokenizer_json(
    kind: str, tokenizers: Mapping[str, Any], tmp_path: Path
) -> None:
    tokenizer = tokenizers[kind]
    save_tokenizer(tokenizer, TinyBertConfig(), tmp_path)
    write_vocabulary_files(tokenizer, tmp_path)
    special = json.loads((tmp_path / "special_tokens_map.json").read_text())
    assert special["pad_token"] == tokenizer.pad_token
    assert special["unk_token"] == tokenizer.unk_token
    is_wordpiece = type(tokenizer.backend_tokenizer.model).__name__ == "WordPiece"
    assert (tmp_path / "vocab.txt").is_file() == is_wordpiece
    if is_wordpiece:
        words = (tmp_path / "vocab.txt").read_text(encoding="utf-8").splitlines()
        assert tokenizer.convert_tokens_to_ids(words) == list(range(len(tokenizer)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opened = open_tokenizer(tmp_path)
    assert [opened(text)["input_ids"] for text in _TEXTS] == [tokenizer(text)["input_ids"] for text in _TEXTS]
