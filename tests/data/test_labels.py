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
    found = resolve(["1", "3"], ["2.5", "1"], text=True, problem_type=REGRESSION)
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
            DataError, match=r"label is 2, which is none of 2 labels: negative, positive. Labels of the data: 0, 2"
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

    def test_numbers_are_ids_where_the_labels_have_other_names(self):
        cells = ["0,2", "1", ""]
        found = resolve(cells, text=True, label_separator=",", label_names=["x", "y", "z"])
        assert found.ids == [[[1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]]
        assert resolve(cells, text=True, label_separator=",").names == ("0", "1", "2")
        assert resolve(cells, text=True, label_separator=",", label_names=["2", "1", "0"]).ids[0][0] == [1.0, 0.0, 1.0]

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


class TestMissing:
    @pytest.mark.parametrize("word", ["nan", "NaN", "NA", "N/A", "null", "None", "-", "<NA>", "#N/A", "?", "inf"])
    @pytest.mark.parametrize("text", [True, False])
    def test_what_tools_write_for_nothing_is_no_class_among_numbers(self, word, text):
        labels = ["0", "1", word, "1", word]
        with pytest.raises(DataError, match=r"train.jsonl, row 3.*is no number.*missing, as in 2 of 5 rows"):
            resolve(labels, labels, text=text)
        with pytest.raises(DataError, match=r"row 2.*missing"):
            resolve(["0.5", word, "1.5"], text=text)
        with pytest.raises(DataError, match=r"row 2.*missing"):
            resolve([1, word, 0])
        with pytest.raises(DataError, match=r"row 2.*is no list.*missing"):
            resolve(["['a']", word, "['b']"], text=text)
        with pytest.raises(DataError, match=r"row 2.*missing"):
            resolve(["0", word], model_names=["negative", "positive"], text=text)

    @pytest.mark.parametrize("word", ["#REF!", "$null$", "..", "\u2014", "unknown", "to do", "a mark of tomorrow"])
    @pytest.mark.parametrize("numbers", [["0", "1", "2"], ["0.0", "1.0", "2"], ["0.5", "1.5", "2"]])
    def test_the_only_text_among_numbers_is_no_class_whatever_it_is(self, word, numbers):
        labels = [*numbers, word, word.upper()]
        with pytest.raises(DataError, match=r"train.jsonl, row 4.*is no number.*missing, as in 2 of 5 rows"):
            resolve(labels, labels, text=True)
        named = ["0", "1", word]
        assert resolve(named, text=True, label_names=named).names == tuple(named)
        for names in (["0", "1", "one name", "another"], ["joy", "fear", word]):
            assert resolve(names, text=True).problem_type == SINGLE

    def test_both_texts_of_nothing_among_numbers_are_refused(self):
        with pytest.raises(DataError, match=r"row 3.*is no number.*missing, as in 2 of 4 rows"):
            resolve(["0", "1", "#DIV/0!", "unknown"], text=True)

    @pytest.mark.parametrize("nothing", [None, float("nan"), "", "  "])
    def test_nothing_is_missing_in_every_kind(self, nothing):
        for others in ([0, 1], [0.0, 1.0], [0.5, 1.5], [True, False], ["a", "b"], [["a"], ["b"]]):
            with pytest.raises(DataError, match=r"row 3.*missing"):
                resolve([*others, nothing])

    def test_the_advice_helps_where_it_is_a_class(self):
        with pytest.raises(DataError, match=r'--label-names "0,1,None"'):
            resolve(["0", "1", "None"], text=True)
        found = resolve(["0", "1", "None"], text=True, label_names=["0", "1", "None"])
        assert (found.names, found.ids) == (("0", "1", "None"), [[0, 1, 2]])

    def test_among_names_it_is_a_name_and_is_said(self):
        found = resolve(["anger", "None", "joy", "None"], text=True)
        assert found.names == ("None", "anger", "joy")
        assert [note for note in found.notes if "2 of 4 rows have the label 'None'" in note]
        for quiet in (
            resolve(["anger", "None"], label_names=["None", "anger"]),
            resolve(["None"], model_names=["None", "joy"]),
            resolve(["+", "-"]),
        ):
            assert quiet.notes == ()
        assert "'na'" in resolve([["na", "joy"], ["joy"]]).notes[0]
        with pytest.raises(DataError, match=r"row 1.*no list of labels: a name is empty"):
            resolve([["", "a"], ["b"]])
        with pytest.raises(DataError, match=r"row 3.*no list of labels: a name is empty"):
            resolve([3, "b", ["", "a"]])


class TestDecimals:
    @pytest.mark.parametrize("labels", [[0.0, 1.0, 1.0], ["0.0", "1.0", "1"]])
    def test_a_choice_between_classes_and_numbers_is_said_with_how_to_choose(self, labels):
        usual, other = (REGRESSION, SINGLE) if isinstance(labels[0], float) else (SINGLE, REGRESSION)
        found = resolve(labels)
        assert found.problem_type == usual
        assert [note for note in found.notes if f"--problem-type {other}" in note]
        chosen = resolve(labels, problem_type=other)
        assert chosen.problem_type == other
        assert not [note for note in chosen.notes if "--problem-type" in note]
        assert chosen.ids == ([[0, 1, 1]] if other == SINGLE else [[0.0, 1.0, 1.0]])

    @pytest.mark.parametrize(("whole", "text"), [(["0", "1"], True), (["0.0", "1.0"], True), ([0, 1], False)])
    def test_a_fraction_that_training_never_saw_is_refused(self, whole, text):
        odd = "0.5" if text else 0.5
        with pytest.raises(DataError, match=r"validation.jsonl, row 2.*0.5 is a fraction.*--problem-type regression"):
            resolve(whole, [whole[0], odd], text=text)
        assert resolve(whole, [whole[0], odd], text=text, problem_type=REGRESSION).notes == ()
        assert resolve([*whole, odd], whole, text=text).problem_type == REGRESSION
        assert resolve([0.0, 1.0], [0.5, 1.0]).problem_type == REGRESSION  # written as decimals in a file with types

    @pytest.mark.parametrize("text", [True, False])
    def test_a_rare_fraction_among_whole_numbers_is_said_with_its_row(self, text):
        labels = [0, 1] * 9 + [1, 0.5]
        labels = [str(label) for label in labels] if text else labels
        found = resolve(labels, text=text)
        (note,) = found.notes
        assert found.problem_type == REGRESSION
        assert "row 20: the label 0.5" in note
        assert "19 of 20 labels are whole numbers" in note
        assert "--problem-type regression" in note
        assert resolve(labels, text=text, problem_type=REGRESSION).notes == ()
        assert resolve(labels[12:], text=text).notes == resolve([*range(21), 0.5]).notes == ()

    def test_where_there_is_no_choice_nothing_is_said(self):
        assert resolve([0.5, 1.0]).notes == ()
        assert resolve([float(i) for i in range(100)]).notes == ()
        assert resolve(["0", "1"], text=True).notes == ()

    def test_named_labels_decide(self):
        found = resolve([0.0, 1.0], label_names=["bad", "good"])
        assert (found.names, found.ids, found.problem_type) == (("bad", "good"), [[0, 1]], SINGLE)
        assert resolve([1.0, 0.0], model_names=["bad", "good"]).ids == [[1, 0]]
        with pytest.raises(DataError, match=r"row 2.*the label is 0.5.*bad, good"):
            resolve([0.0, 0.5], label_names=["bad", "good"])

    @pytest.mark.parametrize("text", [True, False])
    def test_numbers_as_texts(self, text):
        assert resolve(["3.5", "1"], text=text).problem_type == REGRESSION
        assert resolve(["0", "1"], text=text).names == (("LABEL_0", "LABEL_1") if text else ("0", "1"))

    def test_a_decimal_comma_is_no_name(self):
        with pytest.raises(DataError, match=r"row 2.*'0,5'.*decimal comma.*0\.5.*--label-separator"):
            resolve(["1", "0,5", "2,0"], text=True)
        assert resolve(["1", "0,2", "2"], text=True, label_separator=",").problem_type == MULTI


class TestNumbers:
    def test_minus_one_is_a_class_where_something_says_so(self):
        with pytest.raises(DataError, match=r'row 1.*without a label.*--label-names="-1,0,1".*remove') as caught:
            resolve([-1, 0, 1])
        assert "2 labels" not in str(caught.value)
        for labels, names in (([-1, 0, 1], ("-1", "0", "1")), ([-2, -1, 0, 1, 10], ("-2", "-1", "0", "1", "10"))):
            given = {"label_names": names} if len(names) == 3 else {}
            for text in (True, False):
                written = [str(label) for label in labels] if text else labels
                found = resolve(written, text=text, **given)
                assert (found.names, found.ids) == (names, [list(range(len(names)))])
        assert resolve([1, -1, 0], model_names=["-1", "0", "1"]).ids == [[2, 0, 1]]
        found = resolve([-1, 1, 1])
        assert (found.names, found.ids) == (("-1", "1"), [[0, 1, 1]])
        assert "-1" in found.notes[0]
        with pytest.raises(DataError, match=r"the label is -100, which marks a row without a label.*1 of the 3 rows"):
            resolve([0, 1, -100])
        assert resolve([0, -100], label_names=["0", "-100"]).ids == [[0, 1]]
        with pytest.raises(DataError, match=r"2 of the 2 rows"):
            resolve([0, 1], [-1, -1])
        with pytest.raises(DataError, match=r"without a label"):
            resolve([-1, 0, 1], model_names=["negative", "neutral", "positive"])

    def test_names_that_are_numbers_are_those_numbers(self):
        assert resolve([1, 0], label_names=["1.0", "0.0"]).ids == [[0, 1]]
        assert resolve([True, False], label_names=["True", "False"]).ids == [[0, 1]]
        assert resolve([[-1, 1], [0]], label_names=["-1", "0", "1"]).ids == [[[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]]
        assert resolve([0, 1], label_names=["no", "yes"]).ids == [[0, 1]]


class TestListsAsText:
    @pytest.mark.parametrize("text", [True, False])
    @pytest.mark.parametrize(
        ("cells", "ids"),
        [
            (["[0 1]", "[1 1]"], [[0.0, 1.0], [1.0, 1.0]]),
            (["[0. 1.]", "[1. 1.]"], [[0.0, 1.0], [1.0, 1.0]]),
            (["['a', 'b']", "[]", "['b']"], [[1.0, 1.0], [0.0, 0.0], [0.0, 1.0]]),
            (["('a', 'b')", "('b',)"], [[1.0, 1.0], [0.0, 1.0]]),
            (["{'b', 'a'}", "set()", "{'b'}"], [[1.0, 1.0], [0.0, 0.0], [0.0, 1.0]]),
            (['[" a", "b"]', '["b"]'], [[1.0, 1.0], [0.0, 1.0]]),
        ],
    )
    def test_are_read(self, cells, ids, text):
        found = resolve(cells, text=text)
        assert (found.ids, found.problem_type) == ([ids], MULTI)

    def test_others_name_the_separator(self):
        with pytest.raises(DataError, match=r"row 1.*\[joy, fear\]' is not a list.*--label-separator"):
            resolve(["[joy, fear]", "[joy]"])
        found = resolve(["[joy, fear]", "['joy']"], label_separator=",")
        assert (found.names, found.ids) == (("fear", "joy"), [[[1.0, 1.0], [0.0, 1.0]]])
        with pytest.raises(DataError, match=r"'joy, fear'.*--label-separator.*--problem-type"):
            resolve(["joy, fear", "joy"], text=True, problem_type=MULTI)
        (note,) = resolve(["joy, fear", "joy", "fear"], text=True).notes
        assert '--label-separator ","' in note

    def test_names_stay_names(self):
        assert resolve(["[neg]", "[pos]"], text=True).names == ("[neg]", "[pos]")
        assert resolve(["Health, Sport", "World"], text=True).notes == ()

    def test_ids_want_names(self):
        for labels in ([[0], [1]], [[0, 2], [1]], [[0.0, 2.0], [1.0]]):
            with pytest.raises(DataError, match=r"row 1.*ids of labels, name all labels in order \(--label-names"):
                resolve(labels)
        named = resolve([[0.0, 2.0], [1.0]], label_names=["x", "y", "z"])
        assert named.ids == [[[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]]
        assert resolve([[0], [1]], label_names=["x", "y"]).ids == [[[1.0, 0.0], [0.0, 1.0]]]


class TestSpacesAndTwins:
    def test_spaces_are_left_out_and_counted(self):
        found = resolve([" pos", "neg", "pos\u00a0", "pos"], ["pos ", "neg"])
        assert (found.names, found.ids) == (("neg", "pos"), [[1, 0, 1, 1], [1, 0]])
        assert "2 labels have spaces around the name (the first: train.jsonl, row 1, ' pos')" in found.notes[0]
        assert "1 label has spaces" in found.notes[1]
        assert resolve([[" a", "b"], ["b"]]).names == ("a", "b")
        assert resolve(["pos "], model_names=["neg", " pos"]).ids == [[1]]
        assert resolve([" pos", "pos"], model_names=[" pos", "pos"]).ids == [[0, 1]]  # what was trained so stays so

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("Pos", "pos"),
            ("pos", "\uff50\uff4f\uff53"),
            ("pos", "pos."),
            ("caf\u00e9", "cafe\u0301"),
            ("pos", "p\u200bos"),
            ("very good", "very  good"),
            ("not_good", "not-good"),
            ("01", "1"),
            ("1.0", "1"),
            ('"pos"', "pos"),
            ("\u201cpos\u201d", "pos"),
        ],
    )
    def test_twins_are_named_with_their_rows(self, one, other):
        (note,) = resolve([one, other, other, "else"]).notes
        shown = [text for text in (repr(one), repr(other), ascii(one), ascii(other)) if text in note]
        assert len(set(shown)) == 2
        assert "(1)" in note
        assert "(2)" in note
        assert resolve([one, other, "else"], label_names=[one, other, "else"]).notes == ()

    def test_other_names_are_none(self):
        assert resolve(["C", "C++", "C#", "-1", "1", "A1", "a-1", "+", "-"]).notes == ()

    def test_the_same_letters_in_another_unicode_form_are_found(self):
        assert resolve(["cafe\u0301"], model_names=["bar", "caf\u00e9"]).ids == [[1]]


class TestNamesWithCommas:
    NAMES = ("Health, Sport", "World", 'the "rest"')

    def test_what_a_message_advises_is_read_so(self):
        import shlex

        from tinybert_hf.cli.options import names_of
        from tinybert_hf.data.label_values import as_option

        for names in (self.NAMES, ("a", "b"), ("-1", "0", "1"), ("[x]", "y")):
            (word,) = shlex.split(as_option(names))
            assert names_of(word) == names
        assert names_of('"Health, Sport", World') == ("Health, Sport", "World")

    def test_lists_show_where_a_name_ends(self):
        with pytest.raises(DataError, match=r'Labels of the data: "Health, Sport", World. Expected: Health, Sport,'):
            resolve(["Health, Sport", "World"], label_names=["Health", "Sport", "World"])
        with pytest.raises(DataError, match=r"""--label-names '\["Health, Sport", "World"\]'"""):
            resolve(["Health, Sport", "World"], label_names=["Health", "Sport", "World"])


def test_several_labels_in_one_text_are_no_new_classes():
    with pytest.raises(DataError, match=r"several labels of a row: --label-separator \"\|\"") as caught:
        resolve(["long", "film", "long|film"], ["long", "film"])
    assert "typing error" not in str(caught.value)
    with pytest.raises(DataError, match="Is it a typing error"):
        resolve(["long", "film", "short"], ["long", "film"])
