"""Which words could take another's place: expected by a masked-LM, or near it among word vectors."""

import copy
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tinybert_hf.checkpoints import limits_of, open_config, open_model, open_tokenizer
from tinybert_hf.data.augmentation_words import (
    EncodedText,
    Masking,
    ReplacementSettings,
    Text,
    Vocabulary,
    Word,
    is_ideograph,
    is_lettered,
    is_word,
    pieces_of,
    plain_text,
    replaceable_words,
)
from tinybert_hf.data.raw_rows import byte_blocks, reading
from tinybert_hf.data.shards import model_fingerprint
from tinybert_hf.errors import DataError, TeacherError
from tinybert_hf.messages import counted, does_not_exist
from tinybert_hf.model.manifest_tinybert import sha256_of

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel


# The best of many scores, such that rounding does not decide.
#
# Scores of a batch differ in their last digits from those of the same text alone, and two scores may be as near as
# that. So where the best cannot be told for sure, they are computed again with twice the digits; what is equal then
# stands in the order of the vocabulary.

# Of the largest score: an order of magnitude more than a model of 12 or 24 layers is off in float32.
DOUBTFUL = 2e-5
_EQUAL = 1e-9


def best(scores: "Tensor", count: int) -> tuple["Tensor", "Tensor"]:
    """The best of each row, and where they are in doubt.

    Args:
        scores: (B, V), float32; what must not be chosen is -inf.
        count: how many to take.

    Returns:
        Indices (B, count) and scores' doubts (B,): whether the last that is in and the first that is out are so near
        that rounding may have exchanged them.
    """
    import torch

    count = min(count, scores.shape[1])
    values, indices = scores.topk(min(count + 1, scores.shape[1]), dim=1)
    if values.shape[1] == count:
        return indices, torch.zeros(len(scores), dtype=torch.bool, device=scores.device)
    largest = scores.masked_fill(scores.isinf(), 0).abs().amax(dim=1)
    doubtful = values[:, count - 1] - values[:, count] <= DOUBTFUL * largest
    # -inf beside -inf: fewer may be chosen than were asked for, and nothing is in doubt.
    return indices[:, :count], doubtful & values[:, count].isfinite()


def best_exactly(scores: "Tensor", count: int) -> "Tensor":
    """The best of each row; equal ones in the order of their indices.

    Args:
        scores: (B, V), float64.
        count: how many to take.

    Returns:
        Indices (B, count).
    """
    largest = scores.masked_fill(scores.isinf(), 0).abs().amax(dim=1, keepdim=True).clamp_min(1e-30)
    rounded = (scores / (largest * _EQUAL)).round()
    return rounded.sort(dim=1, descending=True, stable=True).indices[:, :count]


# Word vectors from a text file, as GloVe and word2vec write them.

_HEADER = re.compile(rb" *(\d{1,18}) +(\d{1,18})")
# One way only to match a number: a line may be as long as a file.
_NUMBERS = re.compile(rb"(?: [-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)+")
_LOOKED_AT = 1000
_FEWEST = 2
_TWICE = "of a word that stands there already (its first vector is taken)"


@dataclass(frozen=True)
class _Scan:
    width: int
    rows: int
    has_header: bool
    left_out: Counter[str]
    notes: list[str]


