"""Any amount of text as blocks of tokens: tokenised once, packed, and read from the disk."""

from tinybert_hf.data.corpus.blocks import CorpusBlocks
from tinybert_hf.data.corpus.collating import BlockCollator
from tinybert_hf.data.corpus.opening import Corpus, cache_folder, open_blocks, split_corpus
from tinybert_hf.data.corpus.settings import CorpusSettings
from tinybert_hf.data.corpus.sources import Sources, find_files, find_sources

__all__ = [
    "BlockCollator",
    "Corpus",
    "CorpusBlocks",
    "CorpusSettings",
    "Sources",
    "cache_folder",
    "find_files",
    "find_sources",
    "open_blocks",
    "split_corpus",
]
