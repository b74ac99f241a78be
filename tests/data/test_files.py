"""Reading files: every format gives the same rows, and every broken file says where it is broken."""

import csv
import gzip
import json
import tracemalloc
import warnings
from collections import deque
from itertools import count
from pathlib import Path
from random import Random

import pytest

from tinybert_hf.data import raw_rows, tables
from tinybert_hf.data.corpus_sources import file_lines, hub_lines
from tinybert_hf.data.files import (
    file_columns,
    read_file,
    read_whole_file,
    rows_from_dataset,
    stream_file,
    stream_lines,
)
from tinybert_hf.data.raw_rows import _without_doubles, check_texts, read_json_lines
from tinybert_hf.data.settings import CorpusSettings
from tinybert_hf.errors import DataError, FileFormatWarning

ROWS = [
    {"text": 'a "fine" film, truly', "label": "good"},
    {"text": "dull", "label": "bad"},
    {"text": "größer, 好", "label": "good"},
]
COLUMNS = ("text", "label")


def _csv(rows, delimiter):
    quoted = [delimiter.join('"' + str(value).replace('"', '""') + '"' for value in row.values()) for row in rows]
    return "\n".join([delimiter.join(rows[0]), *quoted]) + "\n"


def _write(path, data):
    data = data.encode() if isinstance(data, str) else data
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return str(path)


@pytest.fixture
def write(tmp_path):
    return lambda name, data: _write(tmp_path / name, data)


CONTENTS = {
    ".jsonl": "\n".join(json.dumps(row) for row in ROWS),
    ".json": json.dumps(ROWS, indent=1),
    ".csv": _csv(ROWS, ","),
    ".tsv": _csv(ROWS, "\t"),
}


@pytest.mark.parametrize("compressed", ["", ".gz"])
@pytest.mark.parametrize("suffix", [*CONTENTS, ".parquet"])
def test_formats_agree(tmp_path, suffix, compressed):
    if suffix == ".parquet":
        from datasets import Dataset

        Dataset.from_list(ROWS).to_parquet(tmp_path / "plain.parquet")
        data = (tmp_path / "plain.parquet").read_bytes()
    else:
        data = CONTENTS[suffix]
    rows = read_file(_write(tmp_path / f"rows{suffix}{compressed}", data), COLUMNS)
    assert rows.columns == {name: [row[name] for row in ROWS] for name in COLUMNS}
    assert read_file(str(tmp_path / f"rows{suffix}{compressed}"), COLUMNS, max_rows=2).columns["text"] == [
        row["text"] for row in ROWS[:2]
    ]
    assert {path.name for path in tmp_path.iterdir()} <= {"plain.parquet", f"rows{suffix}{compressed}"}


def test_json_lines_under_the_json_suffix_and_a_byte_order_mark(write):
    path = write("rows.json", b"\xef\xbb\xbf" + CONTENTS[".jsonl"].encode() + b"\n\n")
    assert len(read_file(path, COLUMNS)) == 3


def test_one_object_over_many_lines_is_one_row(write):
    path = write("rows.json", json.dumps({"text": "a", "label": [1, 2]}, indent=2))
    assert read_file(path, COLUMNS).columns == {"text": ["a"], "label": [[1, 2]]}
    with pytest.raises(DataError, match="line 1: not valid JSON"):
        read_file(write("cut.json", '{\n"text": "a",\n'), COLUMNS)
    with pytest.raises(DataError, match="line 2: byte 0xe9 is not UTF-8"):
        read_file(write("latin.json", b'{\n"text": "\xe9"}'), COLUMNS)


def test_unquoted_tsv_with_single_quotation_marks(write):
    path = write("rows.tsv", 'text\tlabel\n"he said\t1\nso what"\t0\n"quoted ""once"""\t1\n')
    assert read_file(path, COLUMNS).columns["text"] == ['"he said', 'so what"', 'quoted "once"']


def test_quoted_line_break_in_csv_and_tsv(write):
    for name, delimiter in (("rows.csv", ","), ("rows.tsv", "\t")):
        path = write(name, f'text{delimiter}label\n"two\nlines"{delimiter}1\n')
        rows = read_file(path, COLUMNS)
        assert rows.columns["text"] == ["two\nlines"]
        assert rows.lines == [2]


