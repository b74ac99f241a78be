"""A run that augments its training rows: which rows, whose words, no labels, and the same after a stop."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
import tiny_run
import typer
from rich.console import Console

from tinybert_hf.checkpoints.model_card import card_of
from tinybert_hf.checkpoints.run_record import read_run
from tinybert_hf.cli.distill import recipe_overrides
from tinybert_hf.errors import OutputFolderError, RecipeError, TeacherError
from tinybert_hf.publishing.report import summary
from tinybert_hf.recipes import augmentation
from tinybert_hf.recipes.labelled import LabelledSteps
from tinybert_hf.recipes.loader import build, changed_recipe
from tinybert_hf.recipes.plan import make_plan
from tinybert_hf.recipes.report import describe_plan
from tinybert_hf.recipes.run import Run, run_recipe
from tinybert_hf.recipes.schema import Recipe


@pytest.fixture(scope="module")
def masked_lm(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The teacher's tokenizer and body, with a head that predicts words."""
    from transformers import AutoTokenizer, BertConfig, BertForMaskedLM, set_seed

    folder = tmp_path_factory.mktemp("masked-lm")
    tokenizer = AutoTokenizer.from_pretrained(tiny_run.make_teacher(folder / "classifier"))
    set_seed(1)
    size = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 64}
    config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, initializer_range=0.3, **size)
    BertForMaskedLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def recipe(folder: Path, teacher: str, **changes: Any) -> Recipe:
    folder.mkdir(exist_ok=True)
    mapping = tiny_run.recipe_mapping(folder, teacher, augmentation={"copies": 2}, baseline=None, **changes)
    return build(Recipe, mapping)


def quiet() -> Console:
    return Console(file=io.StringIO())


def learnt(folder: Path) -> list[Any]:
    """The losses of every step, and the weights and projections that each phase ended with."""
    logs = [json.loads(path.read_text())["losses"] for path in sorted(folder.glob("phases/*/log.json"))]
    results = [json.loads(path.read_text()) for path in sorted(folder.glob("phases/*/result.json"))]
    assert [len(log["step"]) for log in logs] == [9, 9]
    return [*logs, *((result["losses"], result["sha256"]) for result in results)]


def test_the_phases_learn_from_rows_and_copies_and_no_label_reaches_them(teacher: str, tmp_path: Path) -> None:
    first = recipe(tmp_path / "a", teacher)
    content, printed = tiny_run.carry_out(first)
    report = content["augmentation"]
    assert (report["rows"], report["augmented_rows"], report["left"]["rows_without_a_copy"]) == (48, 96, 0)
    assert [phase["steps"] for phase in content["phases"]] == [9, 9]  # 144 rows, 16 a step
    assert "The phases learn from 48 training rows and 96 copies, without their labels" in printed
    assert "every word gives way to one of its neighbours in the teacher's own embeddings" in printed
    assert "and 96 augmented copies of them, without their labels." in summary(read_run(first.folder))
    assert "the teacher's answers to 96 augmented copies" in card_of(first.folder)
    # Other labels in the file, each of them wrong: nothing that the phases compute may change.
    second = recipe(tmp_path / "b", teacher)
    swapped = [
        {**row, "label": {"positive": "negative", "negative": "positive"}[row["label"]]} for row in tiny_run.rows()
    ]
    tiny_run.write_rows(tmp_path / "b" / "train.jsonl", swapped)
    other, _ = tiny_run.carry_out(second)
    assert learnt(Path(second.folder)) == learnt(Path(first.folder))
    weights = [(Path(one.folder) / "model.safetensors").read_bytes() for one in (first, second)]
    assert weights[0] == weights[1]
    assert [phase["losses"] for phase in other["phases"]] == [phase["losses"] for phase in content["phases"]]


def test_only_the_phases_see_copies(teacher: str, tmp_path: Path) -> None:
    """Not the teacher's fine-tuning, not the baseline; and what the phases see has no labels."""
    one = recipe(tmp_path / "a", teacher)
    whole = Run(make_plan(one), quiet())
    whole._open_teacher()
    whole.folder.claim()
    work = whole.steps
    assert isinstance(work, LabelledSteps)
    work.prepare_rows()
    assert len(work.labelled_rows) == len(work.baseline_rows) == 48
    assert "labels" in work.baseline_rows.column_names
    rows = work.distillation_rows
    assert len(rows) == 144
    assert "labels" not in rows.column_names
    assert rows["input_ids"][:48] == work.baseline_rows["input_ids"][:]
    assert all(copy not in work.baseline_rows["input_ids"][:] for copy in rows["input_ids"][48:])


