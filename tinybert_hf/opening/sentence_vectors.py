"""How a model of sentence-transformers makes one vector of a text: what follows its encoder, as its folder says."""

import json
import shutil
from pathlib import Path
from typing import Any

from tinybert_hf.opening.folders import modules_of

_OF_FOLDER = ("modules.json", "sentence_bert_config.json", "config_sentence_transformers.json")
_OF_MODULE = ("config.json", "model.safetensors", "pytorch_model.bin")
_OLD_MODES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}


def sentence_steps(folder: str | Path) -> list[str]:
    """What follows the encoder, a few words each: "mean pooling", "Normalize"; empty for a model of another kind.

    Args:
        folder: of the model.
    """
    parts = modules_of(folder)[1:]
    return [f"{_mode(Path(folder) / path)} pooling" if kind == "Pooling" else kind for path, kind in parts]


def carry_modules(folder: str | Path, target: Path) -> None:
    """Copies what sentence-transformers adds to an encoder, so that the target opens with it, too.

    Args:
        folder: of the model; one of another kind is passed over.
        target: of the new model.
    """
    parts = modules_of(folder)
    if not parts:
        return
    for name in _OF_FOLDER:
        if (Path(folder) / name).is_file():
            shutil.copyfile(Path(folder) / name, target / name)
    for path, _ in parts:
        if not path or Path(path).name != path:
            continue
        (target / path).mkdir(exist_ok=True)
        for name in _OF_MODULE:
            if (Path(folder) / path / name).is_file():
                shutil.copyfile(Path(folder) / path / name, target / path / name)


def _mode(folder: Path) -> str:
    try:
        said: Any = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "an unknown"
    if not isinstance(said, dict):
        return "an unknown"
    modes = said.get("pooling_mode") or [mode for name, mode in _OLD_MODES.items() if said.get(name)]
    return " + ".join(map(str, modes if isinstance(modes, list) else [modes])) or "an unknown"
