"""The checkpoints of a training: noted in a manifest, complete, and begun with the same models and rows."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tinybert_hf.checkpoints.integrity import flush, place_folder, verify_manifest
from tinybert_hf.data.shards import (
    configuration_of,
    folder_content,
    same_weights,
    tokenizer_digest,
    weights_of,
)
from tinybert_hf.distillation.teachers import AnyTeacher, Teachers, each_teacher
from tinybert_hf.errors import OutputFolderError
from tinybert_hf.model.manifest_tinybert import write_manifest
from tinybert_hf.training.arguments import count_rows

# Checkpoints that are whole: written beside, noted in a manifest with the hashes of their files, renamed into place.
#
# A folder without its manifest, or with a file that is not as it says, is no checkpoint. What was being written when
# a run was stopped stands in the folder `.saving` and is removed by the next run.

SAVING_FOLDER = ".saving"


def complete_checkpoint(folder: str | Path) -> str | None:
    """The newest whole checkpoint below a folder; None where there is no checkpoint at all.

    A newer one that is damaged is named in a warning and passed over.

    Raises:
        OutputFolderError: there are checkpoints, and none is whole.
    """
    found = [(_step(path), path) for path in Path(folder).glob("checkpoint-*") if _step(path) >= 0 and path.is_dir()]
    broken: list[str] = []
    for _, path in sorted(found, reverse=True):
        reason = verify_manifest(path)
        if reason is None:
            if broken:
                warnings.warn(f"{'; '.join(broken)}. The run goes on from {path.name}.", stacklevel=2)
            return str(path)
        broken.append(f"{path} cannot be used: {reason}")
    if broken:
        raise OutputFolderError(
            f"No checkpoint in {folder} is whole. {'; '.join(broken)}. Remove the folder to start anew."
        )
    return None


def checked_checkpoint(path: str | Path, needed: Iterable[str] = ()) -> str:
    """The path of one chosen checkpoint, if it is whole.

    Args:
        path: of the checkpoint.
        needed: files without which a run would go on otherwise than it was.

    Raises:
        OutputFolderError: it is not there, or damaged; the message names the file.
    """
    if not Path(path).is_dir():
        raise OutputFolderError(f"There is no checkpoint {path} to go on from.")
    missing = [name for name in needed if not (Path(path) / name).is_file()]
    reason = verify_manifest(Path(path)) or (f"it was saved without {missing[0]}" if missing else None)
    if reason is not None:
        raise OutputFolderError(
            f"{path} cannot be used: {reason}. Give resume_from_checkpoint=True to go on from the newest whole "
            "checkpoint, or start anew in another folder."
        )
    return str(path)


def put_checkpoint(written: Path, target: Path) -> None:
    """Note the hashes of a checkpoint that was written beside, put it on the disk, and rename it into place.

    A whole checkpoint of the same step is kept: it holds the same. A damaged one is replaced.
    """
    write_manifest(written, ("**/*",))
    for path in written.rglob("*"):
        if path.is_file():
            flush(path)
    if target.exists() and verify_manifest(target) is None:
        shutil.rmtree(written)
        return
    place_folder(written, target, replace=True)
    flush(target.parent)


def remove_unfinished(folder: str | Path) -> None:
    """Remove what a stopped run was writing."""
    shutil.rmtree(Path(folder) / SAVING_FOLDER, ignore_errors=True)


def step_of(checkpoint: str | None) -> int:
    """The step that a run goes on from; 0 without a checkpoint."""
    return 0 if checkpoint is None else _step(Path(checkpoint))


def _step(path: Path) -> int:
    match = re.fullmatch(r"checkpoint-(\d+)", path.name)
    return int(match[1]) if match else -1


# What a run was begun with: teachers, tokenizer, the student's start, rows. It goes on with the same, or is refused.
#
# A checkpoint holds the weights of the student, and of nothing else. Whoever goes on from it with a teacher that was
# trained further in the meantime would get a student of two teachers, and nothing would say so.

ORIGIN_FILE = "made_from.json"
# TrainingArguments by which other weights come out; how often something is logged, saved or measured is none of them.
_DECIDING = frozenset(
    (
        *("learning_rate", "num_train_epochs", "max_steps", "per_device_train_batch_size", "auto_find_batch_size"),
        *("gradient_accumulation_steps", "max_grad_norm", "weight_decay", "adam_beta1", "adam_beta2", "adam_epsilon"),
        *("optim", "optim_args", "optim_target_modules", "lr_scheduler_type", "lr_scheduler_kwargs", "warmup_steps"),
        *("label_smoothing_factor", "neftune_noise_alpha", "data_seed", "seed", "train_sampling_strategy"),
        *("dataloader_drop_last", "load_best_model_at_end", "metric_for_best_model", "greater_is_better"),
        *("bf16", "fp16"),
    )
)
_SLICE = 10_000  # rows that are read at once
_SLICES = 200  # of them at most, spread over all rows: seconds, however many rows there are
_NOT_ALWAYS_SET = ("problem_type",)  # a head fills it in at its first labels
_OF_TOKENIZER = ("bos_token_id", "eos_token_id", "pad_token_id")  # transformers' Trainer takes them from there


def origin_of(
    student: Any, tokenizer: Any, rows: Any, teacher: AnyTeacher | None = None, **further: Any
) -> dict[str, Any]:
    """What a run is made from, as JSON holds it; reads each teacher's weights once.

    The student's weights are not looked at: a checkpoint brings them, and whoever calls again from the same notebook
    has them trained in part. Where they were opened from a folder, the folder is.

    Args:
        student: that is trained.
        tokenizer: of the student.
        rows: that are learnt from.
        teacher: one or several; None: there is none.
        **further: values that are to be the same.
    """
    origin: dict[str, Any] = {
        "student": {"configuration": configuration_of(student), "folder": folder_content(_name(student))},
        "student_name": _name(student),
        "tokenizer": tokenizer_digest(tokenizer),
        "rows": {"count": count_rows(rows), "content": rows_digest(rows)},
        **further,
    }
    if teacher is not None:
        own = teacher.tokenizers if isinstance(teacher, Teachers) else (None,)
        origin["teachers"] = [
            {
                "class": type(one).__name__,
                "configuration": configuration_of(one),
                "weights": weights_of(one),
                "tokenizer": tokenizer_digest(each),
            }
            for one, each in zip(each_teacher(teacher), own, strict=True)
        ]
    return origin


def settings_of(
    training_arguments: Mapping[str, Any] | None, eval_dataset: Any, *, stops_early: bool = False
) -> dict[str, Any]:
    """What a call that goes on has to say again, beside models and rows: what decides the weights that it ends with.

    Args:
        training_arguments: of the caller.
        eval_dataset: rows that are measured on; where they choose the weights that are kept, they have to be the same.
        stops_early: they also choose when the training ends.

    Returns:
        Further values for `origin_of`.
    """
    given = training_arguments or {}
    chosen = stops_early or given.get("load_best_model_at_end") or given.get("save_strategy") == "best"
    rows = {"evaluation rows": rows_digest(eval_dataset)} if chosen else {}
    plain = (str, int, float, bool, type(None))
    decide = {
        name: given[name] if isinstance(given[name], plain) else str(given[name])
        for name in sorted(given)
        if name in _DECIDING
    }
    return {"training_arguments": decide, **rows}


def check_origin(there: Mapping[str, Any], now: Mapping[str, Any], folder: Path, advice: str) -> None:
    """Compare what a run was begun with and what it is to go on with.

    Args:
        there: that an earlier start has noted.
        now: of this start.
        folder: of the run.
        advice: what to do, the end of the message.

    Raises:
        OutputFolderError: naming what was exchanged.
    """
    try:
        found = list(_differences(there, json.loads(json.dumps(now)), folder))
    except (LookupError, TypeError, AttributeError) as error:
        what = f"{type(error).__name__}: {error}"
        raise OutputFolderError(f"What {folder} was begun with cannot be read ({what}). {advice}") from error
    if found:
        lines = [f"  {line}" for line in found[:6]] + ([f"  ... and {len(found) - 6} more"] if len(found) > 6 else [])
        raise OutputFolderError(
            "\n".join([f"{folder} was begun with something else, so the run cannot go on:", *lines, advice])
        )


def rows_digest(rows: Any) -> str | None:
    """16 hex digits of the content of a table of `datasets`, or of a list of rows, in its order; None of others.

    Rows that are made when they are asked for may differ from one reading to the next, so they are not read.
    """
    if isinstance(rows, list | tuple):
        return _list_digest(rows)
    if not hasattr(rows, "with_format") or not hasattr(rows, "select_columns") or not hasattr(rows, "__len__"):
        return None
    table = rows.select_columns(sorted(rows.column_names)).with_format("arrow")
    digest = hashlib.sha256()
    slices = range(0, len(table), _SLICE)
    for start in slices[:: 1 + len(slices) // _SLICES]:
        part = table[start : start + _SLICE].combine_chunks()
        digest.update(f"{part.num_rows} {part.column_names}".encode())
        for batch in part.to_batches():
            digest.update(batch.serialize())
    return digest.hexdigest()[:16]


def _list_digest(rows: Sequence[Any]) -> str | None:
    digest = hashlib.sha256()
    try:
        for row in rows[:: 1 + len(rows) // (_SLICE * _SLICES)]:
            digest.update(json.dumps(row, sort_keys=True, default=lambda one: one.tolist()).encode())
    except (TypeError, ValueError, AttributeError):
        return None  # values of a kind of their own
    return digest.hexdigest()[:16]


def _name(model: Any) -> str:
    return str(getattr(model.config, "_name_or_path", "") or "")


def _differences(there: Mapping[str, Any], now: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """What is not the same, a line each; what either side does not know is not compared."""
    yield from _teachers(there.get("teachers"), now.get("teachers"))
    if _known(there["tokenizer"], now["tokenizer"]):
        yield "the tokenizer of the student: it makes other tokens"
    yield from _fields("the student", there["student"]["configuration"], now["student"]["configuration"])
    yield from _start(there, now, folder)
    before, after = there["rows"], now["rows"]
    if _known(before["count"], after["count"]):
        yield f"the training rows: {before['count']:,} there, {after['count']:,} now"
    elif _known(before["content"], after["content"]):
        yield "the training rows: as many, with another content or in another order"
    compared = ("student", "student_name", "tokenizer", "rows", "teachers")
    for name in sorted((there.keys() & now.keys()).difference(compared)):
        if there[name] != now[name]:
            yield f"{name}: {there[name]} there, {now[name]} now"


def _teachers(there: Sequence[Any] | None, now: Sequence[Any] | None) -> Iterator[str]:
    if there is None or now is None:
        return
    if len(there) != len(now):
        yield f"the teachers: {len(there)} there, {len(now)} now"
        return
    for index, (before, after) in enumerate(zip(there, now, strict=True)):
        who = "the teacher" if len(now) == 1 else f"teachers[{index}]"
        if before["class"] != after["class"]:
            yield f"{who}: a {before['class']} there, a {after['class']} now"
            continue
        yield from _fields(who, before["configuration"], after["configuration"])
        if not same_weights(before["weights"], after["weights"]):
            yield f"{who}: its weights are others (trained further, or another model)"
        if _known(before["tokenizer"], after["tokenizer"]):
            yield f"the tokenizer of {who}: it makes other tokens"


def _fields(who: str, there: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Fields that both know: another version of transformers may have more."""
    for name in sorted((there.keys() & now.keys()).difference(_OF_TOKENIZER)):
        if there[name] != now[name] and not (name in _NOT_ALWAYS_SET and None in (there[name], now[name])):
            yield f"{who}: {name} is {_short(there[name])} there, {_short(now[name])} now"


def _start(there: Mapping[str, Any], now: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """The folder that the student's weights were opened from.

    One that was made anew now, or opened from the run itself, as many scripts do, takes the run's own weights.
    """
    before, after = there["student"]["folder"], now["student"]["folder"]
    unknown = there["student_name"] and not before  # on the Hub, or no longer there
    own = Path(now["student_name"]).absolute().is_relative_to(folder.absolute())
    if not after or before == after or unknown or own:
        return
    where = f"opened from {there['student_name']}" if before else "made anew"
    files = [name for name in sorted({**before, **after}) if before.get(name) != after.get(name)]
    differ = f", where {', '.join(files[:4])} differ" if before else ""
    yield f"the student's start: {where} there, opened from {now['student_name']} now{differ}"


def _known(there: Any, now: Any) -> bool:
    """Whether two values are known and differ."""
    return there is not None and now is not None and there != now


def _short(value: Any) -> str:
    text = str(value)
    return f"{text[:60]}..." if len(text) > 60 else text
