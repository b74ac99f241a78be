"""run.json is read once, by one reader; what another version has written is named, with what to do."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tinybert_hf.checkpoints import run_record
from tinybert_hf.checkpoints.run_record import RUN_FILE, FinishedRun, RunFacts, RunRecord, facts_of_run, read_run
from tinybert_hf.distillation.losses import LOSSES
from tinybert_hf.errors import TinyBertError

RECIPE = {
    "task": "general",
    "data": {"dataset": None, "text_pair_column": "b", "source_column": "de"},
    "teacher": {"model": "owner/name", "finetune": None, "prefix": "to English: "},
    "phases": [{"name": "one"}],
}


def test_a_report_can_name_and_draw_every_loss() -> None:
    assert set(run_record.LOSSES) == set(LOSSES)
    style = (Path(run_record.__file__).parents[1] / "publishing" / "page.css").read_text(encoding="utf-8")
    assert all(f".line{number} " in style for number in range(len(LOSSES)))


def written(folder: Path, content: Any) -> Path:
    (folder / RUN_FILE).write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def test_a_model_without_a_record_is_no_error(tmp_path: Path) -> None:
    assert RunRecord.beside(tmp_path) is None
    assert RunRecord.beside("owner/name") is None
    assert facts_of_run("owner/name") == RunFacts()


@pytest.mark.parametrize("content", ["[", "[]", '{"a": 1, "a": 2}', "[" * 100_000])
def test_a_damaged_record_is_refused_with_its_name(tmp_path: Path, content: str) -> None:
    written(tmp_path, content)
    for read in (RunRecord.beside, read_run, lambda folder: facts_of_run(str(folder))):
        with pytest.raises(TinyBertError, match=re.escape(str(tmp_path / RUN_FILE))):
            read(tmp_path)


def test_the_fields_of_a_record(tmp_path: Path) -> None:
    record = RunRecord.beside(written(tmp_path, {"recipe": RECIPE}))
    assert record is not None
    assert (record.file, record.recipe, record.data) == (tmp_path / RUN_FILE, RECIPE, RECIPE["data"])
    assert (record.spec.of_plain_text, record.spec.has_decoder) == (True, False)
    assert record.teacher_names == ["owner/name"]
    facts = facts_of_run(str(tmp_path))
    assert (facts.teacher, facts.teachers, facts.pairs, facts.source) == ("owner/name", 1, True, "de")
    assert facts.prefix == "to English: "
    with pytest.raises(TinyBertError, match=r"it lacks main_metric, metrics"):
        read_run(tmp_path)
    whole = {name: {} for name in ("main_metric", "metrics", "costs", "phases", "versions")}
    run = read_run(written(tmp_path, {"recipe": RECIPE, **whole}))
    assert isinstance(run, FinishedRun)
    assert isinstance(run, RunRecord)
    assert run.logs == [None]


@pytest.mark.parametrize("recipe", [None, 3, {}, {"data": None}, {"data": {}, "teacher": {}}])
def test_a_record_of_another_version_is_named_with_a_remedy(tmp_path: Path, recipe: Any) -> None:
    written(tmp_path, {} if recipe is None else {"recipe": recipe})
    with pytest.raises(TinyBertError, match=r"run\.json is of another version, or damaged \(\w+: .*\)\. Move it away"):
        facts_of_run(str(tmp_path))


def test_an_error_of_ours_passes_as_it_is(tmp_path: Path) -> None:
    record = RunRecord(tmp_path, {})
    with pytest.raises(TinyBertError, match=r"^mine$"), record.understood("Do this."):
        raise TinyBertError("mine")
    with pytest.raises(TinyBertError, match=r"\(KeyError: 'recipe'\)\. Do this\.$"), record.understood("Do this."):
        _ = record.recipe
