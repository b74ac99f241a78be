"""Distillation of translators: what is logged, saved, resumed and written; phases; and plain training of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny_seq2seq
import torch
from datasets import Dataset
from safetensors.torch import load_file
from tiny_models import QUIET, StopAt, bert, logged
from tiny_translator import in_german, sentence
from torch import nn
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, PreTrainedModel

from tinybert_hf import (
    DistillationArguments,
    DistillationTrainer,
    FinetuneSettings,
    Phase,
    Seq2SeqDistillationArguments,
    Seq2SeqDistillationTrainer,
    distillation_losses,
    finetune,
    run_phases,
)
from tinybert_hf.checkpoints import PROJECTIONS_FILE
from tinybert_hf.data import train_translation_tokenizer
from tinybert_hf.distillation.losses import DECODER_LOSSES, ENCODER_LOSSES
from tinybert_hf.errors import RecipeError, TeacherError, TinyBertError

BETWEEN_LAYERS = {*ENCODER_LOSSES, *DECODER_LOSSES}
# Pairs of 1 to 5 words: sources and targets of unequal lengths.
TEXTS = [sentence(1 + index * 3 % 5, index) for index in range(24)]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    """Of both languages."""
    return train_translation_tokenizer(TEXTS, [in_german(text) for text in TEXTS], max_length=32)


@pytest.fixture(scope="module")
def rows(tokenizer: Any) -> Dataset:
    """The pairs, tokenised, and a column that is not for a model."""
    encoded = tokenizer(TEXTS, text_target=[in_german(text) for text in TEXTS])
    return Dataset.from_dict({**encoded, "source": TEXTS})


def student(tokenizer: Any, **more: Any) -> PreTrainedModel:
    tokens = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    return tiny_seq2seq.student(**{"vocab_size": len(tokenizer), "initializer_range": 0.1, **tokens, **more})


def teacher(tokenizer: Any, **more: Any) -> PreTrainedModel:
    tokens = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    tokens |= {"decoder_start_token_id": tokenizer.bos_token_id}
    return tiny_seq2seq.teacher("marian", **{"vocab_size": len(tokenizer), "init_std": 0.1, **tokens, **more})


@pytest.fixture
def make_trainer(tmp_path: Path, tokenizer: Any, rows: Dataset) -> Any:
    def make(model: Any = None, other: Any = None, count: int = 24, **arguments: Any) -> Seq2SeqDistillationTrainer:
        options = {"output_dir": str(tmp_path / "out"), "per_device_train_batch_size": 8, "max_steps": 4, **QUIET}
        options |= {"logging_steps": 1, "save_strategy": "no", "learning_rate": 3e-3, **arguments}
        callables = {name: options.pop(name) for name in ("compute_metrics",) if name in options}
        return Seq2SeqDistillationTrainer(
            model or student(tokenizer),
            other or teacher(tokenizer),
            Seq2SeqDistillationArguments(**options),
            train_dataset=rows.select(range(count)),
            eval_dataset=rows.select(range(6)),
            processing_class=tokenizer,
            **callables,
        )

    return make


def weights_of(model: nn.Module) -> torch.Tensor:
    return torch.cat([weight.detach().flatten() for weight in model.parameters()])


def same_weights(one: nn.Module, two: nn.Module) -> bool:
    ours, theirs = one.state_dict(), two.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(value, theirs[name]) for name, value in ours.items())


class TestTraining:
    @pytest.mark.parametrize(
        ("phase", "losses"),
        [
            ("intermediate", BETWEEN_LAYERS),
            ("prediction", {"prediction_loss"}),
            ("joint", {*BETWEEN_LAYERS, "prediction_loss", "label_loss"}),
        ],
    )
    def test_a_phase_logs_its_losses_and_their_weighted_sum(
        self, make_trainer: Any, phase: str, losses: set[str]
    ) -> None:
        weights = {"cross_attention_loss": 0.5, "label_loss": 0.25} if phase == "joint" else {}
        trainer = make_trainer(
            phase=phase, max_steps=8, **{f"{name}_weight": value for name, value in weights.items()}
        )
        trainer.train()
        first = trainer.state.log_history[0]
        assert {name for name in first if name.endswith("_loss")} == losses
        assert first["loss"] == pytest.approx(sum(weights.get(name, 1.0) * first[name] for name in losses), rel=1e-4)
        for name in losses:
            assert sum(logged(trainer, name)[-2:]) < sum(logged(trainer, name)[:2]), name

    def test_the_first_step_logs_what_the_public_function_says(self, make_trainer: Any) -> None:
        maps = {"decoder_layer_map": "top", "decoder_attention_layer_map": "1:1", "cross_attention_layer_map": "2:3"}
        trainer = make_trainer(
            count=8, phase="joint", max_steps=1, projection_start="random", label_loss_weight=1.0, **maps
        )
        model, other = trainer.student, trainer.teacher
        batch = trainer.data_collator(
            [{k: v for k, v in row.items() if k != "source"} for row in trainer.train_dataset]
        )
        expected = distillation_losses(model, other, batch, projections=trainer.projections, **maps)
        expected["label_loss"] = model(**batch).loss
        expected = {name: loss.item() for name, loss in expected.items()}
        trainer.train()
        assert len(expected) == 8
        for name, loss in expected.items():
            assert logged(trainer, name)[0] == pytest.approx(loss, rel=1e-4), name

    def test_accumulation_gives_the_gradients_of_the_whole_batch(self, make_trainer: Any) -> None:
        """Sources and targets of unequal length: a mean of means would differ."""
        results = []
        for size, steps in ((8, 1), (2, 4), (1, 8)):
            trainer = make_trainer(
                count=8, phase="joint", max_steps=1, per_device_train_batch_size=size,
                gradient_accumulation_steps=steps, optim="sgd", max_grad_norm=0.0, lr_scheduler_type="constant",
                learning_rate=1.0, label_loss_weight=1.0,
            )  # fmt: skip
            start = weights_of(trainer.student)
            trainer.train()
            assert (weights_of(trainer.student) - start).abs().max() > 1e-2
            results.append((weights_of(trainer.model), logged(trainer, "loss")[0]))
        for weights, loss in results[1:]:
            torch.testing.assert_close(weights, results[0][0], rtol=1e-4, atol=1e-5)
            assert loss == pytest.approx(results[0][1], rel=1e-5)

    def test_what_no_loss_reaches_stays_as_it_is(self, make_trainer: Any, tokenizer: Any) -> None:
        model = student(tokenizer, tie_embeddings="none")
        none = {f"{name}_weight": 0.0 for name in DECODER_LOSSES}
        trainer = make_trainer(model=model, phase="intermediate", weight_decay=0.1, **none)
        written = {
            name: weight.clone()
            for name, weight in model.named_parameters()
            if name.partition(".")[0] in ("decoder", "bridge", "lm_head")
        }
        read = model.get_input_embeddings().weight.clone()
        trainer.train()
        assert all(torch.equal(model.get_parameter(name), weight) for name, weight in written.items())
        assert not torch.equal(model.get_input_embeddings().weight, read)
        assert trainer.projections.decoder is None
        assert all(weight.requires_grad for weight in model.parameters())

    def test_least_squares_projections_start_nearer(self, make_trainer: Any) -> None:
        losses = {}
        for start in ("least_squares", "random"):
            trainer = make_trainer(phase="intermediate", projection_start=start, max_steps=1)
            trainer.train()
            losses[start] = {name: logged(trainer, f"{name}hidden_state_loss")[0] for name in ("", "decoder_")}
        for name in ("", "decoder_"):
            assert losses["least_squares"][name] < 0.8 * losses["random"][name]

    def test_the_teacher_is_never_changed(self, make_trainer: Any, tokenizer: Any) -> None:
        other = teacher(tokenizer, dropout=0.5).train()
        before = {name: value.clone() for name, value in other.state_dict().items()}
        make_trainer(other=other, phase="joint", max_steps=2).train()
        assert all(torch.equal(value, before[name]) for name, value in other.state_dict().items())
        assert all(weight.grad is None for weight in other.parameters())


class TestCheckpoints:
    OPTIONS = {"phase": "joint", "max_steps": 5, "save_strategy": "steps", "save_steps": 2}  # noqa: RUF012

    def test_a_stopped_run_goes_on_exactly(self, make_trainer: Any, tokenizer: Any, tmp_path: Path) -> None:
        dropout = {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}
        whole = make_trainer(model=student(tokenizer, **dropout), **self.OPTIONS)
        whole.train()
        checkpoint = tmp_path / "out" / "checkpoint-2"  # in the midst of the first epoch
        kept = load_file(checkpoint / PROJECTIONS_FILE)
        assert set(kept) == set(whole.projections.state_dict())
        assert {name.partition(".")[0] for name in kept} == {"maps", "decoder"}
        resumed = make_trainer(model=student(tokenizer, **dropout), **self.OPTIONS)
        resumed.train(resume_from_checkpoint=str(checkpoint))
        assert same_weights(resumed.student, whole.student)
        assert same_weights(resumed.projections, whole.projections)
        assert logged(resumed, "loss")[-3:] == logged(whole, "loss")[-3:]
        assert not torch.equal(kept["decoder.maps.1.weight"], whole.projections.decoder.maps["1"].weight)

    def test_the_saved_student_is_an_ordinary_translator(self, make_trainer: Any, tmp_path: Path) -> None:
        trainer = make_trainer(phase="joint", max_steps=1)
        trainer.train()
        trainer.save_model()
        assert not (tmp_path / "out" / PROJECTIONS_FILE).exists()
        opened, info = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "out", output_loading_info=True)
        assert not any(info.values())
        assert same_weights(opened, trainer.student)
        tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
        source = tokenizer(TEXTS[:3], padding=True, return_tensors="pt")
        written = [model.eval().generate(**source, max_length=8) for model in (opened, trainer.student)]
        assert torch.equal(*written)


class TestEvaluation:
    def test_loss_is_the_students_own(self, make_trainer: Any, rows: Dataset) -> None:
        trainer = make_trainer(phase="joint", per_device_eval_batch_size=6)
        metrics = trainer.evaluate()
        batch = trainer.data_collator(
            [{k: v for k, v in row.items() if k != "source"} for row in rows.select(range(6))]
        )
        with torch.no_grad():
            expected = trainer.student.eval()(**batch).loss
        assert metrics["eval_loss"] == pytest.approx(expected.item(), rel=1e-4)

    def test_predict_with_generate_gives_what_the_student_writes(self, make_trainer: Any, rows: Dataset) -> None:
        seen = {}

        def metrics(prediction: Any) -> dict[str, float]:
            seen.update(predictions=prediction.predictions, labels=prediction.label_ids)
            return {"rows": float(len(prediction.predictions))}

        trainer = make_trainer(
            phase="prediction", predict_with_generate=True, generation_max_length=7, generation_num_beams=2,
            per_device_eval_batch_size=6, compute_metrics=metrics,
        )  # fmt: skip
        found = trainer.evaluate()
        assert found["eval_rows"] == 6
        assert found["eval_loss"] > 0
        batch = trainer.data_collator(
            [{k: v for k, v in row.items() if k != "source"} for row in rows.select(range(6))]
        )
        labels = batch.pop("labels")
        expected = trainer.student.eval().generate(**batch, max_length=7, num_beams=2)
        assert torch.equal(torch.from_numpy(seen["predictions"])[:, : expected.shape[1]], expected)
        assert torch.equal(torch.from_numpy(seen["labels"])[:, : labels.shape[1]], labels)


class TestRefused:
    def test_the_trainer_of_the_other_kind(self, make_trainer: Any, tokenizer: Any, tmp_path: Path) -> None:
        with pytest.raises(TinyBertError, match=r"TinyBertForSeq2Seq is a translator: use Seq2SeqDistillationTrainer"):
            DistillationTrainer(student(tokenizer), teacher(tokenizer), DistillationArguments(str(tmp_path), **QUIET))
        for_translators = Seq2SeqDistillationArguments(str(tmp_path), **QUIET)
        with pytest.raises(TinyBertError, match=r"use Seq2SeqDistillationTrainer"):
            DistillationTrainer(student(tokenizer), teacher(tokenizer), for_translators)
        with pytest.raises(
            TinyBertError, match=r"BertForSequenceClassification is an encoder: use DistillationTrainer"
        ):
            make_trainer(model=bert(vocab_size=1000), other=bert(layers=4, vocab_size=1000))

    def test_an_encoder_as_teacher(self, make_trainer: Any, tokenizer: Any) -> None:
        with pytest.raises(TinyBertError, match="both must be of one kind"):
            make_trainer(other=bert(layers=4, vocab_size=len(tokenizer)))

    def test_vocabularies_that_do_not_fit(self, make_trainer: Any, tokenizer: Any) -> None:
        size = len(tokenizer)
        with pytest.raises(TeacherError, match=rf"The teacher embeds 60 tokens .*{size - 60} without an embedding"):
            make_trainer(other=teacher(tokenizer, vocab_size=60, pad_token_id=0))
        with pytest.raises(
            TeacherError, match=rf"student embeds {size + 9}.*teacher {size} of the target.*pseudo-label"
        ):
            make_trainer(model=student(tokenizer, decoder_vocab_size=size + 9))

    def test_weights_of_a_decoder_for_an_encoder(self) -> None:
        phase = Phase("intermediate", cross_attention_loss_weight=1.0)
        assert phase.loss_weights(has_decoder=True).keys() == BETWEEN_LAYERS
        with pytest.raises(RecipeError, match="cross_attention_loss_weight is for translators"):
            phase.loss_weights()


class TestPhases:
    PHASES = (
        Phase("intermediate", epochs=1, learning_rate=1e-3, batch_size=8, cross_attention_layer_map="1:3,2:1"),
        Phase("joint", epochs=1, learning_rate=1e-3, batch_size=8, label_loss_weight=0.5),
    )

    def run(self, folder: Path, tokenizer: Any, rows: Dataset, **options: Any) -> tuple[Any, Any]:
        model = student(tokenizer, hidden_dropout_prob=0.1)
        results = run_phases(
            model,
            teacher(tokenizer),
            self.PHASES,
            output_dir=folder,
            train_dataset=rows,
            eval_dataset=rows.select(range(6)),
            processing_class=tokenizer,
            training_arguments={**QUIET, "save_steps": 2, "logging_steps": 1},
            **options,
        )
        return model, results

    def test_a_stopped_run_ends_like_an_uninterrupted_one(self, tmp_path: Path, tokenizer: Any, rows: Dataset) -> None:
        expected, whole = self.run(tmp_path / "whole", tokenizer, rows)
        assert [(result.name, result.steps) for result in whole] == [("intermediate", 3), ("joint", 3)]
        assert set(whole[0].losses) == {"loss", *BETWEEN_LAYERS}
        assert set(whole[1].losses) == {"loss", *BETWEEN_LAYERS, "prediction_loss", "label_loss"}
        assert whole[1].metrics["loss"] > 0
        for step, phase in ((2, "intermediate"), (0, "joint")):
            with pytest.raises(KeyboardInterrupt):
                self.run(tmp_path / "stopped", tokenizer, rows, callbacks=[StopAt(step, phase)])
        model, results = self.run(tmp_path / "stopped", tokenizer, rows)
        assert same_weights(model, expected)
        assert [result.losses for result in results] == [result.losses for result in whole]
        opened = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "stopped" / "phases" / "1-joint" / "student")
        assert same_weights(opened, expected)
        kept = [load_file(tmp_path / run / "phases" / "1-joint" / PROJECTIONS_FILE) for run in ("whole", "stopped")]
        assert kept[0].keys() == kept[1].keys()
        assert all(torch.equal(value, kept[1][name]) for name, value in kept[0].items())
        assert "decoder.maps.2.weight" in kept[0]


class TestFinetuning:
    def test_learns_and_leaves_a_whole_folder(self, tmp_path: Path, tokenizer: Any, rows: Dataset) -> None:
        model = student(tokenizer, num_hidden_layers=1, num_decoder_layers=1, decoder_hidden_size=24)
        with torch.no_grad():
            before = model(**_batch(tokenizer)).loss.item()
        metrics = finetune(
            model,
            FinetuneSettings(epochs=12, learning_rate=2e-2, batch_size=8),
            output_dir=tmp_path / "teacher",
            train_dataset=rows,
            eval_dataset=rows,
            processing_class=tokenizer,
            training_arguments={**QUIET, "eval_strategy": "no", "per_device_eval_batch_size": 24},
        )
        with torch.no_grad():
            after = model.eval()(**_batch(tokenizer)).loss.item()
        assert metrics["loss"] == pytest.approx(after, rel=1e-3)
        assert after < 0.5 * before
        assert same_weights(AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "teacher"), model)
        assert [path.name for path in tmp_path.iterdir()] == ["teacher"]

    @pytest.mark.parametrize("family", ["marian", "tinybert"])
    def test_smoothed_labels_cost_what_they_should(
        self, family: str, tmp_path: Path, tokenizer: Any, rows: Dataset
    ) -> None:
        model = student(tokenizer) if family == "tinybert" else teacher(tokenizer)
        batch = _batch(tokenizer)
        with torch.no_grad():
            chances = model(**batch).logits.log_softmax(-1)[batch["labels"] != -100]
        labels = batch["labels"][batch["labels"] != -100]
        expected = 0.8 * -chances[torch.arange(len(labels)), labels].mean() + 0.2 * -chances.mean()
        metrics = finetune(
            model,
            FinetuneSettings(epochs=1, learning_rate=1e-9, batch_size=24),
            output_dir=tmp_path / family,
            train_dataset=rows,
            eval_dataset=rows,
            processing_class=tokenizer,
            training_arguments={**QUIET, "label_smoothing_factor": 0.2},
        )
        assert metrics["loss"] == pytest.approx(expected.item(), rel=1e-4)

    @pytest.mark.parametrize("family", ["marian", "tinybert"])
    def test_accumulated_batches_are_the_same(
        self, family: str, tmp_path: Path, tokenizer: Any, rows: Dataset
    ) -> None:
        weights = []
        for size, steps in ((8, 1), (2, 4)):
            model = student(tokenizer) if family == "tinybert" else teacher(tokenizer)
            finetune(
                model,
                FinetuneSettings(
                    epochs=1, learning_rate=1.0, batch_size=size, warmup_ratio=0.0, lr_scheduler_type="constant"
                ),
                output_dir=tmp_path / f"{family}-{size}",
                train_dataset=rows.select(range(8)),
                processing_class=tokenizer,
                training_arguments={
                    **QUIET,
                    "gradient_accumulation_steps": steps,
                    "optim": "sgd",
                    "max_grad_norm": 0.0,
                },
            )
            weights.append(weights_of(model))
        torch.testing.assert_close(weights[0], weights[1], rtol=1e-4, atol=1e-5)


def save_made_translator(folder: Path, epochs: int = 4, **more: Any) -> tuple[PreTrainedModel, Any]:
    """A Marian model as `tinybert finetune` makes it, after a short training."""
    made = train_translation_tokenizer(TEXTS, [in_german(text) for text in TEXTS], max_length=32, **more)
    torch.manual_seed(0)
    tokens = {"decoder_start_token_id": made.pad_token_id, "forced_eos_token_id": None}
    sizes = {"decoder_vocab_size": getattr(made, "target_vocab_size", len(made)), "max_position_embeddings": 40}
    sizes["share_encoder_decoder_embeddings"] = not more
    model = teacher(made, **tokens, **sizes)
    encoded = made(TEXTS, text_target=[in_german(text) for text in TEXTS])
    finetune(
        model,
        FinetuneSettings(epochs=epochs, learning_rate=5e-3, batch_size=8, weight_decay=0.1),
        output_dir=folder,
        train_dataset=Dataset.from_dict(dict(encoded)),
        processing_class=made,
        training_arguments={**QUIET, "label_smoothing_factor": 0.1},
    )
    return model, made


@pytest.mark.parametrize("vocabularies", [{}, {"target_vocab_size": 600}])
def test_a_made_translator_never_learns_the_padding_token(vocabularies: dict[str, int], tmp_path: Path) -> None:
    """Other programs that run Marian models begin with zeros, and leave the token out."""
    _, made = save_made_translator(tmp_path / "made", **vocabularies)
    opened = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "made").eval()
    for table in (opened.get_encoder().embed_tokens, opened.get_decoder().embed_tokens):
        assert not table.weight[made.pad_token_id].any()
        assert (table.weight.abs().sum(-1) == 0).sum() == 1
    assert not opened.lm_head.weight[made.pad_token_id].any()
    assert opened.generation_config.bad_words_ids == [[made.pad_token_id]]
    # A plain call writes as much as the model can, and not the 20 tokens of transformers.
    assert opened.generation_config.max_length == 40
    opened.generation_config.eos_token_id = None
    assert opened.generate(**made(TEXTS[:2], padding=True, return_tensors="pt")).shape[1] == 40


def test_what_a_translator_says_of_its_length_stays(tmp_path: Path, tokenizer: Any, rows: Dataset) -> None:
    model = teacher(tokenizer)
    model.generation_config.max_length = 12
    finetune(
        model, FinetuneSettings(epochs=1, batch_size=24), output_dir=tmp_path / "made", train_dataset=rows,
        processing_class=tokenizer, training_arguments=QUIET,
    )  # fmt: skip
    opened = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "made")
    assert opened.generation_config.max_length == 12
    assert opened.generation_config.bad_words_ids is None  # its decoder begins with another token


def test_ctranslate2_writes_what_a_made_translator_writes(tmp_path: Path) -> None:
    ctranslate2 = pytest.importorskip("ctranslate2")
    save_made_translator(tmp_path / "made", epochs=50)
    ctranslate2.converters.TransformersConverter(str(tmp_path / "made")).convert(str(tmp_path / "converted"))
    model, made = (kind.from_pretrained(tmp_path / "made") for kind in (AutoModelForSeq2SeqLM, AutoTokenizer))
    translator = ctranslate2.Translator(str(tmp_path / "converted"), intra_threads=1)
    tokens = [made.convert_ids_to_tokens(made(text)["input_ids"]) for text in TEXTS]
    for beams in (1, 4):
        found = translator.translate_batch(tokens, beam_size=beams, max_decoding_length=30)
        batch = made(TEXTS, padding=True, return_tensors="pt")
        with torch.inference_mode():
            written = model.eval().generate(**batch, num_beams=beams, max_new_tokens=30, max_length=None)
        expected = made.batch_decode(written, skip_special_tokens=True)
        assert len(set(expected)) > 3
        ids = [made.convert_tokens_to_ids(one.hypotheses[0]) for one in found]
        assert made.batch_decode(ids, skip_special_tokens=True) == expected


def _batch(tokenizer: Any) -> dict[str, torch.Tensor]:
    """All pairs at once."""
    batch = tokenizer(TEXTS, text_target=[in_german(text) for text in TEXTS], padding=True, return_tensors="pt")
    batch["labels"] = batch["labels"].masked_fill(batch["labels"] == tokenizer.pad_token_id, -100)
    return dict(batch)


@pytest.mark.parametrize(
    ("arguments", "losses"),
    [
        ({"phase": "prediction"}, ("prediction_loss",)),
        ({"phase": "joint", "layer_map": "none", "decoder_layer_map": "none"}, ("prediction_loss",)),
        (
            {"phase": "joint", "layer_map": "none", "decoder_layer_map": "none", "cross_attention_layer_map": "2:1"},
            ("cross_attention_loss", "prediction_loss"),
        ),
        (
            {"phase": "intermediate", "layer_map": "1:1,3:2", "decoder_layer_map": "none"},
            ("attention_loss", "hidden_state_loss", "embedding_loss"),
        ),
    ],
)
def test_both_halves_may_be_deeper_than_the_teachers(
    tmp_path: Path, tokenizer: Any, rows: Dataset, arguments: dict[str, Any], losses: tuple[str, ...]
) -> None:
    options = {"output_dir": str(tmp_path), "max_steps": 1, "per_device_train_batch_size": 8, "save_strategy": "no"}
    trainer = Seq2SeqDistillationTrainer(
        student(tokenizer, num_hidden_layers=3, num_decoder_layers=3),
        teacher(tokenizer, encoder_layers=2, decoder_layers=2),
        Seq2SeqDistillationArguments(**options, **QUIET, **arguments),
        train_dataset=rows,
        processing_class=tokenizer,
    )
    assert trainer.distillation_objective.losses == losses
    trainer.train()
    with pytest.raises(RecipeError, match=r'decoder_layer_map is "none".*decoder_hidden_state_loss'):
        Phase("joint", decoder_layer_map="none", decoder_hidden_state_loss_weight=1.0)
