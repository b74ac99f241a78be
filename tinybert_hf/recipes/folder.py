"""The folder a run writes to, resumed when it holds the same run, and how far a long stage is."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf.checkpoints import check_writable
from tinybert_hf.checkpoints.integrity import read_object, write_json
from tinybert_hf.checkpoints.run_record import RUN_FILE, with_present_names
from tinybert_hf.data import DataSettings
from tinybert_hf.data.shards import folder_content, held_folder, is_first_process
from tinybert_hf.errors import OutputFolderError, TinyBertError
from tinybert_hf.model.manifest_tinybert import sha256_of

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


# How far a long translation or a large corpus is, and how fast it goes.

SECONDS_BETWEEN_LINES = 30.0


@contextmanager
def row_progress(
    console: Console, title: str, total: int | None = None, *, seconds_between_lines: float = SECONDS_BETWEEN_LINES
) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal; elsewhere, as in a log file, a line from time to time.

    Args:
        console: where to print.
        title: what is done.
        total: rows, where it is known before.
        seconds_between_lines: without a terminal.

    Yields:
        A function to call with (rows done, rows in all). The rate counts from its first call, so rows that an earlier
        start has done do not flatter it.
    """
    if not console.is_terminal:
        yield _lines(console, title, seconds_between_lines)
        return
    progress = _bar(console)
    with progress:
        bar = progress.add_task(title, total=total, rate="")
        begun: list[tuple[float, int]] = []

        def update(done: int, rows: int) -> None:
            progress.update(bar, completed=done, total=rows, rate=_rate(begun, done))

        yield update


@contextmanager
def share_progress(
    console: Console, title: str, *, seconds_between_lines: float = SECONDS_BETWEEN_LINES
) -> Iterator[Callable[[float, int], None]]:
    """The same for a corpus, whose length is only known at the end.

    Args:
        console: where to print.
        title: what is done.
        seconds_between_lines: without a terminal.

    Yields:
        A function to call with (share that is done, tokens so far). The rate counts from its first call.
    """
    begun: list[tuple[float, int]] = []
    said = time.perf_counter()

    def words(tokens: int) -> str:
        rate = _rate(begun, tokens, "tokens/s")
        return f"{tokens / 1e6:,.1f} M tokens{f', {rate}' if rate else ''}"

    if not console.is_terminal:

        def line(share: float, tokens: int) -> None:
            nonlocal said
            told = words(tokens)
            if time.perf_counter() - said >= seconds_between_lines:
                said = time.perf_counter()
                console.print(f"{title}: {share:.0%} of the text, {told}", highlight=False, markup=False)

        yield line
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    told = TextColumn("{task.fields[words]}")
    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), told, TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task(title, total=1.0, words="")
        yield lambda share, tokens: progress.update(bar, completed=share, words=words(tokens))


def counting(update: Callable[[int, int], None], total: int) -> Callable[[int], None]:
    """From a function of (rows done, rows in all) to one of the rows of a batch."""
    done = 0

    def advance(rows: int) -> None:
        nonlocal done
        done += rows
        update(done, total)

    update(0, total)
    return advance


def _bar(console: Console) -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    rate = TextColumn("{task.fields[rate]}")
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), rate, TimeRemainingColumn()

    return Progress(*columns, console=console, transient=True)


def _lines(console: Console, title: str, seconds_between: float) -> Callable[[int, int], None]:
    begun: list[tuple[float, int]] = []
    said = time.perf_counter()

    def update(done: int, rows: int) -> None:
        nonlocal said
        rate = _rate(begun, done)
        if time.perf_counter() - said >= seconds_between and rate:
            said = time.perf_counter()
            console.print(f"{title}: {done:,} of {rows:,} rows, {rate}", highlight=False, markup=False)

    return update


def _rate(begun: list[tuple[float, int]], done: int, unit: str = "rows/s") -> str:
    now = time.perf_counter()
    if not begun:
        begun.append((now, done))
    since, before = begun[0]
    if done <= before or now <= since:
        return ""
    rate = (done - before) / (now - since)
    return f"{rate:.1f} {unit}" if rate < 1000 else f"{rate:,.0f} {unit}"


# The folder a run writes to: refused when it holds something else, resumed when it holds the same run.

WORK_FOLDER = ".run"
_LOOK_AGAIN = 0.2  # seconds
_MODELS = "content of the models"


