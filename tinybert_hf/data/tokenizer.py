"""Trains a WordPiece vocabulary, for a model that starts from nothing."""

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tinybert_hf.errors import DataError

if TYPE_CHECKING:
    from transformers import BertTokenizer

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
MAX_CHARACTERS = 1000


def train_wordpiece_tokenizer(
    texts: Iterable[str], vocab_size: int = 8000, max_length: int = 512, lowercase: bool = True
) -> "BertTokenizer":
    """Trains a tokenizer as BERT's on texts.

    The same texts give the same ids in every process.

    Args:
        texts: what the vocabulary is made from.
        vocab_size: upper limit of tokens, special tokens and single characters included.
        max_length: the most tokens a model with it takes.
        lowercase: fold case and accents, as the uncased BERT does.

    Returns:
        A fast tokenizer; what it saves opens with AutoTokenizer.

    Raises:
        DataError: the texts hold no word.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
    from transformers import BertTokenizer

    # As BertTokenizer sets up its own, so that training and use see the same words.
    normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    splitter = pre_tokenizers.BertPreTokenizer()
    words = Counter(
        word for text in texts for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text)) if word
    )
    if not words:
        raise DataError("A tokenizer cannot be trained: the texts hold no word.")
    # The trainer numbers inner characters in the order of a hash table, and breaks ties by number. As special tokens
    # they have fixed numbers; only the vocabulary is kept, so they do not stay special.
    pieces = _characters(words, vocab_size)
    trainer = trainers.WordPieceTrainer(
        vocab_size=max(vocab_size, len(SPECIAL_TOKENS) + len(pieces)),
        special_tokens=[*SPECIAL_TOKENS, *pieces],
        limit_alphabet=0,
        show_progress=False,
    )
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    repeated = (" ".join([word] * count) for word, count in sorted(words.items()))
    tokenizer.train_from_iterator(repeated, trainer)
    vocabulary = dict(sorted(tokenizer.get_vocab().items(), key=lambda item: item[1]))
    return BertTokenizer(vocab=vocabulary, do_lower_case=lowercase, model_max_length=max_length)


def _characters(words: Counter[str], vocab_size: int) -> list[str]:
    """The most frequent characters, as they begin a word and as they go on in one."""
    counts: Counter[str] = Counter()
    for word, count in words.items():
        for i, character in enumerate(word):
            counts[character if i == 0 else f"##{character}"] += count
    ranked = sorted(counts, key=lambda piece: (-counts[piece], piece))
    kept = ranked[:MAX_CHARACTERS]
    # Each Chinese character is a word, and no merge of pieces would ever make one: they get their share of the room.
    alone = [word for word in ranked[MAX_CHARACTERS:] if word in words]
    room = vocab_size - len(SPECIAL_TOKENS) - MAX_CHARACTERS
    if alone and room > 0:
        share = sum(count for word, count in words.items() if len(word) == 1) / words.total()
        kept += alone[: int(room * share)]
    return sorted(kept)
