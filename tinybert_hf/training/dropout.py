"""Dropout on a CPU, faster than torch's: of hidden states, and within attention without keeping any map.

torch draws each number of a dropout mask by itself, and attention with dropout builds every map; what that takes is
measured by `benchmarks/step_time.py` and `benchmarks/memory.py`. Here a 64-bit draw gives four numbers of 16 bits,
and attention goes through its maps in pieces that fit into the processor's cache, forwards and, with the same numbers
drawn again, backwards. What is dropped is as random as before; only which numbers it is differs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

# A share is counted in 65,536ths: 0.1 is 6,554 of them, and what stays is divided by just that.
_LEVELS = 1 << 16
_LOWEST = -(1 << 15)
# Below it, what a call of ours costs is more than torch takes.
_FEWEST = 1 << 13
# Numbers of attention maps that are worked on at once: half a megabyte in fp32.
_PIECE = 1 << 17


def faster_dropout(model: nn.Module, device: torch.device) -> AbstractContextManager[Any]:
    """A context in which a model's dropout, and its attention with dropout, is computed in the way of this file.

    Checkpointed activations keep torch's own dropout: torch runs their forward again in the backward, where no context
    of this kind holds (`findings/function_mode_is_off_in_backward.sh`), and both have to drop the same.

    Args:
        model: that is trained. One of transformers says that it checkpoints; of others torch can be asked from 2.8 on.
        device: of the model; anything but a CPU: the context changes nothing.
    """
    takes = device.type == "cpu" and not any(getattr(one, "gradient_checkpointing", False) for one in model.modules())
    return _Faster() if takes else nullcontext()


class _Faster(TorchFunctionMode):
    """Takes the calls of `dropout` and of `scaled_dot_product_attention` that it can compute."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        if func is functional.dropout:
            return _dropout(*args, **given)
        if func is functional.scaled_dot_product_attention:
            return _attention(*args, **given)
        return func(*args, **given)


def _dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """With the signature of `functional.dropout`."""
    if not training or inplace or not _takes(input, float(p)) or input.numel() < _FEWEST:
        return functional.dropout(input, p, training, inplace)
    result: Tensor = _Dropout.apply(input, _dropped_levels(float(p)))
    return result


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """With the signature of `functional.scaled_dot_product_attention`."""
    share = float(dropout_p)
    fits = query.dim() == 4 and not enable_gqa and query.shape[:2] == key.shape[:2] == value.shape[:2]
    fits = fits and query.dtype == key.dtype == value.dtype and 0 not in query.shape and 0 not in key.shape
    fits = fits and (attn_mask is None or (not is_causal and _is_plain_mask(attn_mask)))
    if not (fits and all(_takes(one, share) for one in (query, key, value))):
        return functional.scaled_dot_product_attention(
            query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
        )
    scale = query.shape[-1] ** -0.5 if scale is None else float(scale)
    mask = None if attn_mask is None else attn_mask[(None,) * (4 - attn_mask.dim())]
    result: Tensor = _Attention.apply(query, key, value, mask, is_causal, _dropped_levels(share), scale)
    return result


def _takes(tensor: Tensor, share: float) -> bool:
    """Whether the tensor is a plain one on a CPU, with gradients on, and some of it but not all is dropped."""
    return (
        type(tensor) in (Tensor, nn.Parameter)
        and tensor.device.type == "cpu"
        and tensor.is_floating_point()
        and not tensor.is_nested
        and torch.is_grad_enabled()
        and not _is_transformed()
        and 0 < _dropped_levels(share) < _LEVELS
    )


def _is_plain_mask(mask: Tensor) -> bool:
    """Whether it holds its own numbers, is of a usual shape and is not learnt."""
    plain = type(mask) is Tensor and mask.device.type == "cpu" and 2 <= mask.dim() <= 4
    return plain and not (mask.requires_grad or mask.is_inference() or mask.is_nested)


