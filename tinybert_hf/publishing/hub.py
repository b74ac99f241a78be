"""Push a model's folder to the Hub: one commit, and nothing of somebody else is overwritten in silence."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf.checkpoints import (
    EXPORT_FILE,
    ONNX_FOLDER,
    check_folder_files,
    check_manifest,
    files_of_export,
    is_exported,
    modules_of,
)
from tinybert_hf.checkpoints.card_parts import CARD_FILE, CardSettings
from tinybert_hf.checkpoints.integrity import write_atomically
from tinybert_hf.checkpoints.model_card import eval_results_of, metrics_of, write_card
from tinybert_hf.errors import TinyBertError
from tinybert_hf.model.manifest_tinybert import MANIFEST_FILE, sha256_of, write_manifest

if TYPE_CHECKING:
    from huggingface_hub import HfApi

METRICS_FILE = "metrics.json"
EVAL_RESULTS_FILE = ".eval_results/tinybert.yaml"
# Of a run's folder: the student. Its phases, its teacher and run.json, which names local paths, stay here.
_MODEL = (
    "*.safetensors", "pytorch_model*.bin", "*.onnx", "*.onnx.data", "openvino_*.xml", "openvino_*.bin", "*.tflite",
)  # fmt: skip
_PUSHED = (
    *_MODEL, "*.safetensors.index.json", "pytorch_model.bin.index.json", "config.json", "generation_config.json",
    "*.py", "*tokenizer*.json", "special_tokens_map.json", "added_tokens.json", "vocab.txt", "merges.txt", "*.model",
    CARD_FILE, METRICS_FILE, MANIFEST_FILE, EVAL_RESULTS_FILE, EXPORT_FILE, "modules.json", "*sentence*.json",
)  # fmt: skip


@dataclass(frozen=True)
class Pushed:
    """What a push has done.

    Attributes:
        repo_id: with its owner.
        url: of the commit; of the repository where nothing had changed.
        files: that were sent.
        unchanged: that were there already.
        left: weights and graphs that are there and not in this folder.
    """

    repo_id: str
    url: str
    files: tuple[str, ...]
    unchanged: tuple[str, ...]
    left: tuple[str, ...] = ()


def push(
    folder: str | Path,
    repo_id: str,
    *,
    private: bool = False,
    revision: str | None = None,
    overwrite: bool = False,
    license: str | None = None,
    settings: CardSettings | None = None,
    message: str = "Upload a TinyBERT",
    token: str | None = None,
) -> Pushed:
    """Send a model, its tokenizer, its code, a card and its figures to the Hub, in one commit.

    The repository is made where it is not there. A file there that is not what an earlier push has put there, a card
    that somebody has edited for example, is not replaced unless that is asked for. A README.md in the folder that was
    not written by this package is taken as the card. An upload that was interrupted is begun again by the same call;
    large files that have arrived are not sent twice, and until all have arrived nothing is changed there.

    Args:
        folder: of a model, as `tinybert distill` or `tinybert convert` leaves it.
        repo_id: owner/name, or a name of one's own.
        private: make the repository private; one that is there already must be.
        revision: branch; made where it is not there. None: main.
        overwrite: replace files of others.
        license: for the card.
        settings: license and language for the card; see `card_of`.
        message: of the commit.
        token: of the Hub; None: that of `hf auth login` or HF_TOKEN.

    Returns:
        The repository, the address of the commit, and which files were sent or were there already.

    Raises:
        TinyBertError: no model in the folder, or its weights were changed after they were saved; an id that is not
            valid; no token, or one without the right; files of others; the Hub could not be reached. Each time
            nothing was changed on the Hub, but for a repository that may have been made.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    place = Path(folder)
    if not (place / "config.json").is_file():
        raise TinyBertError(
            f"{place} holds no model: there is no config.json. Give the folder that `tinybert distill` or `tinybert "
            "convert` has written."
        )
    _check_model(place)
    api = HfApi(token=token, library_name="tinybert_hf")
    with _explained(repo_id):
        name = _repository(api, repo_id, private)
        _write_notes(place, name, license, settings)
        if revision is not None:
            api.create_branch(name, branch=revision, exist_ok=True)
        there = api.model_info(name, revision=revision, files_metadata=True)
        remote = {one.rfilename: one for one in there.siblings or ()}
        local = _files(place)
        unchanged = tuple(file for file, path in local.items() if _is_same(path, remote.get(file)))
        changed = {file: path for file, path in local.items() if file not in unchanged}
        weights = [file for file in remote if any(fnmatch(Path(file).name, one) for one in _MODEL)]
        left = tuple(sorted(set(weights) - set(local)))
        if not overwrite:
            _refuse_others(api, name, revision, [remote[file] for file in changed if file in remote])
        if not changed:
            return Pushed(name, f"{api.endpoint}/{name}", (), unchanged, left)
        done = api.create_commit(
            name,
            [CommitOperationAdd(file, str(path)) for file, path in changed.items()],
            commit_message=message,
            revision=revision,
            parent_commit=there.sha,  # a commit that somebody makes meanwhile is not written over
        )
    return Pushed(name, str(done.commit_url), tuple(changed), unchanged, left)


def _repository(api: HfApi, repo_id: str, private: bool) -> str:
    """The repository's full name; made where it is not there.

    Raises:
        TinyBertError: it is there and public, and was to be private.
    """
    made = api.create_repo(repo_id, private=private, exist_ok=True)
    name = str(made.repo_id)
    if private and not api.model_info(name).private:
        raise TinyBertError(
            f"{name} is there already and is public. Make it private on the Hub first, or leave --private out."
        )
    return name


