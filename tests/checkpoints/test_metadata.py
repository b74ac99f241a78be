"""License and language: told, or from the teacher's own card, never made up; as the Hub takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard, ModelCardData, metadata_save

from tinybert_hf.checkpoints.card_parts import (
    CardSettings,
    is_language,
    languages_of_dataset,
    languages_of_translator,
    metadata,
    short_code,
    values_of_card,
    wrong_license,
)
from tinybert_hf.errors import TinyBertError
from tinybert_hf.recipes.loader import load_recipe, shipped_recipes


@pytest.mark.parametrize(
    "license", ["apache-2.0", "mit", "cc-by-nc-sa-4.0", "openrail++", "llama3.1", "unknown", "gpl-3.0"]
)
def test_identifiers_of_the_hub(license: str) -> None:
    assert CardSettings(license=license).license == license


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"license": "Apache-2.0"}, r"no identifier of the Hub .* Did you mean 'apache-2\.0'\?"),
        ({"license": "Apache License 2.0"}, r"For any other license give 'other' with license_name and license_link"),
        ({"license": ""}, "no identifier of the Hub"),
        ({"license": "other"}, "needs license_name in lower case"),
        ({"license": "other", "license_name": "My License", "license_link": "LICENSE"}, "needs license_name in lower"),
        ({"license": "other", "license_name": "mine"}, "needs license_link, an address or LICENSE"),
        ({"license": "other", "license_name": "mine", "license_link": "see there"}, "needs license_link"),
        ({"license": "mit", "license_name": "mine"}, "belong to the license 'other'"),
        ({"license_link": "LICENSE"}, "belong to the license 'other'"),
        ({"language": "English"}, "no code of ISO 639.* Did you mean 'en'"),
        ({"language": ("en", "zh-CN")}, "'zh-CN'.* Did you mean 'zh'"),
        ({"language": "xx"}, "no code of ISO 639"),
        ({"language": "EN"}, "Did you mean 'en'"),
    ],
)
def test_what_the_hub_refuses_is_refused_here(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(TinyBertError, match=said):
        CardSettings(**fields)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("en", "en"), ("zh-CN", "zh"), ("zh_CN", "zh"), ("zho_Hans", "zh"), ("eng_Latn", "en"), ("en_XX", "en"),
        ("German", "de"), ("yue", "yue"), ("multilingual", "multilingual"), ("xx", None), ("12", None), ("", None),
    ],
)  # fmt: skip
def test_codes_of_names_and_locales(given: str, code: str | None) -> None:
    assert short_code(given) == code
    assert code is None or is_language(code)


def card_in(folder: Path, **data: Any) -> str:
    """A teacher's folder whose card says this."""
    folder.mkdir()
    metadata_save(folder / "README.md", data)
    return str(folder)


def test_what_a_card_says(tmp_path: Path) -> None:
    assert values_of_card(card_in(tmp_path / "a", license="mit", language="de")) == {
        "license": "mit",
        "language": ["de"],
    }
    other = {"license": "other", "license_name": "mine-1", "license_link": "https://example.org/l"}
    assert values_of_card(card_in(tmp_path / "b", **other, language=["zh-CN", "English", "xx", 3])) == {
        **other, "language": ["zh", "en"],
    }  # fmt: skip
    # What the Hub would refuse, or what says nothing, is not handed on.
    assert values_of_card(card_in(tmp_path / "c", license="Apache 2.0", language="xx")) == {}
    assert values_of_card(card_in(tmp_path / "d", license="unknown", language="und")) == {}
    assert values_of_card(card_in(tmp_path / "e", license=["mit", "gpl"])) == {}
    (tmp_path / "e" / "README.md").write_text("---\n: [\n---\n")
    for nothing in ("e", "there/is/nothing", "nobody/has-this-model", "no card"):
        (tmp_path / "no card").mkdir(exist_ok=True)
        assert values_of_card(str(tmp_path / nothing) if nothing in ("e", "no card") else nothing) == {}


MIT, GPL = {"license": "mit"}, {"license": "gpl-3.0"}


@pytest.mark.parametrize(
    ("told", "models", "license"),
    [
        ({}, [], "unknown"),
        ({}, [{}], "unknown"),
        ({}, [MIT], "mit"),
        ({}, [MIT, MIT], "mit"),
        ({}, [MIT, GPL], "unknown"),  # two teachers of two licenses: nobody has said which holds
        ({}, [MIT, {}], "unknown"),
        ({"license": "apache-2.0"}, [MIT, GPL], "apache-2.0"),
    ],
)
def test_the_license_is_told_or_that_of_every_model(told: dict[str, Any], models: list[Any], license: str) -> None:
    found = metadata(CardSettings(**told), models)
    assert found == {"license": license, "language": "und"}
    assert ModelCardData(**found).license == license


@pytest.mark.parametrize(
    ("told", "taught", "known", "read", "language"),
    [
        (None, (), (), (), "und"),
        ("sw", ("en",), ("de",), ("zh",), "sw"),
        (None, ("en",), ("de",), ("zh",), "de"),
        (None, ("en",), (), ("zh",), "en"),
        (None, (), (), ("zh",), "zh"),
        (None, ("en", "de", "fr", "zh"), (), ("zh",), "zh"),  # what a multilingual teacher's student has read
        (None, ("en", "de", "fr"), (), (), ["en", "de", "fr"]),
        (("en", "zh"), (), (), (), ["en", "zh"]),
    ],
)
def test_the_language(told: Any, taught: Any, known: Any, read: Any, language: Any) -> None:
    assert metadata(CardSettings(language=told), [{"language": list(taught)}], known, read)["language"] == language


def test_languages_of_datasets_and_translators() -> None:
    assert languages_of_dataset("nyu-mll/glue") == ("en",)
    assert languages_of_dataset("somebody/else") == languages_of_dataset(None) == ()
    for teacher, pair in (
        ({"model": "Helsinki-NLP/opus-mt-en-zh"}, ("en", "zh")),
        ({"model": "/models/opus-mt-tc-big-de-fr/"}, ("de", "fr")),
        ({"model": "x", "source_language": "eng_Latn", "target_language": "zho_Hans"}, ("en", "zh")),
        ({"model": "my/translator"}, ()),
        ({"model": None}, ()),
    ):
        assert languages_of_translator({"teacher": teacher}) == pair, teacher


def test_a_recipe_names_both_and_is_refused_early() -> None:
    recipe = load_recipe("demo", {"card.license": "mit", "card.language": ["en", "de"]})
    assert (recipe.card.license, recipe.card.languages) == ("mit", ("en", "de"))
    assert load_recipe("demo", {"card.language": "en"}).card.languages == ("en",)
    with pytest.raises(TinyBertError, match=r"card: license is 'MIT'.*Did you mean 'mit'"):
        load_recipe("demo", {"card.license": "MIT"})


def test_the_datasets_of_the_recipes_have_languages() -> None:
    named = {load_recipe(name).data.dataset for name in shipped_recipes()} - {None}
    assert [name for name in named if not languages_of_dataset(name)] == []


def test_every_card_can_be_read_back() -> None:
    assert wrong_license("mit", None, None) is None
    data = ModelCardData(**metadata(CardSettings("other", "a-1", "LICENSE", ("en", "no")), []))
    again = ModelCard(f"---\n{data.to_yaml()}\n---\n").data
    assert again.language == ["en", "no"], "YAML would read a bare no as false"
    assert (again.license, again.license_name, again.license_link) == ("other", "a-1", "LICENSE")
