"""A finished student for others: on the Hub, as a report, as a page with both models, as a Space."""

from typing import TYPE_CHECKING

from tinybert_hf.lazy_names import lazy_names

if TYPE_CHECKING:
    from tinybert_hf.publishing.demo import (
        Answer,
        Comparison,
        Contest,
        Contestant,
        EmptyTextError,
        build_page,
        check_address,
        check_gradio,
        compare,
        open_contest,
        serve,
    )
    from tinybert_hf.publishing.hub import Pushed, push
    from tinybert_hf.publishing.report import REPORT_FILE, report_page, write_report
    from tinybert_hf.publishing.space import check_space_folder, write_space

__all__ = [
    "REPORT_FILE",
    "Answer",
    "Comparison",
    "Contest",
    "Contestant",
    "EmptyTextError",
    "Pushed",
    "build_page",
    "check_address",
    "check_gradio",
    "check_space_folder",
    "compare",
    "open_contest",
    "push",
    "report_page",
    "serve",
    "write_report",
    "write_space",
]

# Late: an upload does not need what makes a page.
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Answer": "tinybert_hf.publishing.demo",
        "Comparison": "tinybert_hf.publishing.demo",
        "Contest": "tinybert_hf.publishing.demo",
        "Contestant": "tinybert_hf.publishing.demo",
        "EmptyTextError": "tinybert_hf.publishing.demo",
        "Pushed": "tinybert_hf.publishing.hub",
        "REPORT_FILE": "tinybert_hf.publishing.report",
        "build_page": "tinybert_hf.publishing.demo",
        "check_address": "tinybert_hf.publishing.demo",
        "check_gradio": "tinybert_hf.publishing.demo",
        "check_space_folder": "tinybert_hf.publishing.space",
        "compare": "tinybert_hf.publishing.demo",
        "open_contest": "tinybert_hf.publishing.demo",
        "push": "tinybert_hf.publishing.hub",
        "report_page": "tinybert_hf.publishing.report",
        "serve": "tinybert_hf.publishing.demo",
        "write_report": "tinybert_hf.publishing.report",
        "write_space": "tinybert_hf.publishing.space",
    },
)
