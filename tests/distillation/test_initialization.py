from __future__ import annotations

import pytest
import torch
from tiny_models import FAMILIES, batch_of, bert, make

from tinybert_hf import TinyBertConfig, TinyBertForSequenceClassification
from tinybert_hf.distillation import distillation_losses, initialize_from_teacher
from tinybert_hf.distillation.initialization import ExampleRows, low_rank, moment_root, principal_basis
from tinybert_hf.errors import DataError, TeacherError

EXAMPLE = [batch_of([12] * 24, seed=seed) for seed in range(4)]
UNSEEN = batch_of([12, 9, 5] * 8, seed=99)


def student_of(**overrides: object) -> TinyBertForSequenceClassification:
    shape = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 48}
    torch.manual_seed(1)
    config = TinyBertConfig(vocab_size=60, num_labels=3, initializer_range=0.3, **{**shape, **overrides})
    return TinyBertForSequenceClassification(config).eval()


def test_the_first_tokens_of_example_rows_are_found_again() -> None:
    """Among all real tokens, as they are recorded: rows come by their length."""
    batches = [batch_of([4, 9]), batch_of([6], seed=1)]
    firsts = {4: batches[0]["input_ids"][0, 0], 6: batches[1]["input_ids"][0, 0], 9: batches[0]["input_ids"][1, 0]}
    example, teacher = ExampleRows.of(batches), bert(layers=1, hidden=32)
    embeddings = teacher.bert.embeddings
    sums = example.record(teacher, sum=(embeddings.LayerNorm, "input"))["sum"]
    with torch.no_grad():
        constant = embeddings.position_embeddings.weight[0] + embeddings.token_type_embeddings.weight[0]
        wanted = embeddings.word_embeddings.weight[torch.stack(list(firsts.values()))] + constant
    torch.testing.assert_close(sums[example.first_tokens()].float(), wanted)


@pytest.mark.parametrize(("family", "padding"), [("bert", 0), ("roberta", 1), ("roberta", 3)])
def test_a_student_of_the_same_shape_becomes_its_teacher(family: str, padding: int) -> None:
    """A RoBERTa's first position is the row behind the number of its padding token."""
    config = FAMILIES[family]()
    config.pad_token_id = padding
    teacher = make(config)
    student = student_of(layer_norm_eps=teacher.config.layer_norm_eps, pad_token_id=teacher.config.pad_token_id)
    report = initialize_from_teacher(student, teacher, EXAMPLE)
    with torch.no_grad():
        torch.testing.assert_close(student(**UNSEEN).logits, teacher(**UNSEEN).logits, rtol=1e-4, atol=1e-4)
    assert report.kept_variance == 1.0
    assert report.copied == ("embeddings", *(f"layer {i} from {i}" for i in range(1, 5)), "head")


def distance(student: TinyBertForSequenceClassification, teacher: torch.nn.Module) -> float:
    """Prediction loss above the teacher's own entropy."""
    with torch.no_grad():
        own = distillation_losses(teacher, teacher, UNSEEN, losses=["prediction_loss"])["prediction_loss"]
        return (
            distillation_losses(student, teacher, UNSEEN, losses=["prediction_loss"])["prediction_loss"] - own
        ).item()


@pytest.mark.parametrize("shape", [{"hidden_size": 28}, {"num_hidden_layers": 2}, {"intermediate_size": 40}])
def test_a_smaller_student_starts_near_its_teacher(shape: dict[str, int]) -> None:
    teacher = bert(layers=4, hidden=32, initializer_range=0.1)
    random = distance(student_of(**shape), teacher)
    student = student_of(**shape)
    initialize_from_teacher(student, teacher, EXAMPLE)
    assert distance(student, teacher) < 0.5 * random


@pytest.mark.parametrize("shape", [{}, {"hidden_size": 28}])
def test_a_deeper_student_starts_near_its_teacher(shape: dict[str, int]) -> None:
    """Its layers begin as the teacher's, each twice, and are solved so that they do together what one did."""
    teacher = bert(layers=2, hidden=32, initializer_range=0.1)
    random = distance(student_of(**shape), teacher)
    student = student_of(**shape)
    report = initialize_from_teacher(student, teacher, EXAMPLE)
    assert report.copied[1:-1] == ("layer 1 from 1", "layer 2 from 1", "layer 3 from 2", "layer 4 from 2")
    assert distance(student, teacher) < 0.5 * random
    only = student_of(**shape)
    assert initialize_from_teacher(only, teacher, EXAMPLE, "none").copied == ("embeddings",)