class RunFolder:
    """The output folder of one run.

    While the run lasts, `.run/` inside it holds the recipe, the results of finished stages, and everything that is
    only half written; a stage's files are moved to their place when they are complete. At the end run.json is
    written and `.run/` is removed.

    Of several processes the first one writes; the others keep the results of their stages to themselves, and wait
    where they need a file of the first.
    """

    def __init__(
        self,
        path: str | Path,
        settings: Mapping[str, Any],
        data: DataSettings,
        further_files: Sequence[str] = (),
        models: Mapping[str, str | None] | None = None,
    ) -> None:
        """Name the folder; nothing is written yet.

        Args:
            path: the folder.
            settings: two runs are the same when these and the content of the data files are.
            data: names the files.
            further_files: whose content counts too.
            models: field of the settings -> folder of the model that it names, whose files count in place of its path.
        """
        self.path = Path(path)
        self.work = self.path / WORK_FOLDER
        self._kept: dict[str, Any] = {}  # results of a process that writes nothing
        self._identity = _identity(settings, (data.train_file, data.validation_file, *further_files))
        contents = {field: folder_content(name) for field, name in (models or {}).items() if name}
        self._identity |= {_MODELS: {field: files for field, files in contents.items() if files}}

    @property
    def is_started(self) -> bool:
        """Whether the same run has written here before."""
        return (self.work / "recipe.json").exists() or self.is_finished

    @property
    def is_finished(self) -> bool:
        """Whether the same run was completed here."""
        return (self.path / RUN_FILE).exists()

    def check(self, bytes_needed: int = 0) -> None:
        """Refuse a folder that the run cannot have; writes nothing.

        Raises:
            OutputFolderError: a file stands there, it holds something else or another run, it cannot be written, or
                the disk is too full.
        """
        if self.path.exists() and not self.path.is_dir():
            raise OutputFolderError(
                f"output folder {self.path}: a file of that name exists; choose another --output-dir"
            )
        there = self._identity_there()
        if there is not None:
            differences = _differences(there, self._identity)
            if differences:
                raise OutputFolderError(
                    f"output folder {self.path} holds another run:\n  " + "\n  ".join(differences) + "\n"
                    "Choose another --output-dir, delete the folder, or give the earlier settings to go on with it."
                )
        else:
            refuse_filled(self.path)
        free = shutil.disk_usage(check_writable(self.path)).free
        if not self.is_started and free < bytes_needed:
            raise OutputFolderError(
                f"output folder {self.path}: the run needs about {bytes_needed / 1e6:,.0f} MB, but only "
                f"{free / 1e6:,.0f} MB are free on that disk. Free some, or choose an --output-dir on another disk."
            )

    def held(self) -> AbstractContextManager[None]:
        """While the block runs, a second run in this folder is refused, and told who holds it."""
        return held_folder(self.work, f"output folder {self.path}")

    def claim(self) -> None:
        """Make the folder and note whose it is.

        Raises:
            OutputFolderError: it cannot be made.
        """
        try:
            self.work.mkdir(parents=True, exist_ok=True)
        except (PermissionError, NotADirectoryError, FileExistsError) as error:
            raise OutputFolderError(f"output folder {self.path} cannot be made: {error.strerror}") from error
        if is_first_process() and not (self.work / "recipe.json").exists():
            write_json(self.work / "recipe.json", self._identity)

    def result_of(self, stage: str) -> Any:
        """What a finished stage left, or None.

        Processes but the first keep what they have seen: the first may be done, and its notes gone.
        """
        found = self._stages().get(stage)
        if found is not None and not is_first_process():
            self._kept[stage] = found
        return found

    def finish_stage(self, stage: str, result: Any) -> None:
        """Note that a stage is complete, so that a later start skips it."""
        if is_first_process():
            write_json(self.work / "stages.json", {**self._stages(), stage: result})
        else:
            self._kept[stage] = result

    def wait_for(self, is_there: Callable[[], bool]) -> None:
        """In all processes but the first: until the first has made something, or has finished the run."""
        while not (is_first_process() or is_there() or self.is_finished):
            time.sleep(_LOOK_AGAIN)

    def wait_for_stage(self, stage: str) -> None:
        """As `wait_for`, until a stage is complete."""
        self.wait_for(lambda: self.result_of(stage) is not None)

    def place(self, name: str, target: str = "") -> None:
        """Move the files of `.run/<name>` to their final folder; called again after a stop, it moves the rest.

        config.json goes last: without it nobody can load a folder that is half there.
        """
        source, folder = self.work / name, self.path / target
        if not is_first_process():
            self.wait_for((folder / "config.json").is_file)
            return
        folder.mkdir(parents=True, exist_ok=True)
        for file in sorted(source.iterdir(), key=lambda file: file.name == "config.json") if source.is_dir() else ():
            if (folder / file.name).is_dir():
                shutil.rmtree(folder / file.name)
            os.replace(file, folder / file.name)
        shutil.rmtree(source, ignore_errors=True)

    def finish(self, report: Mapping[str, Any]) -> None:
        """Write run.json and remove what only a resume would have needed."""
        if not is_first_process():
            self.wait_for(lambda: False)
            return
        write_json(self.path / RUN_FILE, {**report, "identity": self._identity})
        shutil.rmtree(self.work, ignore_errors=True)
        for copy in (*self.path.glob("phases/*/checkpoint-*"), *self.path.glob("phases/*/student")):
            shutil.rmtree(copy, ignore_errors=True)

    def read_report(self) -> dict[str, Any]:
        """run.json of the finished run."""
        return read_json(self.path / RUN_FILE)

    def _stages(self) -> dict[str, Any]:
        file = self.work / "stages.json"
        return {**(read_json(file) if file.exists() else {}), **self._kept}

    def began_without(self, section: str) -> bool:
        """Whether a run stands here that was begun by a recipe without this section."""
        there = self._identity_there()
        return there is not None and there.get(section) is None

    def _identity_there(self) -> dict[str, Any] | None:
        if (self.path / RUN_FILE).exists():
            return with_present_names(read_json(self.path / RUN_FILE).get("identity"))  # type: ignore[no-any-return]
        file = self.work / "recipe.json"
        return with_present_names(read_json(file)) if file.exists() else None


