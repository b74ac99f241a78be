"""The page in a real browser: a text goes in, both answers come out, nothing is fetched from elsewhere."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tiny_translator import in_german, save_translator

from tinybert_hf.errors import TinyBertError
from tinybert_hf.publishing import check_address

CHROMIUM = shutil.which("chromium")
Save = Callable[..., str]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_an_address_that_cannot_be_served_is_refused() -> None:
    check_address("127.0.0.1", free_port())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(TinyBertError, match=r"in use; choose another with --port"):
            check_address("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(TinyBertError, match="no address of this machine"):
        check_address("192.0.2.1", free_port())


@contextmanager
def served(*words: str, folder: Path) -> Iterator[str]:
    """Runs `tinybert demo`, gives its URL, and ends it as Ctrl-C does."""
    command = [sys.executable, "-m", "tinybert_hf", "demo", *words, "--port", str(free_port()), "--cpu"]
    process = subprocess.Popen(
        command,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        bufsize=1,
        # Tests that run in the background ignore Ctrl-C, and would hand that down.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        assert "http://127.0.0.1" in line, process.stderr.read()
        yield line.split(" at ")[1].split()[0]
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert "Traceback" not in process.stderr.read()
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


@pytest.fixture
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    pytest.importorskip("gradio")
    if CHROMIUM is None:
        pytest.skip("there is no chromium")
    with playwright.sync_playwright() as run:
        opened = run.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


def answer(page: Any, *texts: str, until: str) -> str:
    """Type, press, and read what is there once a text appears that was not there before."""
    for index, text in enumerate(texts):
        page.fill(f"#text-{index} textarea", text)
    assert until not in page.inner_text("#answers")
    page.click("#run")
    page.wait_for_function(
        "text => document.querySelector('#answers').innerText.includes(text)", arg=until, timeout=60_000
    )
    return str(page.inner_text("#answers"))


@pytest.mark.slow
def test_a_text_is_answered_by_both(browser: Any, save_student: Save, save_teacher: Save, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    with served(save_student(), "--teacher", save_teacher(), folder=work) as url:
        page = browser.new_page(viewport={"width": 360, "height": 800})
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(url)
        page.wait_for_selector("#text-0 textarea")
        shown = answer(page, "the film was good <b>bold</b> ${1+1} {{value}}", until="Student")
        assert re.search(r"Teacher\s+[\d.]+ m?s", shown)
        assert re.search(r"Student\s+[\d.]+ m?s", shown)
        assert len(re.findall(r"negative\s+[\d.]+%\s+positive\s+[\d.]+%", shown)) == 2
        assert "the teacher (the median of" in shown
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways"
        assert "Student" in answer(page, "film " * 300, until="64 tokens")
        assert "Student" not in answer(page, " ", until="Please type a text first.")
        outside = [one for one in asked if not one.startswith((url, "data:", "blob:"))]
        assert outside == []
    assert list(work.iterdir()) == []


@pytest.mark.slow
def test_a_translation_and_a_pair(browser: Any, save_student: Save, tmp_path: Path) -> None:
    translator = save_translator(tmp_path / "translator")
    with served(translator, "--teacher", translator, folder=tmp_path) as url:
        page = browser.new_page()
        page.goto(url)
        page.wait_for_selector("#text-0 textarea")
        german = in_german("the dog sees the cat")
        assert answer(page, "the dog sees the cat", until=german).count(german) == 2
    with served(save_student(), "--pairs", folder=tmp_path) as url:
        page = browser.new_page()
        page.goto(url)
        page.wait_for_selector("#text-1 textarea")
        assert "No teacher is known here" in page.inner_text("#notes")
        assert "Student" not in answer(page, "the film", "", until="Please type both texts.")
        assert "negative" in answer(page, "the film", "a plot", until="Student")
