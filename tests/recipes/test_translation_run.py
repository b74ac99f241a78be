"""Whole translation runs: what they learn from, and what they leave."""

import json
from pathlib import Path
from typing import Any

import pytest
from tiny_run import write_rows
from tiny_translation_run import BEAMS, LABELS_ALONE, STUDENT, pairs, run
from tiny_translator import in_german, make_tokenizer, sentence
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, PreTrainedTokenizerFast

from tinybert_hf.data.demo_translation import demo_translation
from tinybert_hf.data.generation import translate_texts
from tinybert_hf.model import TinyBertConfig, TinyBertForSeq2Seq
from tinybert_hf.recipes import run as stages


@pytest.fixture
def learned(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What each training of a run was given: by name, its rows, its model and its arguments."""
    seen: dict[str, Any] = {}

    def noting(real: Any) -> Any:
        def note(model: Any, *args: Any, **kwargs: Any) -> Any:
            name = "student" if real is run_phases else Path(kwargs["output_dir"]).name
            seen[name] = {**kwargs, "args": args, "rows": kwargs["train_dataset"], "model": model}
            return real(model, *args, **kwargs)

        return note

    run_phases = stages.run_phases
    monkeypatch.setattr(stages, "run_phases", noting(stages.run_phases))
    monkeypatch.setattr(stages, "finetune", noting(stages.finetune))
    return seen


def texts(rows: Any, tokenizer: Any) -> list[tuple[str, str]]:
    """The pairs that tokenised rows say."""
    sides = [tokenizer.batch_decode(list(rows[name]), skip_special_tokens=True) for name in ("input_ids", "labels")]
    return list(zip(*sides, strict=True))


def test_a_run_learns_the_teachers_translations_and_leaves_a_student(
    work: Path, translator: str, learned: dict[str, Any]
) -> None:
    report, printed = run(work, translator)
    # What the student has seen is what the teacher writes; what the baseline has seen are the references.
    teacher, tokenizer = AutoModelForSeq2SeqLM.from_pretrained(translator), AutoTokenizer.from_pretrained(translator)
    sources = [pair["en"] for pair in pairs()]
    written = [best for (best,) in translate_texts(teacher, tokenizer, sources, num_beams=BEAMS)]
    kept = report.pseudo_labels["references"]["rows_written"]
    seen = texts(learned["student"]["rows"], tokenizer)
    assert len(seen) == kept
    assert set(seen) <= set(zip(sources, written, strict=True))
    assert texts(learned["baseline"]["rows"], tokenizer) == [(pair["en"], pair["de"]) for pair in pairs()]
    # What is left.
    assert set(report.metrics) == {"teacher", "student", "baseline"}
    assert report.metrics["teacher"]["beams"] == BEAMS
    assert report.metrics["student"]["beams"] == 1
    assert report.metrics["teacher"]["bleu"] > 50
    assert "tok:13a" in report.metrics["student"]["bleu_signature"]
    assert report.costs["student"]["size_ratio"] < 1
    assert set(report.costs["student"]["speedup"]) == {"1", "32"}
    for word in ("BLEU", "chrF", "student, distilled", "student, alone", "batch 32", "tinybert translate"):
        assert word in printed
    assert f"Training sources: {kept} of 40 translations kept" in printed
    assert "### Row" in (work / "out" / "worst_sentences.md").read_text()
    content = json.loads((work / "out" / "run.json").read_text())
    assert content["metrics"] == report.metrics
    assert content["recipe"]["data"]["target_column"] == "de"
    assert not (work / "out" / ".run").exists()
    student = AutoModelForSeq2SeqLM.from_pretrained(work / "out")
    assert isinstance(student, TinyBertForSeq2Seq)
    own = AutoTokenizer.from_pretrained(work / "out")
    assert own.get_vocab() == tokenizer.get_vocab()
    assert translate_texts(student, own, sources[:2]).hypotheses
    # The same command again shows the result and trains nothing.
    learned.clear()
    again, said = run(work, translator)
    assert again == report
    assert "complete" in said
    assert not learned


def test_references_and_unlabelled_text_are_learned_too(work: Path, translator: str, learned: dict[str, Any]) -> None:
    more = [{"text": sentence(2, 900 + index)} for index in range(9)] + [{"text": " "}]
    labels = {"num_beams": 1, "references": True, "unlabelled_file": write_rows(work / "more.jsonl", more)}
    labels["unlabelled_column"] = "text"
    report, printed = run(work, translator, pseudo_labels=labels, baseline=None)
    seen = texts(learned["student"]["rows"], make_tokenizer())
    assert seen[-40:] == [(pair["en"], pair["de"]) for pair in pairs()]
    counts = report.pseudo_labels["unlabelled"]
    assert counts["filtered"] == {"empty_source": 1}
    assert set(seen[-49:-40]) == {(row["text"], in_german(row["text"])) for row in more[:9]}
    assert "Unlabelled sources: 9 of 10 translations kept" in printed
    assert "left out: 1 empty source" in printed


def test_word_level_alone_learns_the_references(work: Path, translator: str, learned: dict[str, Any]) -> None:
    phase = {"name": "prediction", "batch_size": 16}
    report, printed = run(work, translator, pseudo_labels=None, baseline=None, phases=[phase])
    assert texts(learned["student"]["rows"], make_tokenizer()) == [(pair["en"], pair["de"]) for pair in pairs()]
    assert report.pseudo_labels == {}
    assert report.metrics["teacher"]["beams"] == 5
    assert "plain training" not in printed


def test_without_anything_of_the_teacher_it_says_so(work: Path, translator: str) -> None:
    report, printed = run(work, translator, pseudo_labels=None, baseline=None, phases=[LABELS_ALONE])
    assert "This is plain training" in printed
    assert any("plain training" in note for note in report.notes)


def test_losses_between_layers_and_label_smoothing(work: Path, translator: str, learned: dict[str, Any]) -> None:
    """Label smoothing is for trainings on labels; the losses of a phase are computed beside it."""
    phase = {"name": "joint", "label_loss_weight": 1.0, "batch_size": 16}
    report, _ = run(work, translator, "training_arguments.label_smoothing_factor=0.1", phases=[phase])
    losses = report.phases[0]["losses"]
    assert {"cross_attention_loss", "decoder_hidden_state_loss", "attention_loss", "label_loss"} <= losses.keys()
    assert "label_smoothing_factor" not in learned["student"]["training_arguments"]
    assert learned["baseline"]["training_arguments"]["label_smoothing_factor"] == 0.1


@pytest.mark.slow
def test_a_teacher_made_here(work: Path, learned: dict[str, Any]) -> None:
    """Random weights and two vocabularies, which the student takes over."""
    rows = demo_translation(24)
    size = {"encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
    size |= {"d_model": 16, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "max_position_embeddings": 48}
    teacher = {"config": size, "vocabulary_size": 530, "target_vocabulary_size": 530, "finetune": {"batch_size": 8}}
    data = {
        "train_file": write_rows(work / "a.jsonl", rows),
        "validation_file": write_rows(work / "b.jsonl", rows[:4]),
    }
    student = {"preset": "seq2seq-3-1-128d", "overrides": {**STUDENT, "max_position_embeddings": 48}}
    report, printed = run(
        work,
        "",
        teacher=teacher,
        data={**data, "max_length": 40},
        student=student,
        pseudo_labels=None,
        baseline=None,
        phases=[{"name": "prediction", "batch_size": 8}],
    )
    assert "tok:zh" in report.metrics["student"]["bleu_signature"]
    assert report.metrics["teacher"]["bleu"] < 2
    assert "next to nothing in common" in printed
    assert learned["teacher"]["model"].config.share_encoder_decoder_embeddings is False
    config = AutoModelForSeq2SeqLM.from_pretrained(work / "out").config
    own, made = (AutoTokenizer.from_pretrained(work / "out" / name) for name in ("", "teacher"))
    assert own.get_target_vocab() == made.get_target_vocab()
    assert (config.vocab_size, config.decoder_vocab_size) == (len(made), made.target_vocab_size)
    assert config.tied_embeddings == "target"


@pytest.fixture
def stranger(work: Path) -> str:
    """A student that exists and reads other tokens."""
    backend = make_tokenizer().backend_tokenizer
    special = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    backend.add_tokens(["Maus"])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, **special)
    config = TinyBertConfig.from_preset(
        "seq2seq-3-1-128d", **STUDENT, vocab_size=len(tokenizer), decoder_start_token_id=tokenizer.pad_token_id
    )
    TinyBertForSeq2Seq(config).save_pretrained(work / "stranger")
    tokenizer.save_pretrained(work / "stranger")
    return str(work / "stranger")


@pytest.mark.slow
def test_a_student_with_its_own_tokenizer_learns_the_translations(
    work: Path, translator: str, stranger: str, learned: dict[str, Any]
) -> None:
    report, printed = run(work, translator, student={"model": stranger}, phases=[LABELS_ALONE])
    tokenizer = AutoTokenizer.from_pretrained(work / "out")
    assert "Maus" in tokenizer.get_vocab()
    assert learned["student"]["processing_class"].get_vocab() == tokenizer.get_vocab()
    assert "keeps its own tokenizer" in printed
    assert report.metrics["teacher"]["bleu"] > 50


@pytest.mark.parametrize("word_level", [0.0, pytest.param(1.0, marks=pytest.mark.slow)])
def test_a_deeper_student_learns_where_no_layer_is_compared(work: Path, translator: str, word_level: float) -> None:
    """No layer map can fail to fit then."""
    deep = {"preset": "seq2seq-3-1-128d", "overrides": {**STUDENT, "num_hidden_layers": 2, "num_decoder_layers": 2}}
    phase = {**LABELS_ALONE, "layer_map": [9, 9], "prediction_loss_weight": word_level}
    report, _ = run(work, translator, student=deep, phases=[phase], baseline=None)
    assert ("prediction_loss" in report.phases[0]["losses"]) == bool(word_level)
