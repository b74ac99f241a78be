"""The figures of a run as files: for people's scripts, and for the Hub's leaderboards."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from tinybert_hf.cards.run_card import RUN_FILE, hub_dataset
from tinybert_hf.opening.json_files import read_object


def metrics_of(folder: str | Path) -> str | None:
    """The figures of a run as JSON, for metrics.json; None where there was no run here."""
    file = Path(folder) / RUN_FILE
    if not file.is_file():
        return None
    run = read_object(file)
    kept = {name: run[name] for name in ("main_metric", "metrics", "costs", "device", "versions") if name in run}
    return json.dumps(kept, indent=1) + "\n"


def eval_results_of(folder: str | Path) -> str | None:
    """The student's main metric as the Hub wants it in `.eval_results/*.yaml`.

    Args:
        folder: of a run.

    Returns:
        YAML; None where there was no run here, it knows no task, or its rows are not those of a dataset on the Hub.
    """
    import yaml
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    file = Path(folder) / RUN_FILE
    run: dict[str, Any] = read_object(file) if file.is_file() else {}
    name = hub_dataset(run) if run else None
    if name is None or "/" not in name or run["recipe"].get("task") == "general":
        return None
    data = run["recipe"]["data"]
    main = run["main_metric"]
    if not math.isfinite(run["metrics"]["student"][main]):
        return None
    entry = EvalResultEntry(
        dataset_id=name,
        task_id=data["dataset_config"] or "default",
        value=round(run["metrics"]["student"][main], 4),
        notes=f"{main.replace('_', ' ')} on the split {data['validation_split']}, seed {run['recipe']['seed']}",
    )
    return str(yaml.safe_dump(eval_result_entries_to_yaml([entry]), sort_keys=False))