class GloveVectors:
    """The nearest words by vectors of a file.

    Attributes:
        notes: what was left out of the file, a sentence each.
    """

    def __init__(self, file: str | Path) -> None:
        """Reads the file with gensim.

        Raises:
            DataError: gensim is not there, or the file is missing, empty, or holds no vectors.
        """
        import torch

        require_gensim()
        scan = _scan(Path(file))
        vectors = _load(Path(file), scan)
        words = list(vectors.index_to_key)
        endless = (~torch.from_numpy(vectors.vectors).isfinite().all(dim=1)).nonzero().flatten().tolist()
        if endless:
            raise DataError(
                f"{file}: the vector of {words[endless[0]]!r:.60} has a number that is too large. Remove its line."
            )
        kept = [place for place, word in enumerate(words) if is_word(word) and is_lettered(word)]
        if len(kept) < _FEWEST:
            raise DataError(f"{file} holds no words: its {len(words):,} entries are numbers or signs.")
        self._table = WordTable([words[place] for place in kept], torch.from_numpy(vectors.vectors[kept]))
        self._vectors = torch.from_numpy(vectors.vectors)
        self._places = {word: place for place, word in reversed(list(enumerate(words)))}
        self._known: dict[tuple[str, int], list[str]] = {}
        self.notes = scan.notes + [
            f"{file}: {counted(count, 'line')} left out, {reason}." for reason, count in scan.left_out.items()
        ]

    def knows(self, word: str) -> bool:
        """Whether the file has a vector for a word, as it is written or in small letters."""
        return word in self._places or word.lower() in self._places

    def words(self, words: Sequence[str], pieces: Sequence[Sequence[int]], count: int) -> list[list[str]]:
        """The nearest words of each that the file knows; none of the others.

        Args:
            words: whose neighbours are wanted.
            pieces: not looked at.
            count: how many.
        """
        new = list(dict.fromkeys(word for word in words if self.knows(word) and (word, count) not in self._known))
        if new:
            places = [self._places.get(word, self._places.get(word.lower(), 0)) for word in new]
            found = self._table.nearest(new, self._vectors[places].double(), count)
            self._known.update({(word, count): near for word, near in zip(new, found, strict=True)})
        return [self._known.get((word, count), []) for word in words]


def require_gensim() -> None:
    """Refuses to go on without the library that reads the file.

    Raises:
        DataError: naming the line that installs it.
    """
    try:
        import gensim  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: F401
    except ImportError as error:
        raise DataError('GloVe vectors need gensim: pip install "tinybert_hf[glove]"') from error


def _load(file: Path, scan: _Scan) -> Any:
    import numpy as np
    from gensim.models import KeyedVectors  # type: ignore[import-not-found,import-untyped,unused-ignore]

    with tempfile.TemporaryDirectory() as folder:
        clean = Path(folder) / "vectors.txt"
        with clean.open("wb") as handle:
            handle.write(b"%d %d\n" % (scan.rows, scan.width))  # where it has to count them, gensim leaves files open
            handle.writelines(line for line, reason in _lines(file, scan.width, scan.has_header) if reason is None)
        with np.errstate(over="ignore"):  # what is too large for float32 is looked for afterwards
            return KeyedVectors.load_word2vec_format(str(clean), binary=False)


def _scan(file: Path) -> _Scan:
    """How wide the vectors are, and which lines cannot be used."""
    if not file.is_file():
        raise DataError(f"No word vectors: {does_not_exist(file)}")
    header = next((_HEADER.fullmatch(line) for line in _raw_lines(file)), None)
    has_header = header is not None
    first = islice(_raw_lines(file), int(has_header), _LOOKED_AT)
    widths = Counter(line.count(b" ") for line in first if line)
    width = max(widths, key=lambda one: widths[one], default=0)
    left_out: Counter[str] = Counter()
    rows = 0
    for _, reason in _lines(file, width, has_header):
        if reason is None:
            rows += 1
        else:
            left_out[reason] += 1
    if width == 0 or rows < _FEWEST:
        counted = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
        raise DataError(
            f"{file} holds no word vectors{f' ({counted})' if counted else ' (it is empty)'}. Each line must be a "
            "word and its numbers, with single spaces (or tabs) between them, as GloVe and word2vec write them."
        )
    notes = []
    said = (int(header[1]), int(header[2])) if header is not None else None
    there = rows + left_out.total()
    if said is not None and said != (there, width):
        notes.append(
            f"{file}: its first line says {said[0]:,} vectors of {said[1]:,} numbers, and {there:,} of {width:,} "
            "follow. If you did not shorten it yourself, make or download it again."
        )
    return _Scan(width, rows, has_header, left_out, notes)


