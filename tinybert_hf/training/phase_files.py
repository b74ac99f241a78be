"""What a phase leaves in its folder, and whether it is still that."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn
from transformers import PreTrainedModel

from tinybert_hf.data.shard_folder import file_digest, replace_file
from tinybert_hf.errors import OutputFolderError
from tinybert_hf.opening import put_in_place
from tinybert_hf.training.origin import check_origin
from tinybert_hf.training.phase import Phase, PhaseResult
from tinybert_hf.training.sharding import whole_state
from tinybert_hf.wording import capital, to_write

PHASE_FILE = "phase.json"
RESULT_FILE = "result.json"
LOG_FILE = "log.json"
STUDENT_WEIGHTS = "student/model.safetensors"
MADE_FROM = "made_from"
OWN_CACHE = "teacher_cache"


def check_same_phases(folder: Path, phases: Sequence[Phase]) -> None:
    """Refuse to go on with a run whose finished or begun phases had other settings."""
    for index, phase in enumerate(phases):
        for path in folder.glob(f"{index}-*/{PHASE_FILE}"):
            there, now = json.loads(path.read_text(encoding="utf-8")), json.loads(json.dumps(asdict(phase)))
            there.pop(MADE_FROM, None)
            names = [name for name in {**there, **now} if there.get(name) != now.get(name)]
            if names:
                differ = ", ".join(f"{name}: {there.get(name)} there, {now.get(name)} now" for name in names)
                raise OutputFolderError(
                    f"{path.parent} was begun with other settings of phase {index} ({differ}). Epochs that are left "
                    f"open follow the number of rows. Give another output folder, or remove {folder} to start anew."
                )


def check_same_origin(folder: Path, origin: Mapping[str, Any]) -> None:
    """Refuse to go on with a run that was begun with another teacher, tokenizer, student or other rows."""
    for path in sorted(folder.glob(f"*-*/{PHASE_FILE}")):
        there = json.loads(path.read_text(encoding="utf-8")).get(MADE_FROM)
        if there is not None:  # an earlier version did not note it
            advice = f"Give what it was begun with, or another output folder; or remove {folder} to start anew."
            check_origin(there, origin, folder.parent, advice)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Beside, then renamed: a run that is stopped here leaves no half of it."""
    replace_file(path, lambda handle: handle.write(json.dumps(content).encode()))


@contextmanager
def said_if_not_written(path: Path) -> Iterator[None]:
    """An error of the disk as one of ours, with what to do."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise OutputFolderError(
            f"{path} could not be written: {error}. {capital(to_write(error))}, and give the same call again: what is "
            "finished stays, and a phase that was stopped goes on from its last checkpoint, where it has one."
        ) from error


def finished(work: Path) -> PhaseResult:
    """The result of a phase that was finished, its files checked."""
    try:
        content = json.loads((work / RESULT_FILE).read_text(encoding="utf-8"))
        digests: dict[str, str] = content.pop("sha256")
        result = PhaseResult(**content)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise OutputFolderError(
            f"{work / RESULT_FILE} is damaged ({error}). Remove {work} to repeat the phase."
        ) from None
    for name, digest in digests.items():
        path = work / name
        if not path.is_file() or file_digest(path) != digest:
            what = "has been changed since it was written" if path.is_file() else "is missing"
            raise OutputFolderError(f"{path} {what}. Remove {work} to repeat the phase.")
    return result


def finish(
    work: Path,
    student: PreTrainedModel,
    processing_class: Any,
    beside: Mapping[str, nn.Module],
    result: PhaseResult,
    log: Mapping[str, Any],
) -> None:
    """Write student, log and result; then remove what only a stopped phase needs.

    Args:
        work: folder of the phase.
        student: that it made.
        processing_class: saved with the student.
        beside: modules that are kept with it (projections, weights of losses), by the name of their file.
        result: of the phase.
        log: of the phase.
    """
    shutil.rmtree(work / "student", ignore_errors=True)  # of a run that was stopped right here
    put_in_place(student, processing_class, work / "student")
    written = [STUDENT_WEIGHTS]
    for name, module in beside.items():
        save_file(whole_state(module), work / name)
        written.append(name)
    write_json(work / LOG_FILE, log)
    digests = {name: file_digest(work / name) for name in written}
    write_json(work / RESULT_FILE, {**asdict(result), "sha256": digests})
    remove_unneeded(work)


def remove_unneeded(work: Path) -> None:
    """Remove what only a phase that is not finished needs."""
    for unneeded in (*work.glob("checkpoint-*"), work / OWN_CACHE):
        shutil.rmtree(unneeded, ignore_errors=True)
