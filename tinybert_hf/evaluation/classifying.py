"""Answers of a saved classifier to any number of texts, in their order, as the pipelines of transformers give them."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, SupportsIndex

import numpy as np
from filelock import FileLock, Timeout

from tinybert_hf.checkpoints import (
    Checkpoint,
    fit_tokenizer,
    limits_of,
    usual_device,
    with_fitting_settings,
)
from tinybert_hf.checkpoints.integrity import flush, read_object, write_atomically, write_json
from tinybert_hf.data.files import SUFFIXES, checked_suffix, checked_text, obvious_column, stream_file, stream_lines
from tinybert_hf.data.settings import MULTI_LABEL, REGRESSION
from tinybert_hf.data.shards import WHOLE, Share, beside, folder_content, folder_stamps, wait_until
from tinybert_hf.distillation.capturing import logits_of
from tinybert_hf.errors import DataError, OutputFolderError, TinyBertError
from tinybert_hf.model.manifest_tinybert import sha256_of
from tinybert_hf.tasks import HEADS, TEXT_CLASSIFICATION, TOKEN_CLASSIFICATION, task_of

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedModel

AT_ONCE = 2048
"""Texts that are read, and sorted by their length, before the first of them is answered."""
BATCH_TOKENS = 1024
"""Places of a batch, padding included: as many rows as fit."""
_DEVICE_TOKENS = 32768  # on a device that computes many rows at once
_NO_LIMIT = 10**9  # transformers says 1e30 where a tokenizer has none
Text = str | tuple[str, str] | dict[str, str]
Row = tuple[Text, dict[str, Any]]  # and the columns that are kept beside it


class Classifier:
    """A classifier of texts, or of the words of texts.

    Texts are sorted by length, so that little of a batch is padding, and a batch holds as many as fit into a number of
    tokens. One that was opened from a folder or by an id is pickled as that, not as its weights, and opened again
    where it arrives; a folder that has changed meanwhile is refused there.

    Example:
        `Classifier("out-onnx-int8")(["a gripping film", "dull"])`

    Attributes:
        model: in eval mode, on its device.
        tokenizer: of the model, with settings that fit it.
        task: text-classification or token-classification.
    """

    def __init__(
        self,
        model: str | Path | PreTrainedModel,
        tokenizer: Any = None,
        *,
        max_length: int | None = None,
        batch_tokens: int | None = None,
        threads: int | None = None,
        format: str | None = None,
        device: str | None = None,
    ) -> None:
        """Open a model.

        Args:
            model: a folder (of an export too), an id on the Hub, or a model itself, with its tokenizer.
            tokenizer: of a model that is given itself.
            max_length: tokens of a text that are read; None: as many as model and tokenizer take.
            batch_tokens: places of a batch, padding included; None: 1,024 on a CPU, else 32,768.
            threads: of an exported model; None: as its runtime thinks right. Those of torch are torch's own.
            format: which one, of an export that holds several; None: the first.
            device: of PyTorch; None takes the GPU if there is one.

        Raises:
            TinyBertError: it is no classifier, or the tokenizer has tokens that it does not embed.
        """
        self._given: dict[str, Any] | None = None
        self._content: dict[str, str] | None = None
        if isinstance(model, str | Path):
            self._stamps = folder_stamps(model)
            opened, tokenizer, self.task = _opened(model, threads, format)
            place = Path(model).absolute() if Path(model).is_dir() else model  # another process may stand elsewhere
            self._given = {
                "model": str(place), "max_length": max_length, "batch_tokens": batch_tokens, "threads": threads,
                "device": device, "format": format,
            }  # fmt: skip
        else:
            opened, self.task = model, _task_of_class(model)
            if tokenizer is None:
                raise TinyBertError("Give the tokenizer of the model, or the folder that holds both.")
            tokenizer = fit_tokenizer(tokenizer, opened, type(opened).__name__)
        _check_task(self.task, str(getattr(opened, "name_or_path", "the model")))
        self.model = opened.to(device or usual_device()).eval()
        self._limits = limits_of(self.model)
        self.tokenizer = with_fitting_settings(tokenizer, self._limits)
        lengths = (self._limits.length, self.tokenizer.model_max_length, max_length)
        longest = min((one for one in lengths if one is not None and one < _NO_LIMIT), default=None)
        self._reads = _Reader(self.tokenizer, longest, of_words=self.task == TOKEN_CLASSIFICATION)
        on_cpu = str(self.model.device) == "cpu"
        self._batch_tokens = batch_tokens or (BATCH_TOKENS if on_cpu else _DEVICE_TOKENS)

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        if self._given is None:
            return super().__reduce_ex__(protocol)
        if self._content is None:
            self._content = folder_content(self._given["model"])
            if folder_stamps(self._given["model"]) != self._stamps:
                self._content = None
                raise TinyBertError(
                    f"{self._given['model']} has changed since it was opened, so another process would open another "
                    "model. Open it anew."
                )
        return _opened_again, (self._given, self._content)

    def __call__(self, texts: Text | Sequence[Text], *, top_k: int | None = 1) -> list[Any]:
        """The answers to texts that are at hand; arguments and answers as of `stream`.

        Args:
            texts: one text, or several.
            top_k: likewise.
        """
        if top_k is not None and top_k < 1:
            raise DataError(f"top_k is {top_k}; give 1 or more, or None for all labels.")
        alone = isinstance(texts, str | tuple | dict)
        return list(self.stream([texts] if alone else texts, top_k=top_k))  # type: ignore[list-item, arg-type]

    def stream(self, texts: Iterable[Text], *, top_k: int | None = 1, at_once: int = AT_ONCE) -> Iterator[Any]:
        """The answers to any number of texts, one by one, in their order; memory does not grow with their number.

        Args:
            texts: each a text, a pair of texts, or a dictionary with `text` and `text_pair`.
            top_k: labels of a text that are given, the likeliest first; 1: one alone; None: all.
            at_once: texts that are read before the first of them is answered; 1 for a source that gives one and waits.

        Yields:
            Of a text classifier `{"label": ..., "score": ...}`, or a list of such where top_k is not 1: probabilities
            of the labels, each its own where a text may have several; the number itself of a regression. Of a
            classifier of words the list of entities that the pipeline gives with aggregation_strategy="first".

        Raises:
            DataError: something that is no text, with its number.
        """
        remaining, first = iter(texts), 0
        while chunk := list(islice(remaining, at_once)):
            yield from self._answered(chunk, self._reads(chunk, first), top_k)
            first += len(chunk)

    def _answered(self, texts: Sequence[Text], rows: Sequence[Any], top_k: int | None) -> Iterator[Any]:
        logits: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(rows)
        for places in batches([len(one) for one in rows], self._batch_tokens):
            for place, each in zip(places, self._forward([rows[place] for place in places]), strict=True):
                logits[place] = each
        if self.task == TOKEN_CLASSIFICATION:
            return (self._entities(text, row, each) for text, row, each in zip(texts, rows, logits, strict=True))
        return self._labels(np.stack(logits), top_k)

    def _forward(self, rows: Sequence[Any]) -> NDArray[np.float32]:
        """Logits (rows, labels), or (rows, tokens, labels)."""
        import torch

        length = max(map(len, rows))
        ids = np.full((len(rows), length), self.tokenizer.pad_token_id or 0, dtype=np.int64)
        mask = np.zeros_like(ids)
        types = np.zeros_like(ids) if "token_type_ids" in self.tokenizer.model_input_names else None
        left = self._limits.pads_left
        for number, row in enumerate(rows):
            place = slice(length - len(row), None) if left else slice(None, len(row))
            ids[number, place], mask[number, place] = row.ids, 1
            if types is not None and row.type_ids[-1]:  # of a pair
                types[number, place] = row.type_ids
        given = {"input_ids": ids, "attention_mask": mask, **({} if types is None else {"token_type_ids": types})}
        with torch.inference_mode():
            batch = {name: torch.from_numpy(one).to(self.model.device) for name, one in given.items()}
            logits = logits_of(self.model(**batch))
            assert logits is not None  # checked when it was opened
            return logits.float().cpu().numpy()  # type: ignore[no-any-return]

    def _labels(self, logits: NDArray[np.float32], top_k: int | None) -> Iterator[Any]:
        config = self.model.config
        names = [str(config.id2label[index]) for index in range(config.num_labels)]
        scores: NDArray[Any] = logits
        if config.problem_type == MULTI_LABEL or (len(names) == 1 and config.problem_type != REGRESSION):
            scores = 1 / (1 + np.exp(-logits))
        elif config.problem_type != REGRESSION:
            scores = np.exp(logits - logits.max(-1, keepdims=True))
            scores /= scores.sum(-1, keepdims=True)
        if top_k == 1:
            best = scores.argmax(-1)
            for index, score in zip(best.tolist(), scores[np.arange(len(scores)), best].tolist(), strict=True):
                yield {"label": names[index], "score": score}
            return
        order = np.argsort(-scores, axis=-1, kind="stable")[:, :top_k]
        for indices, row in zip(order.tolist(), scores.tolist(), strict=True):
            yield [{"label": names[index], "score": row[index]} for index in indices]

    def _entities(self, text: Text, row: Any, logits: NDArray[np.float32]) -> list[dict[str, Any]]:
        import torch
        from transformers import TokenClassificationPipeline

        pipe = TokenClassificationPipeline.__new__(TokenClassificationPipeline)
        pipe.model, pipe.tokenizer = self.model, self.tokenizer
        output = {
            "logits": torch.from_numpy(logits[None, : len(row)]),
            "sentence": text["text"] if isinstance(text, dict) else text,
            "input_ids": [row.ids],
            "offset_mapping": [row.offsets],
            "special_tokens_mask": torch.tensor([row.special_tokens_mask]),
            "is_last": True,
        }
        from transformers.pipelines.token_classification import AggregationStrategy

        return pipe.postprocess([output], AggregationStrategy.FIRST)  # type: ignore[no-any-return]


def _opened_again(given: dict[str, Any], content: dict[str, str]) -> Classifier:
    """A classifier that was pickled.

    Raises:
        TinyBertError: its folder does not hold what it was opened from.
    """
    if content and folder_content(given["model"]) != content:
        raise TinyBertError(f"{given['model']} is not there, or does not hold the model that it held before.")
    return Classifier(**given)


def classify(model: str | Path, texts: Sequence[Text], **options: Any) -> list[Any]:
    """The answers of a saved classifier to texts; see `Classifier`.

    Args:
        model: a folder (of an export too), or an id on the Hub.
        texts: each a text, a pair of texts, or a dictionary with `text` and `text_pair`.
        **options: of `Classifier`, and `top_k`.
    """
    top_k = options.pop("top_k", 1)
    return Classifier(model, **options)(texts, top_k=top_k)


# A whole file of texts, line by line into a file of answers.

PART = ".part"


def classify_file(
    model: str | Path,
    input_file: str | Path,
    output_file: str | Path,
    *,
    text_column: str | None = None,
    text_pair_column: str | None = None,
    keep_columns: Sequence[str] = (),
    top_k: int | None = 1,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
    share: Share = WHOLE,
    **options: Any,
) -> int:
    """Answers to every text of a file, a JSON object a line: the text, and what the classifier says.

    Given again after a stop, it goes on behind the last whole block of 2,048 texts; what it leaves is the same. Until
    all answers are there they stand in a file with `.part` behind its name, one for each process.

    Args:
        model: as for `Classifier`.
        input_file: .txt, a text a line; or .jsonl, .json, .csv, .tsv, .parquet; also .gz. It is read as it comes.
        output_file: .jsonl.
        text_column: of a file with columns; None: text, or else sentence.
        text_pair_column: of the second text; None: there is none.
        keep_columns: of a file with columns, that stand beside the answers as they stand in the file: an id.
        top_k: as for `Classifier.stream`.
        overwrite: replace an `output_file` that is there.
        progress: told how many texts are answered, and how many there are; of this process.
        share: of the blocks that this process answers, where several processes call this with equal arguments
            (`Share.launched()` under a launcher). The first one waits for the others and writes the file.
        **options: of `Classifier`.

    Returns:
        How many texts there were.

    Raises:
        DataError: the file cannot be read, or holds something that is no text.
        OutputFolderError: the answers cannot be written, or those that are there are others'.
        TinyBertError: as `Classifier`.
    """
    source, output = str(input_file), Path(output_file)
    was_there = _stamp(output)
    _check_output(source, output, overwrite=overwrite or not share.is_first)
    columns: list[str] = []
    if not checked_suffix(Path(source), (".txt", *SUFFIXES)).startswith(".txt"):
        columns = [text_column or obvious_column(source), *([text_pair_column] if text_pair_column else [])]
    elif text_column or text_pair_column or keep_columns:
        option = "--text-column" if text_column or text_pair_column else "--keep-column"
        raise DataError(f"{source} has no columns; {option} names one of a .jsonl, .csv, .tsv or .parquet.")
    _check_kept(keep_columns)
    count = sum(
        1 for _ in _rows_of(source, columns, keep_columns)
    )  # what is wrong with a file is said before a model is opened
    if not count:
        raise DataError(f"{source}: there is no row in it.")
    if top_k is not None and top_k < 1:
        raise DataError(f"top_k is {top_k}; give 1 or more, or None for all labels.")
    if was_there and not overwrite and not share.is_first:  # which the first one refuses, or has just put there
        return count
    part = _part_of(output, share)
    identity = {
        "model": folder_content(model) or str(model),
        "input": sha256_of(Path(source)),
        "columns": columns,
        "keep_columns": list(keep_columns),
        "top_k": top_k,
        "options": {name: value for name, value in options.items() if name not in ("threads", "device")},
    }
    classifier = Classifier(model, **options)
    with _alone(part, output):
        done = _answered_before(part, json.loads(json.dumps(identity)))
        if not share.is_first and _stamp(output) != was_there:
            return count  # an earlier start has ended this share, and the first process has put all together
        _refuse_other_parts(output, share)
        if done is not None:
            write_json(_note_of(part), identity)
            held = _held(count, share)
            blocks = _blocks_of(_rows_of(source, columns, keep_columns), share)
            _classify_blocks(classifier, blocks, part, done, held, top_k, progress)
            write_json(_note_of(part), {**identity, _ENDED: True})
        if share.is_first:
            _put_together(output, share, json.loads(json.dumps(identity)))
    return count


def _stamp(output: Path) -> tuple[int, int] | None:
    """Which file it is; None: there is none."""
    try:
        found = output.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _part_of(output: Path, share: Share) -> Path:
    return beside(output, PART if share.of == 1 else f".{share.number + 1}-of-{share.of}{PART}")


def _note_of(part: Path) -> Path:
    return beside(part, ".json")


def _refuse_other_parts(output: Path, share: Share) -> None:
    """Refuse what a start with another number of processes has begun.

    Raises:
        OutputFolderError: with its first part.
    """
    own = {_part_of(output, Share(number, share.of)) for number in range(share.of)}
    form = re.compile(re.escape(output.name) + r"(\.\d+-of-\d+)?" + re.escape(PART))
    other = min((one for one in output.parent.iterdir() if form.fullmatch(one.name) and one not in own), default=None)
    if other is not None:
        raise OutputFolderError(
            f"{other} holds answers of a start with another number of processes. Give as many as began it, another "
            "output, or delete its parts."
        )


def _held(count: int, share: Share) -> int:
    """How many of so many texts are in the blocks of a process."""
    blocks = range(-(-count // AT_ONCE))
    return sum(min(AT_ONCE, count - AT_ONCE * block) for block in blocks if share.holds(block))


def _blocks_of(rows: Iterator[Row], share: Share) -> Iterator[list[Row]]:
    """The rows of a process."""
    for block in itertools.count():
        chunk = list(islice(rows, AT_ONCE))
        if not chunk:
            return
        if share.holds(block):
            yield chunk


def _classify_blocks(
    classifier: Classifier,
    blocks: Iterator[list[Row]],
    part: Path,
    done: int,
    count: int,
    top_k: int | None,
    progress: Callable[[int, int], None] | None,
) -> None:
    with part.open("ab") as handle:
        for chunk in islice(blocks, -(-done // AT_ONCE), None):
            answers = classifier.stream([text for text, _ in chunk], top_k=top_k)
            lines = (_line(*row, answer) for row, answer in zip(chunk, answers, strict=True))
            handle.write("".join(lines).encode("utf-8"))
            handle.flush()
            done += len(chunk)
            if progress is not None:
                progress(done, count)
    flush(part)


_ENDED = "ended"


def _put_together(output: Path, share: Share, identity: Mapping[str, Any]) -> None:
    """The parts of all processes as one file, block by block, once each has ended."""
    parts = [_part_of(output, Share(number, share.of)) for number in range(share.of)]

    def ended(part: Path) -> bool:
        there = part.exists() and _note_of(part).exists()
        return there and read_object(_note_of(part), OutputFolderError) == {**identity, _ENDED: True}

    wait_until(lambda: all(map(ended, parts)))
    if len(parts) == 1:
        parts[0].replace(output)
    else:
        with ExitStack() as stack:
            sources = [stack.enter_context(part.open("rb")) for part in parts]
            write_atomically(output, lambda target: target.writelines(_in_turn(sources)))
    for part in parts:
        part.unlink(missing_ok=True)
        _note_of(part).unlink()


def _in_turn(sources: Sequence[IO[bytes]]) -> Iterator[bytes]:
    """A block of each again and again; the first that is not whole is the last."""
    for source in itertools.cycle(sources):
        lines = list(islice(source, AT_ONCE))
        yield from lines
        if len(lines) < AT_ONCE:
            return


@contextmanager
def _alone(part: Path, output: Path) -> Iterator[None]:
    """Refuse a second process that writes the same answers."""
    lock = FileLock(beside(part, ".lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise OutputFolderError(f"Another process is writing {output}. Wait for it, or give another name.") from None
    try:
        yield
    finally:
        lock.release()
        Path(lock.lock_file).unlink(missing_ok=True)


def _check_output(source: str, output: Path, *, overwrite: bool) -> None:
    if output.suffix != ".jsonl":
        raise OutputFolderError(
            f"output {output}: answers are written as JSON lines; give a name that ends in .jsonl."
        )
    if output.is_dir() or not output.parent.is_dir():
        what = "is a folder" if output.is_dir() else f"cannot be made: its folder {output.parent} does not exist"
        raise OutputFolderError(f"output {output} {what}.")
    if output.exists() and Path(source).exists() and output.samefile(source):
        raise OutputFolderError(f"output {output} is the file that is read; choose another name.")
    if output.exists() and not overwrite:
        raise OutputFolderError(f"output {output} is there already; choose another name, or replace it: --overwrite.")


def _answered_before(part: Path, identity: Mapping[str, Any]) -> int | None:
    """Texts that an earlier start has answered, whole blocks of them: an int8 model rounds by the rows of a batch.

    None: all of its share.
    """
    note = _note_of(part)
    if not note.exists():
        if part.exists():
            raise OutputFolderError(f"{part} is there, and was not written by this command; move or delete it.")
        return 0
    try:
        there = read_object(note, OutputFolderError)
    except OutputFolderError as error:
        raise OutputFolderError(
            f"{note} is damaged, so it is not known whose answers {part} holds: delete both."
        ) from error
    other = sorted(name for name, value in identity.items() if there.get(name) != value)
    if other and not (part.exists() and part.stat().st_size):
        note.unlink()  # it has answered nothing
        return 0
    if other:
        raise OutputFolderError(
            f"{part} holds answers of another run (not the same: {', '.join(other)}). Give the command that began it, "
            f"another output, or delete {part} and {note}."
        )
    if not part.exists():
        return 0
    if there.get(_ENDED):
        return None
    kept = count = end = 0
    with part.open("rb+") as handle:
        for line in handle:
            if not line.endswith(b"\n"):
                break
            count, end = count + 1, end + len(line)
            if count % AT_ONCE == 0:
                kept = end
        handle.truncate(kept)
    return count - count % AT_ONCE


def _rows_of(source: str, columns: Sequence[str], kept: Sequence[str]) -> Iterator[Row]:
    """The texts of a file, and what is kept beside them."""
    if not columns:
        for _, line in stream_lines(source):
            yield line.rstrip("\r\n"), {}
        return
    for number, row in stream_file(source, (*columns, *kept)):
        found = [row[name] for name in columns]
        for name, value in zip(columns, found, strict=True):
            if not isinstance(value, str):
                raise DataError(f"{source}, row {number}, column {name!r}: {value!r:.60} is no text.")
            checked_text(value, f"{source}, row {number}, column {name!r}")
        beside_it = {name: row[name] for name in kept}
        try:
            json.dumps(beside_it, ensure_ascii=False, allow_nan=False).encode()
        except (TypeError, ValueError) as error:
            raise DataError(f"{source}, row {number}: {beside_it!r:.80} cannot stand in JSON: {error}.") from error
        yield (found[0] if len(found) == 1 else (found[0], found[1])), beside_it


_WRITTEN = ("text", "text_pair", "label", "score", "labels", "entities")


def _check_kept(columns: Sequence[str]) -> None:
    if isinstance(columns, str):
        raise DataError(f"keep_columns is {columns!r}; give a list: [{columns!r}].")
    for name in columns:
        if name in _WRITTEN:
            raise DataError(
                f"--keep-column {name}: answers use the names {', '.join(_WRITTEN)} themselves. Rename the file's "
                "column; the text that is read is written anyway."
            )


def _line(text: Text, kept: dict[str, Any], answer: Any) -> str:
    row: dict[str, Any] = (
        {"text": text} if isinstance(text, str) else dict(zip(("text", "text_pair"), text, strict=True))
    )
    more = answer if isinstance(answer, dict) else {"entities" if _are_entities(answer) else "labels": answer}
    return json.dumps({**row, **kept, **more}, ensure_ascii=False, default=float) + "\n"


def _are_entities(answer: Any) -> bool:
    return not answer or "entity_group" in answer[0]


def batches(lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    """Places of rows that are run together: of like length, as many as fit.

    Args:
        lengths: of all rows, in tokens.
        most: places of a batch, padding included; a longer row stands alone.
    """
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda one: -lengths[one]):
        if batch and lengths[batch[0]] * (len(batch) + 1) > most:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


class _Reader:
    """Texts as tokens, without padding; the tokenizer that was given is left as it is."""

    def __init__(self, tokenizer: Any, length: int | None, *, of_words: bool) -> None:
        from tokenizers import Tokenizer

        backend = getattr(tokenizer, "backend_tokenizer", None)
        if backend is None:
            raise TinyBertError(
                f"{type(tokenizer).__name__} has no fast tokenizer (tokenizer.json), so texts cannot be read at speed."
            )
        self._backend = Tokenizer.from_str(backend.to_str())
        self._backend.no_padding()
        self._backend.no_truncation()
        if length is not None:
            least = self._backend.num_special_tokens_to_add(False) + 1
            if length < least:
                raise DataError(
                    f"max_length is {length}, and a text of one token has {least} with the special ones "
                    "(--max-length)."
                )
            self._backend.enable_truncation(length, direction=tokenizer.truncation_side)
        self._of_words, self._length = of_words, length
        self._encode = self._backend.encode_batch if of_words else self._backend.encode_batch_fast

    def __call__(self, texts: Sequence[Text], first: int) -> list[Any]:
        given = [_as_text(text, first + number) for number, text in enumerate(texts)]
        pair = next((number for number, text in enumerate(given) if not isinstance(text, str)), None)
        if pair is not None and self._of_words:
            raise DataError(f"text {first + pair} is a pair, and a classifier of words reads one text.")
        least = self._backend.num_special_tokens_to_add(True) + 2
        if pair is not None and self._length is not None and self._length < least:
            raise DataError(f"max_length is {self._length}, and a pair has {least} tokens at least (--max-length).")
        return self._encode(given) if given else []  # type: ignore[no-any-return]


def _as_text(text: Any, number: int) -> str | tuple[str, str]:
    place = f"text {number}"
    if isinstance(text, str):
        return checked_text(text, place)
    if isinstance(text, dict) and isinstance(text.get("text"), str):
        pair = text.get("text_pair")
        if pair is None:
            return checked_text(text["text"], place)
        text = text["text"], pair
    if isinstance(text, tuple | list) and len(text) == 2 and all(isinstance(one, str) for one in text):
        return checked_text(text[0], place), checked_text(text[1], place)
    raise DataError(
        f"{place}: {text!r:.60} is no text. Give strings, pairs of strings, or dictionaries with text and text_pair."
    )


def _opened(model: str | Path, threads: int | None, format: str | None) -> tuple[Any, Any, str]:
    checkpoint = Checkpoint.read(model, "a classifier", format=format)
    if checkpoint.is_translator:
        raise TinyBertError(f"{model} is a translator: `tinybert translate` writes its translations.")
    task = task_of(checkpoint.config)
    _check_task(task, str(model))
    opened, tokenizer = checkpoint.open_head(task, threads=threads)
    return opened, tokenizer, task


def _task_of_class(model: PreTrainedModel) -> str:
    """The task of a model in memory: its configuration may name the class that it was made from."""
    name = type(model).__name__
    for task, spec in HEADS.items():
        if name.endswith(spec.ending):
            return task
    raise TinyBertError(f"{name} has no head that classifies. Give a model for {' or '.join(_CLASSIFIES)}.")


_CLASSIFIES = (TEXT_CLASSIFICATION, TOKEN_CLASSIFICATION)


def _check_task(task: str, name: str) -> None:
    if task in _CLASSIFIES:
        return
    raise TinyBertError(
        f"{name} is {HEADS[task].kind}, and needs a question with each text: tinybert_hf.QuestionAnswerer."
    )
