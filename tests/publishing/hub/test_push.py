"""A push with the real client to a Hub on loopback: one commit, nothing lost, nothing overwritten in silence."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from publishing.hub.hub_server import Hub, environment
from typer.testing import CliRunner

from tinybert_hf.cli import app
from tinybert_hf.conversion.export import export_model
from tinybert_hf.errors import TinyBertError
from tinybert_hf.publishing import push

# The client sends large files in a way that its own HTTP library deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
CODE = {
    "configuration_tinybert.py",
    "modeling_tinybert.py",
    "modeling_tinybert_seq2seq.py",
    "manifest_tinybert.py",
}


def test_everything_in_one_commit_and_nothing_more(hub: Hub, folder: Path) -> None:
    done = push(folder, "me/tiny")
    files = hub.repositories["me/tiny"].branches["main"]
    assert files.keys() >= CODE
    others = {"README.md", "config.json", "manifest.json", "model.safetensors", "tokenizer.json"}
    assert files.keys() == CODE | others | {"tokenizer_config.json", ".gitattributes"}
    for name in files.keys() - {".gitattributes"}:
        assert files[name] == (folder / name).read_bytes(), name
    assert len(hub.repositories["me/tiny"].messages) == 1
    assert done.url == f"{hub.url}/me/tiny/commit/{hub.repositories['me/tiny'].commits[-1]}"
    assert set(done.files) == files.keys() - {".gitattributes"}
    noted = json.loads(files["manifest.json"])["files"]
    assert "README.md" in noted


def test_figures_on_rows_of_the_hub_go_where_its_leaderboards_look(hub: Hub, folder: Path) -> None:
    metrics = {"teacher": {"accuracy": 0.9}, "student": {"accuracy": 0.8}}
    cost = {"parameters": 1, "megabytes": 0.1, "latency_ms": 1.0}
    data = {"dataset": "nyu-mll/glue", "dataset_config": "sst2", "validation_split": "validation",
            "validation_file": None, "train_file": None, "train_split": "train", "max_length": 8}  # fmt: skip
    recipe = {"data": data, "teacher": {"model": None}, "student": {"model": None, "init": "teacher"}, "phases": [],
              "seed": 1}  # fmt: skip
    run = {"main_metric": "accuracy", "metrics": metrics, "costs": dict.fromkeys(metrics, cost), "device": "cpu",
           "versions": {}, "phases": [], "recipe": recipe}  # fmt: skip
    (folder / "run.json").write_text(json.dumps(run))
    push(folder, "me/tiny")
    files = hub.repositories["me/tiny"].branches["main"]
    assert b"value: 0.8" in files[".eval_results/tinybert.yaml"]
    assert ".eval_results/tinybert.yaml" in json.loads(files["manifest.json"])["files"]
    assert push(folder, "me/tiny").files == ()


def test_the_same_again_sends_nothing(hub: Hub, folder: Path) -> None:
    push(folder, "me/tiny")
    again = push(folder, "me/tiny")
    assert again.files == ()
    assert "model.safetensors" in again.unchanged
    assert len(hub.repositories["me/tiny"].messages) == 1


def test_a_name_alone_is_ones_own(hub: Hub, folder: Path) -> None:
    assert push(folder, "tiny").repo_id == "me/tiny"


def test_a_new_version_replaces_what_was_pushed(hub: Hub, folder: Path) -> None:
    push(folder, "me/tiny")
    (folder / "README.md").write_text("my own card", encoding="utf-8")
    done = push(folder, "me/tiny")
    assert set(done.files) == {"README.md", "manifest.json"}
    assert hub.repositories["me/tiny"].branches["main"]["README.md"] == b"my own card"


@pytest.mark.parametrize("whose", ["the card was edited on the Hub", "another model lies there"])
def test_files_of_others_are_not_replaced(hub: Hub, folder: Path, whose: str) -> None:
    if whose == "another model lies there":
        push(folder, "me/tiny")
        hub.repositories["me/tiny"].branches["main"] = {"config.json": b"{}", "model.safetensors": b"other"}
        named = r"config\.json, model\.safetensors"
    else:
        push(folder, "me/tiny")
        hub.repositories["me/tiny"].branches["main"]["README.md"] = b"edited there"
        (folder / "README.md").write_text("my own card", encoding="utf-8")
        named = r"README\.md"
    before = dict(hub.repositories["me/tiny"].branches["main"])
    with pytest.raises(TinyBertError, match=rf"since: {named}\. Nothing was pushed\. .*--overwrite"):
        push(folder, "me/tiny")
    assert hub.repositories["me/tiny"].branches["main"] == before
    push(folder, "me/tiny", overwrite=True)
    after = hub.repositories["me/tiny"].branches["main"]
    assert after["model.safetensors"] == (folder / "model.safetensors").read_bytes()


def test_an_upload_that_was_cut_off_goes_on(hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.failing_uploads = 99
    monkeypatch.setattr("time.sleep", lambda _: None)  # between the client's own tries
    with pytest.raises(TinyBertError, match="Nothing was pushed; the same command goes on"):
        push(folder, "me/tiny")
    assert hub.repositories["me/tiny"].messages == []
    hub.failing_uploads = 0
    push(folder, "me/tiny")
    assert len(hub.repositories["me/tiny"].messages) == 1


def test_large_files_that_arrived_are_not_sent_again(hub: Hub, folder: Path) -> None:
    push(folder, "me/one")
    sent = sum(request.startswith("PUT") for request in hub.requests)
    push(folder, "me/two")
    assert sum(request.startswith("PUT") for request in hub.requests) == sent == 1


def test_a_branch_of_its_own(hub: Hub, folder: Path) -> None:
    push(folder, "me/tiny", revision="v2")
    branches = hub.repositories["me/tiny"].branches
    assert set(branches["main"]) == {".gitattributes"}
    assert "model.safetensors" in branches["v2"]


def test_private(hub: Hub, folder: Path) -> None:
    push(folder, "me/hidden", private=True)
    assert hub.repositories["me/hidden"].private
    push(folder, "me/open")
    with pytest.raises(TinyBertError, match="is there already and is public"):
        push(folder, "me/open", private=True)


@pytest.mark.parametrize("token", ["hf_wrong", None])
def test_a_wrong_token_and_none(hub: Hub, folder: Path, token: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(TinyBertError, match=r"hf auth login"):
        push(folder, "me/tiny", token=token)
    assert hub.repositories == {}


@pytest.mark.parametrize("name", ["me/ti ny", "a/b/c", "-x", "me/..", ""])
def test_a_name_that_is_none(hub: Hub, folder: Path, name: str) -> None:
    with pytest.raises(TinyBertError, match="is no name of a repository"):
        push(folder, name)
    assert hub.requests == []


def test_no_network(folder: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("time.sleep", lambda _: None)
    with pytest.raises(TinyBertError, match="cannot be reached"):
        push(folder, "me/tiny")


def test_what_is_no_model_or_a_damaged_one(hub: Hub, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(TinyBertError, match="holds no model"):
        push(tmp_path / "nowhere", "me/tiny")
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(TinyBertError, match="was changed after it was saved"):
        push(folder, "me/tiny")
    assert hub.requests == []


LOAD = """
import sys
from transformers import pipeline
answer = pipeline("text-classification", "me/tiny", trust_remote_code=True, revision={revision!r})("a good film")
assert "tinybert_hf" not in sys.modules
print(answer[0]["label"])
"""


@pytest.mark.slow
def test_a_fresh_process_loads_it_without_the_package(hub: Hub, folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tinybert_hf", "push", str(folder), "--repo-id", "me/tiny", "--private"]
    pushed = subprocess.run(
        [*command, "--revision", "v1"], env=environment(hub, tmp_path / "one"), capture_output=True, text=True,
        timeout=280, check=False,
    )  # fmt: skip
    assert pushed.returncode == 0, pushed.stderr
    assert f"{hub.url}/me/tiny/commit/" in pushed.stdout
    assert hub.repositories["me/tiny"].private
    loaded = subprocess.run(
        [sys.executable, "-c", LOAD.format(revision="v1")], env=environment(hub, tmp_path / "two"), cwd=tmp_path,
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert loaded.returncode == 0, loaded.stderr
    assert loaded.stdout.split()[-1] in ("good", "bad")


EXPORTED = {
    "onnx": {"onnx/model.onnx"},
    "onnx-int8": {"onnx/model_quantized.onnx"},
    "bert": {"model.safetensors"},
    "openvino": {"openvino_model.xml", "openvino_model.bin"},
    "openvino-int8": {"openvino_model.xml", "openvino_model.bin"},
}


@pytest.mark.parametrize(
    "to",
    [
        "onnx",
        "bert",
        *(pytest.param(one, marks=pytest.mark.slow) for one in ("onnx-int8", "openvino", "openvino-int8")),
    ],
)
def test_an_export_goes_up_whole_and_its_card_opens_it(hub: Hub, folder: Path, to: str) -> None:
    if to != "bert":
        pytest.importorskip({"openvino": "openvino", "openvino-int8": "nncf"}.get(to, "onnxruntime"))
    place = folder.parent / "exported"
    export_model(folder, place, to, texts=["the film was good"])
    push(place, "me/tiny")
    files = hub.repositories["me/tiny"].branches["main"]
    others = {"config.json", "export.json", "manifest.json", "README.md", ".gitattributes", "vocab.txt"}
    others |= {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"}
    assert files.keys() == EXPORTED[to] | others
    text = files["README.md"].decode()
    assert str(folder.parent) not in text + files["export.json"].decode()
    (code,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert '"me/tiny"' in code
    answer = 'pipeline("text-classification"'
    program = code.replace(answer, f"answer = {answer}") + "assert {'label', 'score'} == answer[0].keys(), answer"
    elsewhere = folder.parent / "elsewhere"
    elsewhere.mkdir()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], cwd=elsewhere, env=environment(hub, elsewhere),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]


def test_both_files_of_a_folder_go_up(hub: Hub, folder: Path) -> None:
    pytest.importorskip("onnxruntime")
    place = folder.parent / "both"
    export_model(folder, place, ["onnx", "onnx-int8"], texts=["the film was good"])
    push(place, "me/tiny")
    files = {"onnx/model.onnx", "onnx/model_quantized.onnx"}
    assert hub.repositories["me/tiny"].branches["main"].keys() >= files
    for name in files:
        kept = (place / name).rename(place / "kept")
        (place / "manifest.json").rename(place / "manifest.kept")
        with pytest.raises(TinyBertError, match=name):
            push(place, "me/other")
        kept.rename(place / name)
        (place / "manifest.kept").rename(place / "manifest.json")


def test_what_an_earlier_push_left_is_named(hub: Hub, folder: Path) -> None:
    """A graph that stands beside the new weights is of another model, and whoever opens it gets that one."""
    assert push(folder, "me/tiny").left == ()
    hub.repositories["me/tiny"].branches["main"]["onnx/model.onnx"] = b"of an older student"
    done = push(folder, "me/tiny", overwrite=True)
    assert done.left == ("onnx/model.onnx",)
    assert hub.repositories["me/tiny"].branches["main"]["onnx/model.onnx"] == b"of an older student"
    for files, first in (("model.safetensors", "Pushed 1 file"), (None, "Nothing to push")):
        if files is not None:
            hub.repositories["me/tiny"].branches["main"][files] = b"of another"
        said = CliRunner().invoke(app, ["push", str(folder), "--repo-id", "me/tiny", "--overwrite"]).output
        assert first in said
        assert ("Nothing to push" in said) == (files is None)
        assert "Note: onnx/model.onnx there is not of this folder, and was left." in re.sub(r"\s+", " ", said)


def test_nothing_goes_up_without_the_model(hub: Hub, folder: Path) -> None:
    pytest.importorskip("onnxruntime")
    place = folder.parent / "exported"
    export_model(folder, place, "onnx", texts=["the film was good"])
    (place / "manifest.json").unlink()
    (place / "onnx" / "model.onnx").unlink()
    with pytest.raises(TinyBertError, match=r"holds no whole model: onnx/model\.onnx is missing. Nothing was pushed"):
        push(place, "me/tiny")
    (folder / "manifest.json").unlink()
    (folder / "model.safetensors").unlink()
    with pytest.raises(TinyBertError, match="no weights"):
        push(folder, "me/tiny")
    assert "me/tiny" not in hub.repositories
