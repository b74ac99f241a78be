"""Loads a split of a dataset from the Hub."""

from collections.abc import Sequence
from typing import Any

from tinybert_hf.data.files import rows_from_dataset
from tinybert_hf.data.raw_rows import RawRows
from tinybert_hf.errors import DataError


def read_hub(
    dataset: str, config: str | None, split: str, columns: Sequence[str], max_rows: int | None = None
) -> RawRows:
    """Loads columns of one split.

    Args:
        dataset: id on the Hub, such as "nyu-mll/glue".
        config: name of the configuration, where the dataset has several.
        split: name of the split.
        columns: the columns to keep; the last is the label column.
        max_rows: keep only the first rows.

    Raises:
        DataError: the Hub is out of reach, or dataset, configuration, split or a column is unknown.
    """
    name = " ".join(part for part in (dataset, config) if part)
    loaded = load_split(
        dataset,
        config,
        split,
        "Check dataset, dataset_config, train_split and validation_split, or give files "
        "(--train-file, --validation-file).",
        "train_file and validation_file (--train-file, --validation-file), or use the dataset 'demo-sentiment'",
    )
    return rows_from_dataset(loaded, f"{name} [{split}]", columns, max_rows)


def load_split(
    dataset: str, config: str | None, split: str, advice: str, offline: str, *, streaming: bool = False
) -> Any:
    """Opens one split.

    Args:
        dataset: id on the Hub.
        config: name of the configuration, where the dataset has several.
        split: name of the split.
        advice: what to look at when it cannot be loaded.
        offline: the files to give without a network.
        streaming: download while it is read.

    Returns:
        A Dataset, or an IterableDataset where it streams.

    Raises:
        DataError: the Hub is out of reach, or dataset, configuration or split is unknown.
    """
    import datasets

    name = " ".join(part for part in (dataset, config) if part)
    options = {"streaming": True} if streaming else {}
    try:
        return datasets.load_dataset(dataset, config, split=split, **options)
    except ConnectionError as error:
        raise DataError(
            f"The dataset {name!r} cannot be fetched: {error}. Without a network give files instead: {offline}."
        ) from error
    except Exception as error:  # the Hub library raises many kinds, and each is a wrong name or a fault of the source
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"The dataset {name!r}, split {split!r}, cannot be loaded: {reason:.300} {advice}") from error


def dataset_revision(dataset: str) -> str | None:
    """The newest commit of a dataset on the Hub; None where it is out of reach, or no such id."""
    from huggingface_hub import HfApi

    try:
        return str(HfApi().dataset_info(dataset).sha)
    except Exception:  # of the network or of the id: loading the dataset says which
        return None