@pytest.mark.parametrize(("heads", "bound"), [(2, 1e-6), (8, 0.05)])
def test_other_head_counts_start_from_groups_of_heads(heads: int, bound: float) -> None:
    """Exact where a student head is as wide as its group; half as wide, it is the best of half the rank."""
    teacher = bert(layers=2, hidden=32, heads=4, initializer_range=0.1)
    student, untouched = (student_of(num_hidden_layers=2, num_attention_heads=heads) for _ in range(2))
    initialize_from_teacher(student, teacher, EXAMPLE)
    ours, random = (
        distillation_losses(model, teacher, UNSEEN, losses=["attention_loss"])["attention_loss"].item()
        for model in (student, untouched)
    )
    assert ours < bound * random


def test_a_distilbert_teacher_gives_embeddings_and_layers() -> None:
    student = student_of()
    report = initialize_from_teacher(student, make(FAMILIES["distilbert"]()), EXAMPLE, "uniform")
    assert report.copied[0] == "embeddings"
    assert "head" in report.copied


def test_only_the_embeddings() -> None:
    student, untouched = student_of(hidden_size=28), student_of(hidden_size=28)
    initialize_from_teacher(student, bert(layers=4, hidden=32), EXAMPLE, parts="embeddings")
    words, layer = (
        student.tinybert.embeddings.word_embeddings.weight,
        student.tinybert.encoder.layer[0].output.dense.weight,
    )
    assert not torch.equal(words, untouched.tinybert.embeddings.word_embeddings.weight)
    assert torch.equal(layer, untouched.tinybert.encoder.layer[0].output.dense.weight)
    with pytest.raises(TeacherError, match="parts"):
        initialize_from_teacher(student, bert(layers=4, hidden=32), EXAMPLE, parts="layers")


def test_what_cannot_be_started_is_refused() -> None:
    student = student_of()
    with pytest.raises(TeacherError, match="at least one"):
        initialize_from_teacher(student, bert(layers=4, hidden=32), [])
    with pytest.raises(TeacherError, match="can only be projected down"):
        initialize_from_teacher(student, bert(layers=4, hidden=24), EXAMPLE)
    with pytest.raises(TeacherError, match="vocab_size=teacher"):
        initialize_from_teacher(student, bert(layers=4, hidden=32, vocab_size=61), EXAMPLE)
    with pytest.raises(TeacherError, match="not built like BERT"):
        initialize_from_teacher(student, make(FAMILIES["albert"]()), EXAMPLE)


def test_the_basis_keeps_what_layer_norm_removes() -> None:
    states = torch.randn(200, 12, dtype=torch.float64) @ torch.randn(12, 12, dtype=torch.float64)
    basis = principal_basis(states.T @ states, 7)
    torch.testing.assert_close(basis.vectors.T @ basis.vectors, torch.eye(7, dtype=torch.float64))
    wide, narrow = torch.ones(12, dtype=torch.float64) / 12**0.5, torch.ones(7, dtype=torch.float64) / 7**0.5
    torch.testing.assert_close(basis.narrow(wide), narrow)
    assert 0.5 < basis.kept < 1.0


def test_low_rank_is_best_where_the_data_lies() -> None:
    x, y = (
        torch.randn(300, 6, dtype=torch.float64) * torch.tensor([9, 5, 1, 1, 0.1, 0.1]),
        torch.randn(300, 5).double(),
    )
    matrix = torch.randn(6, 5, dtype=torch.float64)
    left, right = low_rank(matrix, 2, moment_root(x), moment_root(y))
    plain_left, plain_right = low_rank(matrix, 2, torch.eye(6).double(), torch.eye(5).double())

    def error(approximation: torch.Tensor) -> float:
        return (x @ (matrix - approximation) @ y.T).square().sum().item()

    assert error(left @ right.T) < error(plain_left @ plain_right.T)
    whole = low_rank(matrix, 8, moment_root(x), moment_root(y))
    torch.testing.assert_close(whole[0] @ whole[1].T, matrix)


def test_example_batches_without_rows_are_named() -> None:
    with pytest.raises(DataError, match="Example batch 1 holds no rows"):
        initialize_from_teacher(student_of(), bert(layers=4, hidden=32), [EXAMPLE[0], {"input_ids": [], "labels": []}])


def test_the_head_starts_with_the_labels_of_the_student() -> None:
    """Exact where the shapes agree: the answers are the teacher's, each under its name."""
    teacher, student = bert(layers=4, hidden=32), student_of()
    teacher.config.id2label = {0: "contradiction", 1: "entailment", 2: "neutral"}
    student.config.id2label = {0: "entailment", 1: "neutral", 2: "contradiction"}
    assert "head" in initialize_from_teacher(student, teacher, EXAMPLE).copied
    batch = EXAMPLE[0]
    torch.testing.assert_close(
        student.eval()(**batch).logits, teacher(**batch).logits[:, [1, 2, 0]], rtol=1e-4, atol=1e-4
    )
    student.config.id2label = {0: "good", 1: "bad", 2: "so-so"}
    assert "head" not in initialize_from_teacher(student, teacher, EXAMPLE).copied
