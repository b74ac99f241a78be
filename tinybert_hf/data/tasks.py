"""What every task offers."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from tinybert_hf.data.settings import PROBLEM_TYPES, SINGLE_LABEL, DataSettings
from tinybert_hf.errors import DataError
from tinybert_hf.messages import counted
from tinybert_hf.tasks import spec_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from datasets import Dataset, Features


# Rows that are learnt from and measured on as well.

_READ = ("text", "text_pair", "question", "context", "source")  # what a model reads; the rest are answers


def shared_rows_notes(data: TaskData) -> Iterator[str]:
    """A sentence for each part of the rows that are measured on, of which rows are learnt from too.

    Args:
        data: checked rows.
    """
    learnt = {"training": data.train, "unlabelled": data.unlabelled}
    measured = {"validation": data.validation, **data.further_validation}
    for name, rows in measured.items():
        if rows is None:
            continue
        keys = list(keys_of(rows))
        wanted = set(keys)
        for other, further in learnt.items():
            again = wanted.intersection(keys_of(further)) if further is not None else set()
            shared = sum(key in again for key in keys)
            if shared:
                stand = f"{counted(len(keys), f'{name} row')} {'stands' if shared == 1 else 'stand'}"
                yield (
                    f"{shared:,} of {stand} among the {other} rows too, letter case apart, so the "
                    "figures on them are better than on new rows."
                )


def keys_of(rows: Dataset) -> Iterator[Any]:
    """What a model reads of each row, letter case and blanks apart."""
    if "tokens" in rows.column_names:
        yield from (alike(" ".join(words)) for words in rows["tokens"])
    else:
        read = [map(alike, rows[name]) for name in _READ if name in rows.column_names]
        yield from zip(*read, strict=True)


def alike(text: str) -> str:
    """The same for texts that most tokenizers read alike."""
    return " ".join(text.casefold().split())


def dataset_of(columns: Mapping[str, Sequence[Any]], features: Features) -> Dataset:
    """Rows that have been checked, as a dataset in memory.

    `Dataset.from_dict` looks at every value in Python and hashes all of it, which takes several times as long as
    reading the file.

    Args:
        columns: one value per row each.
        features: of all columns.
    """
    import pyarrow as pa  # type: ignore[import-untyped]
    from datasets import Dataset
    from datasets.fingerprint import generate_random_fingerprint
    from datasets.table import InMemoryTable

    table = pa.Table.from_pydict(dict(columns), schema=features.arrow_schema)
    return Dataset(InMemoryTable(table), fingerprint=generate_random_fingerprint())


@dataclass(frozen=True)
class TaskData:
    """Checked rows and the labels that a model for them needs.

    Attributes:
        train: rows to learn from, or None where they were not asked for.
        validation: rows to measure on, or None where they were not asked for.
        label_names: in the order of their ids; one name for regression.
        problem_type: as transformers calls it; of a task that is no text classification the task's name.
        notes: what a user should know about the rows, a sentence each: what was left out, what looks wrong.
        further_validation: further rows to measure on, by name.
        unlabelled: further rows for the phases, without a label column; None where there are none.
    """

    train: Dataset | None
    validation: Dataset | None
    label_names: tuple[str, ...]
    problem_type: str
    notes: tuple[str, ...] = ()
    further_validation: Mapping[str, Dataset] = field(default_factory=dict)
    unlabelled: Dataset | None = None

    def part(self, name: str) -> Dataset:
        """The rows called train, validation, unlabelled, or as a further validation split is called."""
        rows = self.further_validation[name] if name in self.further_validation else getattr(self, name)
        assert rows is not None, f"the {name} rows were not asked for"
        return rows  # type: ignore[no-any-return]

    @property
    def num_labels(self) -> int:
        """Width of the classifier."""
        return len(self.label_names)

    @property
    def config_fields(self) -> dict[str, Any]:
        """What the configuration of a model for these rows says about its head."""
        fields: dict[str, Any] = {}
        if self.label_names:
            fields["id2label"] = dict(enumerate(self.label_names))
            fields["label2id"] = {name: index for index, name in enumerate(self.label_names)}
        if self.problem_type in PROBLEM_TYPES:
            fields["problem_type"] = self.problem_type
        width = spec_of(self.problem_type).width
        if width is not None:
            fields["num_labels"] = width
        return fields


class Task(Protocol):
    """Loads raw rows and makes them ready for a model."""

    def load(
        self,
        settings: DataSettings,
        *,
        need_train: bool = True,
        need_validation: bool = True,
        label_names: Sequence[str] | None = None,
    ) -> TaskData:
        """Reads and checks the rows.

        Args:
            settings: where the rows are.
            need_train: read the train split.
            need_validation: read the validation split.
            label_names: the labels of a trained model, in its order; None where the data decides.

        Raises:
            DataError: anything about the rows that cannot be used.
        """
        ...

    def tokenize(self, rows: Dataset, tokenizer: Any, settings: DataSettings) -> Dataset:
        """Turns checked rows into what a model takes.

        Args:
            rows: from `load`; without the label column they become inputs alone.
            tokenizer: of the model.
            settings: says how many tokens to keep.

        Returns:
            The columns of the model. What a user should know about them is in `tokenizing_notes`.
        """
        ...


# Rows that are held out of the training rows, to measure on.


def holds_out(load: Callable[..., TaskData]) -> Callable[..., TaskData]:
    """A task's `load` that knows of a `validation_split` that is a share.

    All rows are read and checked as training rows, so that labels and notes are those of the whole, whichever rows are
    held out.
    """

    @functools.wraps(load)
    def loading(
        task: Any, settings: DataSettings, *, need_train: bool = True, need_validation: bool = True, **more: Any
    ) -> TaskData:
        share = settings.held_out_share
        if share is None or not (need_train or need_validation):
            return load(task, settings, need_train=need_train, need_validation=need_validation, **more)
        if not need_validation:
            return replace(loading(task, settings, **more), validation=None)
        if settings.further_parts:
            raise DataError(
                f"Further rows to measure on ({', '.join(settings.further_parts)}) stand beside validation rows of "
                f"their own, and validation_split is {share:g}, a share of the training rows. Give --validation-file, "
                "or leave out further_validation and further_validation_files."
            )
        named = replace(settings, validation_split="validation", max_train_rows=None)
        whole = load(task, named, need_train=True, need_validation=False, **more)
        train, held_out = _split(whole, share, settings)
        return replace(whole, train=train if need_train else None, validation=held_out)

    return loading


def _split(whole: TaskData, share: float, settings: DataSettings) -> tuple[Dataset, Dataset]:
    """Rows to learn from, and a share of them to measure on; both in the order of the file.

    Of rows with one label each, every label gives its share, and keeps a row to learn from.
    """
    rows = whole.part("train")
    if len(rows) < 2:
        raise DataError(f"There is one training row alone, so none can be held out (validation_split {share:g}).")
    labels = rows["label"][:] if whole.problem_type == SINGLE_LABEL else [0] * len(rows)
    held_out = _drawn(labels, share, random.Random(settings.split_seed))
    parts = ([row for row in range(len(rows)) if row not in held_out], sorted(held_out))
    most = (settings.max_train_rows, settings.max_validation_rows)
    train, validation = (rows.select(part[:cap], keep_in_memory=True) for part, cap in zip(parts, most, strict=True))
    for what, part in zip(("remaining training", "held-out"), parts, strict=True):
        there = {labels[row] for row in part}
        if len(there) == 1 < len(set(labels)):
            raise DataError(
                f"All {len(part):,} {what} rows have the label {whole.label_names[there.pop()]!r} (validation_split "
                f"{share:g} of {len(rows):,} rows): nothing to tell apart. Take another share, or name rows "
                "to measure on with --validation-file."
            )
    return train, validation


def _drawn(labels: Sequence[Any], share: float, draw: random.Random) -> set[int]:
    """The rows that are held out: of each label its share, the largest remainders first, and never all."""
    by_label: dict[Any, list[int]] = {}
    for row, label in enumerate(labels):
        by_label.setdefault(label, []).append(row)
    count = min(max(1, round(share * len(labels))), len(labels) - 1)
    exact = {label: count * len(rows) / len(labels) for label, rows in by_label.items()}
    taken = {label: min(int(exact[label]), len(rows) - 1) for label, rows in by_label.items()}
    for label in sorted(exact, key=lambda one: int(exact[one]) - exact[one]):
        if sum(taken.values()) < count and taken[label] < len(by_label[label]) - 1:
            taken[label] += 1
    held_out = {row for label, rows in by_label.items() for row in draw.sample(rows, taken[label])}
    return held_out or {draw.randrange(len(labels))}


def add_tokenizing_notes(rows: Dataset, notes: Sequence[str]) -> None:
    """Leaves notes, a line each, on rows that a task has tokenized."""
    rows.info.description = "\n".join(notes)


def tokenizing_notes(rows: Dataset) -> tuple[str, ...]:
    """What a user should know about tokenized rows, such as how many texts were cut.

    Args:
        rows: from the `tokenize` of a task.
    """
    return tuple(rows.info.description.splitlines())
