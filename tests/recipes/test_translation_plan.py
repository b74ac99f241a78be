"""Whatever can be known about a translation before training is refused before training, and nothing is written."""

from pathlib import Path
from typing import Any

import pytest
from tiny_run import write_rows
from tiny_translation_run import LABELS_ALONE, STUDENT, pairs, recipe
from tiny_translator import make_model, make_tokenizer
from transformers import BertConfig, BertForSequenceClassification, MBartConfig, MBartForConditionalGeneration

from tinybert_hf.errors import RecipeError, TinyBertError
from tinybert_hf.model import TinyBertConfig, TinyBertForSeq2Seq, TinyBertForSequenceClassification
from tinybert_hf.recipes.loader import load_recipe
from tinybert_hf.recipes.plan import Plan, make_plan
from tinybert_hf.recipes.report import describe_plan


def plan(folder: Path, model: str, *assignments: str, **changes: Any) -> Plan:
    made = make_plan(recipe(folder, model, *assignments, **changes))
    return made


def saved(model: Any, folder: Path) -> str:
    model.save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    return str(folder)


def test_the_student_takes_vocabulary_and_tokens_with_a_meaning(work: Path, translator: str) -> None:
    made = plan(work, translator)
    student, teacher = made.student_config, made.teacher_config
    for name in ("vocab_size", "pad_token_id", "eos_token_id", "decoder_start_token_id"):
        assert getattr(student, name) == getattr(teacher, name), name
    assert (student.decoder_vocab_size, student.tied_embeddings) == (None, "all")
    assert not (work / "out").exists()


def test_two_vocabularies_of_one_size_are_not_taken_for_one(work: Path) -> None:
    size = len(make_tokenizer())
    apart = make_model(share_encoder_decoder_embeddings=False, decoder_vocab_size=size, tie_word_embeddings=False)
    student = plan(work, saved(apart, work / "apart")).student_config
    assert (student.vocab_size, student.decoder_vocab_size, student.tied_embeddings) == (size, size, "target")


def test_a_student_as_teacher(work: Path) -> None:
    """Its first token stands in the generation settings alone."""
    shape = {**STUDENT, "vocab_size": len(make_tokenizer())}
    config = TinyBertConfig.from_preset("seq2seq-3-1-128d", **shape)
    assert config.decoder_start_token_id is None
    made = plan(work, saved(TinyBertForSeq2Seq(config), work / "teacher"))
    assert made.student_config.decoder_start_token_id == 0


def test_a_dry_run_tells_shapes_rows_and_layer_maps(work: Path) -> None:
    deep = saved(make_model(encoder_layers=4, decoder_layers=2), work / "deep")
    phase = {"name": "joint", "label_loss_weight": 1.0, "layer_map": [3], "cross_attention_layer_map": [1]}
    phase["decoder_attention_loss_weight"] = 0.0
    more = write_rows(work / "more.jsonl", pairs(5))
    text = describe_plan(
        plan(work, deep, phases=[phase, LABELS_ALONE], pseudo_labels={"unlabelled_file": more, "references": True})
    )
    assert "teacher: marian, 4 + 2 layers of width 48, 2 heads, vocabulary 17" in text
    assert "student: tinybert, 1 + 1 layers of width 16, 2 heads, vocabulary 17" in text
    assert "rows: 40 train, 12 validation" in text
    assert "translations of the train rows and of 5 unlabelled sources (5 beams) and the references" in text
    maps = "encoder: 1<-3; encoder attention: 1<-3; decoder: 1<-2; cross-attention: 1<-1"
    assert f"layer maps (student<-teacher): {maps}\n" in text
    assert "\nphase 1 (prediction): 1 x label_loss; 1 epoch at 0.0003\n" in text
    assert "\nmeasured with: 5 beams (teacher), 1 (student)" in text


