"""Labels: which problem they make, their ids, and every way in which label sets can disagree."""

import pytest

from tinybert_hf.data.labels import resolve_labels
from tinybert_hf.data.raw_rows import RawRows
from tinybert_hf.data.settings import DataSettings
from tinybert_hf.errors import DataError

SINGLE, MULTI, REGRESSION = "single_label_classification", "multi_label_classification", "regression"


def table(labels, source="train.jsonl", **options):
    return RawRows(source, {"text": ["x"] * len(labels), "label": list(labels)}, **options)


def resolve(*splits, model_names=None, text=False, class_names=None, **settings):
    tables = [
        table(labels, source, is_text=text, class_names=class_names)
        for labels, source in zip(splits, ("train.jsonl", "validation.jsonl"), strict=False)
    ]
    return resolve_labels(tables, DataSettings(**settings), model_names)


@pytest.mark.parametrize(
    ("labels", "settings", "names", "ids", "problem"),
    [
        (["good", "bad", "good"], {}, ("bad", "good"), [1, 0, 1], SINGLE),
        (["good", "bad"], {"label_names": ["good", "bad", "so so"]}, ("good", "bad", "so so"), [0, 1], SINGLE),
        (["Good", "BAD"], {"label_names": ["good", "bad"]}, ("good", "bad"), [0, 1], SINGLE),
        ([1, 0, 2], {}, ("LABEL_0", "LABEL_1", "LABEL_2"), [1, 0, 2], SINGLE),
        ([True, False], {}, ("LABEL_0", "LABEL_1"), [1, 0], SINGLE),
        ([1, 0], {"label_names": ["bad", "good"]}, ("bad", "good"), [1, 0], SINGLE),
        ([1, 5, 2], {}, ("1", "2", "5"), [0, 2, 1], SINGLE),
        ([10, 9, 2], {}, ("2", "9", "10"), [2, 1, 0], SINGLE),
        ([1, 2], {"label_names": ["2", "1"]}, ("2", "1"), [1, 0], SINGLE),
        (list(range(12)), {}, tuple(f"LABEL_{i}" for i in range(12)), list(range(12)), SINGLE),
        ([0.5, 2.0], {}, ("LABEL_0",), [0.5, 2.0], REGRESSION),
        ([0.0, 1.0], {}, ("LABEL_0",), [0.0, 1.0], REGRESSION),
        ([0.0, 1.0], {"problem_type": SINGLE}, ("LABEL_0", "LABEL_1"), [0, 1], SINGLE),
        ([1, 0.5], {}, ("LABEL_0",), [1.0, 0.5], REGRESSION),
        ([3, 1], {"problem_type": REGRESSION}, ("LABEL_0",), [3.0, 1.0], REGRESSION),
        ([["b"], ["a", "b"], []], {}, ("a", "b"), [[0.0, 1.0], [1.0, 1.0], [0.0, 0.0]], MULTI),
        ([[0, 1, 0], [1, 1, 0]], {}, ("LABEL_0", "LABEL_1", "LABEL_2"), [[0.0, 1.0, 0.0], [1.0, 1.0, 0.0]], MULTI),
        ([[0, 1], [1, 1]], {"label_names": ["x", "y"]}, ("x", "y"), [[0.0, 1.0], [1.0, 1.0]], MULTI),
    ],
)
def test_names_ids_and_problem(labels, settings, names, ids, problem):
    found = resolve(labels, labels, **settings)
    assert (found.names, found.ids, found.problem_type) == (names, [ids, ids], problem)


@pytest.mark.parametrize(
    ("cells", "ids", "problem"),
    [
        (["0", " 1", "1"], [0, 1, 1], SINGLE),
        (["0.0", "1.0", "1"], [0, 1, 1], SINGLE),
        (["0.5", "1", "1.0"], [0.5, 1.0, 1.0], REGRESSION),
        (["1e-1", "2"], [0.1, 2.0], REGRESSION),
        (["b", " a "], [1, 0], SINGLE),
        (["01", "02"], [0, 1], SINGLE),
        (["[0, 1]", "[1, 1]"], [[0.0, 1.0], [1.0, 1.0]], MULTI),
        (['["x"]', "['y', 'x']"], [[1.0, 0.0], [1.0, 1.0]], MULTI),
    ],
)
def test_cells_of_text_files(cells, ids, problem):
    found = resolve(cells, cells, text=True)
    assert (found.ids, found.problem_type) == ([ids, ids], problem)


def test_splits_of_a_text_file_are_read_alike():
    found = resolve(["1", "3"], ["2.5", "1"], text=True)
    assert found.problem_type == REGRESSION
    assert found.ids == [[1.0, 3.0], [2.5, 1.0]]


