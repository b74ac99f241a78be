"""A translation run that is stopped, between two stages or inside one, ends like one that was not."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from tiny_run import write_rows
from tiny_translation_run import run
from tiny_translator import sentence
from transformers import AutoModelForSeq2SeqLM, TrainerCallback

from tinybert_hf.data import pseudo_labels
from tinybert_hf.recipes import augmentation, translation
from tinybert_hf.recipes import run as stages


def settings(folder: Path) -> dict[str, Any]:
    more = write_rows(folder / "more.jsonl", [{"en": sentence(3, 800 + index)} for index in range(6)])
    return {"pseudo_labels": {"num_beams": 1, "unlabelled_file": more}}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, translator: str) -> Path:
    """A run that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole")
    run(folder, translator, **settings(folder))
    return folder / "out"


def stop(*args: Any, **kwargs: Any) -> Any:
    raise KeyboardInterrupt


def stop_after(calls: int, real: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, which stops the run after some calls."""
    left = [calls]

    def stopping(*args: Any, **kwargs: Any) -> Any:
        if left[0] == 0:
            raise KeyboardInterrupt
        left[0] -= 1
        return real(*args, **kwargs)

    return stopping


class StopAtStep(TrainerCallback):
    """Stops in the middle of a phase, after a checkpoint."""

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == 4:
            raise KeyboardInterrupt


def inside_a_phase(real: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **kwargs: real(*args, **kwargs, callbacks=[StopAtStep()])


STOPS = {
    "teacher measured": (translation, "evaluate_translation", lambda real: stop),
    "between the pseudo-labels": (augmentation, "write_pseudo_labels", lambda real: stop_after(1, real)),
    "inside a phase": (stages, "run_phases", inside_a_phase),
    "baseline": (stages, "finetune", lambda real: stop),
    "costs": (translation, "measure_translation_costs", lambda real: stop),
}


@pytest.mark.parametrize(
    ("module", "name", "change"),
    [
        pytest.param(*stop, id=what, marks=() if what == "inside a phase" else pytest.mark.slow)
        for what, stop in STOPS.items()
    ],
)
def test_a_stopped_run_goes_on_and_ends_the_same(
    work: Path,
    whole: Path,
    translator: str,
    monkeypatch: pytest.MonkeyPatch,
    module: ModuleType,
    name: str,
    change: Callable[..., Any],
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(module, name, change(getattr(module, name)))
        with pytest.raises(KeyboardInterrupt):
            run(work, translator, **settings(work))
    assert not (work / "out" / "run.json").exists()
    translated: list[int] = []
    translate = pseudo_labels.translate_texts

    def counting(model: Any, tokenizer: Any, texts: Any, **kwargs: Any) -> Any:
        translated.append(len(texts))
        return translate(model, tokenizer, texts, **kwargs)

    monkeypatch.setattr(pseudo_labels, "translate_texts", counting)
    report, printed = run(work, translator, **settings(work))
    # What the teacher has translated before the stop is not translated again.
    done_before = {"evaluate_translation": [40, 6], "write_pseudo_labels": [6]}
    assert translated == done_before.get(name, [])
    assert "Going on with the run" in printed
    assert report.metrics == json.loads((whole / "run.json").read_text())["metrics"]
    ours, theirs = (AutoModelForSeq2SeqLM.from_pretrained(one).state_dict() for one in (work / "out", whole))
    for key, values in theirs.items():
        torch.testing.assert_close(ours[key], values, rtol=0, atol=0)
    assert (work / "out" / "worst_sentences.md").read_text() == (whole / "worst_sentences.md").read_text()


def test_other_unlabelled_text_is_another_run(work: Path, translator: str, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = settings(work)
    with monkeypatch.context() as patch:
        patch.setattr(translation, "evaluate_translation", stop)
        with pytest.raises(KeyboardInterrupt):
            run(work, translator, **changes)
    write_rows(work / "more.jsonl", [{"en": "the dog runs"}])
    with pytest.raises(ValueError, match=r"another run:\n  content of .*more\.jsonl"):
        run(work, translator, **changes)