def _is_transformed() -> bool:
    """Whether torch may run the forward again, as in a checkpoint, where saved tensors go through hooks, or transforms
    it, as within `torch.func`."""
    hooks: Callable[[bool], Any] | None = getattr(torch._C._autograd, "_top_saved_tensors_default_hooks", None)
    level: Callable[[], Any] | None = getattr(torch._C._functorch, "maybe_current_level", None)
    return (hooks is not None and hooks(True) is not None) or (level is not None and level() is not None)


def _dropped_levels(share: float) -> int:
    return round(share * _LEVELS)


def _dtype(tensor: Tensor) -> torch.dtype:
    """The format that is computed in: half precision is widened."""
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32


class _Dropout(torch.autograd.Function):
    """Of any tensor; a byte for each number is kept for the backward."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, levels: int) -> Tensor:
        draws = torch.empty((states.numel() + 3) // 4, dtype=torch.int64).random_(-(1 << 63), None)
        keep = (draws.view(torch.int16)[: states.numel()] >= _LOWEST + levels).view(torch.uint8).view(states.shape)
        ctx.save_for_backward(keep)
        ctx.scale = _LEVELS / (_LEVELS - levels)
        return (states * keep).mul_(ctx.scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (keep,) = ctx.saved_tensors
        return gradient * keep * ctx.scale, None


class _Attention(torch.autograd.Function):
    """softmax(scale * query @ key.T), masked, a part of it dropped, @ value; no map is kept for the backward."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None,
        causal: bool,
        levels: int,
        scale: float,
    ) -> Tensor:
        seed = int(torch.empty((), dtype=torch.int64).random_(1 << 62))
        with torch.autocast("cpu", enabled=False):
            values = _heads(value) * (_LEVELS / (_LEVELS - levels))
            result = values.new_empty(*query.shape[:-1], value.shape[-1])
            flat = result.flatten(0, 1)
            most, sums = (values.new_empty(*flat.shape[:2], 1) for _ in range(2))
            for heads, tokens, scores, kept in _Scores(query, key, mask, causal, levels, scale, seed):
                # As torch has it, a query that sees nothing gives zeros.
                largest = scores.amax(-1, keepdim=True).clamp_min_(torch.finfo(scores.dtype).min)
                weights = scores.sub_(largest).exp_()
                total = weights.sum(-1, keepdim=True).clamp_min_(torch.finfo(scores.dtype).tiny)
                flat[heads, tokens] = (weights.mul_(kept) @ values[heads]).div_(total)
                most[heads, tokens], sums[heads, tokens] = largest, total
        ctx.save_for_backward(query, key, value, mask, result, most, sums)
        ctx.drawn = causal, levels, scale, seed
        return result.to(query.dtype, copy=True)  # which may be changed in place

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
        query, key, value, mask, result, most, sums = ctx.saved_tensors
        causal, levels, scale, seed = ctx.drawn
        if torch.is_grad_enabled():  # the gradients are to be differentiated themselves
            seen = _by_whole_maps(query, key, value, mask, causal, levels, scale, seed)
            return *torch.autograd.grad(seen, (query, key, value), gradient, create_graph=True), None, None, None, None
        with torch.autocast("cpu", enabled=False):
            queries, keys, values, gradients = (_heads(one) for one in (query, key, value, gradient))
            # Of the softmax: what each row of a map gives, weighted by itself, is what its result gives.
            shares = (gradients * result.flatten(0, 1)).sum(-1, keepdim=True)
            gradients = gradients * (_LEVELS / (_LEVELS - levels))
            queries = queries * scale
            of_queries, of_keys, of_values = (torch.zeros_like(one) for one in (queries, keys, values))
            for heads, tokens, scores, kept in _Scores(query, key, mask, causal, levels, scale, seed):
                above, weights = gradients[heads, tokens], scores.sub_(most[heads, tokens]).exp_()
                weights.div_(sums[heads, tokens])
                of_scores = torch.bmm(above, values[heads].mT).mul_(kept).sub_(shares[heads, tokens]).mul_(weights)
                torch.bmm(of_scores, keys[heads], out=of_queries[heads, tokens])
                of_keys[heads].baddbmm_(of_scores.mT, queries[heads, tokens])
                of_values[heads].baddbmm_(weights.mul_(kept).mT, above)
        of_queries.mul_(scale)
        found = zip((of_queries, of_keys, of_values), (query, key, value), strict=True)
        return *(one.view(like.shape).to(like.dtype) for one, like in found), None, None, None, None


