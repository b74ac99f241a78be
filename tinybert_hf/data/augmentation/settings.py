"""What decides which words stand in a copy."""

from dataclasses import dataclass

from tinybert_hf.errors import DataError


@dataclass(frozen=True)
class ReplacementSettings:
    """How words are replaced. Equal settings, model and rows make equal copies, in batches of any size.

    Attributes:
        copies: of each row; TinyBERT takes 30 for CoLA, MRPC, RTE and STS-B, 20 for SST-2 and QNLI, 10 for MNLI and
            QQP.
        probability: with which each word that may be replaced is replaced; a copy has one replaced word at least.
        candidates: how many words one is drawn from.
        seed: of the draws; each row has a generator of its own, made of the seed and its number.
        max_length: words behind so many tokens of a text stay as they are.
        context: tokens that the masked-LM reads at most; in a longer text, those around the word.
    """

    copies: int = 20
    probability: float = 0.4
    candidates: int = 15
    seed: int = 42
    max_length: int = 512
    context: int = 128

    def __post_init__(self) -> None:
        """Refuses values that make no copies.

        Raises:
            DataError: naming the setting.
        """
        least = {"copies": 1, "candidates": 1, "seed": 0, "max_length": 1, "context": 8}
        for name, value in least.items():
            if getattr(self, name) < value:
                raise DataError(f"{name} is {getattr(self, name)}; it must be {value} or more.")
        if not 0 < self.probability <= 1:
            raise DataError(f"probability is {self.probability:g}; it must be above 0 and at most 1.")
