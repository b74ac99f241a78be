"""How soon, and in how little memory, small files that unpack to much are refused.

    python benchmarks/packed_files.py [--only TEXT]

Each file is made in a temporary folder (500 MB or 20 million rows in some kilobytes) and read in a process of its
own: seconds, and the most memory over what the process had when the libraries were loaded. Writes
docs/results/packed_files.md. Not measured: the seconds in which libraries are loaded.
"""

from __future__ import annotations

import argparse
import gzip
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SIZE = 500_000_000
ROWS = {
    "rows.jsonl": b'{"text": "a fine film", "label": 1}\n',
    "rows.json": b'{"text": "a fine film", "label": 1}, ',
    "rows.csv": b"a fine film,1\n",
    "rows.tsv": b"a fine film\t1\n",
    "lines.txt": b"a fine film\n",
    "one line.jsonl": b"a",
    "vectors.vec": b"film" + b" 0.25" * 50 + b"\n",
}
STARTS = {"rows.json": b"[", "rows.csv": b"text,label\n", "rows.tsv": b"text\tlabel\n"}
CHILD = """
import resource, sys, time
import datasets, pyarrow.json, pyarrow.parquet, torch
from tinybert_hf.data.augmentation_candidates import GloveVectors
from tinybert_hf.data.files import read_file, stream_lines
from tinybert_hf.errors import DataError
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
path, before, start = sys.argv[1], peak(), time.perf_counter()
try:
    if ".vec" in path:
        GloveVectors(path)
    elif ".txt" in path:
        for _ in stream_lines(path):
            pass
    else:
        read_file(path, ("text", "label"))
    end = "read"
except DataError as error:
    end = "refused"
print(f"{end} {time.perf_counter() - start:.2f} {peak() - before:.0f}")
"""


def write_gzip(path: Path, start: bytes, row: bytes) -> None:
    """Half a gigabyte of one row."""
    block = row * (1_000_000 // len(row))
    with gzip.open(path, "wb") as file:
        file.write(start)
        for _ in range(SIZE // len(block)):
            file.write(block)


def write_understating(path: Path) -> None:
    """Many parts, of which the last, whose size a gzip file ends with, is small."""
    part = gzip.compress(b"a fine film\n" * 1_000_000)
    path.write_bytes(part * (SIZE // 12_000_000) + gzip.compress(b"end\n"))


def parquet_writers() -> dict[str, Callable[[Path], None]]:
    """Files of one value over and over."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def write(columns: dict[str, object]) -> Callable[[Path], None]:
        return lambda path: pq.write_table(pa.table(columns), path, compression="zstd")

    million = pa.array([0], pa.int32()).take(pa.array([0] * 1_000_000))
    numbers = pa.chunked_array([million] * 20)
    texts = pa.chunked_array([pa.DictionaryArray.from_arrays(million, ["a fine film"])] * 20)
    return {
        "20 million rows.parquet": write({"text": texts, "label": numbers}),
        "a cell of 300 MB.parquet": write({"text": ["a" * 300_000_000], "label": [1]}),
        "a cell in 100,000 rows.parquet": write(
            {"text": pa.DictionaryArray.from_arrays(million[:100_000], ["a" * 100_000]), "label": million[:100_000]}
        ),
        "long lists.parquet": write({"text": [["a"] * 10_000] * 1000, "label": [1] * 1000}),
    }


def main() -> int:
    """Make, read, print; 1 where a file was not refused within 5 s and 200 MB."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="files whose name holds this")
    only = parser.parse_args().only
    makers: dict[str, Callable[[Path], None]] = {
        f"{name}.gz": (lambda path, name=name, row=row: write_gzip(path, STARTS.get(name, b""), row))
        for name, row in ROWS.items()
    }
    makers["understated.txt.gz"] = write_understating
    makers.update(parquet_writers())
    table = ["| file | KB | seconds | MB over the start |", "| --- | ---: | ---: | ---: |"]
    missed = False
    for name, make in makers.items():
        if only not in name:
            continue
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            make(path)
            done = subprocess.run(
                [sys.executable, "-c", CHILD, str(path)],
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                capture_output=True,
                text=True,
                check=True,
            )
            end, seconds, megabytes = done.stdout.split()
            missed = missed or end != "refused" or float(seconds) > 5 or float(megabytes) > 200
            mark = "" if end == "refused" else f" ({end})"
            table.append(f"| {name}{mark} | {path.stat().st_size / 1e3:,.0f} | {seconds} | {megabytes} |")
            print(table[-1], flush=True)
    if not only:
        head = [
            "# Small files that unpack to much",
            "",
            "Written by `python benchmarks/packed_files.py`: each file is read in a process of its own, on "
            f"{os.cpu_count()} cores ({platform.machine()}), shared with other work.",
            "",
        ]
        (ROOT / "docs" / "results" / "packed_files.md").write_text("\n".join([*head, *table, ""]), encoding="utf-8")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
