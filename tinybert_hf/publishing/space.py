"""Writes the folder of a Hugging Face Space that shows a student: whole, or not at all."""

from __future__ import annotations

import json
import re
from importlib import metadata
from pathlib import Path
from shutil import copyfile
from typing import Any

from tinybert_hf.checkpoints import made_beside, save_atomically
from tinybert_hf.checkpoints.integrity import place_folder, read_object
from tinybert_hf.data.generation import source_positions
from tinybert_hf.errors import OutputFolderError, TinyBertError
from tinybert_hf.model.manifest_tinybert import sha256_of
from tinybert_hf.publishing.demo import Contest, check_gradio, examples_for

APP_FILE, SETTINGS_FILE = "app.py", "settings.json"
RECORD_FILE = "space.json"  # which files were written here, so that nothing of somebody else is replaced
MODEL_FOLDER = "model"
_REPOSITORY = re.compile(r"[\w.-]+(/[\w.-]+)?", re.ASCII)
_NO_LIMIT = 512  # tokens, where a model reads any number


def write_space(contest: Contest, folder: str | Path, repo_id: str | None = None) -> list[str]:
    """Writes app.py, settings.json, requirements.txt and README.md, and the model where it has no id on the Hub.

    Args:
        contest: whose student is shown.
        folder: absent, empty, or written by an earlier call and not changed since.
        repo_id: of the student on the Hub; None: it is copied into the folder.

    Returns:
        The files, as paths in the folder.

    Raises:
        OutputFolderError: the folder holds something else, or cannot be written.
        TinyBertError: the id cannot be one, or gradio is not installed.
    """
    check_gradio()
    if repo_id is not None and not _REPOSITORY.fullmatch(repo_id):
        raise TinyBertError(f"--repo-id {repo_id!r:.100} is no id on the Hub. It looks like me/tinybert-sst2.")
    target = Path(folder).absolute()
    check_space_folder(target)
    try:
        with made_beside(target) as beside:
            beside.mkdir()
            if repo_id is None:
                save_atomically(contest.student.model, contest.student.tokenizer, beside / MODEL_FOLDER)
            name = repo_id or Path(contest.student.name).resolve().name
            copyfile(Path(__file__).with_name("space_app.py"), beside / APP_FILE)
            settings = json.dumps(_settings(contest, name, repo_id), indent=1, ensure_ascii=False)
            _write(beside / SETTINGS_FILE, settings + "\n")
            _write(beside / "requirements.txt", _requirements(contest))
            _write(beside / "README.md", _readme(name, repo_id))
            written = sorted(str(path.relative_to(beside)) for path in beside.rglob("*") if path.is_file())
            record = {
                "written_by": "tinybert demo --space",
                "files": {name: sha256_of(beside / name) for name in written},
            }
            _write(beside / RECORD_FILE, json.dumps(record, indent=1) + "\n")
            place_folder(beside, target, replace=True)
    except OSError as error:
        raise OutputFolderError(f"--space {target} cannot be written: {error.strerror or error}.") from error
    return written


def check_space_folder(target: Path) -> None:
    """Refuses a folder that holds anything but what an earlier call has written; writes nothing.

    Raises:
        OutputFolderError: it does, or it is a file.
    """
    if target.exists() and not target.is_dir():
        raise OutputFolderError(f"--space {target}: a file of that name exists; choose another folder.")
    inside = [path for path in target.rglob("*") if not path.is_dir()] if target.is_dir() else []
    if not inside and not (target.is_dir() and any(target.iterdir())):
        return
    known = _record(target)
    names = {str(path.relative_to(target)) for path in inside} - {RECORD_FILE}
    foreign = sorted(names - known.keys()) if known else sorted(path.name for path in target.iterdir())
    if foreign:
        raise OutputFolderError(
            f"--space {target} holds something else ({_some(foreign)}); nothing was changed there. Choose a folder "
            "that is absent or empty."
        )
    edited = sorted(name for name in names if sha256_of(target / name) != known[name])
    if edited:
        raise OutputFolderError(
            f"--space {target}: {_some(edited)} was edited since it was written; nothing was changed there. Choose "
            "another folder, or move it away."
        )


def _record(target: Path) -> dict[str, str]:
    """The files that an earlier call wrote, with their SHA-256; empty where there was none."""
    try:
        files = read_object(target / RECORD_FILE).get("files")
    except TinyBertError:
        return {}
    return files if isinstance(files, dict) else {}


def _settings(contest: Contest, name: str, repo_id: str | None) -> dict[str, Any]:
    """What app.py, the file space_app.py beside this one, reads from settings.json."""
    student, translator = contest.student, contest.translates
    config = student.model.config
    positions = getattr(config, "max_decoder_position_embeddings", None) or source_positions(student.model, None)
    return {
        "title": name.rpartition("/")[2],
        "model": repo_id or MODEL_FOLDER,
        "problem": contest.kind,
        "boxes": ["First text", "Second text"] if contest.pairs else ["Text"],
        "limit": student.limit or _NO_LIMIT,
        "positions": positions or 2 * _NO_LIMIT,
        "beams": contest.num_beams,
        "examples": [list(texts) for texts in examples_for(contest.facts, translator=translator, pairs=contest.pairs)],
    }


def _requirements(contest: Contest) -> str:
    """What app.py imports; gradio itself is the Space's own (sdk_version)."""
    names = [f"torch>={_installed('torch')}", f"transformers>={_installed('transformers')}"]
    files = getattr(contest.student.tokenizer, "vocab_files_names", {}).values()
    if any(str(file).endswith((".model", ".spm")) for file in files):
        names.append("sentencepiece>=0.2")
    return "".join(f"{name}\n" for name in names)


def _readme(name: str, repo_id: str | None) -> str:
    front = ["---", f"title: {json.dumps(name.rpartition('/')[2])}", "sdk: gradio"]
    front += [f'sdk_version: "{_installed("gradio")}"', f"app_file: {APP_FILE}"]
    front += ["models:", f"  - {repo_id}"] if repo_id is not None else []
    where = (
        f"the model [{repo_id}](https://huggingface.co/{repo_id})" if repo_id else f"the model in `{MODEL_FOLDER}/`"
    )
    return "\n".join([*front, "---", "", f"A page that shows {where}: type a text, see its answer.", ""])


def _installed(package: str) -> str:
    return metadata.version(package).split("+")[0]  # torch names its build


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
