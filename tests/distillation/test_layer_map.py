from __future__ import annotations

import pytest

from tinybert_hf.distillation import LayerMap, resolve_layer_map
from tinybert_hf.errors import LayerMapError


@pytest.mark.parametrize(
    ("spec", "student", "teacher", "expected"),
    [
        ("uniform", 4, 12, [3, 6, 9, 12]),
        ("uniform", 6, 12, [2, 4, 6, 8, 10, 12]),
        ("uniform", 5, 12, [2, 5, 7, 10, 12]),
        ("uniform", 4, 6, [2, 3, 5, 6]),
        ("uniform", 3, 3, [1, 2, 3]),
        ("top", 4, 12, [9, 10, 11, 12]),
        ("bottom", 4, 12, [1, 2, 3, 4]),
        ("3,6,9,12", 4, 12, [3, 6, 9, 12]),
        ([3, 6, 9, 12], 4, 12, [3, 6, 9, 12]),
        ([0, 2, 4], 2, 4, [2, 4]),
        ("[2, 4]", 2, 4, [2, 4]),
    ],
)
def test_each_student_layer_has_its_teacher_layer(
    spec: object, student: int, teacher: int, expected: list[int]
) -> None:
    assert resolve_layer_map(spec, student, teacher).pairs == tuple(enumerate(expected, start=1))


@pytest.mark.parametrize("spec", ["1:3, 2:6", {2: 6, 1: 3}, "0:0,1:3,2:6", LayerMap(((1, 3), (2, 6)))])
def test_pairs_may_leave_layers_out(spec: object) -> None:
    assert resolve_layer_map(spec, 4, 6).pairs == ((1, 3), (2, 6))


@pytest.mark.parametrize("student", range(1, 13))
@pytest.mark.parametrize("teacher", [12, 24])
def test_uniform_rises_and_ends_at_the_top(student: int, teacher: int) -> None:
    layers = resolve_layer_map("uniform", student, teacher).teacher_layers
    assert list(layers) == sorted(set(layers))
    assert layers[-1] == teacher


@pytest.mark.parametrize(
    ("spec", "student", "teacher", "message"),
    [
        ("uniform", 6, 4, "no deeper than its teacher"),
        ("1:7", 4, 6, "teacher layer 7, but the teacher has layers 1 to 6"),
        ("5:1", 4, 6, "student layer 5, but the student has layers 1 to 4"),
        ("1:0", 4, 6, "embedding loss"),
        ("1:2,1:3", 4, 6, "more than one teacher layer"),
        ("1-2", 4, 6, "cannot be read at '1-2'"),
        ("unifrom", 4, 6, '"uniform"'),
        ([1, 2], 4, 6, "2 entries, but the student has 4 layers"),
        ([1.5, 2], 2, 6, "not a layer number"),
        ([], 2, 6, "0 entries"),
        (3, 2, 6, "cannot be made from 3"),
    ],
)
def test_a_wrong_map_says_what_is_wrong(spec: object, student: int, teacher: int, message: str) -> None:
    with pytest.raises(LayerMapError) as error:
        resolve_layer_map(spec, student, teacher)
    assert message in str(error.value)


@pytest.mark.parametrize("spec", ["none", " None ", LayerMap(())])
def test_none_maps_no_layer_whatever_the_depths(spec: object) -> None:
    assert resolve_layer_map(spec, 6, 2).pairs == ()
    assert str(resolve_layer_map(spec, 6, 2)) == "none"


@pytest.mark.parametrize(
    ("spec", "student", "teacher", "expected"),
    [
        ("uniform", 4, 2, [1, 1, 2, 2]),
        ("uniform", 3, 1, [1, 1, 1]),
        ("uniform", 5, 2, [1, 1, 1, 2, 2]),
        ("top", 4, 2, [1, 1, 1, 2]),
        ("bottom", 4, 2, [1, 2, 2, 2]),
        ("uniform", 2, 4, [2, 4]),
        ("top", 2, 4, [3, 4]),
    ],
)
def test_a_deeper_student_may_start_from_a_layer_twice(
    spec: str, student: int, teacher: int, expected: list[int]
) -> None:
    assert list(resolve_layer_map(spec, student, teacher, repeated=True).teacher_layers) == expected