def test_field_beyond_the_limit_of_csv(write):
    text = "word " * 40_000
    assert read_file(write("rows.csv", f"text,label\n{text},1\n"), COLUMNS).columns["text"] == [text]


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("rows.jsonl", "", ["is empty"]),
        ("rows.jsonl", "\n\n", ["no rows"]),
        ("rows.json", "[]", ["no rows"]),
        ("rows.csv", "text,label\n", ["no rows"]),
        ("rows.txt", "text", ["'.txt'", ".jsonl", ".parquet", ".gz"]),
        ("rows", "text", ["no suffix", ".jsonl"]),
        (
            "rows.jsonl",
            '{"text": "a", "label": 1}\n{"text": "b" "label": 1}\n',
            ["line 2", "not valid JSON", "object"],
        ),
        ("rows.jsonl", '{"text": "a", "label": 1}\n\n[1, 2]\n', ["line 3", "[1, 2]"]),
        ("rows.json", "[1, 2]", ["row 1", "object"]),
        ("rows.json", '[{"text": "a"},\n {]', ["not valid JSON", "line 2"]),
        ("rows.jsonl", '{"Text": "a", "label": 1}\n', ["no column 'text'", "Text, label", "Did you mean 'Text'"]),
        ("rows.jsonl", '{"text": "a", "label": 1}\n{"text": "b"}\n', ["line 2", "'label'", "only text"]),
        ("rows.csv", "sentence,label\na,1\n", ["no column 'text'", "sentence, label"]),
        ("rows.csv", "text,label\na,1\nb,c,2\n", ["line 3", "3 columns", "2 (text, label)"]),
        ("rows.csv", 'text,label\na,1\n"b,2\n', ["line 3", "quotation mark"]),
        ("rows.tsv", "text\tlabel\na\t1\nb\n", ["line 3", "1 column,"]),
        ("rows.jsonl", b'{"text": "a", "label": 1}\n{"text": "\xe9", "label": 1}\n', ["line 2", "0xe9", "UTF-8"]),
        ("rows.csv", "text,label\nä,1\n".encode("utf-16"), ["line 1", "UTF-8"]),
        ("rows.parquet", "no parquet", ["rows.parquet"]),
        ("rows.parquet", b"PAR1" + b"\x00" * 40 + b"PAR1", ["rows.parquet"]),
    ],
)
def test_broken_files_say_where(write, name, data, words):
    path = write(name, data)
    with pytest.raises(DataError) as caught:
        read_file(path, COLUMNS)
    for word in [path, *words]:
        assert word in str(caught.value)


