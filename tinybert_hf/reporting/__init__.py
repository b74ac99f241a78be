"""One HTML page about a finished run, for somebody who does not know the code."""

from tinybert_hf.reporting.page import REPORT_FILE, report_page, write_report

__all__ = ["REPORT_FILE", "report_page", "write_report"]
