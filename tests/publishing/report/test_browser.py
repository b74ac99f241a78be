"""The page in a browser, where one is installed: nothing wider than a phone, nothing fetched, both modes readable."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tinybert_hf.publishing import write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
playwright = pytest.importorskip("playwright.sync_api")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium"),
    pytest.mark.filterwarnings("ignore"),  # of the browser's driver
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.mark.parametrize("width", [1280, 360, 320])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_and_fetches_nothing(
    browser: Any, finished: Path, tmp_path: Path, width: int, scheme: str
) -> None:
    file = write_report(finished, tmp_path / "page.html", device="cpu")
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("request", lambda request: said.append(request.url))
    page.goto(file.as_uri())
    assert said == [file.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    too_wide = """[...document.querySelectorAll('main *')].filter(one =>
        !one.closest('.scroll') && one.getBoundingClientRect().right > innerWidth + 1).map(one => one.outerHTML)"""
    assert page.evaluate(too_wide) == []
    assert page.evaluate(CONTRAST) >= 4.5
    page.close()


# The lowest contrast between a text and what stands behind it, by the formula of WCAG 2.
CONTRAST = """(() => {
  const light = c => { const v = c.map(x => x / 255).map(x => x <= .03928 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4);
    return .2126 * v[0] + .7152 * v[1] + .0722 * v[2]; };
  const parts = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const behind = one => { for (let e = one; e; e = e.parentElement) {
    const c = parts(getComputedStyle(e).backgroundColor);
    if (c.length === 3 || c[3] === 1) return c.slice(0, 3); } return [255, 255, 255]; };
  const cells = [...document.querySelectorAll('rect.heat')].map(one => { const s = getComputedStyle(one);
    const a = Number(one.getAttribute('fill-opacity')), f = parts(s.fill);
    const b = behind(one.closest('svg').parentElement);
    return f.map((v, i) => a * v + (1 - a) * b[i]); });
  const contrast = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
    return (x + .05) / (y + .05); };
  let lowest = 21;
  for (const one of document.querySelectorAll('p, td, th, h1, h2, h3, figcaption, dt, dd, span, code, summary'))
    lowest = Math.min(lowest, contrast(parts(getComputedStyle(one).color).slice(0, 3), behind(one)));
  for (const one of document.querySelectorAll('svg text')) {
    const fill = parts(getComputedStyle(one).fill).slice(0, 3);
    lowest = Math.min(lowest, contrast(fill, behind(one.closest('svg').parentElement)));
    if (one.classList.contains('cell')) for (const cell of cells) lowest = Math.min(lowest, contrast(fill, cell)); }
  return lowest; })()"""
