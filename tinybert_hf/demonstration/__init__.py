"""A page that shows a student beside its teacher, served here or written as a Hugging Face Space."""

from tinybert_hf.demonstration.answers import Answer, Comparison, EmptyTextError, compare
from tinybert_hf.demonstration.contestants import Contest, Contestant, open_contest
from tinybert_hf.demonstration.page import build_page, check_gradio
from tinybert_hf.demonstration.serving import check_address, serve
from tinybert_hf.demonstration.space import check_space_folder, write_space

__all__ = [
    "Answer",
    "Comparison",
    "Contest",
    "Contestant",
    "EmptyTextError",
    "build_page",
    "check_address",
    "check_gradio",
    "check_space_folder",
    "compare",
    "open_contest",
    "serve",
    "write_space",
]
