"""A translator that has learnt seven words, saved once for all tests of this room."""

import pytest
import tiny_translator
from transformers import AutoModelForSeq2SeqLM


@pytest.fixture(scope="session")
def translator_folder(tmp_path_factory):
    return tiny_translator.save_translator(tmp_path_factory.mktemp("translator"))


@pytest.fixture(scope="session")
def translator(translator_folder):
    return AutoModelForSeq2SeqLM.from_pretrained(translator_folder).eval()


@pytest.fixture(scope="session")
def tokenizer():
    return tiny_translator.make_tokenizer()
