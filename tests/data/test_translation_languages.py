"""Multilingual translators: told what to read and write, or refused with how to say it."""

from types import SimpleNamespace
from typing import Any

import pytest
import tiny_translator
from transformers import MarianMTModel, MBartConfig, MBartForConditionalGeneration, MBartTokenizer, NllbTokenizer

from tinybert_hf.data.generation import translate_texts
from tinybert_hf.data.translation import language_codes, set_languages
from tinybert_hf.errors import TeacherError

PIECES = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "▁dog": 4, "▁Hund": 5, "▁": 6}
LANGUAGES = ["deu_Latn", "eng_Latn", "zho_Hans"]


@pytest.fixture
def nllb() -> NllbTokenizer:
    return NllbTokenizer(vocab=dict(PIECES), merges=[], extra_special_tokens=LANGUAGES)


@pytest.fixture
def mbart() -> MBartTokenizer:
    return MBartTokenizer()


def multilingual(vocab_size: int, start: int = 2) -> MBartForConditionalGeneration:
    size = {"encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
    size |= {"d_model": 16, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "max_position_embeddings": 16}
    return MBartForConditionalGeneration(
        MBartConfig(vocab_size=vocab_size, decoder_start_token_id=start, forced_eos_token_id=None, **size)
    ).eval()


def test_what_the_model_reads_and_writes(nllb: Any) -> None:
    model = multilingual(len(nllb))
    set_languages(model, nllb, "zho_Hans", "deu_Latn")
    assert nllb.convert_ids_to_tokens(nllb("dog").input_ids)[0] == "zho_Hans"
    assert nllb.convert_ids_to_tokens(nllb(text_target="dog").input_ids)[0] == "deu_Latn"
    seen: list[list[int]] = []
    decode = nllb.batch_decode
    nllb.batch_decode = lambda ids, **options: seen.extend(ids) or decode(ids, **options)
    translate_texts(model, nllb, ["dog", "Hund"], num_beams=2)
    assert [nllb.convert_ids_to_tokens(ids[0]) for ids in seen] == ["deu_Latn"] * 2


def test_a_start_token_that_is_a_language_is_replaced(mbart: Any) -> None:
    codes = language_codes(mbart)
    assert {"en_XX", "de_DE", "zh_CN"} <= codes.keys()
    model = multilingual(len(mbart), start=codes["ro_RO"])
    set_languages(model, mbart)  # it is known already
    set_languages(model, mbart, "en_XX", "de_DE")
    assert model.generation_config.decoder_start_token_id == codes["de_DE"]
    assert model.generation_config.forced_bos_token_id is None


@pytest.mark.parametrize("given", [(None, None), ("eng_Latn", None), (None, "zho_Hans")])
def test_a_missing_language_is_asked_for(nllb: Any, given: tuple[str | None, str | None]) -> None:
    with pytest.raises(TeacherError) as caught:
        set_languages(multilingual(len(nllb)), nllb, *given)
    for words in ("3 languages", "--source-language eng_Latn --target-language deu_Latn", ", ".join(LANGUAGES)):
        assert words in str(caught.value)


def test_an_unknown_language(nllb: Any, mbart: Any) -> None:
    with pytest.raises(TeacherError, match=r"no language 'zho'. Did you mean zho_Hans"):
        set_languages(multilingual(len(nllb)), nllb, "eng_Latn", "zho")
    with pytest.raises(TeacherError, match=r"no language 'english'.*and \d+ more\.$"):
        set_languages(multilingual(len(mbart)), mbart, "english", "de_DE")


def test_a_language_that_is_set_already_is_enough(nllb: Any) -> None:
    model = multilingual(len(nllb))
    model.generation_config.forced_bos_token_id = language_codes(nllb)["zho_Hans"]
    set_languages(model, nllb)
    student = SimpleNamespace(
        config=SimpleNamespace(model_type="tinybert", name_or_path="student"),
        generation_config=SimpleNamespace(forced_bos_token_id=None, decoder_start_token_id=1),
    )
    set_languages(student, nllb)


def test_a_model_of_one_pair() -> None:
    model, tokenizer = tiny_translator.make_model(), tiny_translator.make_tokenizer()
    assert language_codes(tokenizer) == {}
    set_languages(model, tokenizer)
    with pytest.raises(TeacherError, match=r"MarianMTModel has no tokens for languages.*away\.$"):
        set_languages(model, tokenizer, "en", "de")


def test_marian_takes_its_target_language_as_a_prefix() -> None:
    tokenizer = SimpleNamespace(supported_language_codes=[">>cmn_Hans<<", ">>yue<<"])
    model: MarianMTModel = tiny_translator.make_model()
    with pytest.raises(TeacherError, match='--prefix ">>cmn_Hans<< "'):
        set_languages(model, tokenizer, "en", "zh")