def test_the_notes_of_the_rows_are_told(work: Path, translator: str) -> None:
    mapping = recipe(work, translator, pseudo_labels=None, phases=[LABELS_ALONE])
    write_rows(work / "train.jsonl", [*pairs(), {"en": " ", "de": "das"}])
    text = describe_plan(make_plan(mapping))
    assert "note: 1 of 41 pairs in" in text
    assert "note: This is plain training" in text
    prefixed = describe_plan(plan(work, translator, "teacher.prefix='>>de<< '"))
    assert "note: teacher.prefix" in prefixed


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("teacher.model=null", r"teacher\.model: no teacher is given.*tinybert finetune"),
        ("teacher.model=nowhere/at-all", r"teacher nowhere/at-all: there is no such folder"),
        ("teacher.model=classifier", r"teacher classifier is no translator: a bert model"),
        ("teacher.model=startless", r"startless has no decoder start token"),
        ("teacher.model=dumb", r"teacher dumb has no tokenizer"),
        ("teacher.source_language=en", r"has no tokens for languages"),
        ("data.train_file=nothing.jsonl", r"nothing\.jsonl does not exist"),
        ("data.source_column=english", r"'english'.*--source-column"),
        ("data.max_length=30", r"data\.max_length: 30 tokens are more than the 24 positions of the teacher"),
        ("data.max_target_length=30", r"data\.max_target_length: 30 tokens are more than the 24 positions"),
        ("pseudo_labels.unlabelled_file=nothing.jsonl", r"nothing\.jsonl does not exist"),
        ("pseudo_labels={unlabelled_file: train.jsonl, unlabelled_column: x}", r"'x'"),
        ("student.overrides.vocab_size=400", r"student\.overrides: the student would embed 400 .*gives 17 and 17"),
        ("student.overrides.hidden_siz=3", r"student\.overrides: .*did you mean 'hidden_size'"),
        ("student={model: encoder}", r"student\.model encoder: that TinyBERT has no decoder"),
        ("phases.0={name: joint, decoder_layer_map: [4]}", r"phases\.0 \(joint\): .*teacher layer 4"),
        ("phases.0={name: joint, cross_attention_layer_map: [2]}", r"phases\.0 \(joint\): .*teacher layer 2"),
        ("phases.0={name: joint, projection: none}", r"phases\.0 \(joint\): .*width"),
    ],
)
def test_refused_before_training(work: Path, translator: str, assignment: str, message: str) -> None:
    saved(BertForSequenceClassification(BertConfig(vocab_size=30, **_SMALL)), work / "classifier")
    saved(MBartForConditionalGeneration(_STARTLESS), work / "startless")
    make_model().save_pretrained(work / "dumb")
    TinyBertForSequenceClassification(TinyBertConfig(vocab_size=30, **_SMALL)).save_pretrained(work / "encoder")
    with pytest.raises(TinyBertError, match=message):
        plan(work, translator, assignment)
    assert not (work / "out").exists()


_SMALL = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
_LAYERS = {"encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
_STARTLESS = MBartConfig(vocab_size=17, d_model=8, encoder_ffn_dim=8, decoder_ffn_dim=8, **_LAYERS)


def test_another_tokenizer_is_refused_and_the_way_that_works_is_offered(work: Path, translator: str) -> None:
    tokenizer = make_tokenizer()
    vocabulary = tokenizer.get_vocab()
    shape = {**STUDENT, "vocab_size": len(vocabulary)}
    TinyBertForSeq2Seq(TinyBertConfig.from_preset("seq2seq-3-1-128d", **shape)).save_pretrained(work / "own")
    make_tokenizer().save_pretrained(work / "own")
    assert not plan(work, translator, student={"model": "own"}).other_tokens
    # As many tokens, two of them exchanged: the sizes agree and the ids mean other words.
    text = (work / "own" / "tokenizer.json").read_text()
    text = text.replace('"Hund"', '"?"').replace('"Baum"', '"Hund"').replace('"?"', '"Baum"')
    (work / "own" / "tokenizer.json").write_text(text)
    with pytest.raises(TinyBertError) as raised:
        plan(work, translator, student={"model": "own"})
    for word in ("'Hund'", "prediction_loss_weight: 0, label_loss_weight: 1", "pseudo_labels", "sequence-level"):
        assert word in str(raised.value)
    made = plan(work, translator, student={"model": "own"}, phases=[LABELS_ALONE])
    assert not made.needs_teacher
    assert any("'Hund'" in token for token in made.teachers[0].different)


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("student.init=teacher", r"student\.init: 'teacher' is not available for translators"),
        ("student={preset: 4l-312d}", r"student\.preset: 4l-312d has no decoder.*seq2seq-6-2-256d"),
        ("pseudo_labels.select=worst", r"pseudo_labels\.select: .*best, nearest"),
        ("pseudo_labels.num_beams=0", r"pseudo_labels\.num_beams: expected 1 or more"),
        ("pseudo_labels.max_length_factor=0.5", r"pseudo_labels\.max_length_factor: expected 0 \(off\) or at least 1"),
        ("pseudo_labels.unlabelled_column=text", r"pseudo_labels\.unlabelled_column: there is no unlabelled_file"),
        ("pseudo_labels.num_beam=3", r"pseudo_labels\.num_beam: .*did you mean num_beams"),
        ("evaluation.student_num_beams=0", r"evaluation\.student_num_beams: expected 1 or more"),
        ("task=text-classification", r"pseudo_labels: .*task: translation"),
        ("teacher.config.d_model=30", r"teacher\.config: d_model 30 is not a multiple of encoder_attention_heads 4"),
        ("teacher.config.d_modl=30", r"teacher\.config\.d_modl: .*did you mean d_model"),
        ("teacher.vocabulary_size=300", r"vocab_size is 300; it must be 520 or more"),
    ],
)
def test_a_wrong_value_of_a_shipped_recipe_is_named(work: Path, assignment: str, message: str) -> None:
    small = {"data.max_train_rows": 20, "data.max_validation_rows": 5}
    with pytest.raises(TinyBertError, match=message):
        make_plan(load_recipe("demo-translation", small, [assignment]))


