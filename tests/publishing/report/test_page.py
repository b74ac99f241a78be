"""The page of a finished run: complete, alone, escaped, and written also where something is missing."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny_run import make_teacher, rows, write_rows
from typer.testing import CliRunner

from tinybert_hf.checkpoints.run_record import FinishedRun
from tinybert_hf.cli import app
from tinybert_hf.errors import TinyBertError
from tinybert_hf.publishing import write_report
from tinybert_hf.publishing.report import comparison_picture, metrics_table, tiles
from tinybert_hf.recipes.loader import build
from tinybert_hf.recipes.schema import Recipe

JOINT = [{"name": "joint", "epochs": 1, "batch_size": 24}]
SECTIONS = ["The result", "How the training went", "How near the layers are to the teacher’s"]
SECTIONS += ["Where student and teacher differ most", "How it was made"]


class Reader(HTMLParser):
    """The tags and attributes of a page, and whether every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "br", "line", "rect", "circle", "polyline"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        if self.open and tag == self.open[-1]:
            self.open.pop()


def page(folder: Path, **options: Any) -> str:
    return write_report(folder, **options).read_text(encoding="utf-8")


def headings(text: str) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", text)


def missing(text: str) -> list[str]:
    return [unescape(one) for one in re.findall(r'<p class="missing">(.*?)</p>', text, flags=re.DOTALL)]


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(finished, tmp_path / "out"))


def learnt(finished: Path, tmp_path: Path) -> str:
    """The page of a run whose models know more than the counts of the labels."""
    folder = tmp_path / "learnt"
    shutil.copytree(finished, folder)
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    (folder / "run.json").write_text(json.dumps({**run, "trivial": []}), encoding="utf-8")
    return page(folder)


def test_everything_is_there(finished: Path, tmp_path: Path) -> None:
    text = page(finished, output=tmp_path / "page.html")
    assert headings(text) == SECTIONS
    metrics = json.loads((finished / "run.json").read_text(encoding="utf-8"))["metrics"]
    alone = metrics["baseline"]["accuracy"] / metrics["teacher"]["accuracy"]
    assert f"(the same student alone: {alone:.1%})" in learnt(finished, tmp_path)
    assert missing(text) == []
    metrics = json.loads((finished / "run.json").read_text())["metrics"]
    for who in ("teacher", "student", "baseline"):
        assert f"{metrics[who]['accuracy']:.1%}" in text
    for words in ("attention", "hidden states", "embeddings", "accuracy on the validation rows", "training step"):
        assert words in text
    assert text.count("<svg") == 1 + 2 + 2  # figures, phases, before and after
    assert "All 13 validation rows were looked at." in text
    assert not list(finished.glob("*.html"))


def test_the_metric_begins_where_the_phase_began(finished: Path, tmp_path: Path) -> None:
    """The first phase at the student's start, the second where the first ended."""
    page = write_report(finished, tmp_path / "page.html").read_text()
    content = json.loads((finished / "run.json").read_text())
    values = [content["start"]["accuracy"], *(phase["metrics"]["accuracy"] for phase in content["phases"])]
    pictures = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    for picture, began, ended, epochs in zip(
        [one for one in pictures if "training step" in one], values, values[1:], (2, 1), strict=False
    ):
        shown = re.findall(r'class="value"[^>]*>(\d+\.\d%)<', picture)
        assert len(shown) == epochs + 1
        assert shown[0] == f"{100 * began:.1f}%"
        assert shown[-1] == f"{100 * ended:.1f}%"


def test_it_needs_nothing_else(finished: Path, tmp_path: Path) -> None:
    text = page(finished, output=tmp_path / "page.html")
    reader = Reader(text)
    assert reader.open == []
    assert not {"script", "link", "img", "iframe", "object", "embed", "a"} & set(reader.tags)
    assert not [name for name, _ in reader.attributes if name.startswith("on") or name in ("src", "href")]
    assert "url(" not in text
    assert "@import" not in text


def test_texts_are_escaped(finished: Path, tmp_path: Path) -> None:
    text = page(finished, output=tmp_path / "page.html")
    assert "<script" not in text
    assert "<b " not in text
    assert "&lt;script&gt;alert(" in text
    run = json.loads((finished / "run.json").read_text())
    changed = Path(shutil.copytree(finished, tmp_path / "evil"))
    run["warnings"], run["recipe"]["name"], run["versions"]["<i>"] = ["<script>1</script>"], "<script>", "<script>"
    (changed / "run.json").write_text(json.dumps(run))
    assert "<script" not in page(changed)


