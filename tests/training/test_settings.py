"""A setting of a distillation is declared once: phases, arguments and the command line have it from there."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from transformers import HfArgumentParser, TrainingArguments

from tinybert_hf.data.augmentation_words import ReplacementSettings
from tinybert_hf.data.pseudo_labels import PseudoLabelSettings
from tinybert_hf.data.settings import CopySettings, SearchSettings, common_values
from tinybert_hf.distillation.losses import DECODER_LOSSES, LOSSES, MAP_NAMES
from tinybert_hf.recipes.schema import AugmentationSettings, PseudoLabels
from tinybert_hf.training import DistillationArguments, Phase, Seq2SeqDistillationArguments
from tinybert_hf.training.settings import DistillationSettings, Seq2SeqDistillationSettings

CHILDREN = {
    DistillationSettings: (Phase, DistillationArguments, Seq2SeqDistillationArguments),
    Seq2SeqDistillationSettings: (Phase, Seq2SeqDistillationArguments),
    SearchSettings: (PseudoLabelSettings, PseudoLabels),
    CopySettings: (ReplacementSettings, AugmentationSettings),
}


def by_name(kind: Any) -> dict[str, dataclasses.Field[Any]]:
    return {one.name: one for one in dataclasses.fields(kind)}


@pytest.mark.parametrize("shared", CHILDREN, ids=lambda kind: kind.__name__)
def test_all_who_have_a_setting_have_its_default_and_its_meaning(shared: Any) -> None:
    for name, one in by_name(shared).items():
        assert one.metadata["help"]
        for child in CHILDREN[shared]:
            own = by_name(child)[name]
            assert (own.default, own.metadata["help"]) == (one.default, one.metadata["help"]), f"{child}.{name}"


def test_each_loss_and_each_layer_map_has_its_setting() -> None:
    weights = {name.removesuffix("_weight") for name in by_name(Seq2SeqDistillationSettings) if "_loss_" in name}
    assert weights == set(LOSSES)
    assert set(MAP_NAMES) <= by_name(Seq2SeqDistillationSettings).keys()
    assert not {f"{name}_weight" for name in DECODER_LOSSES} & by_name(DistillationSettings).keys()


def test_the_parser_of_transformers_reads_them(tmp_path: Path) -> None:
    place = ["--output_dir", str(tmp_path)]
    words = ["--phase", "joint", "--attention_loss_weight", "0.5", "--layer_map", "1:2,2:4", "--temperature", "2"]
    words += ["--attention-layer-map", "top", "--projection", "shared", "--projection_learning_rate", "1e-3"]
    words += ["--teacher_cache_hidden_states", "--teacher_bf16", "false", "--learning_rate", "1e-4"]
    (read,) = HfArgumentParser(DistillationArguments).parse_args_into_dataclasses([*place, *words])  # type: ignore[arg-type]
    assert isinstance(read, DistillationArguments)
    assert read.loss_weights["attention_loss"] == 0.5
    assert read.layer_maps == {"layer_map": "1:2,2:4", "attention_layer_map": "top"}
    assert (read.temperature, read.projection, read.projection_learning_rate) == (2.0, "shared", 1e-3)
    assert (read.teacher_cache_hidden_states, read.teacher_bf16, read.learning_rate) == (True, False, 1e-4)
    words += ["--cross_attention_loss_weight", "2", "--decoder_layer_map", "bottom", "--predict_with_generate"]
    (read,) = HfArgumentParser(Seq2SeqDistillationArguments).parse_args_into_dataclasses([*place, *words])  # type: ignore[arg-type]
    assert read.loss_weights["cross_attention_loss"] == 2.0
    assert read.layer_maps["decoder_layer_map"] == "bottom"
    assert read.predict_with_generate
    help_text = HfArgumentParser(Seq2SeqDistillationArguments).format_help()  # type: ignore[arg-type]
    for name in (*by_name(Seq2SeqDistillationSettings), "phase", "teacher_cache"):
        assert f"--{name} " in help_text
    assert "before the softmax" in help_text


def test_the_first_argument_is_the_folder_as_in_transformers(tmp_path: Path) -> None:
    theirs = [one.name for one in dataclasses.fields(TrainingArguments)]
    for kind in (DistillationArguments, Seq2SeqDistillationArguments):
        assert [one.name for one in dataclasses.fields(kind)][: len(theirs)] == theirs
        assert kind(str(tmp_path)).output_dir == str(tmp_path)
    assert Phase("prediction", 2.0, 1e-4) == Phase(name="prediction", epochs=2.0, learning_rate=1e-4)


def test_what_stages_have_in_common_goes_from_one_to_the_other() -> None:
    section = PseudoLabels(num_beams=3, select="nearest", max_length_factor=4.0, max_repeats=9, references=True)
    stage = PseudoLabelSettings("a.jsonl", target_column="b", **common_values(SearchSettings, section))
    assert (stage.num_beams, stage.select, stage.max_length_factor, stage.max_repeats) == (3, "nearest", 4.0, 9)


def test_settings_are_there_without_torch() -> None:
    script = (
        "import tinybert_hf_command, sys\n"
        "from tinybert_hf.training.settings import DistillationSettings, FinetuneSettings\n"
        "from tinybert_hf.data.settings import DataSettings\n"
        "from tinybert_hf.data.settings import CorpusSettings\n"
        "FinetuneSettings(), DistillationSettings(), DataSettings(), CorpusSettings()\n"
        "print(*(name for name in ('torch', 'transformers', 'datasets', 'yaml') if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=280)
    assert done.stdout.split() == []
