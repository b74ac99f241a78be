"""Trained models in the formats of other programs, each compared with the model that it was made from."""

from tinybert_hf.export.exporting import ALLOWED_LOSS, export_model
from tinybert_hf.export.formats import FORMATS, Format
from tinybert_hf.export.parity import Parity
from tinybert_hf.export.report import ExportReport

__all__ = ["ALLOWED_LOSS", "FORMATS", "ExportReport", "Format", "Parity", "export_model"]
