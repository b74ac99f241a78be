"""Translations measured: BLEU and chrF, the worst sentences, a checkpoint on disk."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypedDict

from tinybert_hf.checkpoints.integrity import write_atomically
from tinybert_hf.checkpoints.loading import Checkpoint, class_of, usual_device
from tinybert_hf.data import TaskData
from tinybert_hf.data.generation import Translations, decoder_start_token, translate_texts
from tinybert_hf.data.settings import DataSettings
from tinybert_hf.data.tokenizers import CHINESE, script_of, usual_script
from tinybert_hf.errors import DataError, TinyBertError
from tinybert_hf.tasks import TASKS, TRANSLATION

if TYPE_CHECKING:
    from transformers import PreTrainedModel


# BLEU and chrF of translations, counted by sacrebleu.
#
# Plain functions; `metric_classes.py` has the same metrics as metrics of the `evaluate` library.

CHINESE_NAMES = ("zh", "zho", "chi", "cmn", "yue", "lzh", "wuu", "chinese")
_KANA = re.compile("[\u3040-\u30ff]")
_HAN_OR_KANA = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")


class TranslationScores(TypedDict):
    """How near translations come to their references.

    Attributes:
        bleu: of the whole corpus, 0 to 100.
        chrf: of the whole corpus, 0 to 100: F2 over character n-grams up to 6, without spaces.
        bleu_signature: how sacrebleu counted, for others to repeat it.
        chrf_signature: the same for chrF.
    """

    bleu: float
    chrf: float
    bleu_signature: str
    chrf_signature: str


def translation_scores(
    hypotheses: Sequence[str], references: Sequence[str], target_language: str | None = None
) -> TranslationScores:
    """Scores translations against one reference each.

    Args:
        hypotheses: detokenized text.
        references: detokenized text, in the same order.
        target_language: as in `bleu_tokenizer`.

    Raises:
        DataError: there is nothing to score, or the two are not of the same length.
    """
    bleu, bleu_signature = corpus_bleu(hypotheses, references, target_language)
    chrf, chrf_signature = corpus_chrf(hypotheses, references)
    return {"bleu": bleu, "chrf": chrf, "bleu_signature": bleu_signature, "chrf_signature": chrf_signature}


def corpus_bleu(
    hypotheses: Sequence[str], references: Sequence[str], target_language: str | None = None
) -> tuple[float, str]:
    """BLEU, 0 to 100, and its signature.

    Raises:
        DataError: there is nothing to score, or the two are not of the same length.
    """
    from sacrebleu.metrics.bleu import BLEU

    check_lengths(hypotheses=hypotheses, references=references)
    metric = BLEU(tokenize=bleu_tokenizer(target_language, references))
    score = metric.corpus_score(list(hypotheses), [list(references)]).score
    return float(score), str(metric.get_signature())


def why_bleu_is_zero(hypotheses: Sequence[str], references: Sequence[str], target_language: str | None) -> str | None:
    """Why translations that may be right have a BLEU of 0; None where none of them is too short for it.

    BLEU is the geometric mean of the shares of 1 to 4 words in a row that are in the reference too. Where no
    translation has four words, the last share is 0 of 0, and sacrebleu's figure 0.

    Args:
        hypotheses: detokenized text.
        references: detokenized text, in the same order.
        target_language: as in `bleu_tokenizer`.
    """
    from sacrebleu.metrics.bleu import BLEU

    metric = BLEU(tokenize=bleu_tokenizer(target_language, references))
    totals = metric.corpus_score(list(hypotheses), [list(references)]).totals
    if totals[-1]:
        return None
    return (
        "BLEU is 0 however right they are: it counts up to four words in a row, and no translation has as many. Look "
        "at chrF, which counts letters."
    )


def corpus_chrf(hypotheses: Sequence[str], references: Sequence[str]) -> tuple[float, str]:
    """chrF, 0 to 100, and its signature.

    Raises:
        DataError: there is nothing to score, or the two are not of the same length.
    """
    from sacrebleu.metrics.chrf import CHRF

    check_lengths(hypotheses=hypotheses, references=references)
    metric = CHRF()
    score = metric.corpus_score(list(hypotheses), [list(references)]).score
    return float(score), str(metric.get_signature())


def sentence_chrf(hypotheses: Sequence[str], references: Sequence[str]) -> list[float]:
    """chrF of each sentence alone, 0 to 100.

    Raises:
        DataError: there is nothing to score, or the two are not of the same length.
    """
    from sacrebleu.metrics.chrf import CHRF

    check_lengths(hypotheses=hypotheses, references=references)
    metric = CHRF()
    pairs = zip(hypotheses, references, strict=True)
    return [float(metric.sentence_score(hypothesis, [reference]).score) for hypothesis, reference in pairs]


def bleu_tokenizer(target_language: str | None, references: Iterable[str]) -> str:
    """Names the tokenizer of sacrebleu that cuts the texts into words.

    Args:
        target_language: a name or code in any of the usual spellings (zh, zh-CN, zho_Hans, >>cmn_Hans<<, Chinese);
            None or an empty one looks at the script of the references.
        references: read only where no language is given.

    Returns:
        "zh" for Chinese, which has no spaces between words, "13a" for every other language. In Japanese, Thai and
        other languages without spaces that tokenizer takes a clause for one word: look at chrF there.
    """
    if target_language and target_language.strip():
        language = re.split("[-_ (]", target_language.strip(" <>").lower())[0]
        return "zh" if language in CHINESE_NAMES else "13a"
    return "zh" if _chinese(references) else "13a"


def check_lengths(**texts: Sequence[str]) -> None:
    """Refuses lists that do not belong together.

    Args:
        **texts: name -> texts; the names are for the message.

    Raises:
        DataError: one is empty, or they are not of the same length.
    """
    counts = {name: len(values) for name, values in texts.items()}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{count} {name}" for name, count in counts.items())
        raise DataError(f"There are {listed}: every sentence needs one of each.")
    if not all(counts.values()):
        raise DataError(f"There are no {' and no '.join(counts)}: there is nothing to measure.")


def _chinese(texts: Iterable[str]) -> bool:
    texts = list(texts)
    if usual_script(map(script_of, texts)) != CHINESE:
        return False
    kana, all_letters = (sum(len(letters.findall(text)) for text in texts) for letters in (_KANA, _HAN_OR_KANA))
    return 10 * kana < all_letters  # with more of them it is Japanese


# Writes the sentences on which a student loses most against its teacher, side by side.

COLUMNS = ("row", "loss", "teacher_chrf", "student_chrf", "source", "reference", "teacher", "student")


def worst_sentences(
    sources: Sequence[str],
    references: Sequence[str],
    teacher: Sequence[str],
    student: Sequence[str],
    count: int | None = 50,
) -> list[dict[str, Any]]:
    """Sorts sentences by what the student loses.

    Args:
        sources: the texts that were translated.
        references: their translations.
        teacher: the teacher's translations.
        student: the student's translations.
        count: how many sentences at most; None takes all.

    Returns:
        For each sentence its row (from 1), the loss (chrF of the teacher - chrF of the student, each 0 to 100, against
        the reference), both chrF, and the four texts; the largest loss first, equal ones in the order of the rows.

    Raises:
        DataError: there is no sentence, or the lists are not of the same length.
    """
    check_lengths(sources=sources, references=references, teacher=teacher, student=student)
    scores = zip(sentence_chrf(teacher, references), sentence_chrf(student, references), strict=True)
    texts = zip(sources, references, teacher, student, strict=True)
    rows: list[dict[str, Any]] = [
        dict(zip(COLUMNS, (row, round(above - below, 2), round(above, 2), round(below, 2), *four), strict=True))
        for row, ((above, below), four) in enumerate(zip(scores, texts, strict=True), start=1)
    ]
    return sorted(rows, key=lambda entry: -entry["loss"])[:count]


def write_worst_sentences(
    path: str | Path,
    sources: Sequence[str],
    references: Sequence[str],
    teacher: Sequence[str],
    student: Sequence[str],
    count: int | None = 50,
) -> Path:
    """Writes the sentences of `worst_sentences` into a file; one that is there is replaced.

    Args:
        path: .jsonl and .tsv hold one sentence per line, .md one table per sentence. Its folder is made if need be.
        sources: the texts that were translated.
        references: their translations.
        teacher: the teacher's translations.
        student: the student's translations.
        count: how many sentences at most; None takes all.

    Returns:
        The path.

    Raises:
        DataError: an unknown suffix, no sentence, or lists of unequal length.
    """
    file = Path(path)
    if file.suffix.lower() not in _WRITERS:
        raise DataError(f"{file}: the suffix {file.suffix!r} is unknown; known are {', '.join(_WRITERS)}.")
    rows = worst_sentences(sources, references, teacher, student, count)
    file.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO(newline="")
    _WRITERS[file.suffix.lower()](text, rows)
    write_atomically(file, text.getvalue())
    return file


def _write_json_lines(handle: IO[str], rows: list[dict[str, Any]]) -> None:
    handle.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _write_tsv(handle: IO[str], rows: list[dict[str, Any]]) -> None:
    writer = csv.DictWriter(handle, COLUMNS, delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def _write_markdown(handle: IO[str], rows: list[dict[str, Any]]) -> None:
    for row in rows:
        handle.write(f"### Row {row['row']}: {row['loss']} chrF lost\n\n| | text | chrF |\n| --- | --- | --- |\n")
        for name in ("source", "reference", "teacher", "student"):
            handle.write(f"| {name} | {_cell(row[name])} | {row.get(f'{name}_chrf', '')} |\n")
        handle.write("\n")


def _cell(text: str) -> str:
    """The text as it stands, where Markdown would see a table's border, markup or a new line."""
    escaped = "".join(f"\\{sign}" if sign in "\\`*_[]<>|" else sign for sign in text)
    return " ".join(escaped.split())


