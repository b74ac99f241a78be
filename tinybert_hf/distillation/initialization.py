"""A student's start taken from its teacher."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from tinybert_hf.checkpoints import check_batch
from tinybert_hf.distillation.architecture import EncoderParts, LayerParts, encoder_parts
from tinybert_hf.distillation.batch import attention_mask
from tinybert_hf.distillation.capturing import model_inputs
from tinybert_hf.distillation.heads import AffineMap, HeadToTake
from tinybert_hf.distillation.layer_map import LayerMapSpec, resolve_layer_map
from tinybert_hf.distillation.objective import evaluation_mode
from tinybert_hf.distillation.projections import least_squares
from tinybert_hf.errors import DataError, TeacherError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


# What the modules of a model take in and give out on example rows.

ROWS_AT_ONCE = 32


@dataclass(frozen=True)
class ExampleRows:
    """Rows in batches of like length, and how to see a model's modules at work on them."""

    batches: Sequence[Mapping[str, Tensor]]

    @classmethod
    def of(cls, batches: Sequence[Mapping[str, Any]]) -> ExampleRows:
        """The rows of tokenised batches; only entries of shape (B, L) are kept."""
        return cls(_regrouped(batches))

    def first_tokens(self) -> Tensor:
        """The places of the rows' first tokens among all real tokens, as `record` has them: (R,)."""
        lengths = torch.cat([attention_mask(batch).sum(1) for batch in self.batches])
        return lengths.cumsum(0) - lengths

    def record(self, model: nn.Module, **wanted: tuple[nn.Module, str]) -> dict[str, Tensor]:
        """Inputs or outputs of modules at real tokens: name -> (T, width), fp64."""
        kept: dict[str, list[Tensor]] = {name: [] for name in wanted}
        mask, row = torch.empty(0), 0

        def keep(name: str, tensor: Tensor) -> None:
            kept[name].append(tensor[mask].double())
            if all(len(parts) > row for parts in kept.values()):
                raise _EverythingSeen

        with _hooks(wanted, keep), evaluation_mode(model), torch.no_grad():
            for row, batch in enumerate(self.batches):  # noqa: B007 - read by `keep`
                placed = {k: v.to(model.device) for k, v in model_inputs(model, batch).items()}
                mask = attention_mask(placed).bool()
                with suppress(_EverythingSeen):
                    model(**placed)
        return {name: torch.cat(parts) for name, parts in kept.items()}


class _EverythingSeen(Exception):
    """Ends a forward as soon as the last wanted module has been seen."""


