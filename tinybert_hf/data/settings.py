"""What can be said about rows and text: the sections of a recipe that are about data, each as one value.

Loads nothing else, so that a command can have its options from here."""

from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any

from tinybert_hf.errors import DataError, check_number

DEMO_SENTIMENT = "demo-sentiment"
DEMO_TRANSLATION = "demo-translation"
SINGLE_LABEL = "single_label_classification"
MULTI_LABEL = "multi_label_classification"
REGRESSION = "regression"
PROBLEM_TYPES = (SINGLE_LABEL, MULTI_LABEL, REGRESSION)


def setting(default: Any = MISSING, help: str = "") -> Any:
    """A field of a dataclass of settings, with what it means, as transformers' HfArgumentParser reads it too."""
    return field(default=default, metadata={"help": help})


def setting_of(cls: Any, name: str) -> Any:
    """A setting of another dataclass, for a child that takes fewer types: the same default and meaning."""
    (found,) = (one for one in fields(cls) if one.name == name)
    return field(default=found.default, metadata=found.metadata)


def common_values(cls: Any, settings: Any) -> dict[str, Any]:
    """The values of the fields that a dataclass has from `cls`, to make another child of it."""
    return {one.name: getattr(settings, one.name) for one in fields(cls)}


@dataclass(frozen=True)
class DataSettings:
    """Where the rows are, what their columns are called, and how many of them to take.

    Files win over `dataset`: as soon as one file is given, every split comes from a file.
    """

    dataset: str | None = setting(
        None,
        "Id of a dataset on the Hub, or 'demo-sentiment' or 'demo-translation' for the generators of this package.",
    )
    dataset_config: str | None = setting(None, "Name of the configuration on the Hub ('sst2' of 'glue').")
    train_split: str = setting("train", "Split of the Hub dataset to train on.")
    validation_split: str | float = setting(
        "validation",
        "In place of validation_file (--validation-file): a share of the training rows that is held out, such as "
        "0.1. Of a dataset on the Hub also the name of a split.",
    )
    split_seed: int = setting(
        42,
        "Which rows a share holds out. Not the seed of a run, so that runs with other seeds are measured on the "
        "same rows.",
    )
    train_file: str | None = setting(None, "Rows to learn from: .jsonl, .json, .csv, .tsv, .parquet, also .gz.")
    validation_file: str | None = setting(None, "Rows to measure on, likewise.")
    unlabelled_file: str | None = setting(
        None,
        "Further texts, pairs or rows of words without labels, in columns of the same names as the training rows, "
        "or a .txt file with a text in each line. The phases of a distillation learn the teacher's answers to "
        "them; nothing else reads them.",
    )
    text_corpus: str | None = setting(
        None,
        "Any text, whose sentences become further rows without labels: as single texts, as pairs of neighbours or as "
        "rows of words, of the length that the training rows have. A .txt file, or a table with a column text, "
        "sentence or content (and document, where several rows are one); also .gz.",
    )
    further_validation: dict[str, str] = field(
        default_factory=dict,
        metadata={
            "help": "Further splits of the Hub dataset to measure on, each with a name of its own, such as "
            "{mismatched: validation_mismatched}; teacher, student and baseline are measured on each "
            "apart."
        },
    )
    further_validation_files: dict[str, str] = field(
        default_factory=dict,
        metadata={"help": "The same from files: {mismatched: dev_mismatched.tsv}."},
    )
    text_column: str = setting("text", "Column with the text. On the command line, not named: text, or else sentence.")
    text_pair_column: str | None = setting(None, "Column with the second text, where rows are pairs.")
    label_column: str = setting(
        "label", "Column with the label. On the command line, not named: label, or else labels."
    )
    label_separator: str | None = setting(
        None,
        "What stands between the labels of a row that has several, where they are one text: '|' for "
        "'sports|politics'. An empty text is no label.",
    )
    label_names: tuple[str, ...] | None = setting(
        None,
        "The labels in order; text labels must be among them, whole numbers are places in this list, unless the "
        "names are these numbers (-1, 0, 1).",
    )
    problem_type: str | None = setting(
        None,
        "None: what a teacher that is trained already says; else it is found from the labels: fractions make "
        "regression, lists multi-label, others single label. Decimals that are all whole (0.0, 1.0) are numbers in"
        " files that have types, and classes in others, and that is said; a name of transformers here decides.",
    )
    source_column: str = setting(
        "source",
        "Translation: column with the text to translate; translation.en is the value of en in a column of "
        "dictionaries, as many datasets on the Hub have it.",
    )
    target_column: str = setting("target", "Translation: column with its translation.")
    tokens_column: str = setting("tokens", "Named entities: column with the list of words.")
    tags_column: str = setting(
        "ner_tags",
        "Named entities: column with a tag for each word (B-person, I-person, O): names, or ids that the dataset "
        "or label_names names.",
    )
    question_column: str = setting(
        "question",
        "Name of the column with the question; the task 'question-answering' reads this one and the next two, and "
        "`id` where there is one.",
    )
    context_column: str = setting("context", "Name of the column with the text that holds the answer.")
    answers_column: str = setting(
        "answers", "Name of the column with the answers: their texts, and where each starts in the context."
    )
    max_length: int = setting(
        128,
        "Tokens to keep of a row; of its source in translation. A longer context, or a longer row of words, is not"
        " cut: it is read in several windows of so many tokens, the question included.",
    )
    doc_stride: int | None = setting(
        None, "Tokens of a context that two neighbouring windows share. None: a third of max_length."
    )
    max_target_length: int | None = setting(None, "Tokens to keep of a translation. None: as max_length.")
    max_train_rows: int | None = setting(None, "Take only the first rows.")
    max_validation_rows: int | None = setting(None, "Take only the first rows.")
    max_unlabelled_rows: int | None = setting(None, "Take only the first rows of `unlabelled_file`.")
    text_corpus_rows: int | None = setting(
        None,
        "How many rows are made of `text_corpus`. None: as many as bring all rows up to 10,000, at most 10 for each "
        "row with a label.",
    )

    def __post_init__(self) -> None:
        """Refuses values that no data could satisfy.

        Raises:
            DataError: an unknown problem type, a count below one, a name that is there twice, a column that would be
                both sides of a translation, or words and their tags; a share of the rows that is none, or held-out
                rows in two places.
        """
        self._check_share()
        if self.problem_type is not None and self.problem_type not in PROBLEM_TYPES:
            raise DataError(f"problem_type is {self.problem_type!r}; known are {', '.join(PROBLEM_TYPES)}.")
        for count in (
            "max_length",
            "max_target_length",
            "max_train_rows",
            "max_validation_rows",
            "max_unlabelled_rows",
            "text_corpus_rows",
        ):
            check_number(getattr(self, count), count, whole=True, error=DataError)
        check_number(self.doc_stride, "doc_stride", zero=True, whole=True, error=DataError)
        if self.doc_stride is not None and not 0 <= self.doc_stride < self.max_length:
            raise DataError(
                f"doc_stride is {self.doc_stride}; it must be 0 or more, and less than max_length ({self.max_length})."
            )
        for name in (*self.further_validation, *self.further_validation_files):
            if name in ("train", "validation"):
                raise DataError(f"further_validation: {name!r} is the name of the usual rows; choose another one.")
        if self.label_separator is not None and not self.label_separator:
            raise DataError('label_separator is empty; write what stands between two labels, such as "|".')
        if self.source_column == self.target_column:
            raise DataError(f"source_column and target_column are both {self.source_column!r}; they must differ.")
        if self.tokens_column == self.tags_column:
            raise DataError(f"tokens_column and tags_column are both {self.tokens_column!r}; they must differ.")
        if self.label_names is not None:
            object.__setattr__(self, "label_names", tuple(str(name) for name in self.label_names))
            if len(set(self.label_names)) < len(self.label_names):
                raise DataError(f"label_names holds a name twice: {', '.join(self.label_names)}.")

    def _check_share(self) -> None:
        share = _as_number(self.validation_split)
        if share is None:
            return
        object.__setattr__(self, "validation_split", share)
        if not 0 < share < 1:
            raise DataError(
                f"validation_split is {share:g}; a share of the training rows must be above 0 and below 1, such as "
                "0.1."
            )
        if self.validation_file is not None:
            raise DataError(
                f"validation_file ({self.validation_file}) and validation_split ({share:g}, a share of the training "
                "rows) are both given, and one of them alone can say what is measured on: leave out --validation-file "
                "or --validation-split."
            )

    @property
    def held_out_share(self) -> float | None:
        """The share of the training rows that is measured on; None where the validation rows stand elsewhere."""
        return self.validation_split if isinstance(self.validation_split, float) else None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns to read: text, the second text if there is one, label."""
        pair = (self.text_pair_column,) if self.text_pair_column else ()
        return (self.text_column, *pair, self.label_column)

    @property
    def has_files(self) -> bool:
        """Whether the rows come from files, and none from `dataset`."""
        return bool(self.train_file or self.validation_file or self.further_validation_files)

    @property
    def further_parts(self) -> tuple[str, ...]:
        """Names of the further rows to measure on."""
        return tuple(self.further_validation_files if self.has_files else self.further_validation)


def _as_number(value: str | float) -> float | None:
    """The number that a text is, since options and YAML give some as texts; None of a name."""
    try:
        return float(value)
    except ValueError:
        return None


# What a recipe's sections and the stages behind them have in common.

BEST = "best"
NEAREST = "nearest"


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """How a teacher translates what a student learns from, and which of its translations are kept."""

    num_beams: int = setting(5, "Width of the teacher's search; 1 is greedy.")
    select: str = setting(
        BEST,
        "best of the beam, or nearest: the hypothesis of the beam that is nearest to the reference by sentence chrF "
        "(without one: the best).",
    )
    max_length_factor: float = setting(
        2.0,
        "How many times longer or shorter than is usual in the data a translation may be (without references: than "
        "its source, in tokens); 0: any length.",
    )
    max_repeats: int = setting(
        3,
        "How often four words (or characters, as in Chinese) may stand in a translation, unless its source repeats "
        "itself as often; 0: any number of times.",
    )


@dataclass(frozen=True)
class CopySettings:
    """How many copies of a row are made, and how their words are replaced."""

    copies: int = setting(
        20, "Of each row. TinyBERT takes 30 for CoLA, MRPC, RTE and STS-B, 20 for SST-2 and QNLI, 10 for MNLI and QQP."
    )
    probability: float = setting(
        0.4, "With which a word is replaced; stop words never are, and a copy has one replaced word at least."
    )
    candidates: int = setting(15, "Words that one is drawn from.")


# The `corpus:` section of a recipe as one value.

# Of blocks, kept in two bytes each.
_LONGEST = 2**16 - 1


@dataclass(frozen=True)
class CorpusSettings:
    """The text of a general distillation, and how it is cut into blocks.

    A line of text is what is never cut without need: a line of a text file, or a line of a row's text. A blank line
    ends a document; so does the end of a row, unless `document_column` says which rows belong together.
    """

    files: tuple[str, ...] = setting(
        (),
        "Text files, or .jsonl, .json, .csv, .tsv, .parquet with a text column, each also with .gz behind it; "
        "patterns such as text/*.txt, and folders.",
    )
    dataset: str | None = setting(None, "Instead of files: id of a dataset on the Hub.")
    dataset_config: str | None = setting(None, "Name of its configuration.")
    split: str = setting("train", "Its split.")
    streaming: bool = setting(False, "Read it while it is tokenised, and keep only the tokens on the disk.")
    text_column: str | None = setting(None, "Column with the text. None: text, or else sentence or content.")
    document_column: str | None = setting(
        None, "Column that has the same value in all rows of a document. None: each row is a document."
    )
    cross_documents: bool = setting(
        True,
        "Fill a block with the beginning of the next document. False: a block holds one document alone, so that "
        "short documents make short blocks.",
    )
    block_size: int = setting(128, "Tokens of a block at most, special tokens included.")
    max_blocks: int | None = setting(None, "Only so many blocks, from the beginning.")
    masked_share: float = setting(
        0.0,
        "Share of the tokens that are masked, for both models alike; 0 as in the paper. A phase with a "
        "label_loss_weight learns to find them (masked-LM loss).",
    )
    validation_files: tuple[str, ...] = setting(
        (), "Held-out text to measure on. None: the last 1 % of the blocks, from 1 to 1,000 of them."
    )
    cache: str | None = setting(
        None,
        "Folder that keeps the tokenised corpus for further epochs and runs. None: tinybert_hf/corpora in the "
        "cache folder of Hugging Face (HF_HOME).",
    )

    def __post_init__(self) -> None:
        """Refuses values that no corpus could satisfy.

        Raises:
            DataError: a number outside its range, or files and a dataset at once.
        """
        if self.files and self.dataset is not None:
            raise DataError("give either files or a dataset, not both.")
        if not 8 <= self.block_size <= _LONGEST:
            raise DataError(f"block_size is {self.block_size}; it must be from 8 to {_LONGEST:,}.")
        if self.max_blocks is not None and self.max_blocks < 2:
            raise DataError(f"max_blocks is {self.max_blocks}; it must be 2 or more: one to learn from, one held out.")
        if not 0 <= self.masked_share < 1:
            raise DataError(f"masked_share is {self.masked_share:g}; it must be 0 or more, and below 1.")

    def held_out(self) -> "CorpusSettings":
        """The settings that the held-out files are read with."""
        return replace(self, files=self.validation_files, dataset=None, validation_files=(), max_blocks=None)
