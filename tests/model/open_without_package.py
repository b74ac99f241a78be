"""Run by test_remote_code.py in a process that cannot import the package: open folders, save them again, report.

Usage: python open_without_package.py JOB.json, which holds `folders` (name -> folder with a checkpoint, its tokenizer
and a batch, inputs.pt), `opened` (name -> Auto classes to open it with) and `again` (the folder for the saves, and for
outputs.pt and report.json).
"""

import importlib.abc
import json
import sys
from pathlib import Path
from typing import Any


class _NoPackage(importlib.abc.MetaPathFinder):
    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> None:
        if fullname.partition(".")[0] == "tinybert_hf":
            raise ModuleNotFoundError(f"No module named {fullname!r}")


sys.meta_path.insert(0, _NoPackage())

import torch  # noqa: E402
import transformers  # noqa: E402

torch.set_num_threads(1)
WRITTEN = 8  # tokens that a translator writes, its start token included


def _open(auto_class: str, folder: Path, again: Path) -> tuple[str, dict[str, torch.Tensor]]:
    """Open a folder with one Auto class and save it again; give the name of the class and what it computes."""
    model = getattr(transformers, auto_class).from_pretrained(folder, trust_remote_code=True).eval()
    inputs = torch.load(folder / "inputs.pt")
    if auto_class == "AutoModelForMultipleChoice" and inputs["input_ids"].dim() == 2:
        inputs = {key: value.unsqueeze(1) for key, value in inputs.items()}
    source = {key: value for key, value in inputs.items() if key != "labels"}
    with torch.no_grad():
        outputs = model(**(inputs if auto_class == "AutoModelForSeq2SeqLM" else source))
    if auto_class == "AutoModelForSeq2SeqLM":
        outputs["written"] = model.generate(**source, max_length=WRITTEN, no_repeat_ngram_size=1)
    model.save_pretrained(again)
    torch.save(inputs, again / "inputs.pt")
    root, *_, file = type(model).__module__.split(".")
    assert root == "transformers_modules"
    return f"{file}.{type(model).__name__}", dict(outputs.items())


def _package() -> str:
    try:
        import tinybert_hf
    except ModuleNotFoundError:
        return "cannot be imported"
    return str(tinybert_hf.__file__)


def main() -> None:
    """Do the job and write the report."""
    job = json.loads(Path(sys.argv[1]).read_text())
    again, outputs, classes, tokenizers = Path(job["again"]), {}, {}, {}
    report: dict[str, Any] = {"package": _package(), "ids": {}}
    for name, folder in ((name, Path(folder)) for name, folder in job["folders"].items()):
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
        tokenizers[name] = type(tokenizer).__name__
        report["ids"][name] = [tokenizer("a good film").input_ids, tokenizer(text_target="a good film").input_ids]
        config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=True)
        config.save_pretrained(again / name / "AutoConfig")
        for auto_class in job["opened"][name]:
            key, saved = f"{name}/{auto_class}", again / name / auto_class
            classes[key], outputs[key] = _open(auto_class, folder, saved)
            tokenizer.save_pretrained(saved)
    classifier = job["folders"]["SequenceClassification"]
    report["pipeline"] = transformers.pipeline("text-classification", classifier, trust_remote_code=True)("a film")
    torch.save(outputs, again / "outputs.pt")
    (again / "report.json").write_text(json.dumps({**report, "classes": classes, "tokenizers": tokenizers}))


if __name__ == "__main__":
    main()