@contextmanager
def _hooks(wanted: Mapping[str, tuple[nn.Module, str]], keep: Callable[[str, Tensor], None]) -> Iterator[None]:
    handles = []
    for name, (module, side) in wanted.items():
        if side == "input":
            handles.append(module.register_forward_pre_hook(lambda _m, args, name=name: keep(name, args[0])))
        else:
            handles.append(module.register_forward_hook(lambda _m, _args, output, name=name: keep(name, output)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _regrouped(batches: Sequence[Mapping[str, Any]]) -> list[dict[str, Tensor]]:
    """The same rows in batches of like length, without the padding that is not needed."""
    rows = []
    for number, batch in enumerate(batches):
        if not isinstance(batch.get("input_ids"), Tensor):
            raise DataError(
                f"Example batch {number} holds no rows of tokens: input_ids must be a tensor (B, L), as "
                'tokenizer(..., padding=True, return_tensors="pt") makes it.'
            )
        mask = attention_mask(batch).bool()
        names = [name for name, value in batch.items() if isinstance(value, Tensor) and value.shape == mask.shape]
        rows += [{name: batch[name][i][mask[i]] for name in names} for i in range(mask.shape[0]) if mask[i].any()]
    rows.sort(key=lambda row: row["input_ids"].shape[0])
    grouped = []
    for start in range(0, len(rows), ROWS_AT_ONCE):
        chosen = rows[start : start + ROWS_AT_ONCE]
        padded = {name: pad_sequence([row[name] for row in chosen], batch_first=True) for name in chosen[0]}
        lengths = torch.tensor([row["input_ids"].shape[0] for row in chosen])
        padded["attention_mask"] = (torch.arange(int(lengths.max()))[None] < lengths[:, None]).long()
        grouped.append(padded)
    return grouped


# Linear algebra that makes a narrow layer out of a wide one.


@dataclass(frozen=True)
class Basis:
    """An orthonormal basis of the part of the teacher's hidden space that the student keeps.

    Attributes:
        vectors: (Ht, Hs), orthonormal columns; a student state is `teacher_state @ vectors`.
        kept: share of the variance of the example states that lies in the basis.
    """

    vectors: Tensor
    kept: float

    def narrow(self, states: Tensor) -> Tensor:
        """(..., Ht) -> (..., Hs)."""
        return states @ self.vectors

    def lost(self, mean: Tensor) -> Tensor:
        """The part of a mean state (Ht) outside the basis: a constant that goes into the next bias."""
        return mean - self.vectors @ (self.vectors.T @ mean)


def principal_basis(covariance: Tensor, width: int) -> Basis:
    """The best basis of `width` directions, turned so that LayerNorm means the same in both spaces.

    LayerNorm removes the mean over features, which is the direction (1, ..., 1). That direction is kept and turned
    onto the
    student's own (1, ..., 1); the others are the principal components of what is orthogonal to it.

    Args:
        covariance: (Ht, Ht) of example states, fp64.
        width: Hs, at most Ht; at Ht the basis is the identity.
    """
    wide = covariance.shape[0]
    if width == wide:
        return Basis(torch.eye(wide, dtype=covariance.dtype, device=covariance.device), 1.0)
    ones = torch.full((wide, 1), wide**-0.5, dtype=covariance.dtype, device=covariance.device)
    away = torch.eye(wide, dtype=covariance.dtype, device=covariance.device) - ones @ ones.T
    values, vectors = torch.linalg.eigh(away @ covariance @ away)
    chosen = vectors[:, values.argsort(descending=True)[: width - 1]]
    basis = torch.cat([ones, chosen], dim=1)
    kept = (basis.T @ covariance @ basis).trace() / covariance.trace()
    return Basis(basis @ _reflection_onto_ones(width, covariance).T, float(kept))


def _reflection_onto_ones(width: int, like: Tensor) -> Tensor:
    """The Householder reflection that takes the first unit vector to (1, ..., 1) / sqrt(width)."""
    normal = torch.full((width,), -(width**-0.5), dtype=like.dtype, device=like.device)
    normal[0] += 1.0
    normal = normal / normal.norm()
    return torch.eye(width, dtype=like.dtype, device=like.device) - 2 * torch.outer(normal, normal)


def low_rank(matrix: Tensor, rank: int, left_scale: Tensor, right_scale: Tensor) -> tuple[Tensor, Tensor]:
    """Factors of the best approximation of `matrix` where rows and columns matter by their scales.

    Args:
        matrix: (P, Q).
        rank: r.
        left_scale: (P, P) square root of the second moments of what multiplies from the left.
        right_scale: (Q, Q), the same from the right.

    Returns:
        (P, r) and (Q, r) with `left @ right.T` near `matrix`; columns of zeros where r is above the rank.
    """
    u, s, vh = torch.linalg.svd(left_scale @ matrix @ right_scale, full_matrices=False)
    u, s, vh = u[:, :rank], s[:rank], vh[:rank]
    left = torch.linalg.solve(left_scale, u * s.sqrt())
    right = torch.linalg.solve(right_scale.T, vh.T * s.sqrt())
    missing = rank - left.shape[1]
    if missing > 0:
        left, right = (torch.nn.functional.pad(factor, (0, missing)) for factor in (left, right))
    return left, right


def moment_root(states: Tensor) -> Tensor:
    """Symmetric square root of the second moments of (T, P) states, kept away from singular."""
    moments = states.T @ states / states.shape[0]
    values, vectors = torch.linalg.eigh(moments)
    floor = values.max() * 1e-6
    return (vectors * values.clamp(min=floor).sqrt()) @ vectors.T


# A student's start taken from its teacher.
#
# The student keeps the directions of the teacher's hidden space that matter most (a principal component analysis of
# hidden states on example rows) and begins as the teacher's mapped layers seen in that space:
#
# - embeddings: the teacher's, projected;
# - queries and keys, values and outputs of each head: the best low-rank factors of the projected products, weighted by
# the data;
# - feed-forward: the neurons that contribute most; the output layer solved by least squares on the student's own
# activations,
#   which also makes up for layers that are left out;
# - LayerNorms: gain and bias fitted so that each norm's output meets the teacher's, projected;
# - head: projected, the units that move the logits most, where the teacher's reads the same places.
#
# Where width, heads, depth and feed-forward size agree, the layers are copied as they are.

RIDGE = 1e-2


@dataclass(frozen=True)
class StartReport:
    """What was taken over. `kept_variance` is the share of the teacher's hidden variance inside the student's
    width."""

    kept_variance: float
    tokens: int
    copied: tuple[str, ...]


@torch.no_grad()
def initialize_from_teacher(
    student: PreTrainedModel,
    teacher: PreTrainedModel,
    batches: Sequence[Mapping[str, Tensor]],
    layer_map: LayerMapSpec = "uniform",
    parts: str = "all",
) -> StartReport:
    """Set a student's weights to a narrow, shallow likeness of its teacher.

    Args:
        student: a BERT-shaped encoder, no wider than the teacher; changed in place.
        teacher: BERT-shaped too (BERT, RoBERTa, ELECTRA, MiniLM, DistilBERT, ...).
        batches: tokenised example rows, some thousand tokens; labels are not used.
        layer_map: the teacher layer that each student layer starts from, in any form that `resolve_layer_map` reads. A
            student that is deeper than its teacher starts from the same layer more than once; "none": from no layer,
            from the embeddings alone.
        parts: "all", or "embeddings" to leave the layers and the head as they are.

    Returns:
        What was taken over.

    Raises:
        TeacherError: the student is wider than the teacher, another vocabulary, no rows, or a model not built like
            BERT.
        LayerMapError: the map does not fit.
        DataError: rows with tokens, positions or segments that a model does not have.
    """
    if parts not in ("all", "embeddings"):
        raise TeacherError(f'parts is {parts!r}; choose "all" or "embeddings".')
    ours, theirs = encoder_parts(student), encoder_parts(teacher)
    _check(student, teacher, ours, theirs, batches)
    pairs = resolve_layer_map(layer_map, len(ours.layers), len(theirs.layers), repeated=True).pairs
    example = ExampleRows.of(batches)
    for batch in example.batches:
        check_batch(student, batch, "The student", DataError)
        check_batch(teacher, batch, "The teacher", DataError)
    states = _teacher_states(example, teacher, theirs, [n for _, n in pairs])
    basis = _common_basis(states, [n for _, n in pairs], student.config.hidden_size)
    copied = ["embeddings"]
    _start_embeddings(student, ours, theirs, example, basis, states)
    for m, n in pairs if parts == "all" else ():
        _start_layer(student, teacher, m, n, ours, theirs, example, basis, states)
        copied.append(f"layer {m} from {n}")
    if parts == "all" and pairs and _start_head(student, teacher, example, basis, states):
        copied.append("head")
    return StartReport(basis.kept, states["embedding_out"].shape[0], tuple(copied))


def _check(
    student: PreTrainedModel,
    teacher: PreTrainedModel,
    ours: EncoderParts,
    theirs: EncoderParts,
    batches: Sequence[Mapping[str, Tensor]],
) -> None:
    if not batches:
        raise TeacherError("A start from the teacher needs example rows: give at least one tokenised batch.")
    if student.config.hidden_size > teacher.config.hidden_size:
        raise TeacherError(
            f"The student is {student.config.hidden_size} wide and the teacher {teacher.config.hidden_size}: a "
            "start can only "
            'be projected down. Take a narrower student, or the start "random".'
        )
    if ours.words.weight.shape[0] != theirs.words.weight.shape[0]:
        raise TeacherError(
            f"The student embeds {ours.words.weight.shape[0]} tokens and the teacher "
            f"{theirs.words.weight.shape[0]}; a start "
            "from the teacher needs its vocabulary. Make the student with vocab_size=teacher.config.vocab_size."
        )
    if theirs.words.weight.shape[1] != teacher.config.hidden_size:
        raise TeacherError(
            f"The teacher's word embeddings are {theirs.words.weight.shape[1]} wide and its layers "
            f'{teacher.config.hidden_size}; a start cannot be taken from such a model. Use the start "random".'
        )


def _teacher_states(
    example: ExampleRows, teacher: PreTrainedModel, parts: EncoderParts, layers: Sequence[int]
) -> dict[str, Tensor]:
    wanted: dict[str, tuple[nn.Module, str]] = {"embedding_out": (parts.embedding_norm, "output")}
    for n in layers:
        layer = parts.layers[n - 1]
        wanted[f"in_{n}"] = (layer.query, "input")
        wanted[f"attention_sum_{n}"] = (layer.attention_norm, "input")
        wanted[f"attention_out_{n}"] = (layer.attention_norm, "output")
        wanted[f"neurons_{n}"] = (layer.output, "input")
        wanted[f"sum_{n}"] = (layer.output_norm, "input")
        wanted[f"out_{n}"] = (layer.output_norm, "output")
    return example.record(teacher, **wanted)


def _common_basis(states: Mapping[str, Tensor], layers: Sequence[int], width: int) -> Basis:
    """One basis for all layers, since the residual stream runs through them all; each layer counts alike."""
    total = None
    for name in ("embedding_out", *(f"out_{n}" for n in layers)):
        centred = states[name] - states[name].mean(0)
        covariance = centred.T @ centred
        share = covariance / covariance.trace()
        total = share if total is None else total + share
    assert total is not None
    return principal_basis(total, width)


def _start_embeddings(
    student: PreTrainedModel,
    ours: EncoderParts,
    theirs: EncoderParts,
    example: ExampleRows,
    basis: Basis,
    states: Mapping[str, Tensor],
) -> None:
    ours.words.weight.copy_(basis.narrow(theirs.words.weight.double()))
    available = theirs.positions.weight[theirs.position_offset :].double()
    rows = min(available.shape[0], ours.positions.weight.shape[0])
    ours.positions.weight[:rows] = basis.narrow(available[:rows]).to(ours.positions.weight)
    if ours.types is not None:
        types = torch.zeros(1, basis.vectors.shape[0]) if theirs.types is None else theirs.types.weight
        source = torch.arange(ours.types.weight.shape[0]).clamp(max=types.shape[0] - 1)
        ours.types.weight.copy_(basis.narrow(types.to(basis.vectors)[source]))
    sums = example.record(student, sum=(ours.embedding_norm, "input"))["sum"]
    _fit_norm(ours.embedding_norm, theirs.embedding_norm, sums, basis, states["embedding_out"])


def _start_layer(
    student: PreTrainedModel,
    teacher: PreTrainedModel,
    m: int,
    n: int,
    ours: EncoderParts,
    theirs: EncoderParts,
    example: ExampleRows,
    basis: Basis,
    states: Mapping[str, Tensor],
) -> None:
    target, source = ours.layers[m - 1], theirs.layers[n - 1]
    exact = _same_shape(target, source, ours.heads, theirs.heads)
    if exact:
        _copy_layer(target, source)
        if m == n:  # nothing was left out below, so there is nothing to make up for
            return
    else:
        _start_attention(target, source, ours.heads, theirs.heads, basis, states[f"in_{n}"])
        _start_neurons(target, source, basis, states[f"attention_out_{n}"], states[f"neurons_{n}"])
    wanted = basis.narrow(states[f"attention_sum_{n}"])
    sums = _solve(student, target.attention_output, target.attention_norm, example, wanted)
    _fit_norm(target.attention_norm, source.attention_norm, sums, basis, states[f"attention_out_{n}"])
    sums = _solve(student, target.output, target.output_norm, example, basis.narrow(states[f"sum_{n}"]))
    _fit_norm(target.output_norm, source.output_norm, sums, basis, states[f"out_{n}"])


def _same_shape(target: LayerParts, source: LayerParts, our_heads: int, their_heads: int) -> bool:
    return (
        target.query.weight.shape == source.query.weight.shape
        and target.intermediate.weight.shape == source.intermediate.weight.shape
        and our_heads == their_heads
    )


def _copy_layer(target: LayerParts, source: LayerParts) -> None:
    for name in LayerParts.__dataclass_fields__:
        getattr(target, name).weight.copy_(getattr(source, name).weight)
        getattr(target, name).bias.copy_(getattr(source, name).bias)


def _start_attention(
    target: LayerParts, source: LayerParts, our_heads: int, their_heads: int, basis: Basis, entering: Tensor
) -> None:
    """Low-rank factors of each head's query-key and output-value products in the student's space.

    With fewer heads than the teacher a student head stands for the mean score and the summed output of its group;
    with more, the
    heads of a group share the score and divide the output. Head counts that do not divide keep their random start.
    """
    groups = min(our_heads, their_heads)
    if max(our_heads, their_heads) % groups:
        return
    narrow = basis.narrow(entering)
    root = moment_root(torch.cat([narrow, torch.ones_like(narrow[:, :1])], dim=1))
    identity = torch.eye(basis.vectors.shape[1], dtype=narrow.dtype, device=narrow.device)
    lost = basis.lost(entering.mean(0))
    query, key, value = (_with_bias(part, basis, lost) for part in (source.query, source.key, source.value))
    output = (basis.vectors.T @ source.attention_output.weight.double()).T
    their_width, our_width = query.shape[0] // their_heads, target.query.weight.shape[0] // our_heads
    ours_in_group, theirs_in_group = our_heads // groups, their_heads // groups
    for group in range(groups):
        wide = slice(group * theirs_in_group * their_width, (group + 1) * theirs_in_group * their_width)
        score = query[wide].T @ key[wide] * (their_width**-0.5 / theirs_in_group) * our_width**0.5
        left, right = low_rank(score, our_width, root, root)
        passed = output[wide].T @ value[wide]
        out, into = low_rank(passed, our_width * ours_in_group, identity, root)
        for i in range(ours_in_group):
            rows = slice((group * ours_in_group + i) * our_width, (group * ours_in_group + i + 1) * our_width)
            part = slice(i * our_width, (i + 1) * our_width)
            _write(target.query, rows, left.T)
            _write(target.key, rows, right.T)
            _write(target.value, rows, into.T[part])
            target.attention_output.weight[:, rows] = out[:, part].to(target.attention_output.weight)
    target.attention_output.bias.copy_(basis.narrow(source.attention_output.bias.double()))


def _with_bias(linear: nn.Linear, basis: Basis, lost: Tensor) -> Tensor:
    """(out, Hs + 1): a teacher layer as it acts on narrow states, its bias as the last column."""
    weight = linear.weight.double()
    bias = linear.bias.double() + weight @ lost
    return torch.cat([weight @ basis.vectors, bias[:, None]], dim=1)


def _write(linear: nn.Linear, rows: slice, values: Tensor) -> None:
    linear.weight[rows] = values[:, :-1].to(linear.weight)
    linear.bias[rows] = values[:, -1].to(linear.bias)


def _start_neurons(target: LayerParts, source: LayerParts, basis: Basis, entering: Tensor, active: Tensor) -> None:
    """The teacher's neurons with the largest contribution to the residual stream; further ones stay random."""
    outgoing = source.output.weight.double()
    contribution = active.var(0) * outgoing.square().sum(0)
    count = min(target.intermediate.weight.shape[0], contribution.shape[0])
    chosen = contribution.argsort(descending=True)[:count].sort().values
    incoming = _with_bias(source.intermediate, basis, basis.lost(entering.mean(0)))
    _write(target.intermediate, slice(0, count), incoming[chosen])
    target.output.weight[:, :count] = basis.narrow(outgoing.T[chosen]).T.to(target.output.weight)
    target.output.bias.copy_(basis.narrow(source.output.bias.double()))


def _solve(
    student: PreTrainedModel, linear: nn.Linear, norm: nn.LayerNorm, example: ExampleRows, wanted: Tensor
) -> Tensor:
    """Set `linear`, whose output is added to a residual before `norm`, so that the sum comes near `wanted` (T, Hs).

    Returns:
        The sum as it is now, (T, Hs).
    """
    seen = example.record(student, entering=(linear, "input"), leaving=(linear, "output"), sum=(norm, "input"))
    residual = seen["sum"] - seen["leaving"]
    weight, bias = least_squares(seen["entering"], wanted - residual, RIDGE)
    linear.weight.copy_(weight)
    linear.bias.copy_(bias)
    return seen["entering"] @ weight.T + bias + residual


def _fit_norm(norm: nn.LayerNorm, source: nn.LayerNorm, sums: Tensor, basis: Basis, wanted: Tensor) -> None:
    """Set gain and bias, feature by feature.

    The norm's output for `sums` (T, Hs) then comes near the teacher's (T, Ht), projected.
    """
    if norm.weight.shape == source.weight.shape:
        norm.weight.copy_(source.weight)
        norm.bias.copy_(source.bias)
        return
    normed = torch.nn.functional.layer_norm(sums, sums.shape[-1:], eps=norm.eps)
    target = basis.narrow(wanted)
    mean, target_mean = normed.mean(0), target.mean(0)
    covariance = ((normed - mean) * (target - target_mean)).mean(0)
    gain = covariance / normed.var(0, unbiased=False).clamp(min=1e-12)
    norm.weight.copy_(gain)
    norm.bias.copy_(target_mean - gain * mean)


def _start_head(
    student: PreTrainedModel,
    teacher: PreTrainedModel,
    example: ExampleRows,
    basis: Basis,
    states: Mapping[str, Tensor],
) -> bool:
    """Take over the head; of models that have none, the pooler."""
    last = states[[name for name in states if name.startswith("out_")][-1]]
    lost = basis.lost(last.mean(0))
    head = HeadToTake.between(student, teacher, last[example.first_tokens()])
    if head is not None:
        for layer, state in head.weights_for(student, AffineMap(basis.vectors, lost)).items():
            layer.load_state_dict(state)
        return True
    ours, theirs = (getattr(getattr(model.base_model, "pooler", None), "dense", None) for model in (student, teacher))
    if ours is not None and theirs is not None:
        _write(ours, slice(None), basis.narrow(_with_bias(theirs, basis, lost).T).T)
    return False
