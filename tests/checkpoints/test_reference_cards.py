"""The cards in model_cards/: one for each reference model, as the package writes them today."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from tinybert_hf.checkpoints.card_parts import MARK, is_language, wrong_license

FOLDER = Path(__file__).parent.parent.parent / "model_cards"
CARDS = sorted(FOLDER.glob("*.md"))


def test_each_reference_model_has_its_card() -> None:
    tree = ast.parse((FOLDER / "generate.py").read_text(encoding="utf-8"))
    (table,) = (node.value for node in tree.body if isinstance(node, ast.AnnAssign))
    assert isinstance(table, ast.Dict)
    assert {ast.literal_eval(key) for key in table.keys if key} == {card.stem for card in CARDS}


@pytest.mark.parametrize("file", CARDS, ids=lambda file: file.stem)
def test_a_card_is_whole_and_says_nothing_of_the_machine(file: Path) -> None:
    card = ModelCard.load(file)
    assert MARK in card.text
    assert card.data.library_name == "transformers"
    assert wrong_license(card.data.license, None, None) is None
    assert all(map(is_language, [card.data.language] if isinstance(card.data.language, str) else card.data.language))
    metrics = {one.metric_type: one.metric_value for one in card.data.eval_results}
    (row,) = re.findall(r"^\| this model \| ([\d.]+) \|", card.text, flags=re.MULTILINE)
    main = metrics["accuracy"] if "accuracy" in metrics else metrics["bleu"]
    assert float(row) == pytest.approx(main, abs=0.06 if main > 1 else 1e-4)
    assert not re.search(r"(?<![\w:/])/(?:[\w.-]+/)+", re.sub(r"https?://\S+", "", card.text))
    for section in ("How to load it", "What it reaches", "How it was made", "Limits", "Environment", "Citation"):
        assert f"## {section}" in card.text
