"""The tokenizer of two vocabularies: which one is used when, and its way into a process without the package."""

import copy
import json
import os
import pickle
import subprocess
import sys

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

from tinybert_hf.model import TinyBertConfig, TinyBertSeq2SeqTokenizer

SPECIAL = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
SOURCE_WORDS, TARGET_WORDS = ("the", "cat", "sees", "dog"), ("der", "Hund", "sieht", "die", "Katze")
FILES = ["source_tokenizer.json", "target_tokenizer.json", "tokenization_tinybert_seq2seq.py", "tokenizer_config.json"]

# Opens folder after folder in a process that cannot import the package, and saves the last tokenizer again.
SCRIPT = """
import importlib.abc, json, sys

class NoPackage(importlib.abc.MetaPathFinder):
    def find_spec(self, fullname, path=None, target=None):
        if fullname.partition(".")[0] == "tinybert_hf":
            raise ModuleNotFoundError(fullname)

sys.meta_path.insert(0, NoPackage())
from transformers import AutoTokenizer

report = {}
*folders, again = sys.argv[1:]
for folder in folders:
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
    encoded = tokenizer(["the cat", "dog"], text_target=["die Katze", "Hund"], padding=True)
    report[folder] = {
        "class": type(tokenizer).__name__,
        "module": type(tokenizer).__module__.split(".")[0],
        "encoded": dict(encoded),
        "decoded": tokenizer.batch_decode(encoded["labels"], skip_special_tokens=True),
    }
tokenizer.save_pretrained(again)
try:
    AutoTokenizer.from_pretrained(folders[0], trust_remote_code=False)
except ValueError as error:
    report["untrusted"] = str(error)
print(json.dumps(report))
"""