def test_broken_gzip(tmp_path):
    whole = gzip.compress(CONTENTS[".jsonl"].encode())
    for name, data in (("cut.jsonl.gz", whole[: len(whole) // 2]), ("plain.jsonl.gz", b'{"text": "a"}')):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DataError, match="not a whole gzip file"):
            read_file(str(tmp_path / name), COLUMNS)


def test_missing_file_folder_and_missing_folder(write, tmp_path):
    write("train.jsonl", CONTENTS[".jsonl"])
    with pytest.raises(DataError, match=r"does not exist.*Did you mean .*train\.jsonl"):
        read_file(str(tmp_path / "trian.jsonl"), COLUMNS)
    with pytest.raises(DataError, match=r"is a folder.*train\.jsonl"):
        read_file(str(tmp_path), COLUMNS)
    with pytest.raises(DataError, match=r"Its folder .*nowhere does not exist"):
        read_file(str(tmp_path / "nowhere" / "train.jsonl"), COLUMNS)


def test_parquet_names_its_missing_column(tmp_path):
    from datasets import Dataset

    Dataset.from_list([{"sentence": "a", "label": 1}]).to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(DataError, match=r"no column 'text'. Columns there: sentence, label"):
        read_file(str(tmp_path / "rows.parquet"), COLUMNS)


@pytest.mark.parametrize(
    ("value", "problem"),
    [("null", "missing"), ("3", "must be a string"), ('["a"]', "must be a string"), ('"\\ud800"', "surrogate")],
)
def test_bad_texts_name_their_row(write, value, problem):
    lines = ['{"text": "a", "label": 1}', "", f'{{"text": {value}, "label": 1}}']
    rows = read_file(write("rows.jsonl", "\n".join(lines)), COLUMNS)
    with pytest.raises(DataError, match=rf"rows\.jsonl, row 2 \(line 3\), column 'text': .*{problem}"):
        check_texts(rows, "text")


def test_empty_csv_cell_is_a_missing_text(write):
    with pytest.raises(DataError, match=r"row 2 \(line 3\).*missing"):
        check_texts(read_file(write("rows.csv", "text,label\na,1\n,0\n"), COLUMNS), "text")


# What is no table as its name says


@pytest.mark.parametrize(
    ("name", "separator", "word"),
    [("a.csv", ";", "semicolons"), ("a.csv", "\t", "tabs"), ("a.csv", "|", "vertical bars"), ("a.tsv", ",", "commas")],
)
def test_another_separator_is_seen_in_the_header_and_said(write, name, separator, word):
    text = f"text{separator}label\nfine: well,; done{separator}1\nbad{separator}0\n".replace(
        ",;", "" if separator in ",;" else ",;"
    )
    with pytest.warns(FileFormatWarning, match=f"separated by {word}"):
        rows = read_file(write(name, text), COLUMNS)
    assert rows.columns["label"] == ["1", "0"]
    assert rows.columns["text"][1] == "bad"


def test_the_usual_separator_stays_where_it_makes_the_columns(write):
    rows = read_file(write("a.csv", "text,a|b;c,label\nfine,x;y|z,1\n"), COLUMNS)
    assert rows.columns == {"text": ["fine"], "label": ["1"]}
    assert read_file(write("b.csv", "a;b\nc;d\n"), ["a;b"]).columns == {"a;b": ["c;d"]}  # one column of that name
    with pytest.warns(FileFormatWarning), pytest.raises(DataError, match="Columns there: sentence, label"):
        read_file(write("c.csv", "sentence;label\nfine;1\n"), COLUMNS)


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_the_line_by_which_a_spreadsheet_names_its_separator(write, ending):
    rows = read_file(write("a.csv", ending.join(["sep=;", "text;label", "a, b;1", ""])), COLUMNS)
    assert (rows.columns, rows.lines) == ({"text": ["a, b"], "label": ["1"]}, [3])


def test_empty_columns_of_a_spreadsheet_are_left_out(write):
    rows = read_file(write("a.csv", "text,label,,\na,1,,\nb,0\n,,,\nc,1,,,,\n"), COLUMNS)
    assert (rows.columns, rows.lines) == ({"text": ["a", "b", "c"], "label": ["1", "0", "1"]}, [2, 3, 5])
    assert list(read_whole_file(write("b.tsv", "text\t\tlabel\t\na\t\t1\t\n")).columns) == ["text", "label"]
    # Row numbers, as pandas writes them, stand in a first column without a name.
    numbered = read_whole_file(write("c.csv", ",text,label\n0,a,1\n1,b,0\n"))
    assert numbered.columns == {"": ["0", "1"], "text": ["a", "b"], "label": ["1", "0"]}


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        # More cells than the header has are an unquoted separator, unless they are empty.
        ("a.csv", "text,label,,\na,1,,\nwell, done,1,\n", ["line 3", "4 columns", "2 (text, label)"]),
        ("a.csv", "text,,label\na,,1\nb,c,0\n", ["line 3", "'c' stands in column 2", "no name"]),
        # No header: what to write, and where.
        (
            "a.tsv",
            "ab1\t1\t\tShe sleeps.\nab1\t0\t*\tSleeps she.\n",
            ["no header", "'She sleeps.'", "4 columns", "tabs"],
        ),
        ("a.csv", '"3","Bears claw back","x"\n"4","y","z"\n', ["no header", "'3'", "3 columns", "commas"]),
        ("a.tsv", "0\t0\tThe film of the year was fine.\n1\t1\ty\n", ["no header"]),
        # Ragged rows of an unquoted file do not melt into one.
        ("a.tsv", 'text\tlabel\n"He left\t0\nWhat\textra\t1\nshe said "\t1\n', ["line 3", "3 columns"]),
        ("a.tsv", 'text\tlabel\nhe said "no\t0\n"He left\textra\t0\nshe said "\t1\n', ["line 3", "3 columns"]),
        ("a.tsv", 'text\tlabel\nfine\t0\n"He left\textra\t0\nshe said "\t1\n', ["line 3", "ends in line 4"]),
        ("a.tsv", 'text\tlabel\n"He left\t0\n"a\tb"\t1\n', ["line 3", "3 columns"]),
        ("a.tsv", 'text\tlabel\n"two\nlines"\t1\n"He left\t0\n', ["line 4", "line 2 is right only if"]),
        ("a.tsv", 'text\tlabel\n"never closed\textra\t1\nfine\t0\n', ["line 2", "3 columns"]),
        # Nor do those of a CSV file with a mark too many.
        ("a.csv", 'text,label\n"He left,0\nWhat,1\nshe said ",1\nfine,0\n', ["line 2", "'text'", "ends in line 4"]),
        ("a.csv", 'text,label\n"He left,neg\nWhat,pos\nshe said ",pos\nfine,neg\n', ["line 2", "ends in line 4"]),
        ("a.csv", 'label,text\n0,"He left\n1,What\n1,she said "\n0,fine\n', ["line 2", "ends in line 4"]),
        (
            "a.csv",
            'id,text,label\n1,"He left,0\n2,What, so,1\n3,she said ",1\n4,fine,0\n',
            ["line 2", "ends in line 4"],
        ),
        ("a.csv", 'text,label\nhe said "no, never",1\n', ["line 2", "3 columns"]),
        ("a.csv", 'text,label\n"He" said,1\n', ["line 2", "quotation mark"]),
        ("a.csv", "text,label\nfi\rne,1\n", ["line 2", r"carriage return (\r)"]),
        ("a.tsv", "text\tlabel\rfine\t1\r", ["line 1", r"carriage return (\r)"]),
        # Files that were joined end to end, the second with the mark of UTF-8 or its columns in another order.
        ("a.csv", "text,label\nfine,1\ntext,label\nbad,0\n", ["line 3", "the header once more (text, label)"]),
        ("a.csv", "text,label,\nfine,1,\n\ufefftext, label,\nbad,0,\n", ["line 3", "once more"]),
        ("a.tsv", 'text\tlabel\nfine\t1\n"text"\t"label"\nbad\t0\n', ["line 3", "once more"]),
        ("a.tsv", "text\tlabel\nfine\t1\nlabel\ttext\n0\tbad\n", ["line 3", "another order"]),
        # A title or a comment where the header should be.
        ("a.csv", "# exported\ntext,label\nfine,1\n", ["line 1: no header", "# exported", "stand in line 2"]),
        ("a.csv", "My data,\n,\ntext,label\nfine,1\n", ["line 1: no header", "My data", "stand in line 3"]),
        ("a.csv", "My data\ntext;label\nfine;1\n", ["line 1: no header", "stand in line 2"]),
        ("a.csv", "# exported\nfine,1\n", ["line 2: 2 columns", "If line 1 is no header"]),
        # Encodings of spreadsheets.
        ("a.csv", "text,label\nfine,1\n".encode("utf-16"), ["UTF-16", "iconv"]),
        ("a.tsv", "text\tlabel\nfine\t1\n".encode("utf-16-le"), ["line 1", "zero byte", "UTF-16"]),
        ("a.jsonl", '{"text": "a"}'.encode("utf-16"), ["UTF-16", "iconv"]),
        # A list that is read piece by piece.
        ("a.json", '[{"text": "a"},\n {"text": "b"', ["line 2 column 14", "not valid JSON"]),
        ("a.json", '[{"text": "a"}]\n x', ["line 2 column 2", "Extra data"]),
        ("a.json", '[{"text": "a"},\n {"text": "a", "text": "b"}]', ["line 2", "'text' stands there twice"]),
        ("a.json", b'[{"text": "a"},\n\n {"text": "\xe9"}]', ["line 3", "0xe9", "UTF-8"]),
    ],
)
def test_tables_that_would_mean_something_else(write, name, data, words):
    path = write(name, data)
    with pytest.raises(DataError) as caught:
        read_file(path, COLUMNS)
    for word in [path, *words]:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("name", "data", "texts"),
    [
        (
            "a.csv",
            'text,label\n"Dear John,\nI left.\nBye, Mary",1\nfine,0\n',
            ["Dear John,\nI left.\nBye, Mary", "fine"],
        ),
        ("a.csv", 'text,label\n"Hello, friend\nI left",1\nfine,0\n', ["Hello, friend\nI left", "fine"]),
        ("a.csv", 'text,label\n"two\n\nparagraphs",1\n', ["two\n\nparagraphs"]),
        ("a.csv", 'text,label\nhe said "yes",1\n', ['he said "yes"']),
        ("a.tsv", 'text\tlabel\n"a\tb"\t0\n"x ""y"""\t1\n', ["a\tb", 'x "y"']),
        ("a.tsv", 'text\tlabel\r\n"two\r\nlines"\t1\r\nfine\t0\r\n', ["two\r\nlines", "fine"]),
        ("a.tsv", 'text\tlabel\n5" pipe\t0\n"six" or so\t1\n', ['5" pipe', '"six" or so']),
        ("a.csv", b'\xef\xbb\xbf"text","label"\nfine,1\n', ["fine"]),
    ],
)
def test_tables_that_are_right(write, name, data, texts):
    assert read_file(write(name, data), COLUMNS).columns["text"] == texts