@pytest.mark.slow
def test_a_masked_lm_predicts_the_words(teacher: str, masked_lm: str, tmp_path: Path) -> None:
    one = recipe(tmp_path / "a", teacher)
    named = build(Recipe, {**one.as_dict(), "augmentation": {"copies": 2, "model": masked_lm}})
    content, printed = tiny_run.carry_out(named)
    assert content["augmentation"]["augmented_rows"] == 96
    assert "neighbours" not in printed
    # A teacher whose checkpoint has the head needs no other model.
    own = recipe(tmp_path / "b", masked_lm)
    own = build(Recipe, {**own.as_dict(), "teacher": {"model": masked_lm, "finetune": {"epochs": 1}}})
    _, printed = tiny_run.carry_out(own)
    assert "neighbours" not in printed


def test_a_stopped_run_goes_on_with_the_same_copies(
    teacher: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, whole = recipe(tmp_path / "a", teacher), recipe(tmp_path / "b", teacher)
    tiny_run.carry_out(whole)
    make = augmentation.write_copies

    def stopping(*given: Any) -> Any:
        make(*given)
        raise KeyboardInterrupt

    monkeypatch.setattr(augmentation, "write_copies", stopping)
    with pytest.raises(KeyboardInterrupt):
        tiny_run.carry_out(one)
    assert not (Path(one.folder) / "run.json").exists()
    monkeypatch.setattr(augmentation, "write_copies", make)
    tiny_run.carry_out(one)
    weights = [(Path(done.folder) / "model.safetensors").read_bytes() for done in (one, whole)]
    assert weights[0] == weights[1]


def test_a_model_that_cannot_predict_is_refused_before_anything_is_trained(teacher: str, tmp_path: Path) -> None:
    one = recipe(tmp_path / "a", teacher)
    named = build(Recipe, {**one.as_dict(), "augmentation": {"model": teacher}})
    with pytest.raises(TeacherError, match="has no masked-LM head"):
        run_recipe(named, quiet())
    assert not Path(one.folder).exists()


@pytest.mark.parametrize(
    ("up_to_rows", "changes", "copies"),
    [
        (48, {}, 0),
        (71, {}, 0),
        (73, {}, 1),
        (240, {}, 4),
        (5000, {}, 7),
        (240, {"phases": [{"name": "prediction", "epochs": 1, "label_loss_weight": 1.0}]}, 0),
        (240, {"phases": [{"name": "prediction", "epochs": 1, "train_rows": 8}]}, 0),
        (240, {"unlabelled_file": "more.txt"}, 3),
    ],
)
def test_as_many_copies_as_few_rows_need(
    teacher: str, tmp_path: Path, up_to_rows: int, changes: dict[str, Any], copies: int
) -> None:
    changes = dict(changes)
    mapping = tiny_run.recipe_mapping(tmp_path, teacher)  # of 48 rows
    if "unlabelled_file" in changes:
        (tmp_path / changes["unlabelled_file"]).write_text("a fine film\n" * 40)
        mapping["data"]["unlabelled_file"] = str(tmp_path / changes.pop("unlabelled_file"))
    mapping |= {"augmentation": {"copies": 7, "up_to_rows": up_to_rows}, **changes}
    plan = make_plan(build(Recipe, mapping))
    found = plan.recipe.augmentation
    assert (0 if found is None else found.copies) == copies
    said = [note for note in plan.notes if "The rows are few" in note]
    assert len(said) == (copies > 0)
    assert any("No copies of the rows are made: a phase" in note for note in plan.notes) == ("phases" in changes)
    if copies:
        assert f"{copies} cop" in said[0]
        unlabelled = 0 if plan.data.unlabelled is None else len(plan.data.unlabelled)
        assert f": {48 * (1 + copies) + unlabelled} rows an epoch" in said[0]
        assert f"augmentation: {copies} cop" in describe_plan(plan)


def test_a_run_that_began_without_copies_goes_on_without(teacher: str, tmp_path: Path) -> None:
    """Recipes of an earlier version gave none to few rows, and the same command has to go on with such a run."""
    mapping = tiny_run.recipe_mapping(tmp_path, teacher, baseline=None)
    run_recipe(build(Recipe, mapping), quiet())
    later = build(Recipe, {**mapping, "augmentation": {"copies": 7, "up_to_rows": 240}})
    assert make_plan(later).recipe.augmentation is None
    with pytest.raises(OutputFolderError, match=r"augmentation\.copies: not named there, 7 now"):
        make_plan(build(Recipe, {**mapping, "augmentation": {"copies": 7}}))


@pytest.mark.parametrize(("more", "named"), [({"set": ["augmentation.probability=0.3"]}, "probability"),
                                             ({"augmentation_model": "here"}, "model")])  # fmt: skip
def test_no_copies_and_how_they_are_made(more: dict[str, Any], named: str) -> None:
    with pytest.raises(typer.BadParameter, match=rf"--augment 0 makes no copies, and augmentation\.{named}"):
        recipe_overrides("own.yaml", {}, {"augment": 0, **more})


@pytest.mark.parametrize(("given", "expected"), [({}, (5, 100)), ({"augment": 3}, (3, None)), ({"augment": 0}, None)])
def test_an_option_wins_over_what_few_rows_need(given: dict[str, Any], expected: Any) -> None:
    mapping: dict[str, Any] = {"augmentation": {"copies": 5, "up_to_rows": 100}}
    overrides = recipe_overrides("own.yaml", mapping, given)
    changed = changed_recipe(mapping, "own.yaml", overrides, [])["augmentation"]
    assert (changed and (changed["copies"], changed["up_to_rows"])) == expected


def test_a_dry_run_says_so_and_finds_a_model_that_cannot_predict(teacher: str, masked_lm: str, tmp_path: Path) -> None:
    one = recipe(tmp_path / "a", teacher)
    for settings, words in (
        ({}, "its words give way to neighbours in the embeddings of the teacher"),
        ({"model": masked_lm}, f"its words are predicted by {masked_lm}"),
        (
            {"model": teacher, "neighbours_only": True},
            f"its words give way to neighbours in the embeddings of {teacher}",
        ),
    ):
        changed = build(Recipe, {**one.as_dict(), "augmentation": {"copies": 2, **settings}})
        said = describe_plan(make_plan(changed))
        assert f"augmentation: 2 copies of each train row, without its label; {words}" in said
    with pytest.raises(TeacherError, match=r"BertForSequenceClassification.*augmentation\.neighbours_only=true"):
        make_plan(build(Recipe, {**one.as_dict(), "augmentation": {"model": teacher}}))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"phases": [{"name": "prediction", "label_loss_weight": 0.5}]},
            r"phases.0.label_loss_weight: it needs labels",
        ),
        (
            {"phases": [{"name": "prediction", "train_rows": 10}]},
            r"phases.0.train_rows: .* the copies that the augmentation makes stand behind",
        ),
        ({"task": "translation"}, "augmentation: words are replaced in texts with labels"),
        ({"task": "question-answering"}, "rows of the task question-answering would not be right"),
        ({"augmentation": {"copies": 0}}, "augmentation.copies: expected 1 or more, found 0"),
        ({"augmentation": {"probability": 0}}, "augmentation.probability: expected more than 0"),
        ({"augmentation": {"probability": 1.2}}, "augmentation.probability: .* found 1.2"),
        ({"augmentation": {"candidates": 0}}, "augmentation.candidates: expected 1 or more"),
        ({"augmentation": {"coppies": 3}}, "augmentation.coppies"),
    ],
)
def test_what_does_not_go_together(tmp_path: Path, changes: dict[str, Any], problem: str) -> None:
    mapping = {"name": "x", "teacher": {"model": "x"}, "student": {"preset": "4l-312d"}, "augmentation": {}, **changes}
    with pytest.raises(RecipeError, match=problem):
        build(Recipe, mapping)
