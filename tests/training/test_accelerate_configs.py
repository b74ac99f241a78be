"""The files of docs/accelerate start several processes, and two processes of torchrun run a whole recipe."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from accelerate.commands import launch
from accelerate.commands.config.config_args import load_config_from_file
from tiny_run import recipe_mapping

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "docs" / "accelerate").glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_accelerate_reads_it(file: Path) -> None:
    config = load_config_from_file(str(file))
    written = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert config.num_processes == written["num_processes"] > 1
    assert config.num_machines == written["num_machines"]
    assert written["distributed_type"] in str(config.distributed_type)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_accelerate_starts_so_many_processes(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With MULTI_CPU it reads the file, and starts one process."""
    started: list[int] = []
    monkeypatch.setattr(launch, "multi_gpu_launcher", lambda args: started.append(args.num_processes))
    monkeypatch.setattr(launch, "simple_launcher", lambda args: started.append(1))
    launch.launch_command(launch.launch_command_parser().parse_args(["--config_file", str(file), "script.py"]))
    assert started == [yaml.safe_load(file.read_text(encoding="utf-8"))["num_processes"]]


# Run by Python before anything else: what the second process opens to write, a line each.
_WATCH = """
import os, sys

def note(event, given):
    if event == "open" and isinstance(given[1], str) and set(given[1]) & set("wxa+"):
        with_descriptor = os.open(os.environ["WRITES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(with_descriptor, f"{given[0]}\\n".encode())
        os.close(with_descriptor)

if os.environ.get("RANK") == "1":
    sys.addaudithook(note)
"""


@pytest.mark.slow
def test_two_processes_run_a_recipe_and_one_of_them_speaks(tmp_path: Path, teacher: str) -> None:
    # Every stage that writes: of two processes that both write, one finds its file renamed by the other.
    sections = {"augmentation": {"copies": 1}, "prune_vocabulary": {"corpus": ["train"]}}
    mapping = recipe_mapping(tmp_path, teacher, output_dir=str(tmp_path / "out"), **sections)
    mapping["teacher"]["finetune"] = {"epochs": 1}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(mapping), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", str(port)]
    (tmp_path / "watch").mkdir()
    (tmp_path / "watch" / "sitecustomize.py").write_text(_WATCH, encoding="utf-8")
    path = os.pathsep.join((str(tmp_path / "watch"), str(ROOT)))
    writes = tmp_path / "writes.txt"
    done = subprocess.run(
        [*command, "-m", "tinybert_hf", "distill", str(tmp_path / "tiny.yaml")],
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": path, "WRITES": str(writes)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (done.stdout + done.stderr).count("Making the student") == 1
    report = json.loads((tmp_path / "out" / "run.json").read_text())
    # 48 rows and their copies, 16 of them in a step of each process: more steps would be those of one process.
    rows = report["augmentation"]["rows"] + report["augmentation"]["augmented_rows"]
    assert [phase["steps"] for phase in report["phases"]] == [-(-rows // 32)] * 2
    assert (tmp_path / "out" / "model.safetensors").is_file()
    assert not (tmp_path / "out" / ".run").exists()
    # What the second one writes is its own; of two that write the same file, one finds it renamed by the other.
    foreign = [line for line in writes.read_text().splitlines() if line.startswith(str(tmp_path / "out"))]
    assert foreign, "the second process was not watched"
    assert [line for line in foreign if "_1." not in Path(line).name] == []