_WRITERS: dict[str, Callable[[IO[str], list[dict[str, Any]]], None]] = {
    ".jsonl": _write_json_lines,
    ".tsv": _write_tsv,
    ".md": _write_markdown,
}


# Measures a translator in memory, or a checkpoint on disk, against reference translations.


class TranslationResult(TranslationScores):
    """How good translations are, and how fast they came.

    Attributes:
        sentences_per_second: tokenizing and decoding included.
        cut_off: translations that the limit of tokens ended, because the model did not.
        truncated: sources that are longer than the model can read.
        notes: what a reader of the scores should know, a sentence each.
        hypotheses: the translations, in the order of the sources.
    """

    sentences_per_second: float
    cut_off: int
    truncated: int
    notes: list[str]
    hypotheses: list[str]


def evaluate_translation(
    model: "PreTrainedModel",
    tokenizer: Any,
    sources: Sequence[str],
    references: Sequence[str],
    *,
    target_language: str | None = None,
    num_beams: int = 1,
    batch_size: int = 32,
    max_new_tokens: int | None = None,
    prefix: str = "",
    progress: Callable[[int], None] | None = None,
) -> TranslationResult:
    """Translates the sources and scores the translations.

    Args:
        model: any AutoModelForSeq2SeqLM; it is left in the mode it was in, on its device.
        tokenizer: of the model; a multilingual one with its languages set.
        sources: texts to translate.
        references: a translation of each, detokenized.
        target_language: name or code; it chooses how BLEU cuts words. None looks at the references' script.
        num_beams: width of the search; 1 is greedy.
        batch_size: texts of one batch.
        max_new_tokens: as in `translate_texts`.
        prefix: put before each source, where the model wants that.
        progress: called after each batch with the number of its texts.

    Returns:
        The scores with their signatures, the speed, and the translations.

    Raises:
        DataError: there are no sources, or not as many references.
        TeacherError: the model does not translate, or the tokenizer is another model's.
    """
    check_lengths(sources=sources, references=references)
    translations = translate_texts(
        model,
        tokenizer,
        sources,
        batch_size=batch_size,
        num_beams=num_beams,
        max_new_tokens=max_new_tokens,
        prefix=prefix,
        progress=progress,
    )
    too_short = why_bleu_is_zero(translations.best, references, target_language)
    return {
        **translation_scores(translations.best, references, target_language),
        "sentences_per_second": len(sources) / translations.seconds,
        "cut_off": translations.cut_off_count,
        "truncated": translations.truncated_count,
        "notes": [*_notes(translations), *([] if too_short is None else [too_short])],
        "hypotheses": translations.best,
    }