def test_the_recipe_on_the_page_makes_the_same_run(finished: Path, tmp_path: Path) -> None:
    text = page(finished, output=tmp_path / "page.html")
    shown = unescape(re.findall(r"<pre[^>]*><code>(.*?)</code>", text, flags=re.DOTALL)[-1])
    recipe = json.loads((finished / "run.json").read_text())["recipe"]
    again = build(Recipe, {**yaml.safe_load(shown), "output_dir": recipe["output_dir"]})
    assert json.loads(json.dumps(again.as_dict())) == recipe


def test_an_older_run_says_what_it_did_not_keep(run: Path) -> None:
    (run / "layer_distances.json").unlink()
    (run / "phases" / "1-prediction" / "log.json").unlink()
    text = page(run)
    assert headings(text) == SECTIONS
    assert [words.split(":")[0] for words in missing(text)] == [
        "This phase kept no log",
        "This run kept no layer distances",
    ]
    assert text.count("<svg") == 2


def test_layers_that_could_not_be_compared_say_why(run: Path) -> None:
    (run / "layer_distances.json").write_text(json.dumps({"before": {"missing": "no <layers>"}, "after": {}}))
    assert "no <layers>" in missing(page(run))[0]


def changed(run: Path, **paths: str) -> None:
    content = json.loads((run / "run.json").read_text())
    for path, value in paths.items():
        part, name = path.split("__")
        content["recipe"][part][name] = value
    (run / "run.json").write_text(json.dumps(content))


def test_what_has_moved_can_be_given(run: Path, teacher: str, tmp_path: Path) -> None:
    expected = page(run)
    rows_file = json.loads((run / "run.json").read_text())["recipe"]["data"]["validation_file"]
    changed(run, teacher__model=str(tmp_path / "gone"), data__validation_file=str(tmp_path / "gone.jsonl"))
    (said,) = missing(page(run))
    assert "gone.jsonl" in said
    assert "--validation-file" in said
    (said,) = missing(page(run, validation_file=rows_file))
    assert "--teacher" in said
    found = page(run, validation_file=rows_file, teachers=(teacher,))
    worst = re.compile(r'<ol class="rows">.*?</ol>', flags=re.DOTALL)
    assert worst.findall(found) == worst.findall(expected)


def test_what_is_given_and_wrong_is_an_error(run: Path, teacher: str, tmp_path: Path) -> None:
    with pytest.raises(TinyBertError, match=r"nothing\.jsonl"):
        page(run, validation_file=str(tmp_path / "nothing.jsonl"))
    with pytest.raises(TinyBertError, match="nothing"):
        page(run, teachers=(str(tmp_path / "nothing"),))
    with pytest.raises(TinyBertError, match="given 2 times, and the run had 1 teachers"):
        page(run, teachers=(teacher, teacher))
    with pytest.raises(TinyBertError, match="is no folder"):
        page(run, output=tmp_path / "no" / "page.html")
    assert not list(tmp_path.rglob("*.html"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "holds no run: there is no run.json"),
        ({"metrics": {}}, "lacks main_metric, costs, phases, recipe, versions"),
        ("{", "not valid JSON"),
    ],
)
def test_a_folder_that_is_no_run(tmp_path: Path, content: Any, message: str) -> None:
    if content is not None:
        (tmp_path / "run.json").write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(TinyBertError, match=message):
        write_report(tmp_path)


def test_other_places_that_are_no_run(tmp_path: Path) -> None:
    with pytest.raises(TinyBertError, match="does not exist"):
        write_report(tmp_path / "nowhere")
    (tmp_path / ".run").mkdir()
    with pytest.raises(TinyBertError, match="not finished"):
        write_report(tmp_path)


@pytest.mark.parametrize("name", ["costs", "phases", "metrics"])
def test_a_damaged_run_is_said_as_such(run: Path, name: str) -> None:
    content = json.loads((run / "run.json").read_text())
    content[name] = 3
    (run / "run.json").write_text(json.dumps(content))
    with pytest.raises(TinyBertError, match="of another version, or damaged"):
        write_report(run)