def test_marks_that_may_have_no_partner_are_said_where_no_column_tells(write):
    path = write("a.csv", 'en,de\n"He left,Er ging\nfine,gut\nshe said ",sagte sie\nwell,nun\n')
    with pytest.warns(FileFormatWarning, match="line 2: a quoted text ends in line 4"):
        assert len(read_file(path, ["en", "de"])) == 2


def test_csv_of_any_cells_comes_back(write, tmp_path):
    """What Python's own writer quotes is read as it was, whatever the cells hold."""
    random = Random(0)
    for case in range(60):
        separator = random.choice(",\t")
        cells = ["".join(random.choices('ab "\n,\t;|\r', k=random.randint(1, 8))) + "." for _ in range(24)]
        with (tmp_path / "a.csv").open("w", newline="") as file:
            writer = csv.writer(file, delimiter=separator, quoting=csv.QUOTE_ALL, lineterminator="\n")
            writer.writerow(["text", "label"])
            writer.writerows([cell, index % 3] for index, cell in enumerate(cells))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FileFormatWarning)
            assert read_file(str(tmp_path / "a.csv"), COLUMNS).columns["text"] == cells, case


# JSON: the way of all lines together is that of each line


def _lines_one_by_one(data: bytes) -> list[tuple[int, dict]] | str:
    rows = []
    try:
        for number, line in enumerate(data.decode("utf-8").split("\n"), start=1):
            if line.strip():
                row = json.loads(line, object_pairs_hook=_without_doubles)
                if not isinstance(row, dict):
                    return f"line {number}:"
                rows.append((number, row))
    except (ValueError, RecursionError):
        return f"line {number}:"
    return rows