@pytest.mark.parametrize(
    ("labels", "settings", "words"),
    [
        ([0, None], {}, ["row 2", "'label'", "missing"]),
        ([0, -1], {}, ["row 2", "-1", "without a label"]),
        ([0, "a"], {}, ["row 2", "'a'", "type str", "first label is 0"]),
        ([{"a": 1}], {}, ["row 1", "type dict"]),
        ([1, 1, 1], {}, ["one label only", "3 rows"]),
        (["a", "a"], {}, ["one label only", "'a'"]),
        ([0.5, 0.5], {}, ["one label only"]),
        ([0.5, float("nan")], {}, ["row 2", "nan", "finite"]),
        (["a", "b"], {"label_names": ["a", "c"]}, ["row 2", "'b'", "data: a, b", "Expected: a, c"]),
        ([0, 3], {"label_names": ["a", "b"]}, ["row 2", "label is 3", "2 labels: a, b"]),
        ([0.5, 1.0], {"problem_type": SINGLE}, ["problem_type", "0.5", REGRESSION]),
        (["a", "b"], {"problem_type": REGRESSION}, ["problem_type", "'a'"]),
        ([0, 1], {"problem_type": MULTI}, ["problem_type", "single_label"]),
        ([[0, 1], [1]], {}, ["row 1", "no list of labels"]),
        ([[0, 2], [1, 0]], {}, ["row 1", "no list of labels"]),
        ([[0, 7], [1, 0]], {"label_names": ["a", "b", "c"]}, ["row 1", "3: a, b, c"]),
        ([["a", None], ["b"]], {}, ["row 1", "no list of labels"]),
        ([["a"], ["a"]], {}, ["one label only"]),
    ],
)
def test_refused_labels(labels, settings, words):
    with pytest.raises(DataError) as caught:
        resolve(labels, labels, **settings)
    for word in ["train.jsonl", *words]:
        assert word in str(caught.value)


def test_refused_cells():
    with pytest.raises(DataError, match=r"row 3.*'n/a' is no number"):
        resolve(["0.5", "1", "n/a"], text=True)
    with pytest.raises(DataError, match=r"row 2.*missing"):
        resolve(["1", " "], text=True)
    with pytest.raises(DataError, match=r"row 1.*\[0, 1.* is not a list"):
        resolve(["[0, 1", "[0]"], text=True)


@pytest.mark.parametrize(
    ("train", "validation", "words"),
    [
        (["a", "b"], ["a", "c"], ["train.jsonl: a, b", "validation.jsonl: a, c", "only in validation.jsonl: c"]),
        (["a", "b"], ["a"], ["train.jsonl: a, b", "validation.jsonl: a", "only in train.jsonl: b", "label_names"]),
        ([0, 1], [0, 2], ["LABEL_0, LABEL_1", "LABEL_2"]),
        ([["a"], ["b"]], [["c"]], ["c", "only in validation.jsonl"]),
    ],
)
def test_splits_that_differ(train, validation, words):
    with pytest.raises(DataError) as caught:
        resolve(train, validation)
    for word in words:
        assert word in str(caught.value)


def test_labels_may_be_absent_where_that_is_expected():
    assert resolve(["a", "b"], ["a"], label_names=["a", "b"]).ids == [[0, 1], [0]]
    assert resolve(["a", "b"], ["a"], max_validation_rows=1).ids == [[0, 1], [0]]
    assert resolve([0, 1], [1], class_names=("x", "y")).names == ("x", "y")
    assert resolve([["a"], ["b"]], [["a"]]).ids[1] == [[1.0, 0.0]]
    with pytest.raises(DataError, match="differ"):
        resolve(["a", "b"], ["c"], max_validation_rows=1)


def test_long_label_lists_stay_on_one_screen():
    names = [f"intent number {i}" for i in range(500)]
    with pytest.raises(DataError) as caught:
        resolve(names, [*names, "other"])
    assert len(str(caught.value)) < 2000
    assert "and 480 more" in str(caught.value)


