"""The `data:` section of a recipe as one value."""

from dataclasses import dataclass, field

from tinybert_hf.errors import DataError, check_number

DEMO_SENTIMENT = "demo-sentiment"
DEMO_TRANSLATION = "demo-translation"
SINGLE_LABEL = "single_label_classification"
MULTI_LABEL = "multi_label_classification"
REGRESSION = "regression"
PROBLEM_TYPES = (SINGLE_LABEL, MULTI_LABEL, REGRESSION)
QUESTION_ANSWERING = "question-answering"
QUESTION_ANSWERING_LENGTH = 384
"""Tokens of a question and its part of a context, where nobody says another number."""


@dataclass(frozen=True)
class DataSettings:
    """Where the rows are, what their columns are called, and how many of them to take.

    Files win over `dataset`: as soon as one file is given, every split comes from a file.

    Attributes:
        dataset: id of a dataset on the Hub, or "demo-sentiment" or "demo-translation" for the generators of this
            package.
        dataset_config: name of the configuration on the Hub ("sst2" of "glue").
        train_split: split of the Hub dataset to train on.
        validation_split: split of the Hub dataset to measure on; or a share of the training rows, of a file too, such
            as 0.1: so many of them are held out, and not learnt from.
        split_seed: which rows these are. Not the seed of a run, so that runs with other seeds are measured on the
            same rows.
        train_file: .jsonl, .json, .csv, .tsv or .parquet, each also with .gz behind it.
        validation_file: the same.
        unlabelled_file: further texts, pairs or rows of words without labels, in columns of the same names as the
            training rows, or a .txt file with a text in each line. The phases of a distillation learn the teacher's
            answers to them; nothing else reads them.
        further_validation: further splits of the Hub dataset to measure on, each with a name of its own, such as
            {mismatched: validation_mismatched}; teacher, student and baseline are measured on each apart.
        further_validation_files: the same from files: {mismatched: dev_mismatched.tsv}.
        text_column: name of the column with the text.
        text_pair_column: name of the column with the second text of a pair.
        label_column: name of the column with the label.
        label_separator: what stands between the labels of a row that has several, where they are one text: "|" for
            "sports|politics". An empty text is no label.
        label_names: the labels in order; text labels must be among them, whole numbers are places in this list, unless
            the names are these numbers (-1, 0, 1).
        problem_type: None: what a teacher that is trained already says; else it is found from the labels: fractions
            make regression, lists multi-label, others single label. Decimals that are all whole (0.0, 1.0) are numbers
            in files that have types, and classes in others, and that is said; a name of transformers here decides.
        source_column: name of the column with the text to translate; the task "translation" reads this one and the
            next, and no other. "translation.en" is the value of "en" in a column of dictionaries, as many datasets on
            the Hub have it.
        target_column: name of the column with its translation.
        tokens_column: name of the column with the words of a row; the task "token-classification" reads this one and
            the next, and no other.
        tags_column: name of the column with their tags: names, or ids that the dataset or `label_names` names.
        question_column: name of the column with the question; the task "question-answering" reads this one and the
            next two, and `id` where there is one.
        context_column: name of the column with the text that holds the answer.
        answers_column: name of the column with the answers: their texts, and where each starts in the context.
        max_length: tokens to keep of a row; of its source in translation. A longer context, or a longer row of words,
            is not cut: it is read in several windows of so many tokens, the question included.
        doc_stride: tokens of a context that two neighbouring windows share. None: a third of max_length.
        max_target_length: tokens to keep of a translation. None: as max_length.
        max_train_rows: take only the first rows.
        max_validation_rows: take only the first rows.
        max_unlabelled_rows: take only the first rows of `unlabelled_file`.
    """

    dataset: str | None = None
    dataset_config: str | None = None
    train_split: str = "train"
    validation_split: str | float = "validation"
    split_seed: int = 42
    train_file: str | None = None
    validation_file: str | None = None
    unlabelled_file: str | None = None
    further_validation: dict[str, str] = field(default_factory=dict)
    further_validation_files: dict[str, str] = field(default_factory=dict)
    text_column: str = "text"
    text_pair_column: str | None = None
    label_column: str = "label"
    label_separator: str | None = None
    label_names: tuple[str, ...] | None = None
    problem_type: str | None = None
    source_column: str = "source"
    target_column: str = "target"
    tokens_column: str = "tokens"
    tags_column: str = "ner_tags"
    question_column: str = "question"
    context_column: str = "context"
    answers_column: str = "answers"
    max_length: int = 128
    doc_stride: int | None = None
    max_target_length: int | None = None
    max_train_rows: int | None = None
    max_validation_rows: int | None = None
    max_unlabelled_rows: int | None = None

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
