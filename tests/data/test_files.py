"""Reading files: every format gives the same rows, and every broken file says where it is broken."""

import gzip
import json

import pytest

from tinybert_hf.data.files import read_file
from tinybert_hf.data.raw_rows import check_texts
from tinybert_hf.errors import DataError

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