def _write_notes(place: Path, name: str, license: str | None, settings: CardSettings | None) -> None:
    """Card and figures beside the model, and their hashes."""
    write_card(place, name, license, settings)
    for file, content in ((METRICS_FILE, metrics_of(place)), (EVAL_RESULTS_FILE, eval_results_of(place))):
        if content is not None:
            (place / file).parent.mkdir(exist_ok=True)
            write_atomically(place / file, content)
    write_manifest(place, (CARD_FILE, METRICS_FILE, EVAL_RESULTS_FILE))


def _check_model(place: Path) -> None:
    """Refuse a folder whose model would not go up whole.

    Raises:
        TinyBertError: its weights were changed, or there are none; with the file.
    """
    if is_exported(place):
        check_manifest(place)
    else:
        check_folder_files(place)
    pushed = _files(place).values()
    needed = files_of_export(place) if (place / EXPORT_FILE).is_file() else []
    missing = [path for path in needed if path not in pushed]
    if missing or not any(fnmatch(path.name, one) for path in pushed for one in _MODEL):
        what = f"{missing[0].relative_to(place)} is missing" if missing else "there is no file with weights"
        raise TinyBertError(f"{place} holds no whole model: {what}. Nothing was pushed. Save or export it once more.")


def _files(place: Path) -> dict[str, Path]:
    """What is pushed: the name there, and the file here."""
    folders = [place, place / ONNX_FOLDER, *(place / path for path, _ in modules_of(place) if path == Path(path).name)]
    files = [path for folder in folders if folder.is_dir() for path in folder.iterdir()]
    named = {path.relative_to(place).as_posix(): path for path in (*files, place / EVAL_RESULTS_FILE)}
    return {
        name: named[name]
        for name in sorted(named)
        if named[name].is_file() and any(fnmatch(named[name].name, one) or name == one for one in _PUSHED)
    }


def _is_same(path: Path, remote: Any) -> bool:
    """Whether a file on the Hub has the bytes of one here."""
    if remote is None or remote.size != path.stat().st_size:
        return False
    if remote.lfs is not None:
        return bool(remote.lfs.sha256 == sha256_of(path))
    content = path.read_bytes()
    return bool(remote.blob_id == hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest())


def _refuse_others(api: HfApi, name: str, revision: str | None, replaced: list[Any]) -> None:
    """Refuse to replace what no earlier push of this package has put there.

    Raises:
        TinyBertError: with the files.
    """
    if not replaced:
        return
    noted = _noted_there(api, name, revision)
    others = []
    for one in replaced:
        if one.rfilename == MANIFEST_FILE:
            if noted is None:
                others.append(one.rfilename)
            continue
        entry = (noted or {}).get(one.rfilename)
        digest = entry.get("sha256") if isinstance(entry, Mapping) else None
        if digest is None or digest != _digest_there(api, name, revision, one):
            others.append(one.rfilename)
    if others:
        raise TinyBertError(
            f"{name} holds files that no push of this package has put there, or that were changed since: "
            f"{', '.join(sorted(others))}. Nothing was pushed. Replace them (--overwrite), push to another branch "
            "(--revision), or give another --repo-id."
        )


def _noted_there(api: HfApi, name: str, revision: str | None) -> Mapping[str, Any] | None:
    """What the manifest of the last push says; None where there is none."""
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    from tinybert_hf.checkpoints.integrity import read_object

    try:
        file = api.hf_hub_download(name, MANIFEST_FILE, revision=revision)
        files = read_object(Path(file)).get("files")
    except LocalEntryNotFoundError:  # it is there, and could not be fetched
        raise
    except (EntryNotFoundError, TinyBertError):
        return None
    return files if isinstance(files, Mapping) else None


def _digest_there(api: HfApi, name: str, revision: str | None, one: Any) -> str:
    if one.lfs is not None:
        return str(one.lfs.sha256)
    return sha256_of(Path(api.hf_hub_download(name, one.rfilename, revision=revision)))


@contextmanager
def _explained(repo_id: str) -> Iterator[None]:
    """Errors of the Hub's client as ours: what was not done, and how to go on."""
    from huggingface_hub import errors

    # Of httpx or httpx2, whichever the client stands on.
    http_error: type[Exception] = errors.HfHubHTTPError.__bases__[0]
    again = "Nothing was pushed; the same command goes on, and large files that have arrived are not sent again."
    try:
        yield
    except TinyBertError:
        raise
    except errors.HFValidationError as error:
        raise TinyBertError(f"{repo_id!r} is no name of a repository (owner/name): {error}") from error
    except errors.LocalTokenNotFoundError as error:
        raise TinyBertError("There is no token of the Hub: log in (`hf auth login`), or set HF_TOKEN.") from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else None
        if status in (401, 403):
            raise TinyBertError(
                f"The Hub does not let this token write to {repo_id} ({status}). Log in with a token that may write "
                "(`hf auth login`, HF_TOKEN), or give a repository of your own. Nothing was pushed."
            ) from error
        if status in (409, 412):
            raise TinyBertError(
                f"Somebody has changed {repo_id} meanwhile ({status}). Nothing was pushed; the same command looks at "
                "it anew."
            ) from error
        raise TinyBertError(f"The Hub answered {status}: {error!s:.300}. {again}") from error
    except RuntimeError as error:
        if error.__cause__ is None:
            raise
        raise TinyBertError(f"{error} ({type(error.__cause__).__name__}: {error.__cause__!s:.200}) {again}") from error
    except (http_error, errors.OfflineModeIsEnabled, ConnectionError, TimeoutError) as error:
        raise TinyBertError(f"The Hub cannot be reached ({type(error).__name__}: {error!s:.200}). {again}") from error