NEXT_TO_NOTHING = 2.0
"""Below this BLEU, translations and references share hardly more than the full stop."""
NOTHING_LIKE_IT = 25.0
"""Below this chrF they may share no more than the frequent letters: one sentence for every source reaches 23."""


class TranslationMetrics:
    """Of a translator, which `evaluate_translation` counts; see `metrics.TaskMetrics`."""

    def names(self, problem_type: str, label_names: Sequence[str] = ()) -> tuple[str, ...]:
        """Names the metrics."""
        return "bleu", "chrf"

    def nothing_learnt(self, data: TaskData, metrics: Mapping[str, Any], who: str) -> str | None:
        """See `nothing_in_common`."""
        return nothing_in_common(metrics, who)


def nothing_in_common(metrics: Mapping[str, Any], who: str) -> str | None:
    """What to say of translations that are not those of the sources; None where they may be.

    However right they are, BLEU is 0 where no translation has four words in a row, and low in languages that put no
    spaces between words: a chrF that chance does not reach decides there.

    Args:
        metrics: bleu, and chrf where it is known.
        who: as for `knows_nothing`.
    """
    bleu, chrf = metrics["bleu"], metrics.get("chrf", 0.0)
    if bleu >= NEXT_TO_NOTHING or chrf >= NOTHING_LIKE_IT:
        return None
    return (
        f"{who}'s BLEU is {bleu:.1f} and its chrF {chrf:.1f}: its translations have next to nothing in common with "
        "the references."
    )


