"""Distillation on tensors and modules: layer maps, capture, losses, projections, and a student's start."""

from tinybert_hf.distillation.batch import Counts, Masks
from tinybert_hf.distillation.capture import AttentionRecord, Capture, capture
from tinybert_hf.distillation.initialization import StartReport, initialize_from_teacher
from tinybert_hf.distillation.layer_map import LayerMap, resolve_layer_map
from tinybert_hf.distillation.losses import LOSSES, DistillationLoss
from tinybert_hf.distillation.objective import Objective, distillation_losses
from tinybert_hf.distillation.projections import Projections
from tinybert_hf.distillation.teachers import Teachers, label_order, load_teacher

__all__ = [
    "LOSSES",
    "AttentionRecord",
    "Capture",
    "Counts",
    "DistillationLoss",
    "LayerMap",
    "Masks",
    "Objective",
    "Projections",
    "StartReport",
    "Teachers",
    "capture",
    "distillation_losses",
    "initialize_from_teacher",
    "label_order",
    "load_teacher",
    "resolve_layer_map",
]
