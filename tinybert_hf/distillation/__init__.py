"""Distillation on tensors and modules: layer maps, capture, losses, projections, and a student's start."""

from typing import TYPE_CHECKING

from tinybert_hf.lazy_names import names_of_modules

if TYPE_CHECKING:
    from tinybert_hf.distillation.batch import Counts, Masks
    from tinybert_hf.distillation.capturing import AttentionRecord, Capture, capture
    from tinybert_hf.distillation.initialization import StartReport, initialize_from_teacher
    from tinybert_hf.distillation.layer_map import LayerMap, resolve_layer_map
    from tinybert_hf.distillation.losses import LOSSES
    from tinybert_hf.distillation.losses.own import DistillationLoss
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

# Late, so that a recipe can be checked against the losses before torch is loaded.
__getattr__, __dir__ = names_of_modules(
    __name__,
    {
        "batch": ("Counts", "Masks"),
        "capturing": ("AttentionRecord", "Capture", "capture"),
        "initialization": ("StartReport", "initialize_from_teacher"),
        "layer_map": ("LayerMap", "resolve_layer_map"),
        "losses": ("LOSSES",),
        "losses.own": ("DistillationLoss",),
        "objective": ("Objective", "distillation_losses"),
        "projections": ("Projections",),
        "teachers": ("Teachers", "label_order", "load_teacher"),
    },
)