def evaluate_translation_checkpoint(
    path: str | Checkpoint,
    settings: DataSettings,
    *,
    target_language: str | None = None,
    num_beams: int = 1,
    batch_size: int = 32,
    device: str | None = None,
) -> TranslationResult:
    """Opens a translator and measures it on the validation rows.

    Args:
        path: a folder, an id on the Hub, or a checkpoint that was opened.
        settings: where the validation rows are, and what their columns are called.
        target_language: as in `evaluate_translation`.
        num_beams: width of the search.
        batch_size: texts of one batch.
        device: where to run; None takes the GPU if there is one.

    Returns:
        As `evaluate_translation`; the notes also say which pairs were left out.

    Raises:
        DataError: the rows cannot be used.
        TinyBertError: the folder is no checkpoint of a trained translator.
    """

    model, tokenizer = open_translator(path)
    data: TaskData = TASKS[TRANSLATION].task.load(settings, need_train=False)
    assert data.validation is not None  # asked for above
    sources, references = list(data.validation["source"]), list(data.validation["target"])
    model.to(device or usual_device())
    result = evaluate_translation(
        model,
        tokenizer,
        sources,
        references,
        target_language=target_language,
        num_beams=num_beams,
        batch_size=batch_size,
    )
    return {**result, "notes": [*data.notes, *result["notes"]]}


def open_translator(path: str | Checkpoint, dtype: str | None = None) -> tuple[Any, Any]:
    """Opens model and tokenizer of a saved translator.

    Args:
        path: a folder, an id on the Hub, or a checkpoint that was opened.
        dtype: of the weights, as "float32"; None: as saved.

    Raises:
        TinyBertError: it holds no trained encoder-decoder that writes text, or no tokenizer.
    """
    spec = TASKS[TRANSLATION]
    checkpoint = Checkpoint.of(path, spec.kind)
    if not checkpoint.is_translator:
        raise TinyBertError(
            f"{checkpoint.path} is no translator: by its config.json it holds a {class_of(checkpoint.config)}, which "
            f"{'writes no text' if checkpoint.config.is_encoder_decoder else 'has no decoder'}. Give the folder of a "
            "TinyBertForSeq2Seq or of another sequence-to-sequence model."
        )
    model, tokenizer = checkpoint.open(spec.auto_class, spec.kind, dtype)
    decoder_start_token(model)
    return model, tokenizer


def _notes(translations: Translations) -> Iterator[str]:
    total = len(translations)
    if translations.cut_off_count:
        yield (
            f"{translations.cut_off_count:,} of {total:,} translations were cut off at the limit of tokens: the "
            "model did not end them itself."
        )
    if translations.truncated_count:
        yield (
            f"{translations.truncated_count:,} of {total:,} sources are longer than the model can read, so their ends "
            "were not translated."
        )
