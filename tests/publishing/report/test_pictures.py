"""The pictures: scales with round numbers, every value in its place, the mapped cells outlined."""

from __future__ import annotations

import math
import re
from typing import Any
from xml.etree import ElementTree

import pytest

from tinybert_hf.publishing.report_pictures import (
    BarGroup,
    Drawing,
    bar_picture,
    heat_map,
    log_steps,
    mapped_cells,
    phase_picture,
    round_steps,
    short_number,
)


def shapes(picture: str, tag: str, style: str = "") -> list[dict[str, str]]:
    return [
        one.attrib
        for one in ElementTree.fromstring(picture).iter(tag)
        if style in one.attrib.get("class", "").split() or not style
    ]


def texts(picture: str) -> list[str]:
    return [one.text or "" for one in ElementTree.fromstring(picture).iter("text")]


@pytest.mark.parametrize(
    ("low", "high", "steps"),
    [
        (0, 500, [0, 200, 400]),
        (0.92, 0.94, [0.92, 0.925, 0.93, 0.935, 0.94]),
        (3, 3, [3]),
        (-1, 1, [-1, -0.5, 0, 0.5, 1]),
    ],
)
def test_round_steps(low: float, high: float, steps: list[float]) -> None:
    assert round_steps(low, high, 4) == pytest.approx(steps)


def test_log_steps() -> None:
    assert log_steps(0.02, 0.3) == pytest.approx([0.02, 0.05, 0.1, 0.2])
    assert log_steps(0.02, 300) == pytest.approx([0.1, 1, 10, 100])


@pytest.mark.parametrize(("value", "said"), [(12345.6, "12,346"), (0.0021234, "0.00212"), (0, "0"), (math.nan, "nan")])
def test_short_numbers(value: float, said: str) -> None:
    assert short_number(value) == said


def test_texts_and_hints_are_escaped() -> None:
    drawing = Drawing(10, 10, '"<title>')
    drawing.text((0, 0), "<a>&")
    drawing.box((0, 0), (1, 1), "x", hint="<b>")
    assert not re.search("<(a|b)>", drawing.markup())
    assert texts(drawing.markup()) == ["<a>&"]


def log(**losses: list[float]) -> dict[str, Any]:
    steps = list(range(1, 1 + len(next(iter(losses.values())))))
    return {"losses": {"step": steps, **losses}, "evaluation": [{"step": 2, "accuracy": 0.5, "loss": 1.0}]}


def test_a_line_for_each_loss_and_one_for_what_was_measured() -> None:
    picture = phase_picture(log(attention_loss=[100.0, 10.0, 1.0], embedding_loss=[1.0, 1.0, 1.0]), "accuracy", "t")
    assert picture is not None
    curves = [one["points"] for one in shapes(picture, "polyline", "curve")]
    assert len(curves) == 3
    heights = [float(point.split(",")[1]) for point in curves[0].split()]
    assert heights[1] - heights[0] == pytest.approx(heights[2] - heights[1], abs=0.2)  # equal factors, equal heights
    assert "100 → 1" in texts(picture)
    assert "accuracy on the validation rows" in texts(picture)


def test_losses_near_each_other_stand_on_a_plain_scale_from_zero() -> None:
    picture = phase_picture(log(prediction_loss=[2.0, 1.5, 1.0]), "bleu", "t")
    assert picture is not None
    assert "loss" in texts(picture)
    assert "loss on the validation rows" in texts(picture)  # no BLEU was measured on the way
    assert "0" in texts(picture)


def test_the_loss_at_the_end_is_the_mean_of_the_last_quarter() -> None:
    picture = phase_picture(log(prediction_loss=[8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]), "accuracy", "t")
    assert picture is not None
    assert "8 → 1.5" in texts(picture)


@pytest.mark.parametrize("values", [[0.0, 0.0], [0.0, 5.0, 100.0], [1.0]])
def test_odd_curves_are_drawn_too(values: list[float]) -> None:
    picture = phase_picture({**log(label_loss=values), "evaluation": []}, "accuracy", "t")
    assert picture is not None
    assert "nan" not in picture
    assert "inf" not in picture


def test_a_log_without_a_point_has_no_picture() -> None:
    assert phase_picture({"losses": {"step": []}, "evaluation": []}, "accuracy", "t") is None


def test_a_cell_for_each_pair_and_the_mapped_ones_outlined() -> None:
    picture = heat_map([[0.0, 0.5, 1.0], [0.25, 0.125, 0.75]], {(0, 0), (1, 2)}, "before")
    cells = shapes(picture, "rect", "heat")
    assert len(cells) == 6
    assert float(cells[0]["fill-opacity"]) < float(cells[1]["fill-opacity"]) < float(cells[2]["fill-opacity"])
    outlines = shapes(picture, "rect", "outline")
    assert [(one["x"], one["y"]) for one in outlines] == [
        (cells[0]["x"], cells[0]["y"]),
        (cells[5]["x"], cells[5]["y"]),
    ]
    assert [words for words in texts(picture) if "." in words] == ["0.00", "0.50", "1.00", "0.25", "0.12", "0.75"]


PHASES = [{"name": "intermediate"}, {"name": "prediction"}]


@pytest.mark.parametrize(
    ("phases", "own", "cells"),
    [
        (PHASES, None, {(0, 0), (1, 2), (2, 4)}),
        (PHASES[1:], None, set()),
        (PHASES, "none", set()),
        (PHASES, [3, 4], {(0, 0), (1, 3), (2, 4)}),
        (
            [{"name": "intermediate", "embedding_loss_weight": 0, "attention_layer_map": "top"}],
            None,
            {(1, 2), (2, 4), (1, 3)},
        ),
        ([{"name": "intermediate", "layer_map": "1:9"}], None, {(0, 0)}),
    ],
)
def test_the_mapped_cells_are_those_of_the_losses(phases: Any, own: Any, cells: set[tuple[int, int]]) -> None:
    recipe = {"task": "text-classification", "teacher": {"layer_map": own}, "phases": phases}
    assert mapped_cells(recipe, "encoder", 2, 4) == cells


def test_the_mapped_cells_of_decoders() -> None:
    phases = [{"name": "intermediate", "decoder_layer_map": "top", "cross_attention_layer_map": "bottom"}]
    recipe = {"task": "translation", "teacher": {"layer_map": None}, "phases": phases}
    assert mapped_cells(recipe, "decoder", 1, 3) == {(1, 3), (1, 1)}
    assert mapped_cells(recipe, "encoder", 1, 2) == {(0, 0), (1, 2)}


def test_bars_are_as_long_as_their_values() -> None:
    picture = bar_picture(["a", "b"], [BarGroup("size", (4.0, 1.0), ("4 MB", "1 MB"))], "t")
    long, short = (float(one["width"]) for one in shapes(picture, "rect", "bar"))
    assert long == pytest.approx(4 * short, rel=0.01)
    assert bar_picture(["a"], [BarGroup("pearson", (-0.5,), ("-0.5",))], "t")