def _shown(rows: list[tuple[int, dict]]) -> list[str]:
    """Values with their types; where a column stands in a row says nothing."""
    return [f"{line} {sorted(row.items())!r}" for line, row in rows]


@pytest.mark.parametrize("least", [0, 1 << 18])
def test_many_lines_at_once_are_each_line_alone(write, monkeypatch, least):
    monkeypatch.setattr(raw_rows, "_LEAST_FOR_ARROW", least)
    good = [
        '{"text": "a fine film", "label": 1}', '{"text": "a: b", "label": 1}', '{"text": "{", "label": "\\u00e9"}',
        '{"label": {"a": [1, {"b": null}]}, "text": ""}', '{"text" : "\\"", "label": NaN}', '{"t": "ü", "a": -0.5e3}',
        '  {"text": "a", "label": 1} ', "", "{}", '{"text": "\\ud800", "label": true}', '{"text": "a", "label": 1}\r',
    ]  # fmt: skip
    bad = [
        '{"text": "a"}, {"text": "b"}', '{"text": "a"}, 5', '{"text": [1', '{"b": 2}]}', '{"text": 1, "text": 2}',
        '{"text": 1, "text" :2}', '{"c":{"a":1,"a":2}}', "[1]", "{", "}", "5", '{"text": "\t"}', '{"a": 01}', "{}{}",
        '{"a":1}x', '{"a":1,}', '"a"', "[" * 100_000, f'{{"a": {"1" * 5000}}}',
    ]  # fmt: skip
    random = Random(0)
    for case in range(250):
        lines = random.choices(good[:2] if case % 2 else good, k=random.randint(1, 150))
        for _ in range(random.choice((0, 0, 1, 2, 3))):
            lines.insert(random.randint(0, len(lines)), random.choice(bad))
        data = "\n".join([*lines, ""]).encode()
        if not data.strip():
            continue
        expected = _lines_one_by_one(data)
        with Path(write("a.jsonl", data)).open("rb") as handle:
            if isinstance(expected, str):
                with pytest.raises(DataError, match=f"a.jsonl, {expected}"):
                    list(read_json_lines(handle, "a.jsonl"))
                continue
            blocks = list(read_json_lines(handle, "a.jsonl"))
        found = [pair for block in blocks for pair in zip(block.lines, block.rows, strict=True)]
        assert _shown(found) == _shown(expected), case


_NOT_AS_ARROW_HAS_IT = [
    '{"text": "a", "label": 1.0}', '{"text": "a", "label": 1e2}', '{"text": "a", "label": 1}, 5',
    '{"text": "a", "label": null}', '{"text": "a"}', '{"text": "a", "label": true}', '{"text": "a", "label": "1"}',
    '{"text": 1, "label": 1}', '{"text": "a", "label": 1, "more": 2}', '{"text": "a", "label": 12345678901234567890}',
    '{"text": "a", "label": 1, "label": 1}', '{"text": "\\ud800", "label": 1}', '{"text": "\t", "label": 1}',
    '{"text": "a", "label": NaN}', '{"text": "a", "label": 01}', '{"text": "a", "label": [1]}', '{"text": "a",',
    '{"text": "a", "label": 1}{"text": "a", "label": 1}', '{"text": "a", "label": 1} x', "{'text': 'a'}", "",
    '{"text": "a", "label": 1,}', '{"text": "a", /* b */ "label": 1}', '{"text": "a" "label": 1}', "{}", "[]",
]  # fmt: skip