def _by_whole_maps(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, causal: bool, levels: int, scale: float, seed: int
) -> Tensor:
    """What `_Attention` gives, by operations that torch differentiates, with every map built."""
    dtype = _dtype(query)
    kept = torch.empty(*query.shape[:3], key.shape[2], dtype=dtype)
    with torch.no_grad():
        for heads, tokens, _, own in _Scores(query, key, mask, causal, levels, scale, seed):
            kept.flatten(0, 1)[heads, tokens] = own
    scores = query.to(dtype) @ key.to(dtype).mT * scale
    if mask is not None:
        scores = scores + _added(mask, dtype)
    if causal:
        scores = scores + _added(torch.ones(scores.shape[-2:], dtype=torch.bool).tril(), dtype)
    blind = scores.isneginf().all(-1, keepdim=True)
    weights = scores.masked_fill(blind, 0).softmax(-1).masked_fill(blind, 0)
    return (weights * kept * (_LEVELS / (_LEVELS - levels)) @ value.to(dtype)).to(query.dtype)


@dataclass(frozen=True)
class _Scores:
    """The attention scores of a batch, piece after piece, each the same whenever they are gone through.

    Some rows of the batch with all their heads, or some heads of one row, or, of a long one, some queries of a head.
    """

    query: Tensor
    key: Tensor
    mask: Tensor | None
    causal: bool
    levels: int
    scale: float
    seed: int

    def __iter__(self) -> Iterator[tuple[slice, slice, Tensor, Tensor]]:
        """Which heads of the whole batch, which queries, their scores, and 0 (dropped) or 1 for each of them.

        The tensors are written over by the next piece.
        """
        batch, heads, length, width = *self.query.shape[:3], self.key.shape[2]
        rows = max(1, _PIECE // (heads * length * width))
        few = heads if rows > 1 else min(heads, max(1, _PIECE // (length * width)))
        some = length if few > 1 else min(length, max(1, _PIECE // width))
        queries, keys = _heads(self.query) * self.scale, _heads(self.key).mT
        draws = np.random.SFC64(self.seed)
        spaces = [queries.new_empty(rows * few * some * width) for _ in range(2)]
        for row, head, token in product(range(0, batch, rows), range(0, heads, few), range(0, length, some)):
            part = slice(row, min(row + rows, batch)), slice(head, min(head + few, heads))
            tokens = slice(token, min(token + some, length))
            shape = *(one.stop - one.start for one in (*part, tokens)), width
            count = math.prod(shape)
            scores, kept = (space[:count].view(shape).flatten(0, 1) for space in spaces)
            first = row * heads + head
            place = slice(first, first + len(scores))
            torch.bmm(queries[place, tokens], keys[place], out=scores)
            if self.mask is not None:
                scores.view(shape).add_(_added(_cut(self.mask, *part, tokens), scores.dtype))
            if self.causal:
                later = torch.arange(width) > torch.arange(tokens.start, tokens.stop)[:, None]
                scores.masked_fill_(later, -torch.inf)
            numbers = torch.from_numpy(draws.random_raw((count + 3) // 4).view(np.int16))[:count]
            kept.view(-1).copy_(numbers)
            yield place, tokens, scores, kept.ge_(_LOWEST + self.levels)


def _cut(mask: Tensor, *parts: slice) -> Tensor:
    """Of a mask that is as long as the maps, or 1, in each of its first dimensions."""
    return mask[tuple(part if size > 1 else slice(None) for size, part in zip(mask.shape, parts, strict=False))]


def _added(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """What a mask, of True for what is seen or of numbers, adds to the scores."""
    return mask.to(dtype).log_() if mask.dtype == torch.bool else mask.to(dtype)


def _heads(states: Tensor) -> Tensor:
    """(batch, heads, tokens, width) -> (batch * heads, tokens, width), contiguous, in the format computed in."""
    return states.to(_dtype(states)).contiguous().flatten(0, 1)
