"""Whatever can be known before training is refused before training, and nothing is written."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from tiny_run import STUDENT, make_teacher, recipe_mapping, rows, write_rows
from transformers import AutoModel, AutoTokenizer

from tinybert_hf.checkpoints import save_atomically
from tinybert_hf.errors import TinyBertError
from tinybert_hf.model import TinyBertConfig, TinyBertForSequenceClassification
from tinybert_hf.model.manifest_tinybert import write_manifest
from tinybert_hf.recipes.loader import apply_overrides, build
from tinybert_hf.recipes.plan import Plan, Size, make_plan
from tinybert_hf.recipes.report import describe_plan
from tinybert_hf.recipes.schema import Recipe


def plan(folder: Path, model: str, *assignments: str, **changes: Any) -> Plan:
    return make_plan(build(Recipe, apply_overrides(recipe_mapping(folder, model, **changes), assignments)))


def test_the_student_takes_vocabulary_padding_and_labels(work: Path, teacher: str) -> None:
    made = plan(work, teacher)
    student = made.student_config
    assert student.vocab_size == made.teacher_config.vocab_size
    assert student.pad_token_id == made.teacher_config.pad_token_id
    assert student.id2label == {0: "negative", 1: "positive"}
    assert student.label2id == {"negative": 0, "positive": 1}
    assert student.problem_type == "single_label_classification"
    maps = [str(one.each[0].layer_map("hidden_state_loss")) for one in made.objectives]
    assert maps == ["1<-2, 2<-4", "none"]
    assert not (work / "out").exists()


def test_a_dry_run_tells_shapes_maps_and_rows(work: Path, teacher: str) -> None:
    text = describe_plan(plan(work, teacher, "phases.0.attention_layer_map=[1, 3]"))
    assert "teacher: bert, 4 layers of width 32" in text
    assert "student: tinybert, 2 layers of width 16" in text
    assert "layer map (student<-teacher): 1<-2, 2<-4; attention: 1<-1, 2<-3" in text
    assert "rows: 48 train, 16 validation" in text
    assert "labels: negative, positive" in text
    assert "phase 1 (prediction): 1 x prediction_loss" in text
    assert "the teacher is not run again: its answers are noted in the phase before" in text
    for change in ("phases.0.epochs=0.5", "phases.0.train_rows=8", "phases.0.teacher_cache=true"):
        losses = ["phases.0.attention_loss_weight=0", "phases.0.teacher_cache_hidden_states=true"]
        text = describe_plan(plan(work, teacher, "phases.1.epochs=2", *losses, change))
        assert "the teacher is asked once a row, its answers are kept" in text


@pytest.mark.parametrize(("width", "rates"), [(192, (2e-3, 5e-4)), (204, (4e-4, 1e-4))], ids=["narrow", "wide"])
@pytest.mark.parametrize("general", [False, True], ids=["from a preset", "from a folder"])
def test_rates_that_are_not_named_follow_the_width(
    work: Path, width: int, rates: tuple[float, float], general: bool
) -> None:
    teacher = make_teacher(work / "wide teacher", hidden_size=240)
    student: dict[str, Any] = {"preset": "4l-312d", "overrides": {**STUDENT, "hidden_size": width}}
    if general:
        tokenizer = AutoTokenizer.from_pretrained(teacher)
        config = TinyBertConfig(vocab_size=len(tokenizer), **student["overrides"])
        save_atomically(TinyBertForSequenceClassification(config), tokenizer, work / "general")
        student = {"model": str(work / "general")}
    made = plan(work, teacher, student=student, baseline={"epochs": 2})
    assert tuple(phase.learning_rate for phase in made.recipe.phases) == rates
    assert made.recipe.baseline is not None
    assert made.recipe.baseline.learning_rate == rates[1]
    assert f"learning_rate: {rates[0]}" in describe_plan(made)
    named = plan(work, teacher, "phases.1.learning_rate=3e-4", "baseline.learning_rate=7e-5", student=student)
    assert [phase.learning_rate for phase in named.recipe.phases] == [rates[0], 3e-4]
    assert named.recipe.baseline is not None
    assert named.recipe.baseline.learning_rate == 7e-5


@pytest.mark.parametrize(
    ("more", "epochs"),
    [({}, [10, 15]), ({"augmentation": {"copies": 2}}, [4, 5]), ({"unlabelled": True}, [5, 8])],
    ids=["rows with labels", "copies", "further rows"],
)
def test_epochs_that_are_not_named_follow_the_rows_that_a_phase_reads(
    work: Path, teacher: str, more: dict[str, Any], epochs: list[float]
) -> None:
    """Of 600 rows; the student alone reads those with labels as often as two phases would."""
    changes = {"phases": [{"name": "intermediate"}, {"name": "prediction"}], "baseline": {}}
    changes |= {"teacher": {"model": teacher, "finetune": {}}, **more}
    mapping = recipe_mapping(work, teacher, **changes)
    write_rows(work / "train.jsonl", rows(600))
    if mapping.pop("unlabelled", False):
        further = write_rows(work / "further.jsonl", [{"text": row["text"]} for row in rows(1200)[600:]])
        mapping["data"]["unlabelled_file"] = further
    recipe = make_plan(build(Recipe, mapping)).recipe
    assert [phase.epochs for phase in recipe.phases] == epochs
    assert recipe.baseline is not None
    assert recipe.teacher.finetune is not None
    assert (recipe.baseline.epochs, recipe.teacher.finetune.epochs) == (25, 10)
    assert recipe.teacher.finetune.learning_rate == 5e-5


def test_the_student_alone_reads_as_many_rows_as_phases_of_the_first_rows(work: Path, teacher: str) -> None:
    first = {"name": "intermediate", "epochs": 3, "train_rows": 12}
    made = plan(work, teacher, phases=[first, {"name": "prediction", "epochs": 2}], baseline={})
    assert made.recipe.baseline is not None
    assert made.recipe.baseline.epochs == 3 * 12 / 48 + 2


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({}, None),
        ({"hidden_size": 32, "num_hidden_layers": 4, "intermediate_size": 64}, "not smaller.*not faster"),
        ({"num_hidden_layers": 30}, "not smaller.*not faster"),
        ({"num_hidden_layers": 15}, "smaller .*against.*and not faster"),
        ({"max_position_embeddings": 5000}, "not smaller .*and faster"),
    ],
)
def test_a_student_that_is_no_smaller_or_no_faster_is_said(
    work: Path, teacher: str, overrides: dict[str, int], said: str | None
) -> None:
    """By the parameters and the matrix products of both."""
    student = {"preset": "4l-312d", "overrides": {**STUDENT, **overrides}, "init": "random"}
    made = plan(work, teacher, student=student, phases=[{"name": "prediction", "epochs": 1}])
    text = describe_plan(made)
    if said is None:
        assert made.size_notes == ()
        assert "M parameters against" not in text
    else:
        (note,) = made.size_notes
        assert re.search(f"The student is {said}.*than its teacher", note)
        assert f"note: {note}" in text
        assert note in made.notes


def test_the_work_of_layers_that_are_run_again_counts_each_time() -> None:
    """An ALBERT has the weights of one layer and the work of all."""
    config = tiny_models.FAMILIES["albert"]()
    one, all_of_them = (
        Size.of(AutoModel.from_config, type(config).from_dict({**config.to_dict(), "num_hidden_layers": layers}))
        for layers in (1, 4)
    )
    assert one.parameters == all_of_them.parameters
    assert one.flops is not None
    assert all_of_them.flops is not None
    assert all_of_them.flops > 3 * one.flops


@pytest.mark.parametrize("start", ["teacher", "random"])
def test_answers_alone_are_learnt_by_a_deeper_student(work: Path, teacher: str, start: str) -> None:
    student = {"preset": "4l-312d", "overrides": {**STUDENT, "num_hidden_layers": 6}, "init": start}
    made = plan(work, teacher, student=student, phases=[{"name": "prediction", "epochs": 1}])
    assert [one.losses for one in made.objectives] == [("prediction_loss",)]
    assert made.start_map.teacher_layers == (1, 1, 2, 3, 3, 4)
    assert "layer map" not in describe_plan(made)
    started = {**student, "init": "teacher"}
    with pytest.raises(TinyBertError, match=r"phases\.0 \(prediction\): .*teacher layer 9"):
        plan(work, teacher, "phases.0.layer_map='1:9'", phases=[{"name": "prediction"}], student=started)


@pytest.mark.parametrize(("rate", "alone"), [(None, 5e-4), (1e-3, 1e-3)], ids=["open", "named"])
def test_the_student_alone_does_not_learn_at_the_rate_of_losses_between_layers(
    work: Path, teacher: str, rate: float | None, alone: float
) -> None:
    made = plan(work, teacher, phases=[{"name": "joint", "learning_rate": rate}], baseline={})
    assert made.recipe.phases[0].learning_rate == (rate or 2e-3)
    assert made.recipe.baseline is not None
    assert made.recipe.baseline.learning_rate == alone


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("task=summary", r"task: there is no 'summary'"),
        ("teacher.model=null", r"teacher\.model: no teacher is given.*--teacher"),
        ("teacher.model=nowhere/at-all", r"teacher nowhere/at-all: there is no such folder"),
        ("teacher.model=empty", r"empty is not a checkpoint: it has no config\.json"),
        ("data.train_file=nothing.jsonl", r"nothing\.jsonl does not exist"),
        ("data.text_column=sentence", r"'sentence'"),
        ("data.max_length=80", r"data\.max_length: 80 tokens are more than the 64 positions of the teacher"),
        ("student.overrides.num_hidden_layers=5", r"phases\.0 \(intermediate\): .*5\s+layers and the teacher 4"),
        ("phases.0.layer_map='1:9,2:4'", r"phases\.0 \(intermediate\): .*teacher layer 9"),
        ("phases.0.attention_layer_map=[1]", r"phases\.0 \(intermediate\): .*has 1 entries"),
        ("student.overrides.num_attention_heads=3", r"student\.overrides: hidden_size 16 is not a multiple"),
        ("student.overrides.hidden_siz=3", r"student\.overrides: .*did you mean 'hidden_size'"),
        ("student.overrides.hidden_size=wide", r"student\.overrides: .*hidden_size"),
        ("student.overrides.hidden_size=64", r"student\.init: the student is 64 wide and the teacher only 32"),
        ("data.tags_column=tags", r"data\.tags_column: only rows for token classification .*data\.text_column"),
        (
            "phases.0.epoch=3",
            r"phases\.0\.epoch: there is no 'epoch' here; did you mean epochs\? docs/recipe",
        ),
        ("phases.0.learning_rate=5", r"learning_rate is 5\.0; it must be above 0 and at most 1"),
        ("phases.0.projection=none", r'phases\.0 \(intermediate\): projection "none" needs equal widths'),
        ("phases.0.lr_scheduler_type=linaer", r"phases\.0\.lr_scheduler_type: .*did you mean linear"),
        ("training_arguments.learning_rate=1", r"training_arguments\.learning_rate: a recipe says this"),
        ("training_arguments.bf61=true", r"training_arguments\.bf61: .*did you mean bf16"),
        ("output_dir=filled", r"holds something else \(notes\.txt\)"),
    ],
)
def test_refused_before_training(work: Path, teacher: str, assignment: str, message: str) -> None:
    (work / "empty").mkdir()
    (work / "filled").mkdir()
    (work / "filled" / "notes.txt").write_text("mine")
    with pytest.raises(TinyBertError, match=message):
        plan(work, teacher, assignment)
    assert not (work / "out").exists()
    assert [path.name for path in (work / "filled").iterdir()] == ["notes.txt"]


def test_bfloat16_without_a_device_for_it(work: Path, teacher: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """transformers refuses it too, once the rows are read and the models are open, and with a traceback."""
    for device in (False, True):
        for place in ("utils", "training_args"):
            monkeypatch.setattr(f"transformers.{place}.is_torch_bf16_gpu_available", lambda device=device: device)
        for name in ("bf16", "bf16_full_eval"):
            assignments = (f"training_arguments.{name}=true", "training_arguments.use_cpu=false")
            if device:
                plan(work, teacher, *assignments)
                continue
            with pytest.raises(TinyBertError, match=rf"training_arguments\.{name}: there is no GPU here"):
                plan(work, teacher, *assignments)
            plan(work, teacher, assignments[0], "training_arguments.use_cpu=true")


def test_heads_that_do_not_divide(work: Path, teacher: str) -> None:
    shape = {**STUDENT, "hidden_size": 18, "num_attention_heads": 3}
    with pytest.raises(TinyBertError, match=r"phases\.0 \(intermediate\): .*heads"):
        plan(work, teacher, student={"preset": "4l-312d", "overrides": shape})
    shape["num_attention_heads"] = 2
    plan(work, teacher, student={"preset": "4l-312d", "overrides": shape})


def test_heads_do_not_matter_without_the_attention_loss(work: Path, teacher: str) -> None:
    shape = {**STUDENT, "hidden_size": 18, "num_attention_heads": 3}
    plan(work, teacher, "phases.0.attention_loss_weight=0", student={"preset": "4l-312d", "overrides": shape})


@pytest.mark.parametrize(
    ("labels", "listed"),
    [(("bad", "good"), r"student: negative, positive\n  teacher: bad, good"), (("a", "b", "c"), r"teacher: a, b, c")],
)
def test_labels_that_cannot_be_matched(work: Path, labels: tuple[str, ...], listed: str) -> None:
    other = make_teacher(work / "other", labels=labels)
    with pytest.raises(TinyBertError, match=listed):
        plan(work, other)
    # Fine-tuned here, the teacher gets a head for the labels of the data.
    made = plan(work, other, "teacher.finetune={}")
    assert list(made.teacher_config.id2label.values()) == ["negative", "positive"]


def test_labels_in_another_order_are_matched_by_name(work: Path) -> None:
    turned = make_teacher(work / "turned", labels=("POSITIVE", "NEGATIVE"))
    made = plan(work, turned)
    assert made.objectives[1].each[0].label_order == (1, 0)
    assert made.student_config.id2label == {0: "negative", 1: "positive"}


def test_numbers_without_names_take_the_teachers_names(work: Path, teacher: str) -> None:
    mapping = recipe_mapping(work, teacher)
    write_rows(work / "train.jsonl", rows(labels=(0, 1)))
    write_rows(work / "validation.jsonl", rows(16, labels=(0, 1)))
    assert make_plan(build(Recipe, mapping)).student_config.id2label == {0: "negative", 1: "positive"}


def test_a_student_that_is_no_tinybert(work: Path, teacher: str) -> None:
    with pytest.raises(TinyBertError, match="that is a bert model, not a TinyBERT"):
        plan(work, teacher, student={"model": teacher})
    with pytest.raises(TinyBertError, match=r"student\.model nowhere/x: it is not the name of a preset"):
        plan(work, teacher, student={"model": "nowhere/x"})


def test_a_teacher_that_translates(work: Path, teacher: str, translator: str) -> None:
    said = r"is a translator \(marian\), and the task is text classification"
    with pytest.raises(TinyBertError, match=said):
        plan(work, translator)
    with pytest.raises(TinyBertError, match=said):
        plan(work, teacher, extra_teachers=[{"model": translator}])


@pytest.mark.parametrize("whose", ["teacher", "further teacher", "student"])
def test_weights_that_were_changed_are_seen_before_anything_begins(work: Path, teacher: str, whose: str) -> None:
    changed = work / "changed"
    shutil.copytree(teacher, changed)
    if whose == "student":
        model = TinyBertForSequenceClassification(TinyBertConfig(**STUDENT, vocab_size=90))
        shutil.rmtree(changed)
        save_atomically(model, AutoTokenizer.from_pretrained(teacher), changed)
    write_manifest(changed)
    content = bytearray((changed / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (changed / "model.safetensors").write_bytes(content)
    first = str(changed) if whose == "teacher" else teacher
    changes: dict[str, Any] = {
        "further teacher": {"extra_teachers": [{"model": str(changed)}]},
        "student": {"student": {"model": str(changed)}},
    }.get(whose, {})
    with pytest.raises(TinyBertError, match=r"model\.safetensors was changed after it was saved"):
        plan(work, first, **changes)


def test_a_teacher_made_here(work: Path, teacher: str) -> None:
    config = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 64}
    settings = {"config": config, "vocabulary_size": 100, "finetune": {"epochs": 1}}
    made = plan(work, teacher, teacher=settings)
    assert made.student_config.vocab_size == made.teacher_config.vocab_size == len(made.teachers[0].tokenizer)
    with pytest.raises(TinyBertError, match=r"teacher\.config\.hidden_siz: .*did you mean hidden_size"):
        plan(work, teacher, teacher={**settings, "config": {"hidden_siz": 3}})
    with pytest.raises(TinyBertError, match=r"hidden_size 30 is not a multiple"):
        plan(work, teacher, teacher={**settings, "config": {**config, "hidden_size": 30}})
    with pytest.raises(TinyBertError, match=r"teacher\.config: .*hidden_size"):
        plan(work, teacher, teacher={**settings, "config": {**config, "hidden_size": "wide"}})


def test_a_disk_that_is_too_small(work: Path, teacher: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 10_000

    monkeypatch.setattr("tinybert_hf.recipes.folder.shutil.disk_usage", lambda path: Usage())
    with pytest.raises(TinyBertError, match="MB are free on that disk"):
        plan(work, teacher)


BEST, STEPS = "training_arguments.load_best_model_at_end=true", "training_arguments.save_strategy=steps"
NEVER, F2 = "training_arguments.eval_strategy='no'", "training_arguments.metric_for_best_model=f2"


@pytest.mark.parametrize(
    ("assignments", "words"),
    [
        ([BEST, STEPS], r"phases\.0 .*save_strategy"),
        ([BEST, NEVER], "eval_strategy is 'no'"),
        (["phases.1.early_stopping_patience=2", NEVER], r"phases\.1 .*eval_strategy is 'no'"),
        ([BEST, F2], r"phases\.1 .*'f2', .*accuracy"),
        (["training_arguments.eval_strategy=epochs"], "epochs"),
        (["phases.0.early_stopping_patience=0"], "early_stopping_patience is 0"),
        (["phases.0.early_stopping_patience=two"], "early_stopping_patience"),
    ],
)
def test_a_best_checkpoint_that_there_could_not_be(
    work: Path, teacher: str, assignments: list[str], words: str
) -> None:
    with pytest.raises(TinyBertError, match=words):
        plan(work, teacher, *assignments)


def test_early_stopping_is_told(work: Path, teacher: str) -> None:
    best = [BEST, "training_arguments.metric_for_best_model=accuracy"]
    text = describe_plan(plan(work, teacher, "phases.1.early_stopping_patience=2", *best))
    assert "it stops early after 2 evaluations without a better one" in text
    assert text.count("stops early") == 1


@pytest.mark.parametrize("exchanged", ["weights", "tokenizer", "configuration"])
def test_a_teacher_that_was_exchanged_in_its_place(work: Path, exchanged: str) -> None:
    folder = Path(make_teacher(work / "teacher"))
    plan(work, str(folder)).folder.claim()
    (folder / "README.md").write_text("notes")
    plan(work, str(folder))
    if exchanged == "weights":
        make_teacher(folder, hidden_size=48)
        words = r"teacher\.model: .*model\.safetensors in .*/teacher changed since the run began"
    elif exchanged == "tokenizer":
        tokens = json.loads((folder / "tokenizer.json").read_text())
        tokens["normalizer"]["lowercase"] = not tokens["normalizer"]["lowercase"]
        (folder / "tokenizer.json").write_text(json.dumps(tokens))
        words = r"teacher\.model: .*tokenizer\.json"
    else:
        text = (folder / "config.json").read_text()
        (folder / "config.json").write_text(text.replace('"gelu"', '"relu"'))
        words = r"teacher\.model: config\.json"
    (folder / "manifest.json").unlink(missing_ok=True)
    with pytest.raises(TinyBertError, match=words):
        plan(work, str(folder))


def test_a_teacher_that_was_moved_is_the_same(work: Path) -> None:
    folder = Path(make_teacher(work / "teacher"))
    plan(work, str(folder)).folder.claim()
    moved = folder.rename(work / "moved")
    plan(work, str(moved))
    other = make_teacher(work / "other", hidden_size=48)
    with pytest.raises(TinyBertError, match=r"teacher\.model: .*/teacher' there, .*/other' now"):
        plan(work, other)


def test_of_several_models_the_one_that_was_exchanged_is_named(work: Path) -> None:
    first, second, words = (make_teacher(work / name) for name in ("first", "second", "words"))
    augmentation = {"copies": 1, "model": words, "neighbours_only": True}
    changes: dict[str, Any] = {"extra_teachers": [{"model": second}], "augmentation": augmentation}
    plan(work, first, **changes).folder.claim()
    for name, field in (("second", r"extra_teachers\.0\.model"), ("words", r"augmentation\.model")):
        kept = (work / name / "model.safetensors").read_bytes()
        make_teacher(work / name, intermediate_size=80)
        with pytest.raises(TinyBertError, match=rf"holds another run:\n  {field}: .*model\.safetensors in .*{name}"):
            plan(work, first, **changes)
        shutil.rmtree(work / name)
        make_teacher(work / name)
        assert (work / name / "model.safetensors").read_bytes() == kept
        plan(work, first, **changes)


def test_a_student_that_was_exchanged_in_its_place(work: Path, teacher: str) -> None:
    def save(**shape: Any) -> None:
        shutil.rmtree(work / "student", ignore_errors=True)
        config = TinyBertConfig(**{**STUDENT, "vocab_size": vocabulary, **shape})
        save_atomically(
            TinyBertForSequenceClassification(config), AutoTokenizer.from_pretrained(teacher), work / "student"
        )

    vocabulary = len(AutoTokenizer.from_pretrained(teacher))
    save()
    student = {"model": str(work / "student")}
    plan(work, teacher, student=student).folder.claim()
    plan(work, teacher, student=student)
    save(hidden_act="relu")
    with pytest.raises(TinyBertError, match=r"student\.model: config\.json, model\.safetensors in"):
        plan(work, teacher, student=student)


SINGLE, MULTI, REGRESSION = "single_label_classification", "multi_label_classification", "regression"


def labelled(folder: Path, *labels: Any) -> dict[str, Any]:
    """The data section of rows with these labels by turns."""
    content = [{**row, "label": labels[index % len(labels)]} for index, row in enumerate(rows(12))]
    file = write_rows(folder / "own.jsonl", content)
    return {"train_file": file, "validation_file": file, "max_length": 16}


def trained_for(folder: Path, problem: str | None, labels: tuple[str, ...]) -> str:
    """A teacher whose configuration says what it was trained for."""
    model = make_teacher(folder, labels=labels)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "problem_type": problem}))
    return model


@pytest.mark.parametrize(
    ("problem", "names", "labels", "ids"),
    [
        (SINGLE, ("bad", "good"), (0.0, 1.0), [0, 1]),
        (None, ("bad", "good"), (0.0, 1.0), [0, 1]),
        (REGRESSION, ("score",), (1, 5, 3), [1.0, 5.0, 3.0]),
        (None, ("score",), (0.0, 1.0), [0.0, 1.0]),
        (MULTI, ("a", "b"), ([1, 0], [1, 1]), [[1.0, 0.0], [1.0, 1.0]]),
    ],
)
def test_a_trained_teacher_says_what_the_labels_are(
    work: Path, problem: str | None, names: tuple[str, ...], labels: tuple[Any, ...], ids: list[Any]
) -> None:
    model = trained_for(work / "model", problem, names)
    data = labelled(work, *labels)
    if problem == MULTI:
        data["label_names"] = list(names)
    made = plan(work, model, data=data)
    assert list(made.data.part("train")["label"])[: len(ids)] == ids
    assert made.student_config.problem_type == (problem or (REGRESSION if len(names) == 1 else SINGLE))
    assert made.student_config.num_labels == made.teacher_config.num_labels


@pytest.mark.parametrize(
    ("problem", "labels"),
    [
        (SINGLE, (0.5, 1.0)),
        (SINGLE, (["a"], ["b"])),
        (MULTI, ("a", "b")),
        (MULTI, (0.0, 1.0)),
        (REGRESSION, ("a", "b")),
    ],
)
@pytest.mark.parametrize("is_said", [False, True], ids=["found", "said"])
def test_labels_of_another_problem_type_than_the_teachers(
    work: Path, problem: str, labels: tuple[Any, ...], is_said: bool
) -> None:
    model = trained_for(work / "model", problem, ("score",) if problem == REGRESSION else ("a", "b"))
    found = {str: SINGLE, float: REGRESSION, list: MULTI}[type(labels[0])]
    data = {**labelled(work, *labels), **({"problem_type": found} if is_said else {})}
    with pytest.raises(TinyBertError) as caught:
        plan(work, model, data=data)
    assert problem in str(caught.value)
    assert found in str(caught.value)
    assert "teacher" in str(caught.value)


def test_rows_that_are_wrong_themselves_are_not_blamed_on_the_teacher(work: Path, teacher: str) -> None:
    with pytest.raises(TinyBertError, match=r"^.*own.jsonl, row 2, .*missing") as caught:
        plan(work, teacher, data=labelled(work, "negative", None))
    assert "teacher" not in str(caught.value)
