"""How far each student layer is from each teacher layer, before and after, as maps of cells."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tinybert_hf.distillation.layer_map import compares_nothing, resolve_layer_map
from tinybert_hf.errors import TinyBertError
from tinybert_hf.reporting.drawing import Drawing
from tinybert_hf.training import Phase

Matrix = Sequence[Sequence[float]]
_LEFT, _TOP, _BELOW = 34.0, 40.0, 46.0
_WIDE_CELL, _NARROW_CELL, _ROW = 42.0, 25.0, 25.0
# The palest and the strongest cell; in between, texts can be read on every one of them.
_PALEST, _STRONGEST = 0.06, 0.95


def mapped_cells(recipe: Mapping[str, Any], half: str, students: int, teachers: int) -> set[tuple[int, int]]:
    """The pairs of layers that some phase compared, (student, teacher).

    Args:
        recipe: of the run.
        half: "encoder" or "decoder".
        students: layers of the student, the embedding output not counted.
        teachers: of the teacher.
    """
    is_translation = recipe["task"] == "translation"
    own = recipe["teacher"].get("layer_map")
    names = (
        (("hidden_state_loss", "layer_map"), ("attention_loss", "attention_layer_map"))
        if half == "encoder"
        else (
            ("decoder_hidden_state_loss", "decoder_layer_map"),
            ("decoder_attention_loss", "decoder_attention_layer_map"),
            ("cross_attention_loss", "cross_attention_layer_map"),
        )
    )
    cells: set[tuple[int, int]] = set()
    for settings in recipe["phases"]:
        phase = Phase(**settings)
        losses = phase.loss_weights(has_decoder=is_translation)
        if compares_nothing(own):
            continue
        for loss, field in names:
            if loss in losses:
                spec = own or getattr(phase, field) or getattr(phase, names[0][1])
                try:
                    cells |= set(resolve_layer_map(spec, students, teachers).pairs)
                except TinyBertError:
                    continue  # the matrix is of other models than the recipe's
        if half == "encoder" and "embedding_loss" in losses:
            cells.add((0, 0))
    return cells


def heat_map(matrix: Matrix, mapped: Collection[tuple[int, int]], title: str) -> str:
    """Draw the distances.

    Args:
        matrix: of each student layer the distance to each teacher layer, 0 to 1; first the embedding outputs.
        mapped: the cells to outline.
        title: over the picture.
    """
    columns = len(matrix[0])
    cell = _WIDE_CELL if columns <= 7 else _NARROW_CELL
    width = max(_LEFT + columns * cell + 4, 190.0)
    height = _TOP + len(matrix) * _ROW + _BELOW
    drawing = Drawing(width, height, title, natural_size=True)
    drawing.text((0, 12), title, "heading")
    for row, values in enumerate(matrix):
        y = _TOP + row * _ROW
        drawing.text((_LEFT - 6, y + _ROW / 2 + 4), _layer(row), "tick", "end")
        for column, value in enumerate(values):
            x = _LEFT + column * cell
            hint = f"student layer {_layer(row)}, teacher layer {_layer(column)}: {value:.3f}"
            strength = _PALEST + min(max(value, 0.0), 1.0) * (_STRONGEST - _PALEST)
            drawing.box((x + 1, y + 1), (cell - 2, _ROW - 2), "heat", strength, hint)
            said = f"{value:.2f}" if cell == _WIDE_CELL else f"{value:.2f}".removeprefix("0")
            drawing.text((x + cell / 2, y + _ROW / 2 + 4), said, "cell", "middle")
    for row, column in sorted(mapped):
        drawing.box((_LEFT + column * cell + 1, _TOP + row * _ROW + 1), (cell - 2, _ROW - 2), "outline")
    bottom = _TOP + len(matrix) * _ROW
    for column in range(columns):
        drawing.text((_LEFT + (column + 0.5) * cell, bottom + 14), _layer(column), "tick", "middle")
    drawing.text((0, _TOP - 8), "student layer ↓", "label")
    drawing.text((_LEFT + columns * cell, bottom + 32), "teacher layer →", "label", "end")
    return drawing.markup()


def _layer(index: int) -> str:
    return "emb" if index == 0 else str(index)
