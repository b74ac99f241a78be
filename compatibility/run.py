"""Tries students in other tools, each in an environment of its own, and writes the table of docs/runs-in.md.

    python compatibility/run.py WORK [--texts FILE] [--only TOOL ...]

WORK keeps environments and students; what is there is not made again (remove WORK/students to make them anew). What
the scripts said is kept in rows/, one file each, and the table is made of all of them: a script that runs again
replaces its own rows alone. A script in tools/ says in its head what it needs: `# pip: NAME==VERSION ...` or
`// npm: NAME@VERSION ...`, a line for each environment that it runs in; what stands behind `--no-deps` is installed
without what it asks for. It gets the folder of the students as its argument and prints a line of JSON for each kind of
student (see row.py).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from row import KINDS

HERE = Path(__file__).parent
PAGE, ROWS = HERE.parent / "docs" / "runs-in.md", HERE / "rows"
BEGIN, END = "<!-- table: written by compatibility/run.py -->", "<!-- end of the table -->"


def needs(script: Path) -> list[list[str]]:
    """The packages that a script names in its head; it runs once with those of each line."""
    found = re.findall(r"^(?:#|//) (?:pip|npm): (.+)$", script.read_text(encoding="utf-8"), re.MULTILINE)
    assert found, f"{script} names no packages"
    return [line.split() for line in found]


def environment(folder: Path, packages: list[str]) -> Path:
    """An interpreter that has these packages."""
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        venv.create(folder, with_pip=True)
        place = packages.index("--no-deps") if "--no-deps" in packages else len(packages)
        for some in (packages[:place], packages[place:]):
            if some:
                subprocess.run([python, "-m", "pip", "install", "-qq", *some], check=True)
        (folder / "ready").touch()
    return python


def rows_of(script: Path, work: Path, packages: list[str]) -> list[dict[str, str]]:
    """What a tool's script prints."""
    name = re.sub(r"[^a-z0-9.]+", "-", f"{script.stem}-{packages[-1]}".lower())
    if script.suffix == ".mjs":
        folder = work / "environments" / name
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "node_modules").exists():
            # Without it onnxruntime-node fetches libraries for GPUs; those for the CPU are in the package.
            settings = {**os.environ, "ONNXRUNTIME_NODE_INSTALL": "skip", "ONNXRUNTIME_NODE_INSTALL_CUDA": "skip"}
            command = ["npm", "install", "--silent", "--prefix", folder, *packages]
            subprocess.run(command, env=settings, check=True)
        for file in (script, HERE / "row.mjs"):  # node looks for packages beside what imports them
            shutil.copy(file, folder)
        command = ["node", folder / script.name, work / "students"]
    else:
        command = [environment(work / "environments" / name, packages), script, work / "students"]
    settings = {**os.environ, "PYTHONPATH": str(HERE), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=settings, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        print(f"{script.name} ended with {done.returncode}", file=sys.stderr)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"tool"')]


def table(rows: list[dict[str, str]]) -> str:
    """A line a tool, a column a kind."""
    lines = ["| tool | " + " | ".join(KINDS) + " |", "| --- |" + " --- |" * len(KINDS)]
    for tool in sorted({row["tool"] for row in rows}, key=str.casefold):
        by_kind = {row["kind"]: row for row in rows if row["tool"] == tool}
        lines.append(f"| {tool} | " + " | ".join(cell(by_kind.get(kind)) for kind in KINDS) + " |")
    return "\n".join(lines)


def cell(row: dict[str, str] | None) -> str:
    """A result in a few words."""
    if row is None:
        return "-"
    if "refused" in row:
        return "no"
    return "; ".join(row[name].replace(" labels", "").replace(" translations", "")
                     for name in ("difference", "equal") if name in row)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--texts", type=Path, help="a text a line, 200 of them")
    parser.add_argument("--only", nargs="+", default=(), help="names of scripts in tools/")
    given = parser.parse_args()
    work = given.work.absolute()
    if not (work / "students").exists():
        texts = ["--texts", given.texts.absolute()] if given.texts else []
        subprocess.run([sys.executable, HERE / "students.py", work / "students", *texts], check=True)
    scripts = [one for one in (HERE / "tools").iterdir() if one.suffix in (".py", ".mjs")]
    scripts.sort(key=lambda one: (one.suffix == ".mjs", one.name))  # node's open what optimum_onnx.py has made
    unknown = sorted(set(given.only) - {script.stem for script in scripts})
    if unknown:
        parser.error(f"no script of this name in tools/: {', '.join(unknown)}")
    ended = 0
    for script in scripts:
        if given.only and script.stem not in given.only:
            continue
        rows = [row for packages in needs(script) for row in rows_of(script, work, packages)]
        for row in rows:
            print(f"{row['tool']:<40} {row['kind']:<12} " + (row.get("refused") or cell(row)), flush=True)
        if not rows:
            print(f"{script.name} said nothing; its rows stay as they were", file=sys.stderr)
            ended = 1
            continue
        (ROWS / f"{script.stem}.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    for file in ROWS.glob("*.json"):
        if file.stem not in {script.stem for script in scripts}:
            file.unlink()
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(with_table(text, kept_rows()), encoding="utf-8")
    print(f"The table is in {PAGE}")
    sys.exit(ended)


def kept_rows() -> list[dict[str, str]]:
    """What all scripts said when they last ran."""
    return [row for file in sorted(ROWS.glob("*.json")) for row in json.loads(file.read_text(encoding="utf-8"))]


def with_table(page: str, rows: list[dict[str, str]]) -> str:
    """The page with the table of these rows."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{table(rows)}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    main()
