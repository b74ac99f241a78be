"""Recipes are read from YAML, and what is wrong with one is said by name and place."""

from pathlib import Path
from typing import Any

import pytest

from tinybert_hf.errors import RecipeError
from tinybert_hf.recipes.loader import apply_overrides, convert, load_recipe, read_recipe, shipped_recipes

HUGE = 10**400


@pytest.mark.parametrize("name", shipped_recipes())
def test_shipped_recipe_is_valid_and_described(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert 20 < len(recipe.description) < 120


def test_the_demo_needs_nothing_and_the_others_need_a_teacher() -> None:
    assert load_recipe("demo").teacher.config
    assert load_recipe("sst2").teacher.model is None
    assert load_recipe("sst2").data.label_names == ("negative", "positive")


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("phases.0.learning_rat=1", r"phases\.0\.learning_rat: .*did you mean learning_rate"),
        ("studnt.preset=4l-312d", r"studnt: .*did you mean student\?"),
        ("student.preset=4l-321d", r"student\.preset: .*'4l-321d'.*did you mean 4l-312d"),
        ("phases.0.learning_rate=fast", r"phases\.0\.learning_rate: expected a number, found the text 'fast'"),
        ("phases.0.learning_rate=true", r"phases\.0\.learning_rate: expected a number, found true"),
        ("phases.0.batch_size=1.5", r"phases\.0\.batch_size: expected a whole number, found the number 1\.5"),
        ("phases.0.epochs=.nan", r"phases\.0\.epochs: expected a number"),
        ("student.overrides.hidden_size=.nan", r"student\.overrides\.hidden_size: expected a finite number"),
        ("training_arguments.x=[1, .inf]", r"training_arguments\.x\.1: expected a finite number, found inf"),
        ("phases.0.epochs=0", r"phases\.0: .*epochs is 0"),
        ("phases.0.attention_loss_weight=-1", r"phases\.0: .*attention_loss_weight is -1"),
        ("phases.0.name=intermediat", r"phases\.0: .*'intermediat'.*intermediate"),
        ("phases.0.projection=perlayer", r"phases\.0\.projection: .*did you mean per_layer"),
        ("phases.0.layer_map=3", r"phases\.0\.layer_map: expected text or a list, found the number 3"),
        ("phases.0.warmup_ratio=1.5", r"phases\.0: .*warmup_ratio is 1\.5; it must be 0 or more and below 1"),
        (f"phases.0.temperature={HUGE}", r"phases\.0\.temperature: expected a number, found a number of hundreds"),
        (f"phases.0.batch_size={HUGE}", r"phases\.0\.batch_size: expected a whole number"),
        (f"phases.0.train_rows='{HUGE}'", r"phases\.0\.train_rows: expected a whole number"),
        (f"seed=-{HUGE}", r"seed: expected a whole number"),
        (f"data.max_length={HUGE}", r"data\.max_length: expected a whole number"),
        (f"training_arguments.x=[1, {HUGE}]", r"training_arguments\.x\.1: expected a finite number"),
        ("phases.0.temperature=1e-9", r"phases\.0: .*temperature is 1e-09; it must be from 0\.0001 to 1e\+06"),
        ("phases.0.temperature=.inf", r"phases\.0\.temperature: expected a number"),
        ("phases.0.projection_learning_rate=0", r"phases\.0: .*projection_learning_rate is 0"),
        ("baseline.weight_decay=-1", r"baseline: weight_decay is -1"),
        ("phases.0.layer_map=none", r"phases\.0: layer_map is \"none\", and the phase 'intermediate' has no loss"),
        ("phases=[]", r"phases: a run needs at least one"),
        ("phases={name: joint}", r"phases: expected a list, found fields"),
        ("data.label_names=[no, yes]", r"data\.label_names\.0: expected text, found false .*quotes|write '\.\.\.'"),
        ("data.max_length=0", r"data: max_length is 0"),
        ("data=null", r"data: expected fields"),
        ("baseline=3", r"baseline: expected fields of the form"),
        ("baseline.learning_rate=0", r"baseline: learning_rate is 0\.0; it must be above 0"),
        ("teacher.model=x", r"teacher: `model` and `config` exclude each other"),
        ("teacher.finetune=null", r"teacher\.finetune: .*random weights"),
        ("student.init=techer", r"student\.init: .*did you mean teacher"),
        ("student.preset=null", r"student: set either `preset` or `model`"),
        ("seed=-1", r"seed: expected a whole number from 0"),
        ("training_arguments=[bf16]", r"training_arguments: expected fields of the form"),
    ],
)
def test_a_wrong_field_is_named(assignment: str, message: str) -> None:
    with pytest.raises(RecipeError, match=f"recipe demo: {message}"):
        load_recipe("demo", assignments=[assignment])


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "..",
        ".",
        "/tmp/x",
        "a/b",
        "a\\b",
        "C:x",
        "~",
        "x/../../y",
        " x",
        "x.",
        "a\nb",
        "a\0b",
        "nul",
        "x" * 201,
    ],
)
def test_a_name_does_not_lead_out_of_its_folder(name: str) -> None:
    with pytest.raises(RecipeError, match=r"name: .* cannot be the name of a folder"):
        load_recipe("demo", {"name": name})