def _lines(file: Path, width: int, has_header: bool) -> Iterator[tuple[bytes, str | None]]:
    """Each line as gensim takes it, and why it cannot be used."""
    seen: set[bytes] = set()
    for number, line in enumerate(_raw_lines(file)):
        if (number == 0 and has_header) or not line:
            continue
        reason = _reason(line, width)
        if reason is None:
            word = line.partition(b" ")[0]
            reason = _TWICE if word in seen else None
            seen.add(word)
        yield line + b"\n", reason


def _reason(line: bytes, width: int) -> str | None:
    word, _, numbers = line.partition(b" ")
    if not word or _NUMBERS.fullmatch(b" " + numbers) is None:
        return "not a word and its numbers"
    if numbers.count(b" ") + 1 != width:
        return f"not {width} numbers wide"
    try:
        word.decode()
    except UnicodeDecodeError:
        return "not UTF-8"
    return None


def _raw_lines(file: Path) -> Iterator[bytes]:
    """The lines without the white space behind them; a tab between a word and its numbers is as good as a space."""
    with reading(str(file)) as handle:
        for _, block in byte_blocks(handle, str(file)):
            for line in block.split(b"\n"):
                yield line.rstrip().replace(b"\t", b" ")


# The nearest words of a table of word vectors, by their cosine.

_WORDS_AT_ONCE = 64


class WordTable:
    """Words with their vectors."""

    def __init__(self, words: Sequence[str], vectors: "Tensor") -> None:
        """Takes words and a vector for each, (W, H)."""
        import torch

        self.words = list(words)
        vectors = vectors.detach().float().cpu()
        self._table = torch.nn.functional.normalize(vectors, dim=1)
        self._vectors = vectors
        self._is_ideograph = torch.tensor([is_ideograph(word) for word in words])
        self._places: dict[str, list[int]] = defaultdict(list)
        for place, word in enumerate(words):
            self._places[word.casefold()].append(place)

    def nearest(self, words: Sequence[str], vectors: "Tensor", count: int) -> list[list[str]]:
        """The nearest words of each; never the word itself, and a Chinese character for one alone.

        Args:
            words: whose neighbours are wanted.
            vectors: of the words, (B, H) in float64.
            count: how many.

        Returns:
            For each word others, in the order of the table.
        """
        found = []
        for start in range(0, len(words), _WORDS_AT_ONCE):
            some = slice(start, start + _WORDS_AT_ONCE)
            found += self._nearest(words[some], vectors[some], count)
        return found

    def _nearest(self, words: Sequence[str], vectors: "Tensor", count: int) -> list[list[str]]:
        import torch

        cosines = torch.nn.functional.normalize(vectors.float(), dim=1) @ self._table.T
        groups = torch.tensor([is_ideograph(word) for word in words])
        cosines = cosines.masked_fill(groups[:, None] != self._is_ideograph[None], float("-inf"))
        for row, word in enumerate(words):
            cosines[row, self._places.get(word.casefold(), [])] = float("-inf")
        least = cosines.topk(min(count, cosines.shape[1]), dim=1).values[:, -1]
        found = []
        for row, vector in enumerate(vectors):
            # All that may be among the best once more with all digits, since the batch decides on the last ones.
            near = (cosines[row] >= least[row] - DOUBTFUL).logical_and(cosines[row].isfinite()).nonzero()[:, 0]
            table = torch.nn.functional.normalize(self._vectors[near].double(), dim=1)
            exact = (torch.nn.functional.normalize(vector[None], dim=1) * table).sum(dim=1)
            chosen = near[best_exactly(exact[None], count)[0]] if len(near) else near
            found.append([self.words[place] for place in sorted(chosen.tolist())])
        return found