@pytest.mark.parametrize("line", _NOT_AS_ARROW_HAS_IT)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_arrow_is_not_asked_for_what_it_would_change(write, monkeypatch, line, place):
    """The same rows, with the same types, or the same refusal as line by line."""
    monkeypatch.setattr(raw_rows, "_LEAST_FOR_ARROW", 0)
    lines = ['{"text": "2020-01-01", "label": 1}', '{"label": -0, "text": "\\u0000\\ud83d\\ude00 ü"}']
    lines.insert(place, line)
    data = "\n".join(lines).encode()
    expected = _lines_one_by_one(data)
    with Path(write("a.jsonl", data)).open("rb") as handle:
        if isinstance(expected, str):
            with pytest.raises(DataError, match=f"a.jsonl, {expected}"):
                list(read_json_lines(handle, "a.jsonl"))
            return
        found = [
            pair for block in read_json_lines(handle, "a.jsonl") for pair in zip(block.lines, block.rows, strict=True)
        ]
    assert _shown(found) == _shown(expected)


def test_arrow_reads_what_it_changes_nothing_of(write, monkeypatch):
    lines = [
        '{"text": "2020-01-01", "label": 1, "is": true}',
        '{"label":-0,"is":false,"text":"\\u0000\\ud83d\\ude00 ü"}\r',
    ] * 40
    data = "\n".join([*lines, ""]).encode()
    monkeypatch.setattr(raw_rows, "_LEAST_FOR_ARROW", 0)
    monkeypatch.setattr(raw_rows, "_ARROW_PART", 1000)
    monkeypatch.setattr(raw_rows, "_read_objects", None)
    with Path(write("a.jsonl", data)).open("rb") as handle:
        (block,) = read_json_lines(handle, "a.jsonl")
    rows = [json.loads(line) for line in lines]
    assert list(block.rows) == rows
    assert [block.rows[-1], *block.rows[1:3]] == [rows[-1], *rows[1:3]]
    assert [list(map(type, row.values())) for row in block.rows] == [[str, int, bool]] * 80
    assert (block.lines, len(block.rows)) == (range(1, 81), 80)


def test_bytes_that_are_no_utf8_are_named_with_their_line_in_a_large_block(write, monkeypatch):
    monkeypatch.setattr(raw_rows, "_LEAST_FOR_ARROW", 0)
    good = b'{"text": "a fine film", "label": 1}\n'
    with pytest.raises(DataError, match="line 2001: byte 0xff is not UTF-8"):
        read_file(write("a.jsonl", good * 2000 + good.replace(b"fine", b"\xff") + good * 2000), COLUMNS)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        # Together they are as many objects as lines, and none of them is one alone.
        (['{"a":[1', '2]},{"b":1}'], ["line 1", "not valid JSON"]),
        (['{"c":1}, 5', '{"a":[1', '{"b":2}]}'], ["line 1", "not valid JSON"]),
        (['{"a":1},{"b":2}', '{"c":[{}', "{}]}"], ["line 1", "not valid JSON"]),
        (['{"text":1,"label":2}', '{"text":1,"text":2}'], ["line 2", "'text' stands there twice"]),
        (['{"text":":","label":2}', '{"text":":","text":2}'], ["line 2", "'text' stands there twice"]),
        (['{"text":{"a":1,"a":2}}'], ["line 1", "'a' stands there twice"]),
    ],
)
def test_lines_that_are_right_only_together(write, rows, words):
    with pytest.raises(DataError) as caught:
        read_file(write("a.jsonl", "\n".join([*rows, ""])), COLUMNS)  # with a last line feed: one block
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize("piece", [1, 7, 64, 1 << 18])
def test_a_list_is_read_in_pieces_of_any_size(write, monkeypatch, piece):
    rows = [{"text": 'a "ü" \\ [{,' + "x" * index, "label": [index, {"a": None}]} for index in range(40)]
    monkeypatch.setattr(raw_rows, "_JSON_PIECE", piece)
    for indent in (None, 2):
        text = " \n" + json.dumps(rows, indent=indent, ensure_ascii=False) + "\n "
        assert read_file(write("a.json", text), COLUMNS).columns["label"] == [row["label"] for row in rows]
        with pytest.raises(DataError, match="not valid JSON"):
            read_file(write("b.json", text.rstrip()[:-1]), COLUMNS)
    with pytest.raises(DataError, match=r"line 3 column 12: not valid JSON"):
        read_file(write("c.json", '[{"text": "a"},\n\n  {"text": x}]'), COLUMNS)


@pytest.mark.parametrize("piece", [1, 5, 1 << 18])
def test_lines_in_pieces_of_any_size(write, monkeypatch, piece):
    monkeypatch.setattr(raw_rows, "_LINES_PIECE", piece)
    path = write("a.txt", "eins\r\nzwei ü\n\ndrei".encode())
    assert list(stream_lines(path)) == [(1, "eins\r"), (2, "zwei ü"), (3, ""), (4, "drei")]
    with pytest.raises(DataError, match="line 3: byte 0xff"):
        list(stream_lines(write("b.txt", b"eins\nzwei\n\xff\n")))


