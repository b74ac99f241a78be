"""Opens a corpus: tokenised now, or by an earlier run."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from tinybert_hf.data.corpus.blocks import CorpusBlocks
from tinybert_hf.data.corpus.packing import SpecialTokens
from tinybert_hf.data.corpus.settings import CorpusSettings
from tinybert_hf.data.corpus.shards import Progress, tokenise_corpus
from tinybert_hf.data.corpus.sources import Sources
from tinybert_hf.data.model_fingerprint import tokens_of
from tinybert_hf.errors import DataError, OutputFolderError

MOST_HELD_OUT = 1000


@dataclass(frozen=True)
class Corpus:
    """The rows of a general distillation.

    Attributes:
        train: blocks to learn from.
        validation: blocks to measure on.
        report: what there is: sources, documents, lines, blocks, tokens, and the share of padding that blocks of full
            length would have.
        folder: where the tokens lie.
    """

    train: CorpusBlocks
    validation: CorpusBlocks
    report: dict[str, Any]
    folder: str


def open_blocks(
    sources: Sources,
    tokenizer: Any,
    settings: CorpusSettings,
    *,
    with_segments: bool = False,
    progress: Progress | None = None,
) -> CorpusBlocks:
    """The blocks of some sources; tokenised first where no earlier run has done that.

    Of several processes one tokenises, and the others wait.

    Args:
        sources: from `find_sources`.
        tokenizer: of the teacher.
        settings: of the corpus.
        with_segments: rows have token_type_ids.
        progress: called with the share that is done and the tokens so far.

    Raises:
        DataError: a source cannot be read, or there is no text.
        OutputFolderError: the disk is too small, or the folder cannot be written.
    """
    folder = cache_folder(settings) / _fingerprint(sources, tokenizer, settings)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            tokenise_corpus(folder, sources.found, tokenizer, settings, progress)
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise OutputFolderError(
            f"corpus cache {folder.parent} cannot be written ({error.strerror}); name another folder (corpus.cache, "
            "--corpus-cache)."
        ) from error
    joint = SpecialTokens.of(tokenizer).joint
    return CorpusBlocks(folder, separator=joint[0] if joint else None, with_segments=with_segments)


def split_corpus(blocks: CorpusBlocks, validation: CorpusBlocks | None, sources: Sources) -> Corpus:
    """Holds out the last 1 % of the blocks where there is no held-out text.

    Args:
        blocks: of the corpus.
        validation: of the held-out text, or None.
        sources: of the corpus.

    Raises:
        DataError: there is but one block.
    """
    train = blocks
    if validation is None:
        if len(blocks) < 2:
            raise DataError(
                f"The corpus has {len(blocks)} block of {blocks.tokens} tokens, and one is held out to measure on. "
                "Give more text, or held-out text of its own (--validation-file)."
            )
        held_out = min(max(1, len(blocks) // 100), MOST_HELD_OUT)
        train = blocks.select(range(len(blocks) - held_out))
        validation = blocks.select(range(len(blocks) - held_out, len(blocks)))
    report = {
        **blocks.totals,
        "left_out": list(sources.left_out),
        "train_blocks": len(train),
        "train_tokens": train.tokens,
        "validation_blocks": len(validation),
        "validation_tokens": validation.tokens,
    }
    return Corpus(train, validation, report, str(blocks.folder))


def cache_folder(settings: CorpusSettings) -> Path:
    """Where tokenised corpora are kept."""
    if settings.cache is not None:
        return Path(settings.cache).expanduser()
    from huggingface_hub import constants

    return Path(constants.HF_HOME) / "tinybert_hf" / "corpora"


def _fingerprint(sources: Sources, tokenizer: Any, settings: CorpusSettings) -> str:
    """Of all that decides the blocks."""
    special = SpecialTokens.of(tokenizer)
    names = ("block_length", "cross_documents", "max_blocks", "text_column", "document_column")
    content = [sources.digest, tokens_of(tokenizer), vars(special), {name: getattr(settings, name) for name in names}]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]
