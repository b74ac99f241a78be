"""What a place holds that is no saved model, and what makes one of it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tinybert_hf.errors import TinyBertError
from tinybert_hf.opening.json_files import read_object

ADAPTER_FILE = "adapter_config.json"
WEIGHTS = ("model*.safetensors", "model.safetensors.index.json", "pytorch_model*.bin", "pytorch_model.bin.index.json")
_WORK = ".run"  # of a run of this package that has not ended
_TRAINING = ".training"  # ends the name of the hidden folder of a fine-tuning that has not ended
_FOR_TASK = {
    "SEQ_CLS": "ForSequenceClassification",
    "TOKEN_CLS": "ForTokenClassification",
    "QUESTION_ANS": "ForQuestionAnswering",
    "SEQ_2_SEQ_LM": "ForSeq2SeqLM",
    "CAUSAL_LM": "ForCausalLM",
    "FEATURE_EXTRACTION": "ForFeatureExtraction",
}
# Kinds of PEFT that add tokens or states, and change no weight that they could be merged into.
_NOT_MERGED = ("PROMPT", "PREFIX", "P_TUNING", "CPT")


def check_folder(path: str | Path, kind: type[TinyBertError] = TinyBertError) -> None:
    """Refuses a place that holds no saved model, and says what it holds. What may be an id on the Hub passes.

    Args:
        path: as the user gave it.
        kind: the error.

    Raises:
        TinyBertError: of that kind: nothing is there; it is a file, a LoRA adapter, a checkpoint of Lightning, a run
            that was stopped, ...; or the folder has no config.json.
    """
    place = Path(path)
    if not place.exists():
        if place.name and (place.parent / f".{place.name}{_TRAINING}").is_dir():
            raise kind(f"{path} is not there yet: {_UNFINISHED}")
        if str(path).startswith((".", "/", "~")) or str(path).count("/") > 1:
            raise kind(
                f"{path} does not exist (looked from {Path.cwd()}). Give the folder of a saved model, or an id on the "
                "Hub."
            )
        return  # it may be an id on the Hub
    if place.is_file():
        raise kind(_file(place))
    if (place / ADAPTER_FILE).is_file():
        if not _has_weights(place):
            raise kind(_adapter(place, kind))
        beside = sorted(file.name for file in place.glob("adapter_model.*"))
        if beside:
            raise kind(
                f"{place} holds a model and an adapter to it ({beside[0]}), and it is not clear which of them should "
                f"answer. Merge the two, or, where they are merged, remove {ADAPTER_FILE} and {beside[0]}."
            )
    if not (place / "config.json").is_file():
        raise kind(next(_no_model(place)))


_UNFINISHED = (
    "the run that makes it was stopped, and no model is whole. Give the command of that run once more: it goes on "
    "from its last checkpoint."
)


def _has_weights(place: Path) -> bool:
    return any(any(place.glob(pattern)) for pattern in WEIGHTS)


def _file(place: Path) -> str:
    if place.suffix == ".ckpt":
        return _lightning(place)
    if place.name.startswith("adapter_model") or (place.parent / ADAPTER_FILE).is_file():
        return f"{place} is a file of an adapter. Give its folder, and you are told how to merge it."
    return f"{place} is a file. Give the folder that holds config.json and the weights."


def _lightning(place: Path) -> str:
    return (
        f"{place} is a checkpoint of Lightning: the weights of a training module, under names of its own. Save the "
        "model that the module holds, and give that folder: "
        f"module = YourModule.load_from_checkpoint({str(place)!r}); module.model.save_pretrained('FOLDER'); "
        "tokenizer.save_pretrained('FOLDER'), where .model is what your module calls its transformers model."
    )


def _adapter(place: Path, kind: type[TinyBertError]) -> str:
    said = read_object(place / ADAPTER_FILE, kind)
    sort, base = (
        str(said.get("peft_type") or "").upper(),
        said.get("base_model_name_or_path") or said.get("model_name"),
    )
    what = f"{place} is a {'LoRA ' if sort == 'LORA' else ''}adapter ({ADAPTER_FILE}): it holds the changes to "
    what += f"{base!s:.120} alone, and no model. " if base else "a model alone, and no model. "
    if not sort:
        return f"{what}Merge it into its model with the library that made it, and give the folder of the result."
    if any(one in sort for one in _NOT_MERGED):
        return (
            f"{what}A {sort} cannot be merged into the weights. Give a model that was fine-tuned with LoRA or whole."
        )
    auto = f"AutoPeftModel{_FOR_TASK.get(str(said.get('task_type')), '')}"
    merged = f"{place}-merged"
    return (
        f'{what}Merge the two and give the result: pip install peft; python -c "from peft import {auto} as M; '
        f'M.from_pretrained({str(place)!r}).merge_and_unload().save_pretrained({merged!r})" (with num_labels=N in '
        f"from_pretrained, where the head is new), and save the tokenizer into {merged} too."
    )


def _no_model(place: Path) -> Iterator[str]:
    """What a folder without config.json is, the surest first; the last always answers."""
    within = _transformer_of(place)
    if within is not None:
        yield (
            f"{place} is a model of sentence-transformers in its old layout: its encoder has a folder of its own. "
            f"Give that one: {within}."
        )
    if (place / _WORK).is_dir() or place.name == _WORK:
        yield f"{place} holds no model yet: {_UNFINISHED}"
    checkpoints = sorted(
        (int(found[1]), item.name)
        for item in place.iterdir()
        if (found := re.fullmatch(r"checkpoint-(\d+)", item.name)) and (item / "config.json").is_file()
    )
    if place.name.startswith(".") and place.name.endswith(_TRAINING):
        yield f"{place} is the working folder of a fine-tuning: {_UNFINISHED}"
    if checkpoints:
        yield (
            f"{place} holds the checkpoints of a training, not a model: {_listed([name for _, name in checkpoints])}. "
            f"The newest is {place / checkpoints[-1][1]}; save the best one (trainer.save_model) or give a checkpoint."
        )
    lightning = next((file for pattern in ("*.ckpt", "*/*.ckpt", "*/*/*.ckpt") for file in place.glob(pattern)), None)
    if lightning is not None:
        yield _lightning(lightning)
    if (place / "bert_config.json").is_file():
        yield (
            f"{place} holds a model as Google's TensorFlow code saved it (bert_config.json, bert_model.ckpt.*). "
            "transformers 4 still converts it (convert_bert_original_tf_checkpoint_to_pytorch); give the result."
        )
    inside = sorted(item.name for item in place.iterdir())
    models = [name for name in inside if (place / name / "config.json").is_file()]
    hint = f" Did you mean {place / models[-1]}?" if models else ""
    yield f"{place} is not a checkpoint: it has no config.json. It holds: {_listed(inside) or 'nothing'}.{hint}"


def _transformer_of(place: Path) -> Path | None:
    """Where a folder of sentence-transformers has its encoder; None where it is no such folder."""
    paths = [path for path, module in modules_of(place) if module.endswith(("Transformer", "BERT", "RoBERTa"))]
    paths += [item.name for item in sorted(place.glob("0_*"))]
    return next((place / path for path in paths if path and (place / path / "config.json").is_file()), None)


def modules_of(place: str | Path) -> list[tuple[str, str]]:
    """The parts of a model of sentence-transformers: the folder of each and its class, in order; empty for others.

    Args:
        place: a folder.
    """
    import json

    file = Path(place) / "modules.json"
    try:
        content: Any = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    parts = [one for one in content if isinstance(one, dict)] if isinstance(content, list) else []
    return [(str(one.get("path", "")), str(one.get("type", "")).rpartition(".")[2]) for one in parts]


def _listed(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
