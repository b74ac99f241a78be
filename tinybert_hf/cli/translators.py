"""What the commands that translate share: their options, and opening a model on a device with its languages."""

from __future__ import annotations

from typing import Annotated, Any

import typer

_MODEL = "Model"
_SEARCH = "Search"

SourceLanguage = Annotated[
    str | None,
    typer.Option(
        help="Multilingual models (NLLB, M2M100, mBART): language of the texts, as eng_Latn, en or en_XX.",
        rich_help_panel=_MODEL,
    ),
]
TargetLanguage = Annotated[
    str | None,
    typer.Option(help="Multilingual models: language to translate into, likewise.", rich_help_panel=_MODEL),
]
Prefix = Annotated[
    str,
    typer.Option(
        metavar="TEXT",
        help="Put before each text, where the model wants that: '>>cmn_Hans<< ' (Marian), "
        "'translate English to German: ' (T5).",
        rich_help_panel=_MODEL,
    ),
]
MaxNewTokens = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Tokens of a translation at most. Default: 2 x the tokens of the longest text of a batch + 10.",
        rich_help_panel=_SEARCH,
    ),
]


def open_on_device(
    model: str, *, cpu: bool, source_language: str | None, target_language: str | None, bf16: bool = False
) -> tuple[Any, Any]:
    """Open a translator with its tokenizer, tell it its languages, and move it to the GPU if there is one.

    Args:
        model: a folder, or an id on the Hub.
        cpu: use no accelerator.
        source_language: of a multilingual model.
        target_language: of a multilingual model.
        bf16: hold the weights in bfloat16.

    Raises:
        TinyBertError: it is no translator, or its languages are missing.
    """
    import torch

    from tinybert_hf.cli.model_folders import opens_models
    from tinybert_hf.data.translation_languages import set_languages
    from tinybert_hf.evaluation import open_translator

    with opens_models(model):
        opened, tokenizer = open_translator(model)
    set_languages(opened, tokenizer, source_language, target_language)
    device = "cuda" if torch.cuda.is_available() and not cpu else "cpu"
    # A CPU is slow with half precision, in which large checkpoints are often saved.
    dtype = torch.bfloat16 if bf16 else torch.float32 if device == "cpu" else opened.dtype
    return opened.to(device, dtype=dtype).eval(), tokenizer
