"""What the pages say is so: links, anchors, commands, code, quoted messages, public names; and none is left out."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from markdown_pages import (
    ROOT,
    anchors,
    broken_link,
    check_command,
    check_python,
    commands,
    fenced_blocks,
    is_external,
    targets,
    wrong_address,
)

import tinybert_hf

DOCS = ROOT / "docs"
SITE_PAGES = sorted(DOCS.rglob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *SITE_PAGES]
TEXTS = {str(page.relative_to(ROOT)): page.read_text(encoding="utf-8") for page in PAGES}
# Every site that a page points to. A new one is added by hand, after a look at it: no test asks the network.
SITES = {"arxiv.org", "github.com"}


def each(*found: tuple[str, list[str]]) -> list[object]:
    """One case for each thing found on a page."""
    return [pytest.param(page, one, id=f"{page}: {one[:60]}") for page, several in found for one in several]


@pytest.mark.parametrize(
    ("page", "target"),
    each(*((page, [one for one in targets(text) if not is_external(one)]) for page, text in TEXTS.items())),
)
def test_a_link_into_the_project_leads_somewhere(page: str, target: str) -> None:
    assert broken_link(ROOT / page, target) is None


@pytest.mark.parametrize(
    ("page", "target"),
    each(*((page, [one for one in targets(text) if is_external(one)]) for page, text in TEXTS.items())),
)
def test_a_link_to_elsewhere_is_well_formed_and_its_site_is_known(page: str, target: str) -> None:
    assert wrong_address(target) is None
    assert target.split("/")[2] in SITES


@pytest.mark.parametrize("page", [page for page in TEXTS if page.startswith("docs/")])
def test_commands_parse_and_code_compiles(page: str) -> None:
    for words in commands(TEXTS[page]):
        check_command(words)
    for block in fenced_blocks(TEXTS[page], "python"):
        check_python(block)


@pytest.mark.parametrize("page", list(TEXTS))
def test_files_that_are_named_are_there(page: str) -> None:
    named = re.findall(r"`((?:[\w.-]+/)+[\w.-]+\.(?:py|md|yaml))`", TEXTS[page])
    rooms = (ROOT, ROOT / "tinybert_hf", DOCS, (ROOT / page).parent)
    assert [file for file in named if not any((room / file).exists() for room in rooms)] == []


def test_the_tables_of_tasks_are_those_of_their_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """And so the script that makes them runs."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    tables = importlib.import_module("task_tables").tables
    results = json.loads((DOCS / "results" / "tasks.json").read_text(encoding="utf-8"))
    assert TEXTS["docs/results/tasks.md"] == "\n".join(tables(results)) + "\n"
    planned = importlib.import_module("tasks").planned
    settings = importlib.import_module("task_settings")
    every = [list(settings.EVERY_TASK), [1], list(settings.VARIANTS)]
    names = {
        run.name
        for part in (*settings.STUDENTS, *settings.FURTHER, "ablation", "rates", "epochs")
        for run in planned(part, *every)
    }
    assert {
        "squad/2l-192d-wide-1",
        "cola-all/4l-312d-wide-1",
        "mrpc-all/2l-192d-rates-low-1",
        "mrpc-all/4l-312d-epochs-2-3-of-1000-1",
        "wnut17/4l-312d-wide-copies-1",
        "stsb/4l-312d-top-1",
    } <= names
    assert not {
        name
        for name in names
        if name.startswith(
            ("cola/4l-312d-wide", "squad/4l-312d-copies", "squad/4l-312d-wide-copies", "sst2-all/4l-312d-whole")
        )
    }


def test_figures_that_advice_rests_on_stand_in_the_results() -> None:
    """Accuracies and BLEU of the page, in the tables of docs/results or, rounded, in the JSON beside them."""
    results = "\n".join(
        file.read_text(encoding="utf-8") for file in (DOCS / "results").iterdir() if file.suffix in (".md", ".json")
    )
    measured = {f"{float(number):.{digits}f}" for number in re.findall(r"\d+\.\d+", results) for digits in (1, 2)}
    quoted_figures = re.findall(r"(?<![\d.])\d\d\.\d\d?(?![\d.])", TEXTS["docs/choosing.md"])
    assert len(quoted_figures) > 20
    assert [figure for figure in quoted_figures if figure not in measured] == []


