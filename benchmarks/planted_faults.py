"""Plants faults of one line, one at a time, and runs the tests: the share that is caught, and which are not.

    python benchmarks/planted_faults.py [--jobs 2] [--only TEXT] [--quick] [--output FILE]

The list is benchmarks/faults.py. Each fault is planted in a copy of the project; the tests nearest to it run first,
the whole default suite only when they find nothing, and everything ends at the first test that fails, which then has
to pass without the fault. Results are kept in the output file, so a run that was stopped goes on; delete the file to
begin anew.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from faults import FAULTS, Fault

HERE = Path(__file__).parent.parent

SECONDS = 3600


def copy_of_project(folder: Path) -> Path:
    """All that the tests need."""
    project = folder / "project"
    shutil.copytree(
        HERE, project, ignore=shutil.ignore_patterns(".git", "__pycache__", "*.egg-info", ".*_cache", "shared", "out")
    )
    return project


def run_tests(project: Path, tests: list[str]) -> tuple[bool, str]:
    """Run pytest up to the first failure.

    Returns:
        Whether all passed, and the line of the first that did not.
    """
    environment = {**os.environ, "PYTHONPATH": str(project), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    if done.returncode not in (0, 1, 2):
        raise RuntimeError(f"pytest ended with {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.returncode == 0, lines[0] if lines else done.stdout[-160:]


def plant(fault: Fault, quick: bool) -> dict[str, Any]:
    """Whether the tests catch a fault, which of them, and after how many seconds."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        project = copy_of_project(Path(folder))
        file = project / "tinybert_hf" / fault.file
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace(fault.old, fault.new), encoding="utf-8")
        # test_planted_faults.py looks at the text and would find every fault.
        others = ["tests", "--ignore=tests/test_planted_faults.py"]
        passed, first = run_tests(project, fault.nearest.split())
        if passed and not quick:
            passed, first = run_tests(project, others)
        file.write_text(text, encoding="utf-8")
        test = first.partition(" ")[2].partition(" - ")[0]
        if not passed and not run_tests(project, [test])[0]:
            raise RuntimeError(f"{test} fails without a fault, too: no result counts until it passes.")
    return {"caught": not passed, "by": first if not passed else "", "seconds": round(time.perf_counter() - started)}


def main() -> int:
    """Plant, print, keep; 1 where less than 95 % are caught."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1, help="faults at a time")
    parser.add_argument("--only", default="", help="faults whose description holds this")
    parser.add_argument("--quick", action="store_true", help="the nearest tests only")
    parser.add_argument("--output", type=Path, default=HERE / "docs" / "results" / "planted_faults.json")
    options = parser.parse_args()
    # A shell starts what runs in the background with Ctrl-C ignored, and tests that press it would fail.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    results = json.loads(options.output.read_text(encoding="utf-8")) if options.output.exists() else {}
    faults = [fault for fault in FAULTS if options.only in fault.what]
    known = {fault.what for fault in FAULTS}
    results = {what: result for what, result in results.items() if what in known}

    def work(fault: Fault) -> None:
        if fault.what in results and not (options.only or (not options.quick and results[fault.what].get("quick"))):
            return
        result = plant(fault, options.quick)
        if options.quick and not result["caught"]:
            result["quick"] = True  # the rest of the suite has not been asked
        results[fault.what] = result
        print(f"{'caught' if result['caught'] else 'SURVIVED':9}{fault.what}: {result['by']}", flush=True)
        beside = options.output.with_suffix(".new")
        beside.write_text(json.dumps(dict(sorted(results.items())), indent=1) + "\n", encoding="utf-8")
        beside.replace(options.output)

    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(work, faults))
    tried = [fault.what for fault in faults if fault.what in results]
    survivors = [what for what in tried if not results[what]["caught"]]
    share = 1 - len(survivors) / len(tried) if tried else 0.0
    print(f"\n{len(tried) - len(survivors)} of {len(tried)} planted faults were caught ({share:.0%}).")
    print("".join(f"  survived: {what}\n" for what in survivors), end="")
    return 0 if share >= 0.95 else 1


if __name__ == "__main__":
    sys.exit(main())
