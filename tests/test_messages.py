"""Counts in words, the name that was meant, and where was looked."""

from pathlib import Path
from typing import Any

import pytest

from tinybert_hf.messages import counted, counted_epochs, counted_layers, did_you_mean, does_not_exist, share_kept


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (counted(0, "row"), "0 rows"),
        (counted(1, "row"), "1 row"),
        (counted(3200, "row"), "3,200 rows"),
        (counted(1, "copy", "copies"), "1 copy"),
        (counted(2, "copy", "copies"), "2 copies"),
        (counted(1, "shard is", "shards are"), "1 shard is"),
        (counted_epochs(1.0), "1 epoch"),
        (counted_epochs(0.5), "0.5 epochs"),
        (counted_epochs(20.0), "20 epochs"),
        (counted_layers(1), "1 layer"),
        (counted_layers("?"), "? layers"),
        (counted_layers(4), "4 layers"),
        (counted_layers(6, 1), "6 + 1 layers"),
        (counted_layers(1, 0), "1 layer"),
    ],
)
def test_one_and_several(said: str, words: str) -> None:
    assert said == words


@pytest.mark.parametrize(
    ("metric", "student", "teacher", "share"),
    [
        ("accuracy", 0.45, 0.9, 0.5),
        ("accuracy", 0.9, 0.75, 1.2),
        ("matthews_correlation", -0.8, 0.5, None),
        ("pearson", 0.2, -0.5, None),
        ("f1", 0.2, 0.0, None),
        ("f1", 0.2, 0.01, None),
        ("bleu", 1.0, 1.5, None),
        ("bleu", 15.0, 30.0, 0.5),
        ("mse", 0.1, 0.2, None),
        ("loss", 0.1, 0.2, None),
        ("accuracy", float("nan"), 0.9, None),
        ("accuracy", 0.5, float("inf"), None),
    ],
)
def test_a_share_where_it_says_something(metric: str, student: float, teacher: float, share: float | None) -> None:
    assert share_kept(metric, student, teacher) == share


@pytest.mark.parametrize(
    ("name", "known", "options", "said"),
    [
        ("egaer", ("eager", "compiled"), {}, " Did you mean eager?"),
        ("EAGER", ("Eager",), {"shown": repr}, " Did you mean 'Eager'?"),
        (
            "zho",
            ("zho_Hans", "zho_Hant", "deu_Latn"),
            {"most": 3, "cutoff": 0.4},
            " Did you mean zho_Hant or zho_Hans?",
        ),
        ("zebra", ("eager",), {}, ""),
        (3, (31, 32), {}, " Did you mean 32?"),
        ("x", (), {}, ""),
    ],
)
def test_what_was_meant(name: object, known: tuple[object, ...], options: dict[str, Any], said: str) -> None:
    assert did_you_mean(name, known, **options) == said


def test_where_was_looked_and_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "runs").mkdir()
    for name in ("rows.jsonl", ".rows.json"):
        (tmp_path / name).touch()
    looked = f"does not exist (looked from {tmp_path})."
    for path, hint in (
        ("row.jsonl", " Did you mean rows.jsonl?"),
        ("./row.jsonl", " Did you mean ./rows.jsonl?"),
        (".row.json", " Did you mean .rows.json?"),
        ("~/row.jsonl", f" Did you mean {tmp_path / 'rows.jsonl'}?"),
        (Path("no/rows.jsonl"), " Its folder no does not exist either."),
        ("unlike", ""),
    ):
        assert does_not_exist(path) == f"{path} {looked}{hint}"
    assert does_not_exist("run", folders=True) == f"run {looked} Did you mean runs?"
    assert does_not_exist("row.jsonl", folders=True) == f"row.jsonl {looked}"