@pytest.mark.parametrize("name", ["sst2", "my run, take 2", "v1.0", "..x", "情感", "SST-2: a first try", "x" * 200])
def test_a_name_is_a_folder_below_runs(name: str) -> None:
    folder = Path(load_recipe("demo", {"name": name}).folder)
    assert folder.parent == Path("runs")
    assert folder.resolve().parent == Path("runs").resolve()


@pytest.mark.parametrize("text", ["1e-4", "'1e-4'", "0.0001", "1.0e-4"])
def test_a_learning_rate_is_a_number_however_it_is_written(text: str) -> None:
    # YAML reads 1e-4, without a point, as text.
    assert load_recipe("demo", assignments=[f"phases.0.learning_rate={text}"]).phases[0].learning_rate == 1e-4


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("phases.2.epochs=1", r"phases\.2: phases is a list, its items are phases\.0 \(intermediate\), phases\.1"),
        ("phases.intermediate.epochs=1", r"phases\.intermediate: phases is a list"),
        ("phases.-1.epochs=1", r"phases\.-1: phases is a list"),
        ("seed.x=1", r"seed\.x: seed is the number 7, it has no parts"),
        ("seed", r"--set seed: expected PATH=VALUE"),
        ("=3", r"expected PATH=VALUE"),
        ("seed=[1", r"the value is not YAML"),
    ],
)
def test_an_override_that_leads_nowhere(assignment: str, message: str) -> None:
    mapping = {"seed": 7, "phases": [{"name": "intermediate"}, {"name": "prediction"}]}
    with pytest.raises(RecipeError, match=message):
        apply_overrides(mapping, [assignment])


def test_overrides_make_absent_sections_and_leave_the_original_alone() -> None:
    mapping: dict[str, Any] = {"baseline": None, "phases": [{"name": "joint"}]}
    changed = apply_overrides(mapping, ["baseline.epochs=2", "phases.0.epochs=3", "a.b.c=[1, x]"])
    assert changed == {
        "baseline": {"epochs": 2},
        "phases": [{"name": "joint", "epochs": 3}],
        "a": {"b": {"c": [1, "x"]}},
    }
    assert mapping == {"baseline": None, "phases": [{"name": "joint"}]}


def test_options_and_assignments_in_this_order() -> None:
    recipe = load_recipe("demo", {"seed": 1, "data.max_length": 20}, ["seed=2"])
    assert (recipe.seed, recipe.data.max_length) == (2, 20)


def test_a_baseline_can_be_added() -> None:
    overrides = {"baseline": None}
    assert load_recipe("demo", overrides).baseline is None
    assert load_recipe("demo", overrides, with_baseline=True).baseline is not None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"line 1: the file is empty"),
        ("# only a comment\n", r"line 1: the file is empty"),
        ("name: x\nphases: [\n", r"line 3, column 1: not valid YAML"),
        ("name: x\n\tseed: 1\n", r"line 2, column 1: not valid YAML"),
        ("name: x\nseed: 1\nseed: 2\n", r"line 3, column 1: .*'seed' stands here twice"),
        ("- name: x\n", r"line 1: expected fields \(`name: value`\), found a list of 1"),
        ("just words\n", r"line 1: expected fields"),
        ("name: !!python/object/apply:os.getcwd []\n", r"line 1, column 7: not valid YAML"),
        ("[a]: 3\n", r"line 1, column 1: .*has to be a word"),
    ],
)
def test_broken_yaml_names_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(RecipeError, match=rf"mine\.yaml, {message}"):
        read_recipe(str(file))


def test_a_recipe_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="did you mean demo"):
        read_recipe("dmo")
    with pytest.raises(RecipeError, match=r"nothing\.yaml: there is no such file"):
        read_recipe(str(tmp_path / "nothing.yaml"))
    with pytest.raises(RecipeError, match="cannot be read"):
        read_recipe(f"{tmp_path}/")


def test_an_own_recipe_takes_its_name_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("student: {preset: 4l-312d}\n", encoding="utf-8")
    recipe = load_recipe(str(tmp_path / "mine.yaml"))
    assert recipe.name == "mine"
    assert recipe.folder == "runs/mine"
    assert [phase.name for phase in recipe.phases] == ["intermediate", "prediction"]


def test_a_whole_number_longer_than_python_reads_and_one_that_a_float_would_round() -> None:
    with pytest.raises(RecipeError, match="the value is not YAML"):
        apply_overrides({}, ["seed=" + "9" * 5000])
    assert convert(2**53 + 1, int, "seed") == 2**53 + 1


@pytest.mark.parametrize("init", ["teacher", "random"])
def test_a_student_that_exists_has_no_other_start(init: str) -> None:
    existing = ["student.preset=null", "student.overrides={}", "student.model=mine"]
    assert load_recipe("sst2", assignments=existing).student.model == "mine"
    with pytest.raises(RecipeError, match=r"student\.init: it goes with a preset.*student\.init=null"):
        load_recipe("sst2", assignments=[*existing, f"student.init={init}"])