class EmbeddingNeighbours:
    """The whole words of a vocabulary, by the input embeddings of its model.

    A word's vector is the mean of those of its pieces, so every word has neighbours here.
    """

    def __init__(self, embeddings: "Tensor", vocabulary: Vocabulary) -> None:
        """For the embedding matrix of a model, (V, H)."""
        self._embeddings = embeddings.detach().float().cpu()
        ids = [number for number in vocabulary.words if number < len(self._embeddings)]
        self._table = WordTable([vocabulary.words[number] for number in ids], self._embeddings[ids])
        self._known: dict[tuple[str, int], list[str]] = {}

    def knows(self, word: str) -> bool:
        """Whether a word has neighbours."""
        return True

    def words(self, words: Sequence[str], pieces: Sequence[Sequence[int]], count: int) -> list[list[str]]:
        """The nearest words of each.

        Args:
            words: whose neighbours are wanted.
            pieces: ids of each word's tokens.
            count: how many.
        """
        import torch

        wanted = {(word, count): ids for word, ids in zip(words, pieces, strict=True)}
        new = {key: ids for key, ids in wanted.items() if key not in self._known}
        if new:
            vectors = torch.stack([self._embeddings[list(ids)].double().mean(dim=0) for ids in new.values()])
            found = self._table.nearest([word for word, _ in new], vectors, count)
            self._known.update(zip(new, found, strict=True))
        return [self._known[word, count] for word in words]


# The words that a masked-LM expects in the place of another, for many texts at once.
#
# The model sees the original text with that one word masked, as published. Of the masked texts of all rows, those of
# like length make a batch, and nothing but the masked places goes through the last feed-forward part and the head.


@dataclass(frozen=True)
class MaskedText:
    """A text with one word masked.

    Attributes:
        ids: tokens, special ones included.
        place: of the mask among them.
        word: that stood there.
    """

    ids: list[int]
    place: int
    word: str


class Predictions:
    """Asks a masked-LM for words."""

    def __init__(self, model: "PreTrainedModel", tokenizer: Any, vocabulary: Vocabulary, batch_size: int) -> None:
        """For a model on its device."""
        self._model, self._tokenizer, self._vocabulary, self._batch_size = model, tokenizer, vocabulary, batch_size
        self._allowed = vocabulary.allowed(model.config.vocab_size).to(model.device)
        self._exact: PreTrainedModel | None = None

    def words(
        self, texts: Sequence[MaskedText], count: int, progress: Callable[[int], None] | None = None
    ) -> list[list[str]]:
        """The best words for each mask, whatever else is in the batch.

        Args:
            texts: in any order.
            count: of words.
            progress: called with the number of texts of each batch.

        Returns:
            For each text words of the vocabulary in the order of their ids; never the word that stood there.
        """
        found: dict[int, list[int]] = {}
        doubtful: list[int] = []
        for batch in self._batches(texts, range(len(texts))):
            scores = self._scores(self._model, [texts[index] for index in batch])
            indices, doubts = best(scores, count)
            chosen = indices.masked_fill(scores.gather(1, indices).isinf(), -1)
            found.update(zip(batch, chosen.tolist(), strict=True))
            doubtful += [index for index, doubt in zip(batch, doubts.tolist(), strict=True) if doubt]
            if progress is not None:
                progress(len(batch))
        for batch in self._batches(texts, doubtful):
            scores = self._scores(self._exact_model(), [texts[index] for index in batch])
            indices = best_exactly(scores, count)
            found.update(zip(batch, indices.masked_fill(scores.gather(1, indices).isinf(), -1).tolist(), strict=True))
        return [
            [self._vocabulary.words[number] for number in sorted(found[index]) if number >= 0]
            for index in range(len(texts))
        ]

    def _batches(self, texts: Sequence[MaskedText], indices: Sequence[int]) -> Iterator[list[int]]:
        """Of like length, so that little is padded."""
        ordered = sorted(indices, key=lambda index: len(texts[index].ids))
        for start in range(0, len(ordered), self._batch_size):
            yield ordered[start : start + self._batch_size]

    def _scores(self, model: "PreTrainedModel", texts: Sequence[MaskedText]) -> "Tensor":
        """The logits of whole words at each mask, (B, V); all others are -inf."""
        import torch

        width, padding = max(len(text.ids) for text in texts), self._tokenizer.pad_token_id or 0
        ids = torch.tensor([text.ids + [padding] * (width - len(text.ids)) for text in texts])
        mask = torch.tensor([[1] * len(text.ids) + [0] * (width - len(text.ids)) for text in texts])
        places = torch.tensor([text.place for text in texts], device=model.device)
        with torch.inference_mode(), _only_at(model, places):
            logits = model(input_ids=ids.to(model.device), attention_mask=mask.to(model.device)).logits[:, 0]
        logits = logits if logits.dtype == torch.float64 else logits.float()
        groups = torch.tensor([int(is_ideograph(text.word)) for text in texts], device=logits.device)
        logits = logits + self._allowed[groups].to(logits.device)
        for row, text in enumerate(texts):
            for number in self._vocabulary.ids_of(text.word):
                logits[row, number] = float("-inf")
        return logits

    def _exact_model(self) -> "PreTrainedModel":
        if self._exact is None:
            self._exact = copy.deepcopy(self._model)
            if self._exact.device.type == "mps":  # has no double precision
                self._exact.cpu()
            self._exact.double()
        return self._exact


