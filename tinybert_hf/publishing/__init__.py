"""A finished student for others: on the Hub, as a report, as a page with both models, as a Space."""

from typing import TYPE_CHECKING

from tinybert_hf.lazy_names import names_of_modules

if TYPE_CHECKING:
    from tinybert_hf.publishing.demo import (
        Answer,
        Comparison,
        Contest,
        DemoModel,
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
    "DemoModel",
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
__getattr__, __dir__ = names_of_modules(
    __name__,
    {
        "demo": (
            "Answer",
            "Comparison",
            "Contest",
            "DemoModel",
            "EmptyTextError",
            "build_page",
            "check_address",
            "check_gradio",
            "compare",
            "open_contest",
            "serve",
        ),
        "hub": (
            "Pushed",
            "push",
        ),
        "report": (
            "REPORT_FILE",
            "report_page",
            "write_report",
        ),
        "space": (
            "check_space_folder",
            "write_space",
        ),
    },
)
