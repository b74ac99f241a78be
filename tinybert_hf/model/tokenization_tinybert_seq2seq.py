"""Tokenizer of a translator whose source and target have a vocabulary each.

This file travels with every saved tokenizer of its class, so it imports the standard library and transformers only.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from transformers import PreTrainedTokenizerFast

SOURCE_FILE, TARGET_FILE = "source_tokenizer.json", "target_tokenizer.json"


class TinyBertSeq2SeqTokenizer(PreTrainedTokenizerFast):
    """Two fast tokenizers as one: texts are encoded with the source's, `text_target=` with the target's.

    Decoding is done with the target's, since what is decoded is what a model has generated; for ids of the source say
    `use_source_tokenizer=True`, as for MarianTokenizer. Length, `get_vocab` and the conversions between tokens and
    ids are those of the source.

    Args:
        tokenizer_object: a `tokenizers.Tokenizer` for the source.
        target_tokenizer_object: one for the target.
        source_tokenizer_file: instead of the first, its file.
        target_tokenizer_file: instead of the second, its file.
        **kwargs: as for PreTrainedTokenizerFast: special tokens, length limit.

    Raises:
        ValueError: a tokenizer is missing, or a special token has another id in the target's.
    """

    # No tokenizer.json: where this class is not found, transformers would open that one alone, without a word.
    vocab_files_names: ClassVar[dict[str, str]] = {
        "source_tokenizer_file": SOURCE_FILE,
        "target_tokenizer_file": TARGET_FILE,
    }
    model_input_names: ClassVar[list[str]] = ["input_ids", "attention_mask"]
    # Makes every save copy this file beside the vocabularies.
    _auto_class: ClassVar[str | None] = "AutoTokenizer"

    def __init__(
        self,
        tokenizer_object: Any = None,
        target_tokenizer_object: Any = None,
        source_tokenizer_file: str | None = None,
        target_tokenizer_file: str | None = None,
        **kwargs: Any,
    ) -> None:
        if tokenizer_object is None:
            kwargs["tokenizer_file"] = _present(source_tokenizer_file, SOURCE_FILE)
        super().__init__(tokenizer_object=tokenizer_object, **kwargs)
        self._source_tokenizer: Any = self.backend_tokenizer
        if target_tokenizer_object is None:
            file = _present(target_tokenizer_file, TARGET_FILE)
            target_tokenizer_object = type(self._source_tokenizer).from_file(file)
        self._target_tokenizer = target_tokenizer_object
        for token in self.all_special_tokens:
            here, there = (one.token_to_id(token) for one in (self._source_tokenizer, self._target_tokenizer))
            if here != there:
                raise ValueError(
                    f"The special token {token!r} has the id {here} in the source's vocabulary and {there} in the "
                    "target's; both must give it the same id."
                )

    @classmethod
    def convert_to_native_format(cls, **kwargs: Any) -> dict[str, Any]:
        """Take the files as they are: transformers would look for a tokenizer.json and take the vocabulary out."""
        return {name: value for name, value in kwargs.items() if name not in ("tokenizer_file", "trust_remote_code")}

    @property
    def target_vocab_size(self) -> int:
        """Tokens of the target's vocabulary, special tokens included."""
        return self._target_tokenizer.get_vocab_size(with_added_tokens=True)

    def get_target_vocab(self) -> dict[str, int]:
        """The target's tokens with their ids."""
        return self._target_tokenizer.get_vocab(with_added_tokens=True)

    def _switch_to_target_mode(self) -> None:
        # transformers calls this before it encodes `text_target`, and the other one after it.
        self._tokenizer = self._target_tokenizer

    def _switch_to_input_mode(self) -> None:
        self._tokenizer = self._source_tokenizer

    @contextmanager
    def _target_mode(self) -> Iterator[None]:
        self._switch_to_target_mode()
        try:
            yield
        finally:
            self._switch_to_input_mode()

    def _decode(self, token_ids: Any, *args: Any, use_source_tokenizer: bool = False, **kwargs: Any) -> str:
        if use_source_tokenizer:
            return super()._decode(token_ids, *args, **kwargs)
        with self._target_mode():
            return super()._decode(token_ids, *args, **kwargs)

    def _save_pretrained(
        self,
        save_directory: str | os.PathLike[str],
        file_names: tuple[str, ...],
        legacy_format: bool | None = None,
        filename_prefix: str | None = None,
    ) -> tuple[str, ...]:
        prefix = f"{filename_prefix}-" if filename_prefix else ""
        both = ((SOURCE_FILE, self._source_tokenizer), (TARGET_FILE, self._target_tokenizer))
        files = [(os.path.join(save_directory, prefix + name), tokenizer) for name, tokenizer in both]
        for file, tokenizer in files:
            tokenizer.save(file)
        return (*file_names, *(file for file, _ in files))


def _present(file: str | None, name: str) -> str:
    if file is None or not os.path.isfile(file):
        raise ValueError(f"A tokenizer of two vocabularies needs {SOURCE_FILE} and {TARGET_FILE}: there is no {name}.")
    return file


__all__ = ["TinyBertSeq2SeqTokenizer"]
