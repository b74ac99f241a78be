"""Damages a file in one of many ways, chosen by a seed: as a disk, a careless hand, or an attacker would."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable
from typing import Any

Mutator = Callable[[bytes, random.Random], bytes]
HUGE = [
    "1" + "0" * 12,
    "-1",
    "0",
    "1" + "0" * 400,
    "9" * 5000,
    "1e308",
    "1e999",
    "NaN",
    "-Infinity",
    "2.5",
    "2147483648",
]
JUNK = [
    "\ufeff",
    "\u202e",
    "\x00",
    "\ud7ff",
    "🙂" * 50,
    "\u0301" * 30,
    "\u2028",
    "\\ud800",
    "%s%n",
    "../../etc/passwd",
]
ODD_VALUES: list[Any] = [None, True, "", "x", [], {}, [1, 2], {"a": 1}, 0, -1, 1.5, 10**12, 10**30, "NaN", [[[]]]]
NESTED = ["[" * 5_000, '{"a":' * 5_000, "[" * 5_000 + "]" * 5_000, '{"a":' * 60_000 + "1" + "}" * 60_000]


def mutate(content: bytes, seed: int, mutators: tuple[Mutator, ...]) -> tuple[str, bytes]:
    """One damaged copy.

    Args:
        content: of the good file.
        seed: the same one makes the same copy.
        mutators: the ways to choose from.

    Returns:
        What was done, and the copy.
    """
    draw = random.Random(seed)
    mutator = draw.choice(mutators)
    changed = mutator(content, draw)
    return mutator.__name__, changed


def flip_bits(content: bytes, draw: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(draw.choice([1, 1, 1, 2, 8])):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def truncate(content: bytes, draw: random.Random) -> bytes:
    return content[: draw.choice([0, 1, 7, 8, len(content) - 1, draw.randrange(len(content))])]


def delete_piece(content: bytes, draw: random.Random) -> bytes:
    start = draw.randrange(len(content))
    return content[:start] + content[start + draw.choice([1, 2, 8, 64]) :]


def double_piece(content: bytes, draw: random.Random) -> bytes:
    start = draw.randrange(len(content))
    end = start + draw.choice([1, 8, 64, 512])
    return content[:end] + content[start:]


def swap_pieces(content: bytes, draw: random.Random) -> bytes:
    size = draw.choice([1, 4, 16, 64])
    first, second = sorted(draw.randrange(max(1, len(content) - size)) for _ in range(2))
    if second - first < size:
        return content[::-1]
    middle = content[first + size : second]
    return (
        content[:first]
        + content[second : second + size]
        + middle
        + content[first : first + size]
        + content[second + size :]
    )


def overwrite(content: bytes, draw: random.Random) -> bytes:
    start = draw.randrange(len(content))
    junk = draw.choice([bytes(16), b"\xff" * 16, draw.randbytes(32)])
    return content[:start] + junk + content[start + len(junk) :]


def append(content: bytes, draw: random.Random) -> bytes:
    return content + draw.choice([b"\n", b"\x00" * 512, b"}", b"]", b"\xff\xfe", content])


def encode_otherwise(content: bytes, draw: random.Random) -> bytes:
    text = content.decode("utf-8", "replace")
    encoding = draw.choice(["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "utf-7", "cp037", "shift_jis"])
    return text.encode(encoding, "replace")


def junk_text(content: bytes, draw: random.Random) -> bytes:
    start = draw.randrange(len(content))
    return content[:start] + draw.choice(JUNK).encode("utf-8") + content[start:]


def nest(content: bytes, draw: random.Random) -> bytes:
    text = content.decode()
    start = draw.choice([0, text.find(":") + 1, len(text) // 2])
    return (text[:start] + draw.choice(NESTED) + text[start:]).encode()


def _walk(value: Any) -> list[tuple[Any, Any]]:
    """(holder, key) of every place in a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, item in items for place in [(value, key), *_walk(item)]]


def _in_json(content: bytes, draw: random.Random, change: Callable[[Any, random.Random], str | None]) -> bytes:
    """Change a JSON file, or one line of JSON lines; `change` may give the text itself."""
    lines = [content.decode()]
    try:
        json.loads(lines[0])
    except ValueError:
        lines = content.decode().splitlines()
    index = draw.randrange(len(lines))
    value = json.loads(lines[index])
    text = change(value, draw)
    lines[index] = json.dumps(value, ensure_ascii=False) if text is None else text
    return "\n".join(lines).encode()


def _place(value: Any, draw: random.Random) -> tuple[Any, Any]:
    # Names at the top are as likely as all below them, which in a tokenizer are ten thousand.
    places = [(value, key) for key in (value if isinstance(value, dict) else range(len(value)))]
    return draw.choice(draw.choice([places, _walk(value)]))