def messages(source: str) -> list[str]:
    """Every text of a file of code but its docstrings, with … where a value is put in."""
    found = []
    tree = ast.parse(source)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if id(node) in docstrings:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
        elif isinstance(node, ast.JoinedStr):
            found.append("".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values))
    return found


def quoted(page: str) -> list[str]:
    """The messages that a page explains, each bold on a line of its own."""
    return re.findall(r"^\*\*`(.+)`\*\*$", page, flags=re.MULTILINE)


def stands_in(fragment: str, texts: list[str]) -> bool:
    """Whether a text holds the fragment, whose … may stand for some words."""
    pattern = re.compile(".{1,80}?".join(re.escape(part) for part in fragment.split("…")), re.DOTALL)
    return any(pattern.search(text) for text in texts)


@pytest.fixture(scope="module")
def all_messages() -> list[str]:
    files = sorted((ROOT / "tinybert_hf").rglob("*.py"))
    return [text for file in files for text in messages(file.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("fragment", quoted(TEXTS["docs/troubleshooting.md"]))
def test_a_message_that_is_explained_is_one_of_the_code(fragment: str, all_messages: list[str]) -> None:
    assert stands_in(fragment, all_messages)


def test_the_messages_that_users_meet_most_are_explained() -> None:
    explained = quoted(TEXTS["docs/troubleshooting.md"])
    assert len(explained) >= 40
    assert len(set(explained)) == len(explained)


def test_every_public_name_is_on_the_page_of_the_api() -> None:
    shown = re.findall(r"^::: (\S+)$", TEXTS["docs/api.md"], flags=re.MULTILINE)
    rooms = {name.rpartition(".")[2]: name for name in shown}
    assert set(tinybert_hf.__all__) - {"TinyBertError"} == rooms.keys() - {"errors"}
    assert "tinybert_hf.errors" in shown  # with TinyBertError and its children
    for name in set(tinybert_hf.__all__) & rooms.keys():
        module = importlib.import_module(rooms[name].rpartition(".")[0])
        assert getattr(module, name) is getattr(tinybert_hf, name)


def pages_of(nav: object) -> list[str]:
    """The files that a navigation names."""
    if isinstance(nav, str):
        return [nav]
    parts = nav.values() if isinstance(nav, dict) else nav
    return [page for part in parts for page in pages_of(part)]  # type: ignore[union-attr,attr-defined]


def test_the_navigation_and_the_home_page_lead_to_every_page() -> None:
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    there = {str(page.relative_to(DOCS)) for page in SITE_PAGES}
    assert sorted(pages_of(settings["nav"])) == sorted(there)
    guides = {name for name in there if "/" not in name} - {"index.md"}
    assert guides <= set(targets(TEXTS["docs/index.md"]))
    measured = {name for name in there if name.startswith("results/")}
    assert measured <= set(targets(TEXTS["docs/results.md"]))


def test_the_first_run_is_the_same_on_every_page_and_runs(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, distance = fenced_blocks(TEXTS["docs/python.md"], "python")[:2]
    assert fenced_blocks(TEXTS["README.md"], "python") == fenced_blocks(TEXTS["docs/index.md"], "python") == [first]
    names: dict[str, Any] = {}
    exec(compile(first, "README.md", "exec"), names)
    assert "'label': '" in capsys.readouterr().out
    assert names["model"].config.hidden_size == 16
    assert type(names["model"]).__name__ == "TinyBertForSequenceClassification"
    exec(compile(distance, "docs/python.md", "exec"), names)
    wanted = {"attention_loss", "hidden_state_loss", "embedding_loss", "prediction_loss"}
    assert set(names["losses"]) == wanted == set(re.findall(r"\w+_loss", distance.split("# ")[1]))


def test_our_side_of_a_migration_runs(place: Path) -> None:
    names: dict[str, object] = {}
    for block in fenced_blocks(TEXTS["docs/migration.md"], "python", title="tinybert_hf"):
        exec(compile(block, "docs/migration.md", "exec"), names)
    assert json.loads((place / "out" / "config.json").read_text(encoding="utf-8"))["hidden_size"] == 16


def test_our_recipe_of_a_migration_is_one(work: Path) -> None:
    from tinybert_hf.recipes.loader import load_recipe

    (recipe,) = fenced_blocks(TEXTS["docs/migration.md"], "yaml", title="tinybert_hf")
    (work / "own.yaml").write_text(recipe, encoding="utf-8")
    (phase,) = load_recipe("own.yaml").phases
    assert phase.loss_weights() == {"prediction_loss": 0.9, "label_loss": 0.9}


def test_a_loss_of_ones_own_and_ours_have_the_same_gradient() -> None:
    import torch
    import torch.nn.functional as F

    from tinybert_hf.distillation.losses import label_loss, prediction_loss

    (theirs,) = fenced_blocks(TEXTS["docs/migration.md"], "python", title="transformers")
    expression = re.search(r"ours = (.+)\n +soft = (.+)\n +loss = (.+)\n", theirs)
    assert expression is not None
    logits, seen, labels = torch.randn(6, 3, requires_grad=True), torch.randn(6, 3), torch.tensor([0, 1, 2, 0, 1, 2])

    class outputs:
        loss = F.cross_entropy(logits, labels)

    outputs.logits = logits  # type: ignore[attr-defined]
    names = {"F": F, "outputs": outputs, "seen": seen}
    names["ours"] = eval(expression[1], names)
    names["soft"] = eval(expression[2], names)
    wanted = torch.autograd.grad(eval(expression[3], names), logits)[0]
    ours = 0.5 * label_loss(logits, labels) + 2.0 * prediction_loss(logits, seen, temperature=2.0)
    torch.testing.assert_close(torch.autograd.grad(ours, logits)[0], wanted)


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_asks_for_nothing_from_elsewhere(tmp_path: Path) -> None:
    for module in ("mkdocs", "material", "mkdocstrings"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f'{module} is not installed: pip install -e ".[docs]"')
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    html = [page.read_text(encoding="utf-8") for page in (tmp_path / "site").rglob("*.html")]
    fetching = r'<(?:script|img|iframe)[^>]+src="https?:|<link rel="(?:stylesheet|preconnect)"[^>]+href="https?:'
    assert html
    assert not any(re.search(fetching, page) for page in html)
    for name in tinybert_hf.__all__:
        assert f">{name}<" in (tmp_path / "site" / "api.html").read_text(encoding="utf-8")


PAGE = """# One `thing`, two
[a](other.md#here) [b](#one-thing-two) `[no](link.md)` [c](https://arxiv.org/abs/1)
```text
[no](link.md)
## No heading
```
## Here & there
"""


def test_what_is_wrong_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    (tmp_path / "other.md").write_text("# Here\n", encoding="utf-8")
    assert targets(PAGE) == ["other.md#here", "#one-thing-two", "https://arxiv.org/abs/1"]
    assert [broken_link(page, target) for target in targets(PAGE)[:2]] == [None, None]
    assert "no heading" in (broken_link(page, "other.md#there") or "")
    assert "there is no" in (broken_link(page, "another.md") or "")
    assert anchors(PAGE) == {"one-thing-two"}  # GitHub and the site disagree about "Here & there"
    assert wrong_address("http://arxiv.org/") is not None
    assert wrong_address("https://arxiv/") is not None
    texts = messages('raise ValueError(f"The {name} is" f" {size:g} wide" + (" and" if x else ""))')
    assert stands_in("The … is … wide", texts)
    assert not stands_in("The … is narrow", texts)


def test_the_table_of_tools_is_what_their_scripts_said(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = ROOT / "compatibility"
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "row", raising=False)
    spec = importlib.util.spec_from_file_location("compatibility_run", folder / "run.py")
    assert spec is not None
    assert spec.loader is not None
    run = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(run)
    text = run.PAGE.read_text(encoding="utf-8")
    assert run.with_table(text, run.kept_rows()) == text
    scripts = {one.stem for one in (folder / "tools").iterdir() if one.suffix in (".py", ".mjs")}
    assert {one.stem for one in (folder / "rows").iterdir()} == scripts
    monkeypatch.delitem(sys.modules, "row", raising=False)
