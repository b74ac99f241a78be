"""The tokenizer of a checkpoint that is to be converted; old ones bring no more than a vocab.txt."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf.conversion.source import Source
from tinybert_hf.errors import TinyBertError
from tinybert_hf.opening import check_tokens, refusing
from tinybert_hf.opening.json_files import read_object
from tinybert_hf.opening.tokenizers import check_tokenizer_files

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from tinybert_hf.model import TinyBertConfig

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def open_vocabulary(
    source: Source, config: TinyBertConfig, lower_case: bool | None, notes: list[str]
) -> PreTrainedTokenizerBase:
    """The tokenizer, with its length set to the positions of the model.

    Args:
        source: the files.
        config: of the model.
        lower_case: whether it lowers letters; None: as its files say, else by its vocabulary.
        notes: to which is added how that was found out.

    Raises:
        TinyBertError: there is none, it is damaged, or it has more tokens than the model embeds.
    """
    from transformers import BertTokenizer

    folder = source.folder
    words = folder / "vocab.txt"
    if not words.is_file() and not (folder / "tokenizer.json").is_file():
        raise TinyBertError(
            f"{folder} has no tokenizer: neither tokenizer.json nor vocab.txt is there. Put the model's own beside it."
        )
    check_tokenizer_files(folder)
    options: dict[str, Any] = {"model_max_length": config.max_position_embeddings}
    settings = folder / "tokenizer_config.json"
    said = read_object(settings) if settings.is_file() else {}
    if lower_case is not None:
        options["do_lower_case"] = lower_case
    elif "do_lower_case" not in said and not (folder / "tokenizer.json").is_file():
        options["do_lower_case"] = not _has_capitals(words)
        how = "lowers letters" if options["do_lower_case"] else "keeps capital letters"
        notes.append(f"no file says whether text is lowered; by its vocabulary the tokenizer {how} (--lower-case)")
    with refusing(f"the tokenizer of {folder} (vocab.txt, tokenizer.json) cannot be used"):
        tokenizer = BertTokenizer.from_pretrained(folder, **options)
    vocabulary = tokenizer.get_vocab()
    absent = [token for token in _SPECIAL if token not in vocabulary]
    if absent or len(vocabulary) <= len(_SPECIAL):
        raise TinyBertError(
            f"The vocabulary of {folder} lacks {', '.join(absent) or 'words'}: it is not a BERT's. "
            "Put the vocabulary of this model into the folder."
        )
    check_tokens(tokenizer, config, str(folder))
    return tokenizer


def _has_capitals(words: Path) -> bool:
    """Whether the words of a vocabulary are written with capital letters; one of a hundred is no accident."""
    with refusing(f"{words} cannot be read"):
        lines = words.read_text(encoding="utf-8").splitlines()
    capitals = sum(bool(re.search("[A-Z]", line)) for line in lines if not re.fullmatch(r"\[.*\]", line))
    return capitals > len(lines) / 100
