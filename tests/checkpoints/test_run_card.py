"""A model card says what the run says, and nothing of the machine that it ran on."""

from __future__ import annotations

import ast
import io
import json
import random
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard, metadata_load, metadata_save
from markdown_it import MarkdownIt
from rich.console import Console
from tiny_run import make_teacher, recipe_mapping

from tinybert_hf.checkpoints.card_parts import MARK, CardSettings, plain
from tinybert_hf.checkpoints.model_card import card_of, eval_results_of, write_card
from tinybert_hf.checkpoints.run_record import metric_value, read_run, starts_from_teacher
from tinybert_hf.errors import TinyBertError
from tinybert_hf.publishing.report import summary, tiles
from tinybert_hf.recipes.labelled import LabelledSteps
from tinybert_hf.recipes.loader import build
from tinybert_hf.recipes.report import RunReport
from tinybert_hf.recipes.run import run_recipe
from tinybert_hf.recipes.schema import Recipe


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run."""
    work = tmp_path_factory.mktemp("card")
    mapping = recipe_mapping(work, make_teacher(work / "teacher"))
    metadata_save(work / "teacher" / "README.md", {"license": "mit"})
    run_recipe(build(Recipe, mapping), Console(file=io.StringIO()))
    return work / "out"


def test_every_figure_is_that_of_the_run(out: Path, tmp_path: Path) -> None:
    metrics = {"teacher": 0.9375, "student": 0.875, "baseline": 0.75}

    def learnt(run: dict[str, Any]) -> None:
        assert run.pop("trivial") == ["teacher", "student", "baseline"]  # on these few rows nothing is learnt
        for who, value in metrics.items():
            run["metrics"][who]["accuracy"] = value

    folder = changed(out, tmp_path, learnt)
    run = json.loads((folder / "run.json").read_text())
    card = ModelCard(card_of(folder, "me/tiny", "apache-2.0"))
    data = card.data.to_dict()
    assert (data["license"], data["pipeline_tag"], data["library_name"]) == (
        "apache-2.0", "text-classification", "transformers",
    )  # fmt: skip
    results = {one.metric_type: one.metric_value for one in card.data.eval_results or ()}
    assert results["accuracy"] == 0.875
    for who in ("teacher", "student", "baseline"):
        assert f"| {metrics[who]:.4f} |" in card.text
    assert "It keeps 93.3% of its teacher's accuracy." in card.text
    for phase in run["phases"]:
        for name, value in phase["losses"].items():
            assert name == "loss" or f"{value:.3g}" in card.text
    assert 'pipeline("text-classification", "me/tiny", trust_remote_code=True)' in card.text
    assert "Labels: negative, positive." in card.text
    assert "{'" not in card.text
    assert "None" not in card.text


def test_no_path_of_the_machine(out: Path) -> None:
    text = card_of(out)
    assert str(out.parent) not in text
    assert "a local model (`teacher`)" in text
    assert "base_model" not in text


def test_a_teacher_of_the_hub_is_its_base_model(out: Path, tmp_path: Path) -> None:
    folder = changed(out, tmp_path, lambda run: run["recipe"]["teacher"].update(model="owner/bert-large"))
    card = ModelCard(card_of(folder))
    assert card.data.to_dict()["base_model"] == "owner/bert-large"
    assert "[owner/bert-large](https://huggingface.co/owner/bert-large)" in card.text


def test_without_a_run(out: Path, tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "config.json").write_text((out / "config.json").read_text())
    text = card_of(folder)
    assert "What it reaches" not in text
    assert "# plain" in text


def changed(out: Path, tmp_path: Path, change: Any) -> Path:
    folder = tmp_path / "changed"
    folder.mkdir()
    (folder / "config.json").write_text((out / "config.json").read_text())
    run = json.loads((out / "run.json").read_text())
    change(run)
    (folder / "run.json").write_text(json.dumps(run))
    return folder


def test_a_run_of_another_version(out: Path, tmp_path: Path) -> None:
    folder = changed(out, tmp_path, lambda run: run.pop("costs"))
    with pytest.raises(TinyBertError, match=r"run\.json is of another version, or damaged \(KeyError: 'costs'\)"):
        card_of(folder)


def test_rows_that_were_held_out_are_said_to_be(out: Path, tmp_path: Path) -> None:
    rows = {"train_file": "here/all.jsonl", "validation_file": None, "validation_split": 0.025}
    card = card_of(changed(out, tmp_path, lambda run: run["recipe"]["data"].update(rows)))
    assert "Measured on 2.5 % of all.jsonl, held out, one seed" in card
    assert "Training rows: all.jsonl" in card


def test_what_is_no_model_of_ours(tmp_path: Path) -> None:
    with pytest.raises(TinyBertError, match=r"there is no config\.json"):
        card_of(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["BertModel"], "hidden_size": 3}))
    with pytest.raises(TinyBertError, match="describes a BertModel, which is none of this package's"):
        card_of(tmp_path)


def test_the_hub_gets_a_figure_for_rows_of_its_own_only(out: Path, tmp_path: Path) -> None:
    import yaml
    from huggingface_hub.hf_api import parse_eval_result_entries

    assert eval_results_of(out) is None, "the rows of this run lie in files"
    run = json.loads((out / "run.json").read_text())
    data = {"dataset": "nyu-mll/glue", "dataset_config": "sst2", "train_file": None, "validation_file": None}
    run["recipe"]["data"] |= data
    (tmp_path / "run.json").write_text(json.dumps(run))
    (entry,) = parse_eval_result_entries(yaml.safe_load(eval_results_of(tmp_path)))
    assert (entry.dataset_id, entry.task_id) == ("nyu-mll/glue", "sst2")
    assert entry.value == round(run["metrics"]["student"]["accuracy"], 4)
    assert "accuracy on the split validation" in entry.notes
    run["recipe"]["data"]["validation_split"] = 0.05  # rows that nobody else would measure on
    (tmp_path / "run.json").write_text(json.dumps(run))
    assert eval_results_of(tmp_path) is None
    run["recipe"]["data"]["validation_split"] = "validation"
    for other in ("demo-sentiment", "imdb"):  # a generator, and a name without its owner
        run["recipe"]["data"]["dataset"] = other
        (tmp_path / "run.json").write_text(json.dumps(run))
        assert eval_results_of(tmp_path) is None, other


def test_what_the_targets_of_a_translator_were_and_whether_the_teacher_was_trained_here(
    out: Path, tmp_path: Path
) -> None:
    run = json.loads((out / "run.json").read_text())
    run["recipe"]["pseudo_labels"] = {"num_beams": 4, "references": True}
    run["recipe"]["teacher"] |= {"model": "me/pretrained", "finetune": {"epochs": 1}}
    run["recipe"]["data"] |= {"dataset": "demo-sentiment"}
    for name in ("config.json", "run.json"):
        (tmp_path / name).write_text((out / name).read_text() if name == "config.json" else json.dumps(run))
    card = ModelCard(card_of(tmp_path))
    assert "translations of the training rows (4 beams) and the references: sequence-level" in card.text
    assert (
        "distilled from [me/pretrained](https://huggingface.co/me/pretrained), fine-tuned in the same run."
        in card.text
    )
    assert {one.dataset_type for one in card.data.eval_results} == {"custom"}, "a generator is no dataset on the Hub"
    assert card.data.datasets is None


@pytest.mark.parametrize(
    ("metric", "teacher", "student", "said"),
    [
        ("matthews_correlation", 0.5, -0.795, "Its matthews correlation is -0.7950, its teacher's 0.5000."),
        ("pearson", -0.1, 0.2, "Its pearson is 0.2000, its teacher's -0.1000."),
        ("f1", 0.0, 0.3, "Its f1 is 0.3000, its teacher's 0.0000."),
        ("spearman", 0.01, 0.3, "Its spearman is 0.3000, its teacher's 0.0100."),
        ("accuracy", float("nan"), 0.3, "Its accuracy is 0.3000, its teacher's -."),
        ("bleu", 0.4, 8.0, "Its bleu is 8.0, its teacher's 0.4000."),
        ("bleu", 30.0, 24.0, "It keeps 80.0% of its teacher's bleu."),
        ("pearson", 0.5, 0.6, "It keeps 120.0% of its teacher's pearson."),
    ],
)
def test_a_share_only_where_it_says_something(
    out: Path, tmp_path: Path, metric: str, teacher: float, student: float, said: str
) -> None:
    def measured(run: dict[str, Any]) -> None:
        run |= {"main_metric": metric, "trivial": []}
        run["metrics"] = {"teacher": {metric: teacher}, "student": {metric: student}}

    folder = changed(out, tmp_path, measured)
    text = card_of(folder)
    assert f"\n{said}\n" in text
    assert "%" not in text.replace(said, "")
    report = RunReport.read(json.loads((folder / "run.json").read_text()), "x")
    share = next(cell for cell in list(LabelledSteps.table(report).columns[2].cells)[1:])
    assert share == (said.split()[2] if "keeps" in said else "-")
    assert tiles(read_run(folder))[0][0] == (share if "keeps" in said else metric_value(metric, student))


def test_a_model_that_learnt_nothing_has_no_share(out: Path, tmp_path: Path) -> None:
    text = card_of(out)
    assert "of its teacher's" not in text
    assert "This model knows no more of the task than the labels' counts say." in text
    assert card_of(changed(out, tmp_path, lambda run: run.pop("trivial"))) != text, "an earlier run says less"


@pytest.mark.parametrize(
    ("layers", "decoder", "words"),
    [(1, None, "of 1 layer of width"), (2, None, "of 2 layers of width"), (6, 2, "of 6 + 2 layers of width")],
)
def test_layers_are_counted(out: Path, tmp_path: Path, layers: int, decoder: int | None, words: str) -> None:
    folder = changed(out, tmp_path, lambda run: run)
    config = json.loads((folder / "config.json").read_text())
    config |= {"num_hidden_layers": layers, "num_decoder_layers": decoder}
    (folder / "config.json").write_text(json.dumps(config))
    assert words in card_of(folder)
    assert words in summary(read_run(folder))


def test_one_of_each_is_one(out: Path, tmp_path: Path) -> None:
    def few(run: dict[str, Any]) -> None:
        run["recipe"]["data"]["max_length"] = 1
        run["recipe"]["pseudo_labels"] = {"num_beams": 1, "references": False}
        run["unlabelled_rows"], run["recipe"]["data"]["unlabelled_file"] = 1, "x.txt"
        run["augmentation"] = {"augmented_rows": 1}
        for cost in run["costs"].values():
            cost |= {"batch_size": 1, "length": 1, "threads": 1, "latency_ms": 2.5}

    text = card_of(changed(out, tmp_path, few))
    for words in (
        "at most 1 token each", "(1 beam)", "to 1 row without", "to 1 augmented copy of",
        "a forward of 1 row of 1 token,", "(CPU, 1 thread)",
    ):  # fmt: skip
        assert words in text, words
    assert not re.search(r"\b1 \w+s\b", text.partition("## Limits")[0].replace("1 labels", ""))


def test_the_card_lies_beside_the_model_and_loads_it(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = ModelCard.load(out / "README.md")
    assert MARK in card.text
    assert '"out", trust_remote_code=True)' in card.text
    assert (card.data.license, card.data.language) == ("mit", "en")
    monkeypatch.chdir(out.parent.parent)
    typed = f"{out.parent.name}/out"
    assert f'pipeline("text-classification", "{typed}", ' in card_of(typed), "loads it from where it was typed"


EXAMPLES = [
    # class, problem type, labels, pairs, language of the recipe, and what the code then says
    ("SequenceClassification", None, ["negative", "positive"], False, "en", '("A gripping film, well'),
    ("SequenceClassification", None, ["差评", "好评"], False, "zh", '("这部电影非常好看'),
    ("SequenceClassification", None, ["sports", "politics"], False, "en", '("The central bank has'),
    ("SequenceClassification", None, ["sports", "politics"], False, "de", '("Die Zentralbank'),
    ("SequenceClassification", None, ["entailment", "neutral"], True, "en", '"text_pair": "Someone is making'),
    ("SequenceClassification", "regression", ["LABEL_0"], True, "en", 'music."}, function_to_apply="none")'),
    ("SequenceClassification", "multi_label_classification", ["a", "b"], False, "fr", "d'intérêt.\", top_k=None)"),
    ("SequenceClassification", None, ["x", "y"], False, "yue", '("YOUR TEXT")'),
    ("TokenClassification", None, ["O", "B-PER"], False, "en", ', aggregation_strategy="first")("Ada Lovelace lived'),
    ("TokenClassification", None, ["NOUN", "VERB"], False, "en", 'remote_code=True)("Ada Lovelace lived in London.")'),
    ("TokenClassification", None, ["O", "B-PER"], False, "zh", '("鲁迅出生在绍兴。")'),
    ("QuestionAnswering", None, ["LABEL_0", "LABEL_1"], False, "zh", 'tokenizer("她出生在哪里？", "她1867年'),
    ("MaskedLM", None, ["LABEL_0"], False, "en", '"The capital of France is " + fill.tokenizer.mask_token + "."'),
    ("Seq2Seq", None, ["LABEL_0"], False, ["de", "en"], 'tokenizer(["Der Zug fährt'),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "problem", "labels", "pairs", "language", "said"), EXAMPLES)
def test_the_example_fits_task_and_language(
    out: Path, tmp_path: Path, kind: str, problem: str | None, labels: list[str], pairs: bool, language: Any, said: str
) -> None:
    def asked(run: dict[str, Any]) -> None:
        run["recipe"]["card"]["language"] = language
        run["recipe"]["data"]["text_pair_column"] = "other" if pairs else None
        run["data"]["problem_type"] = problem

    folder = changed(out, tmp_path, asked)
    config = json.loads((folder / "config.json").read_text())
    config |= {"architectures": [f"TinyBertFor{kind}"], "id2label": dict(enumerate(labels)), "problem_type": problem}
    (folder / "config.json").write_text(json.dumps(config))
    text = card_of(folder)
    (code,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    ast.parse(code)
    assert said in code
    assert ModelCard(text).data.language == language
    assert ("Labels" in text) == (kind.endswith("Classification") and problem != "regression")


def test_labels_stand_in_their_order(out: Path, tmp_path: Path) -> None:
    """JSON sorts names as texts: 0, 1, 10, 11, 2."""
    folder = changed(out, tmp_path, lambda run: run)
    config = json.loads((folder / "config.json").read_text())
    config["id2label"] = dict(sorted((str(place), f"l{place}") for place in range(12)))
    (folder / "config.json").write_text(json.dumps(config))
    assert f"Labels: {', '.join(f'l{place}' for place in range(12))}." in card_of(folder)


def test_the_teachers_card_and_the_options(out: Path, tmp_path: Path) -> None:
    def taught(run: dict[str, Any]) -> None:
        run["model_cards"] = {run["recipe"]["teacher"]["model"]: {"license": "gpl-3.0", "language": ["de"]}}

    folder = changed(out, tmp_path, taught)

    def said(**options: Any) -> tuple[Any, Any]:
        data = ModelCard(card_of(folder, **options)).data
        return data.license, data.language

    assert said() == ("gpl-3.0", "de")
    assert said(license="mit", settings=CardSettings(language=("en", "fr"))) == ("mit", ["en", "fr"])
    assert write_card(folder, "me/tiny", "mit")
    assert said() == ("mit", "de"), "what was given once stays in the card that this package writes"
    (folder / "README.md").write_text("my own words")
    assert not write_card(folder, "me/tiny")
    assert said() == ("gpl-3.0", "de")


def test_a_finished_run_takes_a_license_that_is_named_later(out: Path, tmp_path: Path) -> None:
    work = tmp_path / "again"
    shutil.copytree(out.parent, work)
    for file in (work / "out" / "run.json", work / "recipe.yaml"):
        if file.is_file():
            file.write_text(file.read_text().replace(str(out.parent), str(work)))
    mapping = recipe_mapping(work, str(work / "teacher"))
    run_recipe(build(Recipe, {**mapping, "card": {"license": "bsd-3-clause"}}), Console(file=io.StringIO()))
    assert ModelCard.load(work / "out" / "README.md").data.license == "bsd-3-clause"
    assert ModelCard(card_of(work / "out")).data.license == "bsd-3-clause", "it stays"


def test_no_figure_that_json_cannot_hold(out: Path, tmp_path: Path) -> None:
    folder = changed(out, tmp_path, lambda run: run["metrics"]["student"].update(f1=float("nan")))
    results = ModelCard(card_of(folder)).data.eval_results
    assert {one.metric_type for one in results} == {"accuracy", "matthews_correlation"}


PIECES = [
    "|",
    "*",
    "_",
    "__",
    "`",
    "``",
    "<b>",
    "</td>",
    "&amp;",
    "\\",
    "\n",
    "\r\n",
    "$x$",
    "~~",
    "[a](b)",
    "#",
    "# ",
    "- ",
]
PIECES += [
    "{{x}}",
    "'",
    '"',
    ":",
    ": ",
    "---",
    "%",
    "!",
    "!![",
    "\u2028",
    "\x07",
    "é",
    "中",
    "😀",
    "a",
    "b c",
    "no",
    "1.",
    ">",
    "@",
]


def names(count: int) -> list[str]:
    """Names that Markdown, HTML, YAML or a table could take for their own."""
    made = random.Random(5)
    return ["".join(made.choices(PIECES, k=made.randint(1, 5))) for _ in range(count)]


def test_names_are_shown_as_they_are(out: Path, tmp_path: Path) -> None:
    """Rendered by a Markdown reader and read by the Hub's parser, every name is the one that was given."""
    reader = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    folder = changed(out, tmp_path, lambda run: run)
    config, run = (json.loads((folder / name).read_text()) for name in ("config.json", "run.json"))
    for first, second, third in triples(names(180)):
        config["id2label"] = {"0": f"x{first}", "1": f"y{second}z"}
        (folder / "config.json").write_text(json.dumps(config))
        data = run["recipe"]["data"]
        data["train_file"], data["validation_file"] = f"some/{third}.csv", f"some/q{first}.csv"
        run["recipe"]["teacher"]["model"] = f"some/{third}"
        run["recipe"]["phases"][0]["name"] = second
        run["metrics"] = {
            who: {**metrics, "further": {f"p{third}": {"accuracy": 0.5}}} for who, metrics in run["metrics"].items()
        }
        data["further_validation_files"] = {f"p{third}": "x.csv"}
        (folder / "run.json").write_text(json.dumps(run))
        named = f"me {second}"
        text = card_of(folder, named)
        (folder / "README.md").write_text(text, encoding="utf-8")
        card = ModelCard.load(folder / "README.md", ignore_metadata_errors=False)
        assert card.data.to_dict() == metadata_load(folder / "README.md")
        assert card.data.model_name == plain(named)
        assert {one.dataset_name for one in card.data.eval_results} >= {plain(Path(f"q{first}.csv").name)}
        shown = Shown(reader.render(card.content.partition("\n---\n")[2]))
        for name in (first, second, Path(third).name):
            assert squeezed(plain(name)) in shown.text, (name, shown.text)
        assert shown.cells == len(shown.heads) * 3 + 6 * 2
        assert shown.titles[1:] == TITLES
        (code,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
        literals = [node.value for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Constant)]
        assert named in literals