def refuse_filled(path: Path) -> None:
    """Refuse a folder that has something in it.

    Raises:
        OutputFolderError: it is not empty.
    """
    inside = sorted(item.name for item in path.iterdir()) if path.is_dir() else []
    # A start that was stopped at once leaves an empty work folder.
    if inside and inside != [WORK_FOLDER]:
        names = ", ".join(inside[:5]) + (", ..." if len(inside) > 5 else "")
        raise OutputFolderError(
            f"output folder {path} holds something else ({names}); nothing was changed there. Choose another "
            "--output-dir, or empty it."
        )


def read_json(path: Path) -> dict[str, Any]:
    """What `write_json` has written.

    Raises:
        OutputFolderError: it is not there, or it is broken.
    """
    try:
        return read_object(path)
    except TinyBertError as error:
        raise OutputFolderError(
            f"{path} cannot be read ({error}); delete it or choose another --output-dir"
        ) from error


def _identity(settings: Mapping[str, Any], names: Iterable[str | None]) -> dict[str, Any]:
    files = [Path(name) for name in names if name]
    content = {f"content of {file}": sha256_of(file)[:16] for file in files if file.is_file()}
    identity: dict[str, Any] = json.loads(json.dumps({**settings, **content}, default=str))
    return identity


def _differences(there: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What is not the same, a line each. A model that was moved is the same, one that was exchanged is not."""
    models, own = there.get(_MODELS) or {}, now.get(_MODELS) or {}
    before, after = (_flat({name: part for name, part in side.items() if name != _MODELS}) for side in (there, now))
    paths = [path for path in {**before, **after} if before.get(path) != after.get(path)]
    paths = [path for path in paths if path not in own or own[path] != models.get(path)]
    exchanged = [
        f"{field}: {', '.join(files[:4])} in {after.get(field)} changed since the run began"
        for field in own
        if field in models and field not in paths and (files := _other_files(models[field], own[field]))
    ]
    lines = exchanged + [f"{path}: {_shown(before.get(path))} there, {_shown(after.get(path))} now" for path in paths]
    return lines[:6] + ([f"... and {len(lines) - 6} more"] if len(lines) > 6 else [])


def _other_files(there: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    return [name for name in {**there, **now} if there.get(name) != now.get(name)]


def _shown(value: Any) -> str:
    return "not named" if value is None else repr(value)


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    if isinstance(value, list):
        value = dict(enumerate(value))
    if isinstance(value, Mapping) and value:
        parts = [_flat(one, f"{path}.{key}" if path else str(key)) for key, one in value.items()]
        return {deep: leaf for part in parts for deep, leaf in part.items()}
    return {path: value}
