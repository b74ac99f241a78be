"""Leave in the notebooks what a reader sees; `make notebooks` runs this last.

A stream arrives in pieces, as fast as it was printed, and each cell notes when it ran: both would make a difference of
every run.
"""

import json
import sys
from pathlib import Path
from typing import Any


def tidy(content: dict[str, Any]) -> dict[str, Any]:
    """Join the pieces of streams, and drop the times."""
    for cell in content["cells"]:
        cell["metadata"].pop("execution", None)
        if cell["cell_type"] == "code":
            cell["outputs"] = joined(cell["outputs"])
    return content


def joined(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Neighbours of one stream become one output."""
    whole: list[dict[str, Any]] = []
    for output in outputs:
        before = whole[-1] if whole else {}
        if output["output_type"] == before.get("output_type") == "stream" and output["name"] == before["name"]:
            before["text"] = "".join([*before["text"], *output["text"]]).splitlines(keepends=True)
        else:
            whole.append(output)
    return whole


def main(files: list[str]) -> None:
    """Rewrite the files."""
    for file in map(Path, files):
        content = tidy(json.loads(file.read_text(encoding="utf-8")))
        file.write_text(json.dumps(content, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