class TestSourceNames:
    def test_are_taken_and_can_be_put_in_another_order(self):
        assert resolve([0, 1], class_names=("neg", "pos")).names == ("neg", "pos")
        found = resolve([0, 1], class_names=("neg", "pos"), label_names=["pos", "neg"])
        assert (found.names, found.ids) == (("pos", "neg"), [[1, 0]])
        assert resolve([0, 1], class_names=("0", "1"), label_names=["bad", "good"]).names == ("bad", "good")

    def test_for_lists_of_class_numbers(self):
        found = resolve([[0, 2], [1]], class_names=("joy", "fear", "rage"))
        assert found.ids == [[[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]]

    def test_that_differ_between_splits(self):
        tables = [table([0, 1], class_names=("a", "b")), table([0, 1], "validation", class_names=("b", "a"))]
        with pytest.raises(DataError, match=r"differently: train\.jsonl: a, b; validation: b, a"):
            resolve_labels(tables, DataSettings(), None)


class TestTrainedModel:
    def test_names_in_any_case_and_order(self):
        assert resolve(["Positive", "negative"], model_names=["positive", "negative"]).ids == [[0, 1]]

    def test_ambiguous_case_needs_the_exact_name(self):
        assert resolve(["US", "us"], model_names=["us", "US"]).ids == [[1, 0]]
        with pytest.raises(DataError, match="'Us' is not among"):
            resolve(["Us"], model_names=["us", "US"])

    def test_numbers_by_place_or_by_name(self):
        assert resolve([1, 1], model_names=["negative", "positive"]).ids == [[1, 1]]
        assert resolve([5, 1], model_names=["1", "2", "5"]).ids == [[2, 0]]
        assert resolve([1, 0], model_names=["LABEL_0", "LABEL_1"], class_names=("neg", "pos")).ids == [[1, 0]]

    def test_numbers_whose_source_names_them(self):
        assert resolve([1, 0], model_names=["pos", "neg"], class_names=("neg", "pos")).ids == [[0, 1]]
        assert resolve([1, 0], model_names=["pos", "neg"], label_names=["neg", "pos"]).ids == [[0, 1]]

    def test_one_label_is_enough_to_measure(self):
        assert resolve(["a"], model_names=["a", "b"]).ids == [[0]]

    def test_other_labels_are_refused_with_both_lists(self):
        with pytest.raises(DataError, match=r"data: sports, world. Expected: negative, positive"):
            resolve(["world", "sports"], model_names=["negative", "positive"])
        with pytest.raises(
            DataError, match=r"label is 2, but there are 2 labels: negative, positive. Labels of the data: 0, 2"
        ):
            resolve([0, 2], model_names=["negative", "positive"])
        with pytest.raises(DataError, match=r"regression.*negative, positive"):
            resolve([0.5, 2], model_names=["negative", "positive"])

    def test_lists(self):
        assert resolve([[1, 0]], model_names=["x", "y"]).ids == [[[1.0, 0.0]]]
        assert resolve([["y"]], model_names=["x", "y"]).ids == [[[0.0, 1.0]]]


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"problem_type": "ranking"}, "multi_label_classification"),
        ({"max_length": 0}, "max_length"),
        ({"max_train_rows": -1}, "max_train_rows"),
        ({"label_names": ["a", "a"]}, "twice"),
    ],
)
def test_settings_refuse_what_no_data_could_satisfy(fields, word):
    with pytest.raises(DataError, match=word):
        DataSettings(**fields)


class TestSeparator:
    def test_texts_of_labels_are_taken_apart(self):
        cells = ["sports|politics", " politics ", "", "music | sports|"]
        found = resolve(cells, cells, text=True, label_separator="|")
        assert (found.names, found.problem_type) == (("music", "politics", "sports"), MULTI)
        assert found.ids[0] == [[0.0, 1.0, 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 1.0]]

    def test_lists_stay_as_they_are(self):
        assert resolve([["a|b"], ["c"]], [["c"]], label_separator="|").names == ("a|b", "c")

    def test_without_one_a_text_is_one_label(self):
        assert resolve(["a|b", "c"], ["c", "a|b"]).names == ("a|b", "c")

    def test_an_empty_one_is_refused(self):
        with pytest.raises(DataError, match="label_separator is empty"):
            DataSettings(label_separator="")


class TestLabelsUnseenInTraining:
    def test_are_counted(self):
        with pytest.raises(DataError, match=r"only in validation.jsonl: c, d, in 3 of 4 rows"):
            resolve(["a", "b"], ["c", "a", "d", "c"])
        with pytest.raises(DataError, match=r"row 2.*'c' is not among the labels \(2 of 4 rows have it\)"):
            resolve(["a", "b"], ["a", "c", "b", "c"], label_names=["a", "b"])
        with pytest.raises(DataError, match=r"only in validation.jsonl: c, in 2 of 3 rows"):
            resolve([["a"], ["b"]], [["a", "c"], ["c"], ["b"]])

    def test_a_note_where_their_names_are_known(self):
        """As on the Hub, where a ClassLabel names them all."""
        found = resolve([0, 1, 0], [2, 0, 2], class_names=("x", "y", "z"))
        (note,) = found.notes
        assert note.startswith("2 of 3 rows of validation.jsonl have labels that no training row has (z)")
        assert resolve(["a", "b"], ["C", "A"], label_names=["a", "b", "c"]).notes
        assert not resolve(["a", "b"], ["B", "A"], label_names=["a", "b", "c"]).notes
        assert not resolve([0, 1], [1, 0], class_names=("x", "y", "z")).notes


def test_rows_without_a_label_are_counted():
    with pytest.raises(DataError, match=r"row 2.*-1.*2 of the 3 rows"):
        resolve([0, 1], [1, -1, -1])
    with pytest.raises(DataError, match=r"row 1.*-1.*3 of the 3 rows"):
        resolve([0.5, 1.0], [-1.0, -1.0, -1.0], problem_type=REGRESSION)
    assert resolve([-1.0, 0.5], [-1.0, 1.0]).problem_type == REGRESSION  # scores may well be -1