def test_the_command(run: Path) -> None:
    result = CliRunner().invoke(app, ["report", str(run), "--cpu"])
    assert result.output == f"The report is in {run / 'report.html'}.\n"
    assert headings((run / "report.html").read_text(encoding="utf-8")) == SECTIONS
    result = CliRunner().invoke(app, ["report", str(run / "phases")])
    assert result.exit_code == 2
    assert "holds no run" in result.output


def test_a_regression(tmp_path: Path, finish_run: Callable[..., Path]) -> None:
    numbers = [{**row, "label": 0.5 + index % 4} for index, row in enumerate(rows())]
    model = make_teacher(tmp_path / "teacher", labels=("score",), problem_type="regression")
    data = {
        "train_file": write_rows(tmp_path / "numbers.jsonl", numbers),
        "validation_file": write_rows(tmp_path / "dev.jsonl", numbers[:10]),
        "max_length": 16,
    }
    text = page(finish_run(tmp_path, model, data=data, phases=JOINT))
    assert headings(text) == SECTIONS
    assert missing(text) == []
    assert "student nearer to the label" in text


def test_several_labels(tmp_path: Path, finish_run: Callable[..., Path]) -> None:
    lists = [
        {**row, "label": [name for name, on in (("x", index % 2), ("y", index % 3)) if on]}
        for index, row in enumerate(rows())
    ]
    model = make_teacher(tmp_path / "teacher", labels=("x", "y"), problem_type="multi_label_classification")
    data = {
        "train_file": write_rows(tmp_path / "lists.jsonl", lists),
        "validation_file": write_rows(tmp_path / "dev.jsonl", lists[:10]),
        "max_length": 16,
    }
    text = page(finish_run(tmp_path, model, data=data, phases=JOINT))
    assert headings(text) == SECTIONS
    assert missing(text) == []
    assert "teacher all right, student not" in text


def test_several_teachers_are_named(tmp_path: Path, teacher: str, finish_run: Callable[..., Path]) -> None:
    second = make_teacher(tmp_path / "second", num_hidden_layers=3)
    text = page(finish_run(tmp_path, teacher, extra_teachers=[{"model": second, "weight": 3.0}], phases=JOINT))
    assert "second (75%)" in text
    assert "weighted mean" in text
    assert missing(text) == []


@pytest.mark.parametrize(
    ("task", "teacher", "student", "head", "shown"),
    [
        ("text-classification", {"latency_ms": 20.0}, {"latency_ms": 5.0}, "latency", "5.00 ms"),
        (
            "translation",
            {"sentences_per_second": {"1": {"median": 5.0}}},
            {"sentences_per_second": {"1": {"median": 20.0}}},
            "sentences per second",
            "20.0",
        ),
    ],
)
def test_four_times_as_fast(
    task: str, teacher: dict[str, Any], student: dict[str, Any], head: str, shown: str
) -> None:
    """A time that is shorter, or a rate that is higher."""
    size = {"megabytes": 4.0, "parameters": 1000}
    content = {
        "recipe": {"task": task},
        "main_metric": "bleu",
        "metrics": {"teacher": {"bleu": 20.0}, "student": {"bleu": 18.0}},
        "costs": {"teacher": {**size, **teacher}, "student": {**size, **student}},
    }
    run = FinishedRun(Path("run"), content, [], None, {})
    assert tiles(run)[-1] == ("4.0 ×", "as fast as the teacher, one text at a time (CPU)")
    heads, rows = metrics_table(run)
    assert (heads[-1], rows[1][-1]) == (head, shown)
    assert head.removeprefix("latency") in comparison_picture(run)


@pytest.mark.slow  # a translator learns its words first
def test_a_translator(tmp_path: Path, translator: str) -> None:
    from tiny_translation_run import run as run_translation

    run_translation(tmp_path, translator, baseline=None)
    folder = tmp_path / "out"
    text = page(folder)
    assert headings(text) == SECTIONS
    assert missing(text) == []
    assert text.count("<svg") == 1 + 1 + 4
    assert "the run wrote into worst_sentences.jsonl" in text
    before = re.findall(r'<p class="text">(.*?)</p>', text)
    (folder / "worst_sentences.jsonl").unlink()
    again = page(folder)
    assert "All 12 validation rows were looked at." in again
    assert re.findall(r'<p class="text">(.*?)</p>', again) == before
