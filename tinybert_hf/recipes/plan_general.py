"""The plan of a general distillation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tinybert_hf.data import TaskData
from tinybert_hf.data.corpus import CorpusSettings, Sources, find_files, find_sources
from tinybert_hf.distillation import LayerMap
from tinybert_hf.errors import RecipeError, TeacherError
from tinybert_hf.model import TinyBertConfig, TinyBertForMaskedLM, TinyBertModel
from tinybert_hf.opening import check_folder_files, check_length
from tinybert_hf.recipes.folder import RunFolder
from tinybert_hf.recipes.plan_base import (
    Plan,
    bytes_needed,
    check_start,
    check_students_tokens,
    open_student_config,
    open_teacher_config,
    preset_config,
)
from tinybert_hf.recipes.plan_encoder import layer_maps
from tinybert_hf.recipes.schema import GENERAL, Recipe
from tinybert_hf.recipes.translators import open_tokenizer
from tinybert_hf.recipes.usual_settings import with_epochs

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


@dataclass(frozen=True)
class GeneralPlan(Plan):
    """A plan with what a general distillation needs.

    Attributes:
        layer_maps: for each phase, the map of the hidden states and the map of the attention.
        sources: of the corpus.
        validation: of the held-out text; None: a part of the corpus is held out.
    """

    layer_maps: tuple[tuple[LayerMap, LayerMap], ...]
    sources: Sources
    validation: Sources | None

    @property
    def makers(self) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
        """Encoders; the student with the head for masked tokens where a loss needs it."""
        from transformers import AutoModel

        return self.student_class, AutoModel.from_config

    @property
    def corpus(self) -> CorpusSettings:
        """Of the recipe."""
        assert self.recipe.corpus is not None
        return self.recipe.corpus

    @property
    def student_class(self) -> type[TinyBertModel] | type[TinyBertForMaskedLM]:
        """With the head for masked tokens where a loss needs it."""
        masked = any("label_loss" in phase.loss_weights() for phase in self.recipe.phases)
        return TinyBertForMaskedLM if masked else TinyBertModel

    @property
    def with_segments(self) -> bool:
        """Whether both models tell two segments of a text apart."""
        return all(getattr(one, "type_vocab_size", 0) >= 2 for one in (self.teacher_config, self.student_config))


def corpus_content(recipe: Recipe) -> dict[str, Any]:
    """What makes two runs the same: the settings of the corpus without its place on the disk, and its content.

    Raises:
        DataError: a file is not there.
    """
    corpus = dict(recipe.as_dict()["corpus"])
    corpus.pop("cache")
    found, held_out = _sources(recipe)
    content = {"content of the corpus": found.digest[:16]}
    if held_out is not None:
        content["content of the held-out text"] = held_out.digest[:16]
    return {"corpus": corpus, **content}


def plan_general(recipe: Recipe, folder: RunFolder) -> GeneralPlan:
    """Check a general distillation against the world; the text is looked for, and not yet read.

    Raises:
        TinyBertError: anything that would stop the run later.
    """
    sources, validation = _sources(recipe)
    assert recipe.teacher.model is not None
    teacher = open_encoder_config(recipe.teacher.model)
    if recipe.student.model is not None:
        student = open_student_config(recipe.student.model)
    else:
        student = preset_config(recipe, {"vocab_size": teacher.vocab_size, "pad_token_id": teacher.pad_token_id})
    check_students_tokens(recipe, open_tokenizer(recipe.teacher.model, "teacher", teacher), student)
    recipe = with_epochs(recipe, student, None)
    maps = layer_maps(recipe, student, teacher)
    data = TaskData(None, None, (), GENERAL)
    plan = GeneralPlan(recipe, folder, data, teacher, None, student, maps, sources, validation)
    _check_sizes(plan)
    folder.check(bytes_needed=bytes_needed(recipe, _weights(plan), 0))
    return plan


def open_encoder_config(model: str) -> PreTrainedConfig:
    """The configuration of a teacher of which the encoder is wanted.

    Raises:
        TeacherError: there is none, its weights were changed after they were saved, or it has no encoder alone.
    """
    config = open_teacher_config(model)
    check_folder_files(model, TeacherError)
    if getattr(config, "is_encoder_decoder", False) or getattr(config, "num_decoder_layers", None) is not None:
        raise TeacherError(
            f"teacher {model} is a translator or another model with a decoder ({config.model_type}); a general "
            "distillation wants an encoder that is built like BERT."
        )
    return config


def _sources(recipe: Recipe) -> tuple[Sources, Sources | None]:
    assert recipe.corpus is not None
    held_out = recipe.corpus.validation_files
    validation = find_files(held_out, "corpus.validation_files (--validation-file)") if held_out else None
    return find_sources(recipe.corpus), validation


def _check_sizes(plan: GeneralPlan) -> None:
    student, teacher, length = plan.student_config, plan.teacher_config, plan.corpus.block_length
    check_length("corpus.block_length", length, RecipeError, option="--block-length", teacher=teacher, student=student)
    if student.num_decoder_layers is not None or student.is_encoder_decoder:
        raise RecipeError("student: a general distillation makes an encoder, and this student has a decoder")
    check_start(plan)


def _weights(plan: GeneralPlan) -> int:
    from torch import device

    config: TinyBertConfig = plan.student_config
    with device("meta"):
        return sum(parameter.numel() for parameter in plan.student_class(config).parameters())