# What would fill the memory


def _peak_of(work) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


BOMBS = {
    ".jsonl": b'{"text": "a", "label": 0}\n{"text": "b", "label": 1}\n',
    ".json": b'{"text": "a", "label": 0},\n',
    ".csv": b"a,0\n",
    ".tsv": b"a\t0\n",
}


@pytest.mark.parametrize("suffix", BOMBS)
def test_what_unpacks_without_end_is_refused_before_a_row_is_made(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(raw_rows, "UNPACKED_ANYWAY", 1 << 20)
    start = {".json": b"[", ".csv": b"text,label\n", ".tsv": b"text\tlabel\n"}.get(suffix, b"")
    path = tmp_path / f"rows{suffix}.gz"
    path.write_bytes(gzip.compress(start + BOMBS[suffix] * (20_000_000 // len(BOMBS[suffix]))))

    def read() -> None:
        with pytest.raises(DataError, match="unpacks to more than 100 times"):
            read_file(str(path), COLUMNS)

    assert _peak_of(read) < 2 << 20


def test_a_gzip_file_that_understates_what_it_holds_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(raw_rows, "UNPACKED_ANYWAY", 1 << 20)
    path = tmp_path / "a.txt.gz"
    parts = [gzip.compress(b"a fine film\n" * 100_000)] * 50
    path.write_bytes(b"".join([*parts, gzip.compress(b"end")]))  # the last part says how much there is
    read = count()
    with pytest.raises(DataError, match="unpacks to more than 100 times"):
        deque(zip(read, stream_lines(str(path)), strict=False), maxlen=0)
    assert 50_000 < next(read) < 2_000_000


def test_a_gzip_file_of_text_is_no_bomb(tmp_path, monkeypatch):
    monkeypatch.setattr(raw_rows, "UNPACKED_ANYWAY", 1 << 16)
    random = Random(0)
    text = "\n".join(json.dumps({"text": " ".join(random.choices("abcdefgh", k=9)), "label": 1}) for _ in range(4000))
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(text.encode()))
    assert len(read_file(str(path), COLUMNS)) == 4000


def _parquet(path, columns, **options):
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table(columns), path, compression="zstd", **options)
    return str(path)


@pytest.mark.parametrize("pages", [{}, {"dictionary_pagesize_limit": 300}], ids=["groups", "given up in a group"])
@pytest.mark.parametrize("rows_at_once", [7, 100, 300, 16_384])
def test_lists_of_texts_in_several_row_groups(tmp_path, monkeypatch, pages, rows_at_once):
    """Each row group has a dictionary of its own, and pyarrow does not join two of them within a list."""
    monkeypatch.setattr("tinybert_hf.data.tables._PARQUET_ROWS_AT_ONCE", rows_at_once)
    words = [[f"word{number * place % 211}" for place in range(number % 6)] for number in range(1000)]
    columns = {"tokens": words, "ner_tags": [["O"] * len(one) for one in words], "text": [str(one) for one in words]}
    path = _parquet(tmp_path / "a.parquet", columns, row_group_size=300, **pages)
    assert read_whole_file(path).columns == columns
    assert [row["tokens"] for _, row in stream_file(path, ["tokens"])] == words


@pytest.mark.parametrize("kind", ["rows", "texts", "cell", "dictionary", "lists"])
@pytest.mark.parametrize("packed", ["", ".gz"])
def test_parquet_that_holds_one_value_over_and_over_is_refused(tmp_path, monkeypatch, kind, packed):
    import pyarrow

    monkeypatch.setattr(raw_rows, "UNPACKED_ANYWAY", 1 << 20)
    columns = {
        "rows": {"text": ["a"] * 60_000, "label": [1] * 60_000},
        "texts": {"text": ["the same text " * 400] * 2000, "label": [1] * 2000},
        "cell": {"text": ["a" * (3 << 20)], "label": [1]},
        "dictionary": {
            "text": pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * 2000), ["a" * (1 << 18)]),
            "label": [1] * 2000,
        },
        "lists": {"text": [["a"] * 1000] * 50, "label": [[0] * 1000] * 50},
    }[kind]
    path = _parquet(tmp_path / "rows.parquet", columns)
    if packed:
        (tmp_path / "rows.parquet.gz").write_bytes(gzip.compress(Path(path).read_bytes()))
        path += packed

    def read() -> None:
        with pytest.raises(DataError, match="fill more than 100 times the size of the file"):
            read_file(path, COLUMNS)

    assert _peak_of(read) < 8 << 20


