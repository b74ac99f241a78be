"""Keep the screen for what the user asked for: no load reports, no advice to developers; progress bars stay."""

from __future__ import annotations

import logging
import warnings


def quiet_libraries() -> None:
    """Silence the notes of transformers, datasets and torch, apart from errors."""
    import datasets
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()  # of loading weights; the Trainer's own bar stays
    datasets.utils.logging.set_verbosity_error()
    for name in ("httpx", "huggingface_hub", "torch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