def _backend(words, special=("<pad>", "</s>", "<unk>")):
    vocabulary = {word: i for i, word in enumerate((*special, *words))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.decoder = decoders.Fuse()
    tokenizer.post_processor = processors.TemplateProcessing("$A </s>", special_tokens=[("</s>", vocabulary["</s>"])])
    tokenizer.add_special_tokens(list(special))
    return tokenizer


@pytest.fixture
def tokenizer():
    backends = {"tokenizer_object": _backend(SOURCE_WORDS), "target_tokenizer_object": _backend(TARGET_WORDS)}
    return TinyBertSeq2SeqTokenizer(**backends, model_max_length=16, **SPECIAL)


def test_each_side_has_its_own_vocabulary(tokenizer):
    encoded = tokenizer("the cat", text_target="die Katze")
    assert encoded["input_ids"] == [3, 4, 1]
    assert encoded["labels"] == [6, 7, 1]
    assert tokenizer("die Katze")["input_ids"] == [2, 2, 1]
    assert tokenizer(text_target="the cat")["input_ids"] == [2, 2, 1]
    assert (len(tokenizer), tokenizer.target_vocab_size) == (7, 8)
    assert tokenizer.get_vocab()["cat"] == 4
    assert tokenizer.get_target_vocab()["Katze"] == 7


def test_what_is_decoded_is_a_target(tokenizer):
    assert tokenizer.decode([6, 7, 1], skip_special_tokens=True) == "dieKatze"
    assert tokenizer.decode([6, 7, 1]) == "dieKatze</s>"
    assert tokenizer.batch_decode([[3, 1, 0], [4, 1, 0]], skip_special_tokens=True) == ["der", "Hund"]
    assert tokenizer.decode([3, 4], use_source_tokenizer=True) == "thecat"


def test_it_is_back_at_the_source_whatever_happens(tokenizer):
    tokenizer.decode([6])
    assert tokenizer.tokenize("the cat") == ["the", "cat"]
    with pytest.raises(TypeError):
        tokenizer.decode([["no id"]])
    assert tokenizer.tokenize("the cat") == ["the", "cat"]
    with pytest.raises(ValueError, match="text input must be"):
        tokenizer(text_target=7)
    assert tokenizer("the cat")["input_ids"] == [3, 4, 1]


def test_targets_are_padded_and_cut(tokenizer):
    batch = tokenizer(text_target=["Hund", "die Katze sieht der Hund"], padding=True, truncation=True, max_length=4)
    assert batch["input_ids"] == [[4, 1, 0, 0], [6, 7, 5, 1]]
    assert batch["attention_mask"] == [[1, 1, 0, 0], [1, 1, 1, 1]]


def test_copies_are_whole(tokenizer):
    for other in (copy.deepcopy(tokenizer), pickle.loads(pickle.dumps(tokenizer))):
        assert other("the cat", text_target="die Katze").data == tokenizer("the cat", text_target="die Katze").data
        assert other.decode([6, 7]) == "dieKatze"


def test_saved_and_opened(tokenizer, tmp_path):
    tokenizer(text_target=["Hund", "die Katze"], padding=True, truncation=True, max_length=2)
    tokenizer.save_pretrained(tmp_path)
    # Not tokenizer.json: transformers would open it alone where it does not find the class.
    assert sorted(os.listdir(tmp_path)) == FILES
    opened = TinyBertSeq2SeqTokenizer.from_pretrained(tmp_path)
    assert opened("the cat", text_target="die Katze sieht der Hund").data == {
        "input_ids": [3, 4, 1],
        "attention_mask": [1, 1, 1],
        "labels": [6, 7, 5, 3, 4, 1],
    }
    assert opened.model_max_length == 16


@pytest.mark.parametrize("missing", ["source_tokenizer.json", "target_tokenizer.json"])
def test_a_file_that_is_missing(tokenizer, tmp_path, missing):
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(ValueError, match=f"there is no {missing}"):
        TinyBertSeq2SeqTokenizer.from_pretrained(tmp_path)


def test_special_tokens_must_agree():
    target = _backend(TARGET_WORDS, special=("</s>", "<pad>", "<unk>"))
    with pytest.raises(ValueError, match=r"'</s>' has the id 1 in the source's vocabulary and 0 in the target's"):
        TinyBertSeq2SeqTokenizer(tokenizer_object=_backend(SOURCE_WORDS), target_tokenizer_object=target, **SPECIAL)


def test_auto_tokenizer_of_the_package_needs_no_trust(tokenizer, tmp_path):
    from transformers import AutoTokenizer

    TinyBertConfig(vocab_size=7).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    opened = AutoTokenizer.from_pretrained(tmp_path)
    assert type(opened) is TinyBertSeq2SeqTokenizer
    assert opened(text_target="die Katze")["input_ids"] == [6, 7, 1]


@pytest.mark.slow
def test_a_process_without_the_package(tokenizer, tmp_path):
    from transformers import MarianConfig

    configs = {"alone": None, "student": TinyBertConfig(vocab_size=7), "teacher": MarianConfig(vocab_size=7)}
    for name, config in configs.items():
        if config is not None:
            config.save_pretrained(tmp_path / name)
        tokenizer.save_pretrained(tmp_path / name)
    folders = [str(tmp_path / name) for name in configs]

    def report_of(place, *arguments):
        caches = {"HF_HOME": str(tmp_path / place), "HF_HUB_OFFLINE": "1"}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, *arguments],
            cwd=tmp_path,
            env={**os.environ, **caches},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        return json.loads(done.stdout)

    expected = {
        "class": "TinyBertSeq2SeqTokenizer",
        "module": "transformers_modules",
        "encoded": tokenizer(["the cat", "dog"], text_target=["die Katze", "Hund"], padding=True).data,
        "decoded": ["dieKatze", "Hund"],
    }
    first = report_of("first", *folders, str(tmp_path / "again"))
    assert {folder: first[folder] for folder in folders} == dict.fromkeys(folders, expected)
    assert "trust_remote_code" in first["untrusted"]
    assert sorted(os.listdir(tmp_path / "again")) == FILES
    second = report_of("second", str(tmp_path / "again"), str(tmp_path / "once more"))
    assert second[str(tmp_path / "again")] == expected