def test_parquet_of_rows_is_read_in_parts_and_only_its_columns(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "_PARQUET_ROWS_AT_ONCE", 128)
    monkeypatch.setattr(tables, "_BATCH_BYTES", 1 << 12)
    random = Random(0)
    texts = [" ".join(random.choices("abcdefgh", k=40)) if index % 7 else None for index in range(2000)]
    others = ["unread " * 10_000] * 2000  # would be refused, were it read
    path = _parquet(tmp_path / "a.parquet", {"text": texts, "others": others, "label": list(range(2000))})
    rows = read_file(path, COLUMNS)
    assert rows.columns == {"text": texts, "label": list(range(2000))}
    assert rows.place(1999) == f"{path}, row 2000"
    assert [line for line, _ in stream_file(path, COLUMNS)] == list(range(1, 2001))
    assert read_file(path, COLUMNS, max_rows=150).columns["text"] == texts[:150]
    with pytest.raises(DataError, match="fill more than"):
        read_file(path, ["others"])
    monkeypatch.setattr(tables, "MAX_LINE_BYTES", 50)
    with pytest.raises(DataError, match="rows 1 to 100: a value of more than"):
        read_file(path, COLUMNS)


def test_parquet_with_a_column_of_a_type_that_datasets_does_not_know(tmp_path):
    import pyarrow
    from pyarrow.parquet import write_table

    maps = pyarrow.array([[("a", 1)], [("b", 2)]], pyarrow.map_(pyarrow.string(), pyarrow.int64()))
    path = str(tmp_path / "a.parquet")
    write_table(pyarrow.table({"text": ["x", "y"], "label": [0, 1], "more": maps}), path)
    assert read_file(path, COLUMNS).columns == {"text": ["x", "y"], "label": [0, 1]}
    assert file_columns(path) == ["text", "label", "more"]
    with pytest.raises(DataError, match=r"a\.parquet: a column of it cannot be read: .*map<.*Leave it out"):
        read_whole_file(path)


def test_parquet_with_two_columns_of_one_name(tmp_path):
    import pyarrow
    from pyarrow.parquet import write_table

    values, path = [pyarrow.array([value]) for value in ("x", 1, 2)], str(tmp_path / "a.parquet")
    write_table(pyarrow.Table.from_arrays(values, names=["text", "id", "id"]), path)
    assert read_file(path, ["text"]).columns == {"text": ["x"]}
    for read in (lambda: read_file(path, ["text", "id"]), lambda: read_file(path, []), lambda: read_whole_file(path)):
        with pytest.raises(DataError, match=r"a\.parquet: two columns are called 'id'\. Rename or remove one"):
            read()


def test_a_later_row_without_a_column_is_named(write):
    path = write("rows.jsonl", '{"text": "a", "id": 1}\n\n{"text": "b"}\n')
    with pytest.raises(DataError, match=r"rows\.jsonl, row 3 has no column 'id'\. Columns there: text"):
        list(stream_file(path, ["text", "id"]))


def test_a_column_that_datasets_has_read_as_json_is_refused(tmp_path, write):
    from datasets import Dataset, load_dataset

    source = write("a.jsonl", '{"text": "fine", "label": 1}\n{"text": "12", "label": 0}\n{"text": 5, "label": 0}\n')
    loaded = load_dataset("json", data_files=source, split="train", cache_dir=str(tmp_path / "cache"))
    if type(loaded.features["text"]).__name__ != "Json":
        pytest.skip("this version of datasets refuses mixed columns itself")
    loaded.to_parquet(tmp_path / "a.parquet")
    path = str(tmp_path / "a.parquet")
    for read in (
        lambda: rows_from_dataset(loaded, "a.parquet", COLUMNS, None),
        lambda: read_file(path, COLUMNS),
        lambda: list(stream_file(path, COLUMNS)),
        lambda: list(file_lines(path, CorpusSettings(files=(path,)))),
        lambda: list(hub_lines(loaded, "a.parquet", CorpusSettings(dataset="a.parquet"))),
    ):
        with pytest.raises(DataError, match=r"a\.parquet, row 2, column 'text': 12, of type int.* mixed"):
            read()
    # The file itself says which row is no text.
    with pytest.raises(DataError, match=r"a\.jsonl, row 3, column 'text': the text is 5, of type int"):
        check_texts(read_file(source, COLUMNS), "text")
    objects = Dataset.from_dict({"text": ["a"], "label": [[{"b": 1}, {"c": "x"}]]}, on_mixed_types="use_json")
    assert rows_from_dataset(objects, "x", COLUMNS, None).columns["label"] == [[{"b": 1}, {"c": "x"}]]


def test_a_text_that_is_the_name_of_its_only_column_is_a_text(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text\nfine\ntext\n")
    assert read_file(str(path), ["text"]).columns["text"] == ["fine", "text"]
