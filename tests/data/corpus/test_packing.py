"""Packing against a plain loop: whole lines, no token lost or doubled, no block too long."""

import random
from typing import Any

import pytest
from transformers import BertTokenizer

from tinybert_hf.data.corpus import Packer, SpecialTokens

CLS, SEP = 101, 102
SPECIAL = SpecialTokens((CLS,), (SEP,), (SEP,))


def random_lines(seed: int, longest: int) -> list[tuple[list[int], bool]]:
    """Lines of numbers that say where they stand, and whether a document begins."""
    draw = random.Random(seed)
    numbers = iter(range(1000, 10**6))
    made = []
    for _ in range(200):
        made.append(([next(numbers) for _ in range(draw.randint(0, longest))], draw.random() < 0.1))
    return made


def plain_blocks(lines: list[tuple[list[int], bool]], room: int, cross: bool) -> list[list[int]]:
    """What the packer is to do, written as slowly as can be: each block a list of lines."""
    pieces: list[tuple[list[int], bool, bool]] = []  # tokens, begins a document, stands alone
    document = False
    for line, begins in lines:
        document = document or begins
        while len(line) > room:
            pieces.append((line[:room], document, True))
            line, document = line[room:], False
        if line:
            pieces.append((line, document, False))
            document = False
    blocks: list[list[list[int]]] = []
    closed = True
    for tokens, begins, alone in pieces:
        before = blocks[-1] if blocks else []
        fits = sum(len(one) + 1 for one in before) + len(tokens) <= room
        if closed or not fits or alone or (begins and not cross):
            blocks.append([tokens])
        else:
            before.append(tokens)
        closed = alone
    return [[CLS, *[token for one in block for token in (*one, SEP)]] for block in blocks]


@pytest.mark.parametrize("longest", [12, 100])
@pytest.mark.parametrize("cross", [True, False])
@pytest.mark.parametrize("seed", [0, 1])
def test_blocks_are_those_of_a_plain_loop(longest: int, cross: bool, seed: int) -> None:
    lines, length = random_lines(seed, longest), 32
    packer = Packer(SPECIAL, length, cross)
    blocks = [block for line, begins in lines for block in packer.add(line, begins)] + list(packer.flush())
    assert blocks == plain_blocks(lines, length - 2, cross)
    assert max(map(len, blocks)) <= length
    kept = [token for block in blocks for token in block if token not in (CLS, SEP)]
    assert kept == [token for line, _ in lines for token in line]


def test_a_line_is_only_cut_where_it_must_be() -> None:
    packer = Packer(SPECIAL, 10)
    assert list(packer.add([1] * 5)) == []
    assert list(packer.add([2] * 3)) == [[CLS, *[1] * 5, SEP]]
    assert list(packer.add([3] * 4)) == []  # 3 + 1 + 4 are just the room of 8
    assert list(packer.flush()) == [[CLS, *[2] * 3, SEP, *[3] * 4, SEP]]


def test_special_tokens_are_those_of_the_tokenizer(tiny_tokenizer: BertTokenizer) -> None:
    cls, sep = tiny_tokenizer.cls_token_id, tiny_tokenizer.sep_token_id
    assert SpecialTokens.of(tiny_tokenizer) == SpecialTokens((cls,), (sep,), (sep,))


def test_special_tokens_of_a_tokenizer_that_adds_none() -> None:
    class Bare:
        sep_token_id = eos_token_id = None

        def __call__(self, text: str, **_: Any) -> dict[str, list[int]]:
            return {"input_ids": [7]}

    assert SpecialTokens.of(Bare()) == SpecialTokens((), (), ())
