"""The `corpus:` section of a recipe as one value."""

from dataclasses import dataclass, replace

from tinybert_hf.errors import DataError

# Of blocks, kept in two bytes each.
_LONGEST = 2**16 - 1


@dataclass(frozen=True)
class CorpusSettings:
    """The text of a general distillation, and how it is cut into blocks.

    A line of text is what is never cut without need: a line of a text file, or a line of a row's text. A blank line
    ends a document; so does the end of a row, unless `document_column` says which rows belong together.
    """

    files: tuple[str, ...] = ()
    """Text files, or .jsonl, .json, .csv, .tsv, .parquet with a text column, each also with .gz behind it; patterns
    such as text/*.txt, and folders."""
    dataset: str | None = None
    """Instead of files: id of a dataset on the Hub."""
    dataset_config: str | None = None
    """Name of its configuration."""
    split: str = "train"
    """Its split."""
    streaming: bool = False
    """Read it while it is tokenised, and keep only the tokens on the disk."""
    text_column: str | None = None
    """Column with the text. None: text, or else sentence or content."""
    document_column: str | None = None
    """Column that has the same value in all rows of a document. None: each row is a document."""
    cross_documents: bool = True
    """Fill a block with the beginning of the next document. False: a block holds one document alone, so that short
    documents make short blocks."""
    block_length: int = 128
    """Tokens of a block at most, special tokens included."""
    max_blocks: int | None = None
    """Only so many blocks, from the beginning."""
    masked_share: float = 0.0
    """Share of the tokens that are masked, for both models alike; 0 as in the paper. A phase with a label_loss_weight
    learns to find them (masked-LM loss)."""
    validation_files: tuple[str, ...] = ()
    """Held-out text to measure on. None: the last 1 % of the blocks, from 1 to 1,000 of them."""
    cache: str | None = None
    """Folder that keeps the tokenised corpus for further epochs and runs. None: tinybert_hf/corpora in the cache
    folder of Hugging Face (HF_HOME)."""

    def __post_init__(self) -> None:
        """Refuses values that no corpus could satisfy.

        Raises:
            DataError: a number outside its range, or files and a dataset at once.
        """
        if self.files and self.dataset is not None:
            raise DataError("give either files or a dataset, not both.")
        if not 8 <= self.block_length <= _LONGEST:
            raise DataError(f"block_length is {self.block_length}; it must be from 8 to {_LONGEST:,}.")
        if self.max_blocks is not None and self.max_blocks < 2:
            raise DataError(f"max_blocks is {self.max_blocks}; it must be 2 or more: one to learn from, one held out.")
        if not 0 <= self.masked_share < 1:
            raise DataError(f"masked_share is {self.masked_share:g}; it must be 0 or more, and below 1.")

    def held_out(self) -> "CorpusSettings":
        """The settings that the held-out files are read with."""
        return replace(self, files=self.validation_files, dataset=None, validation_files=(), max_blocks=None)
