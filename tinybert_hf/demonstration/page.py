"""The page: boxes, examples, a button, and the answers below."""

from __future__ import annotations

import os
import warnings
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from tinybert_hf.data.settings import REGRESSION
from tinybert_hf.demonstration.answers import EmptyTextError, compare
from tinybert_hf.demonstration.contestants import TRANSLATION, Contest
from tinybert_hf.demonstration.example_texts import examples_for
from tinybert_hf.demonstration.rendering import STYLE, comparison_html, note_html
from tinybert_hf.errors import TinyBertError

if TYPE_CHECKING:
    import gradio

_CSS = (
    STYLE
    + """
.gradio-container { max-width: 900px !important; margin: 0 auto !important; }
#answers, #answers .html-container, #notes, #notes .html-container { padding: 0 !important; }
.gradio-container .prose { overflow-wrap: anywhere; }
"""
)


def check_gradio() -> None:
    """Refuses to go on without gradio, before anything slow is done.

    Raises:
        TinyBertError: it is not installed.
    """
    if find_spec("gradio") is None:
        raise TinyBertError('The page needs gradio, which is not installed: pip install "tinybert_hf[demo]"')


def answer_html(contest: Contest, text: str, text_pair: str | None = None) -> str:
    """What the page shows after the button was pressed: the answers, or why there are none.

    Args:
        contest: from `open_contest`.
        text: of the first box.
        text_pair: of the second box, where there is one.
    """
    try:
        return comparison_html(contest, compare(contest, text, text_pair))
    except EmptyTextError as error:
        return note_html(str(error))
    except TinyBertError as error:
        return note_html(f"This text cannot be answered: {error}")


def build_page(contest: Contest) -> gradio.Blocks:
    """Makes the page; nothing is served yet.

    Args:
        contest: from `open_contest`.

    Raises:
        TinyBertError: gradio is not installed.
    """
    gr = import_gradio()
    with gr.Blocks(title=_title(contest), analytics_enabled=False) as page:
        gr.Markdown(f"# {_title(contest)}\n\n{_introduction(contest)}")
        if contest.notes:
            gr.HTML("".join(note_html(note) for note in contest.notes), elem_id="notes")
        labels = ("First text", "Second text") if contest.pairs else ("Text",)
        boxes = [gr.Textbox(label=label, lines=2, max_lines=8, elem_id=f"text-{i}") for i, label in enumerate(labels)]
        button = gr.Button("Translate" if contest.kind == TRANSLATION else "Compare" if contest.teacher else "Answer",
                           variant="primary", elem_id="run")  # fmt: skip
        # Made here, so that the examples know it; shown below them.
        result = gr.HTML(elem_id="answers", render=False)

        def show(*texts: str) -> str:
            return answer_html(contest, *texts)

        examples = examples_for(contest.facts, translator=contest.kind == TRANSLATION, pairs=contest.pairs)
        gr.Examples([list(one) for one in examples], boxes, result, show, cache_examples=False, run_on_click=True)
        result.render()
        # One at a time: two at once would slow each other down, and the times would say so.
        gr.on(
            [button.click, *(box.submit for box in boxes)], show, boxes, result, concurrency_limit=1, api_name="answer"
        )
    return page


def launch_options() -> dict[str, Any]:
    """How the page is shown: no font, script or statistics from elsewhere."""
    gr = import_gradio()
    theme = gr.themes.Default(
        primary_hue="blue", font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
    )
    return {"theme": theme, "css": _CSS, "share": False, "footer_links": [], "ssr_mode": False, "quiet": True}


def import_gradio() -> Any:
    """Gradio, with its statistics switched off before it is imported.

    Raises:
        TinyBertError: it is not installed.
    """
    check_gradio()
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import gradio
    return gradio


def _title(contest: Contest) -> str:
    return "Teacher and student" if contest.teacher is not None else "The student"


def _introduction(contest: Contest) -> str:
    alone = contest.teacher is None
    if contest.kind == TRANSLATION:
        return "Type a text: the translation of " + ("the student" if alone else "each") + ", and how long it takes."
    what = "number" if contest.kind == REGRESSION else "labels"
    given = "two texts" if contest.pairs else "a text"
    return f"Type {given}: the {what} that {'the student gives' if alone else 'each gives'}, and how long it takes."