def delete_name(content: bytes, draw: random.Random) -> bytes:
    def change(value: Any, draw: random.Random) -> None:
        holder, key = _place(value, draw)
        del holder[key]

    return _in_json(content, draw, change)


def double_name(content: bytes, draw: random.Random) -> bytes:
    def change(value: Any, draw: random.Random) -> str:
        name = draw.choice(list(value))
        other = draw.choice([value[name], *ODD_VALUES])
        pair = f"{json.dumps(name)}: {json.dumps(other)}"
        text = json.dumps(value, ensure_ascii=False)
        return draw.choice([f"{{{pair}, {text[1:]}", f"{text[:-1]}, {pair}}}"])

    return _in_json(content, draw, change)


def rename(content: bytes, draw: random.Random) -> bytes:
    def change(value: Any, draw: random.Random) -> None:
        holders = [value, *(holder[key] for holder, key in _walk(value) if isinstance(holder[key], dict))]
        holder = draw.choice([one for one in holders if one])
        name = draw.choice(list(holder))
        holder[draw.choice([name + "x", name.upper(), name[:-1], "", "\u0000", "__class__"])] = holder.pop(name)

    return _in_json(content, draw, change)


def swap_values(content: bytes, draw: random.Random) -> bytes:
    def change(value: Any, draw: random.Random) -> None:
        (first, one), (second, two) = _place(value, draw), _place(value, draw)
        copies = json.loads(json.dumps([first[one], second[two]]))  # one may lie within the other
        first[one], second[two] = copies[1], copies[0]

    return _in_json(content, draw, change)


def odd_value(content: bytes, draw: random.Random) -> bytes:
    def change(value: Any, draw: random.Random) -> None:
        holder, key = _place(value, draw)
        now = holder[key]
        holder[key] = draw.choice([*ODD_VALUES, [now], {"value": now}, str(now), "x" * 100_000])

    return _in_json(content, draw, change)


def huge_number(content: bytes, draw: random.Random) -> bytes:
    def change(value: Any, draw: random.Random) -> str:
        places = [(holder, key) for holder, key in _walk(value) if isinstance(holder[key], int | float)]
        holder, key = draw.choice(places or _walk(value))
        holder[key] = "@here@"
        return json.dumps(value, ensure_ascii=False).replace('"@here@"', draw.choice(HUGE))

    return _in_json(content, draw, change)


def _safetensors(content: bytes) -> tuple[dict[str, Any], bytes]:
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def _assemble(header: bytes, data: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header + data


def flip_weight(content: bytes, draw: random.Random) -> bytes:
    header, data = _safetensors(content)
    changed = bytearray(data)
    changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return _assemble(json.dumps(header).encode(), bytes(changed))


def swap_tensors(content: bytes, draw: random.Random) -> bytes:
    header, data = _safetensors(content)
    names = [name for name in header if name != "__metadata__"]
    alike = [(a, b) for a in names for b in names if a < b and header[a]["shape"] == header[b]["shape"]]
    first, second = draw.choice(alike)
    header[first], header[second] = header[second], header[first]
    return _assemble(json.dumps(header).encode(), data)


def odd_header(content: bytes, draw: random.Random) -> bytes:
    header, data = _safetensors(content)
    mutator = draw.choice([delete_name, double_name, rename, swap_values, odd_value, huge_number])
    return _assemble(mutator(json.dumps(header).encode(), draw), data)


def header_length(content: bytes, draw: random.Random) -> bytes:
    length = draw.choice([0, 1, 2**63, 2**64 - 1, 10**9, len(content), 100_000_001, draw.randrange(len(content))])
    return struct.pack("<Q", length) + content[8:]


def claimed_size(content: bytes, draw: random.Random) -> bytes:
    header, data = _safetensors(content)
    entry = header[draw.choice([name for name in header if name != "__metadata__"])]
    entry["shape"] = draw.choice([[2**60], [2**31, 2**31], [2**63, 4], [0], [], [-1, 4], [10**12, 10**6]])
    if draw.random() < 0.5:
        entry["data_offsets"] = draw.choice([[0, 2**62], [0, 0], [8, 4], [-4, 8], [2**63, 2**64]])
    return _assemble(json.dumps(header).encode(), data)


LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 10)
)
MERGES = "m0: &m0 {x: 1}\n" + "".join(
    f"m{level}: &m{level}\n  <<: [{', '.join([f'*m{level - 1}'] * 9)}]\n" for level in range(1, 10)
)
YAML_VALUES = [
    *(
        "null",
        "true",
        "-1",
        "0",
        "1e999",
        ".nan",
        ".inf",
        "2020-13-45",
        "1:99",
        "0b",
        "0x",
        "9" * 5000,
        "10" * 9,
        "[]",
        "{}",
    ),
    *(
        "&a [*a]",
        "*nowhere",
        "!!int x",
        "!!float x",
        "!!binary x",
        "!!timestamp x",
        "!!set {a}",
        "!!omap [a: 1]",
        "!x y",
    ),
    *(
        "'",
        '"',
        "[[",
        "{a: {",
        "|",
        ">-",
        "@",
        "`",
        "%",
        "\t- x",
        "<<: 5",
        "? [a]",
        "x: y: z",
        "{? [a] : b}",
        "🙂",
        "\x07",
    ),
    "!!python/object/apply:os.system ['touch executed']",
    "!!python/object/new:subprocess.Popen [['touch', 'executed']]",
    "!!python/name:os.system",
]


