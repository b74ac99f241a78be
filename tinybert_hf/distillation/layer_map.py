"""Which teacher layer each student layer learns from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tinybert_hf.errors import LayerMapError

LayerMapSpec: TypeAlias = "str | Sequence[int] | Mapping[int, int] | LayerMap"

STRATEGIES = ("uniform", "top", "bottom")
NO_LAYERS = "none"


@dataclass(frozen=True)
class LayerMap:
    """Pairs of a student layer and the teacher layer that it learns, both counted from 1 (0 is the embedding
    output). Without a pair: no layer is compared."""

    pairs: tuple[tuple[int, int], ...]

    @property
    def student_layers(self) -> tuple[int, ...]:
        """The mapped student layers, in rising order."""
        return tuple(student for student, _ in self.pairs)

    @property
    def teacher_layers(self) -> tuple[int, ...]:
        """The teacher layer of each mapped student layer."""
        return tuple(teacher for _, teacher in self.pairs)

    def __str__(self) -> str:
        return ", ".join(f"{student}<-{teacher}" for student, teacher in self.pairs) or NO_LAYERS


NO_MAP = LayerMap(())


def compares_nothing(spec: object) -> bool:
    """Whether a map is "none": no layer is compared."""
    return spec == NO_MAP or (isinstance(spec, str) and spec.strip().lower() == NO_LAYERS)


def contradiction(loss: str, name: str) -> str:
    """The message about a loss that was asked for, and whose map says that no layer is compared."""
    return (
        f'{name} is "{NO_LAYERS}": no loss between layers, and {loss} is asked for. Leave {loss} out (its weight: 0 '
        f"or none at all), or give a layer map."
    )


def resolve_layer_map(
    spec: LayerMapSpec, student_layers: int, teacher_layers: int, *, repeated: bool = False
) -> LayerMap:
    """Turn any way of writing a layer map into pairs, and check it against the two depths.

    Layer 0, the embedding output, always learns layer 0 through the embedding loss, so a map speaks of layers 1 and
    up. A list with one entry more than there are student layers is read as beginning at layer 0, and `0:0` is allowed.

    Args:
        spec: "uniform" (student layer m learns teacher layer m * N / M, rounded, halves up), "top" (the last M),
            "bottom" (the first M), a string such as "1:3,2:6" or "3,6", a list with the teacher layer of each student
            layer, a mapping {student: teacher}, a LayerMap, or "none": no layer.
        student_layers: M, the student's depth.
        teacher_layers: N, the teacher's depth.
        repeated: "uniform", "top" and "bottom" give a student that is deeper than its teacher the same teacher layer
            more than once; else they refuse it.

    Returns:
        The map, ordered by student layer.

    Raises:
        LayerMapError: the map cannot be read, names a layer that is not there, or names a student layer twice.

    Source:
        Jiao et al. 2020, TinyBERT, section 3.1 (g(m) = m * N / M) and table 4 (uniform, top, bottom).
    """
    if compares_nothing(spec):
        return NO_MAP
    if isinstance(spec, LayerMap):
        pairs = list(spec.pairs)
    elif isinstance(spec, str) and spec.strip().lower() in STRATEGIES:
        return LayerMap(_strategy(spec.strip().lower(), student_layers, teacher_layers, repeated))
    elif isinstance(spec, str):
        pairs = _parse(spec, student_layers)
    elif isinstance(spec, Mapping):
        pairs = [(_whole(student, spec), _whole(teacher, spec)) for student, teacher in spec.items()]
    elif isinstance(spec, Sequence):
        pairs = _from_list([_whole(teacher, spec) for teacher in spec], spec, student_layers)
    else:
        raise LayerMapError(f"A layer map cannot be made from {spec!r}. {_HOW}")
    return LayerMap(_checked(pairs, spec, student_layers, teacher_layers))


_HOW = (
    'Write "uniform", "top", "bottom", "none", a list of teacher layers such as [3, 6, 9, 12], or pairs such as '
    '"1:3,2:6".'
)


def _strategy(name: str, student_layers: int, teacher_layers: int, repeated: bool) -> tuple[tuple[int, int], ...]:
    if student_layers > teacher_layers and not repeated:
        raise LayerMapError(
            f'The layer map "{name}" needs a student that is no deeper than its teacher, but the student has '
            f"{student_layers} layers and the teacher {teacher_layers}. Take a student with at most {teacher_layers} "
            'layers, or say which teacher layer each student layer learns, for example "1:1,2:1,3:2"; without a loss '
            'between layers (the phase "prediction" alone) any depth will do.'
        )
    layers = range(1, student_layers + 1)
    if name == "uniform":
        chosen = [(2 * m * teacher_layers + student_layers) // (2 * student_layers) for m in layers]
    else:
        offset = teacher_layers - student_layers if name == "top" else 0
        chosen = [m + offset for m in layers]
    # Of a deeper student, whose first or last layers would learn a layer that is not there.
    return tuple((m, min(max(n, 1), teacher_layers)) for m, n in zip(layers, chosen, strict=True))


def _parse(text: str, student_layers: int) -> list[tuple[int, int]]:
    items = [item.strip() for item in text.strip().strip("[]").split(",")]
    if all(re.fullmatch(r"\d+", item) for item in items):
        return _from_list([int(item) for item in items], text, student_layers)
    pairs = []
    for item in items:
        match = re.fullmatch(r"(\d+)\s*:\s*(\d+)", item)
        if match is None:
            raise LayerMapError(f"The layer map {text!r} cannot be read at {item!r}. {_HOW}")
        pairs.append((int(match[1]), int(match[2])))
    return pairs


def _from_list(teachers: list[int], spec: object, student_layers: int) -> list[tuple[int, int]]:
    if len(teachers) == student_layers + 1 and teachers[0] == 0:
        return list(enumerate(teachers))
    if len(teachers) != student_layers:
        raise LayerMapError(
            f"The layer map {spec!r} has {len(teachers)} entries, but the student has {student_layers} layers. "
            f"Give one teacher layer for each student layer, or pairs such as "
            f'"1:{teachers[0] if teachers else 1}" to leave some out.'
        )
    return list(enumerate(teachers, start=1))


def _whole(value: object, spec: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise LayerMapError(f"The layer map {spec!r} holds {value!r}, which is not a layer number. {_HOW}")
    return value


def _checked(
    pairs: list[tuple[int, int]], spec: object, student_layers: int, teacher_layers: int
) -> tuple[tuple[int, int], ...]:
    pairs = [pair for pair in sorted(pairs) if pair != (0, 0)]
    if not pairs:
        raise LayerMapError(f"The layer map {spec!r} maps no layer. {_HOW}")
    for student, teacher in pairs:
        for layer, depth, whose in ((student, student_layers, "student"), (teacher, teacher_layers, "teacher")):
            if not 1 <= layer <= depth:
                raise LayerMapError(
                    f"The layer map {spec!r} points at {whose} layer {layer}, but the {whose} has layers 1 to {depth}."
                    + (" Layer 0 can only learn layer 0, through the embedding loss." if layer == 0 else "")
                )
    students = [student for student, _ in pairs]
    twice = sorted({student for student in students if students.count(student) > 1})
    if twice:
        raise LayerMapError(
            f"The layer map {spec!r} gives student layer {twice[0]} more than one teacher layer. Keep one."
        )
    return tuple(pairs)