@contextmanager
def _only_at(model: "PreTrainedModel", places: "Tensor") -> Iterator[None]:
    """Within, the model goes on with one place of each row alone as soon as no layer needs the others."""
    rows = range(len(places))

    def pick(module: Any, inputs: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (output[0][rows, places].unsqueeze(1), *output[1:])
        if hasattr(output, "last_hidden_state"):
            output.last_hidden_state = output.last_hidden_state[rows, places].unsqueeze(1)
            return output
        return output[rows, places].unsqueeze(1)

    layers = getattr(getattr(model.base_model, "encoder", None), "layer", None)
    last = layers[-1] if layers is not None and len(layers) else None
    # Built as BERT's: behind the attention, each token goes its own way.
    is_bert_layer = all(hasattr(last, part) for part in ("attention", "intermediate", "output"))
    handle = (last.attention if is_bert_layer and last is not None else model.base_model).register_forward_hook(pick)
    try:
        yield
    finally:
        handle.remove()


# Where the words that take another's place come from.


class Neighbours(Protocol):
    """The nearest words of a table."""

    def knows(self, word: str) -> bool:
        """Whether a word has neighbours."""
        ...

    def words(self, words: Sequence[str], pieces: Sequence[Sequence[int]], count: int) -> list[list[str]]:
        """The nearest words of each, of which the token ids are given too."""
        ...


@dataclass(frozen=True)
class ReadText:
    """A text as tokens, and its words that something can take the place of.

    Attributes:
        encoded: its tokens.
        words: with the places of each one's tokens.
        beyond: how many more words stand behind the tokens that are looked at.
        unknown: how many more words have no neighbours.
    """

    encoded: EncodedText
    words: list[tuple[Word, list[int]]]
    beyond: int = 0
    unknown: int = 0


class WordSource:
    """Predictions for words of one piece, neighbours for the others; or neighbours for all.

    Attributes:
        vocabulary: of the model.
    """

    def __init__(
        self, masking: Masking, vocabulary: Vocabulary, predictions: Predictions | None, neighbours: Neighbours
    ) -> None:
        """From `words_from`."""
        self.vocabulary = vocabulary
        self._masking, self._predictions, self._neighbours = masking, predictions, neighbours

    def read(self, texts: Sequence[Text | None], settings: ReplacementSettings) -> list[ReadText]:
        """Finds the words of texts that have candidates; no model is asked for it."""
        encoded = self._masking.encode([plain_text(text) for text in texts])
        return [self._read(text, tokens, settings) for text, tokens in zip(texts, encoded, strict=True)]

    def _read(self, text: Text | None, encoded: EncodedText, settings: ReplacementSettings) -> ReadText:
        words = replaceable_words(text)
        found = [(word, pieces) for word, pieces in zip(words, pieces_of(words, encoded), strict=True) if pieces]
        near = [(word, pieces) for word, pieces in found if pieces[-1] < settings.max_length]
        known = [
            (word, pieces)
            for word, pieces in near
            if self._predicts(word, pieces, encoded) or self._neighbours.knows(word.text)
        ]
        return ReadText(encoded, known, beyond=len(found) - len(near), unknown=len(near) - len(known))

    def candidates(
        self,
        texts: Mapping[Hashable, ReadText],
        wanted: Sequence[tuple[Hashable, int]],
        settings: ReplacementSettings,
        progress: Callable[[int], None] | None = None,
    ) -> dict[tuple[Hashable, int], list[str]]:
        """What may take the place of words.

        Args:
            texts: by any keys.
            wanted: keys of texts, and which of their words.
            settings: how many, and how much of the text is read.
            progress: called with the number of words that were found for.

        Returns:
            The candidates of each.
        """
        masked: dict[tuple[Hashable, int], MaskedText] = {}
        others: dict[tuple[Hashable, int], tuple[str, list[int]]] = {}
        for text, index in wanted:
            read = texts[text]
            word, pieces = read.words[index]
            if self._predicts(word, pieces, read.encoded):
                ids, place = self._masking.masked(read.encoded, pieces[0], settings.context)
                masked[text, index] = MaskedText(ids, place, word.text)
            else:
                others[text, index] = word.text, [read.encoded.ids[piece] for piece in pieces]
        found: dict[tuple[Hashable, int], list[str]] = {}
        if self._predictions is not None:
            predicted = self._predictions.words(list(masked.values()), settings.candidates, progress)
            found.update(zip(masked, predicted, strict=True))
        names, pieces_each = [word for word, _ in others.values()], [pieces for _, pieces in others.values()]
        found.update(zip(others, self._neighbours.words(names, pieces_each, settings.candidates), strict=True))
        if progress is not None:
            progress(len(others))
        return found

    def _predicts(self, word: Word, pieces: Sequence[int], encoded: EncodedText) -> bool:
        """Whether a word is exactly one piece."""
        is_whole = len(pieces) == 1 and encoded.spans[pieces[0]] == (word.start, word.end)
        return is_whole and self._predictions is not None


# Opens the model that knows which words fit.

_OTHERWISE = (
    "Give one that was trained to fill in words, such as bert-base-uncased, or take the nearest words of the model's "
    "own embeddings in place of its predictions: --neighbours-only (in a run: --set "
    "augmentation.neighbours_only=true)."
)


def open_masked_lm(model: str, *, neighbours_only: bool = False) -> tuple["PreTrainedModel", Any]:
    """Opens a model with a masked-LM head and its tokenizer.

    Args:
        model: folder or Hub id.
        neighbours_only: no head is needed.

    Raises:
        TeacherError: it cannot be opened, has no trained masked-LM head, no mask token, or a tokenizer that does not
            say where its pieces stand in the text.
    """
    from transformers import AutoModel, AutoModelForMaskedLM

    what = f"the model {str(model)!r} cannot be opened to find words"
    kind = AutoModel if neighbours_only else AutoModelForMaskedLM
    headless = (
        f"the model {str(model)!r} has no masked-LM head ({{missing}} are not in the checkpoint), so it predicts no "
        f"words. {_OTHERWISE}"
    )
    opened = open_model(model, kind, TeacherError, what, headless=headless, dtype="float32")
    tokenizer = open_tokenizer(model, TeacherError, what, opened)
    check_tokenizer(str(model), tokenizer, neighbours_only=neighbours_only)
    return opened.eval(), tokenizer


def predicts_words(config: Any) -> bool:
    """Whether a model's configuration says that its checkpoint has a masked-LM head, or says nothing about it.

    Args:
        config: of any encoder.
    """
    names = getattr(config, "architectures", None) or ("ForMaskedLM",)
    return any(name.endswith(("ForMaskedLM", "ForPreTraining", "LMHeadModel")) for name in names)


def check_predicts_words(model: str) -> None:
    """Refuses a model without a masked-LM head by its configuration alone.

    Raises:
        TeacherError: it has none, or cannot be opened.
    """
    config = open_config(model, TeacherError, f"the model {model!r} cannot be opened to find words")
    if not predicts_words(config):
        raise TeacherError(
            f"the model {model!r} has no masked-LM head (it is a {', '.join(config.architectures)}), so it predicts "
            f"no words. {_OTHERWISE}"
        )


def check_tokenizer(model: str, tokenizer: Any, *, neighbours_only: bool) -> None:
    """Refuses a tokenizer that cannot say which piece is which word, or has nothing to mask one with.

    Raises:
        TeacherError: naming the model.
    """
    if not tokenizer.is_fast:
        raise TeacherError(
            f"the tokenizer of {model!r} does not say where its pieces stand in a text. Save it as tokenizer.json (a "
            "fast tokenizer), or give another model."
        )
    if tokenizer.mask_token_id is None and not neighbours_only:
        raise TeacherError(f"the tokenizer of {model!r} has no mask token, so no word can be masked. {_OTHERWISE}")


def words_from(
    model: "PreTrainedModel",
    tokenizer: Any,
    *,
    neighbours_only: bool = False,
    glove: GloveVectors | None = None,
    batch_size: int | None = None,
) -> WordSource:
    """What finds words: a model's predictions for a word that is one piece, neighbours for the others.

    Args:
        model: with a masked-LM head unless `neighbours_only`, on its device.
        tokenizer: of the model.
        neighbours_only: never ask for predictions.
        glove: take neighbours from these vectors; None: from the model's input embeddings.
        batch_size: masked texts at once; None: 32 on a CPU, whose caches hold no more, and 512 elsewhere.
    """
    vocabulary = Vocabulary(tokenizer)
    if not vocabulary.words:
        raise TeacherError("the vocabulary of the model holds no whole word, so nothing can be put in a word's place.")
    masking = Masking(tokenizer, limits_of(model).positions)
    neighbours = glove or EmbeddingNeighbours(model.get_input_embeddings().weight, vocabulary)
    size = batch_size or (32 if model.device.type == "cpu" else 512)
    predictions = None if neighbours_only else Predictions(model, tokenizer, vocabulary, size)
    return WordSource(masking, vocabulary, predictions, neighbours)


@dataclass(frozen=True)
class OpenedSource:
    """All that words are taken from.

    Attributes:
        words: the source.
        identity: what it is, for `write_augmented`.
        notes: what a user should know of it, a sentence each.
    """

    words: WordSource
    identity: dict[str, Any]
    notes: list[str]


def open_source(
    model: str,
    *,
    glove_file: str | None = None,
    neighbours_only: bool = False,
    batch_size: int | None = None,
    device: str = "cpu",
) -> OpenedSource:
    """Opens a model by its name.

    Args:
        model: folder or Hub id.
        glove_file: word vectors for the neighbours.
        neighbours_only: never ask for predictions.
        batch_size: as in `words_from`.
        device: of the model.

    Raises:
        TinyBertError: the model or the file cannot be used.
    """
    opened, tokenizer = open_masked_lm(model, neighbours_only=neighbours_only)
    opened.to(device)  # type: ignore[arg-type]
    return source_of(opened, tokenizer, glove_file=glove_file, neighbours_only=neighbours_only, batch_size=batch_size)


def source_of(
    model: "PreTrainedModel",
    tokenizer: Any,
    *,
    glove_file: str | None = None,
    neighbours_only: bool = False,
    batch_size: int | None = None,
) -> OpenedSource:
    """The same of a model that is open already.

    Raises:
        TinyBertError: the tokenizer or the file cannot be used.
    """
    check_tokenizer(str(model.config.name_or_path), tokenizer, neighbours_only=neighbours_only)
    glove = None if glove_file is None else GloveVectors(glove_file)
    words = words_from(model, tokenizer, neighbours_only=neighbours_only, glove=glove, batch_size=batch_size)
    identity = {
        "model": model_fingerprint(model, tokenizer),
        "neighbours_only": neighbours_only,
        "content of the word vectors": None if glove_file is None else sha256_of(Path(glove_file))[:16],
    }
    return OpenedSource(words, identity, [] if glove is None else list(glove.notes))