TITLES = ["How to load it", "What it reaches", "How it was made", "Limits", "Environment", "Citation"]


def triples(values: list[str]) -> list[tuple[str, ...]]:
    return [tuple(values[place : place + 3]) for place in range(0, len(values), 3)]


def squeezed(text: str) -> str:
    return " ".join(text.split())


class Shown(HTMLParser):
    """What a reader of the page sees: its text, its headings, the cells of its tables."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.titles: list[str] = []
        self.heads: list[str] = []
        self.cells, self.at, self.tables = 0, "", 0
        self.feed(html)
        self.text = squeezed(" ".join("".join(self.parts).split()))

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.at = tag
        self.tables += tag == "table"
        self.cells += tag == "td"
        if tag in ("h1", "h2"):
            self.titles.append("")
        if tag == "th" and self.tables == 1:
            self.heads.append("")

    def handle_endtag(self, tag: str) -> None:
        self.at = ""

    def handle_data(self, data: str) -> None:
        self.parts.append(data)
        if self.at in ("h1", "h2"):
            self.titles[-1] += data


@pytest.mark.parametrize(
    ("task", "student", "expected"),
    [
        ("text-classification", {"model": None, "init": None}, True),
        ("text-classification", {"model": None, "init": "random"}, False),
        ("text-classification", {"model": "mine", "init": None}, False),
        ("translation", {"model": None, "init": None}, False),
        ("general", {"model": None, "init": "teacher"}, True),
    ],
)
def test_where_a_student_began(task: str, student: dict[str, Any], expected: bool) -> None:
    assert starts_from_teacher({"task": task, "student": student}) is expected


def test_the_card_says_where_the_student_began(out: Path) -> None:
    assert "It began as its teacher, projected down." in (out / "README.md").read_text()