def test_the_shipped_recipes_fit_their_models(work: Path, translator: str) -> None:
    small = {"data.max_train_rows": 20, "data.max_validation_rows": 5}
    made = make_plan(load_recipe("demo-translation", small))
    assert made.needs_teacher
    files = {f"data.{part}_file": write_rows(work / f"{part}.jsonl", pairs(8)) for part in ("train", "validation")}
    columns = {"data.source_column": "en", "data.target_column": "de", "data.max_length": 16}
    own = load_recipe("translation", {"teacher.model": translator, **files, **columns})
    make_plan(own)
    with pytest.raises(RecipeError, match="no teacher is given"):
        make_plan(load_recipe("translation", {**files, **columns}))


@pytest.mark.parametrize(
    ("shape", "chosen", "note"),
    [
        ({"d_model": 512, "encoder_layers": 6, "decoder_layers": 6, "ffn": 2048}, "seq2seq-6-2-256d", None),
        ({"d_model": 256, "encoder_layers": 3, "decoder_layers": 3, "ffn": 1024}, "seq2seq-3-1-128d", None),
        ({"d_model": 48, "encoder_layers": 2, "decoder_layers": 1, "ffn": 64}, "seq2seq-3-1-128d", "not smaller"),
    ],
    ids=["large", "as tinybert finetune makes it", "smaller than every preset"],
)
def test_the_teacher_chooses_the_student_of_a_recipe_that_names_none(
    work: Path, shape: dict[str, int], chosen: str, note: str | None
) -> None:
    inner = shape.pop("ffn")
    size = {**shape, "encoder_ffn_dim": inner, "decoder_ffn_dim": inner}
    model = saved(make_model(**size), work / "large")
    files = {f"data.{part}_file": write_rows(work / f"{part}.jsonl", pairs(8)) for part in ("train", "validation")}
    columns = {"data.source_column": "en", "data.target_column": "de", "data.max_length": 16}
    made = make_plan(load_recipe("translation", {"teacher.model": model, **files, **columns}))
    assert made.recipe.student.preset == chosen
    text = describe_plan(made)
    assert f"preset: {chosen}" in text
    assert any(note in one for one in made.size_notes) if note else made.size_notes == ()
    named = {"student.preset": "seq2seq-4-2-312d"}
    own = make_plan(load_recipe("translation", {"teacher.model": model, **files, **columns, **named}))
    assert own.recipe.student.preset == "seq2seq-4-2-312d"
    assert (own.size_notes == ()) == (shape["d_model"] == 512)


def test_a_translator_is_no_student_of_a_classification() -> None:
    with pytest.raises(RecipeError, match=r"seq2seq-6-2-256d is a translator"):
        load_recipe("demo", {"student.preset": "seq2seq-6-2-256d", "student.overrides": {}})
