"""Trained models in the formats of other programs, each compared with the model that it was made from."""

from typing import TYPE_CHECKING

from tinybert_hf.lazy_names import lazy_names

if TYPE_CHECKING:
    from tinybert_hf.export.exporting import ALLOWED_LOSS, export_model
    from tinybert_hf.export.formats import FORMATS, Format
    from tinybert_hf.export.parity import Parity
    from tinybert_hf.export.report import ExportReport

__all__ = ["ALLOWED_LOSS", "FORMATS", "ExportReport", "Format", "Parity", "export_model"]

# Late, so that the command line can look at a format's name before torch is loaded.
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "ALLOWED_LOSS": "tinybert_hf.export.exporting",
        "export_model": "tinybert_hf.export.exporting",
        "FORMATS": "tinybert_hf.export.formats",
        "Format": "tinybert_hf.export.formats",
        "Parity": "tinybert_hf.export.parity",
        "ExportReport": "tinybert_hf.export.report",
    },
)