def yaml_value(content: bytes, draw: random.Random) -> bytes:
    lines = content.decode().splitlines()
    index = draw.choice([number for number, line in enumerate(lines) if ":" in line])
    lines[index] = lines[index].partition(":")[0] + ": " + draw.choice(YAML_VALUES)
    return "\n".join(lines).encode()


def yaml_lines(content: bytes, draw: random.Random) -> bytes:
    lines = content.decode().splitlines()
    first, second = draw.randrange(len(lines)), draw.randrange(len(lines))
    way = draw.randrange(5)
    if way == 0:
        del lines[first]
    elif way == 1:
        lines.insert(second, lines[first])
    elif way == 2:
        lines[first], lines[second] = lines[second], lines[first]
    elif way == 3:
        lines[first] = draw.choice(["  ", "\t", " "]) + lines[first]
    else:
        lines[first] = lines[first].lstrip()
    return "\n".join(lines).encode()


def yaml_bomb(content: bytes, draw: random.Random) -> bytes:
    bomb = draw.choice(
        [LAUGHS, MERGES, "---\n", "%YAML 9.9\n---\n", "x: " + "[" * 3000, "- " * 3000, "{a: " * 3000 + "\n"]
    )
    text = content.decode()
    if bomb is LAUGHS and draw.random() < 0.5:
        text = text.replace("data:", "training_arguments: {report_to: *a9}\ndata:")
    return draw.choice([bomb + text, text + "\n" + bomb]).encode()


def csv_cell(content: bytes, draw: random.Random) -> bytes:
    lines = content.decode().splitlines()
    index = draw.choice([0, draw.randrange(len(lines))])
    cells = lines[index].split(",")
    place = draw.randrange(len(cells))
    junk = [
        *HUGE[:6],
        "",
        '"',
        '""',
        'a"b',
        '"a,b"',
        ",",
        "\t",
        ";",
        " ",
        "nan",
        "None",
        "[1",
        "x" * 100_000,
        cells[0],
        *JUNK,
    ]
    cells[place] = draw.choice([cells[place] + draw.choice(junk), draw.choice(junk)])
    if draw.random() < 0.2:
        del cells[place]
    lines[index] = ",".join(cells)
    return draw.choice(["\n", "\r\n", "\n\n", "\r"]).join(lines).encode()


def csv_column(content: bytes, draw: random.Random) -> bytes:
    lines = [line.split(",") for line in content.decode().splitlines()]
    column = draw.randrange(len(lines[0]))
    doubles = draw.random() < 0.5
    for cells in lines:
        if doubles:
            cells.append(cells[min(column, len(cells) - 1)])
        elif column < len(cells):
            del cells[column]
    return "\n".join(",".join(cells) for cells in lines).encode()


ANY_BYTES: tuple[Mutator, ...] = (flip_bits, truncate, delete_piece, double_piece, swap_pieces, overwrite, append)
ANY_TEXT: tuple[Mutator, ...] = (*ANY_BYTES, encode_otherwise, junk_text, nest)
JSON: tuple[Mutator, ...] = (delete_name, double_name, rename, swap_values, odd_value, huge_number)
JSON_FILE: tuple[Mutator, ...] = (*ANY_TEXT, *JSON, *JSON)
WEIGHTS: tuple[Mutator, ...] = (
    *(*ANY_BYTES, flip_bits, flip_weight, flip_weight),
    *(swap_tensors, odd_header, odd_header, header_length, claimed_size),
)
YAML: tuple[Mutator, ...] = (
    *ANY_TEXT,
    yaml_value,
    yaml_value,
    yaml_value,
    yaml_value,
    yaml_lines,
    yaml_lines,
    yaml_bomb,
)
CSV: tuple[Mutator, ...] = (*ANY_TEXT, csv_cell, csv_cell, csv_cell, csv_column)
