"""A page for a text classifier."""

from pathlib import Path
from typing import Any

import gradio as gr
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

TITLE = "TinyBERT"
MODEL = "model"  # a folder beside this file, or an id on the Hub
PROBLEM = "single_label_classification"
BOXES = ["Text"]
LIMIT = 512  # tokens that the model reads
EXAMPLES = [["The room was clean and the staff were friendly."]]

beside = Path(__file__).with_name(MODEL)
place = str(beside) if beside.is_dir() else MODEL
# The model's code travels with it.
tokenizer = AutoTokenizer.from_pretrained(place, trust_remote_code=True)
model = AutoModelForSequenceClassification.from_pretrained(place, trust_remote_code=True, dtype=torch.float32).eval()


def answer(*texts: str) -> tuple[Any, str]:
    """The labels of a text with their probabilities, or a number; and what to know about it."""
    if not all(text and text.strip() for text in texts):
        return None, "Please type a text first."
    cut = len(tokenizer(*texts, verbose=False)["input_ids"]) > LIMIT
    batch = tokenizer(*texts, truncation=True, max_length=LIMIT, return_tensors="pt")
    with torch.inference_mode():
        logits = model(**batch).logits[0]
    note = f"The text has more than {LIMIT} tokens; only its beginning was read." if cut else ""
    if PROBLEM == "regression":
        return f"{logits[0]:.3f}", note
    scores = (logits.sigmoid() if PROBLEM == "multi_label_classification" else logits.softmax(-1)).tolist()
    named = {model.config.id2label[index]: score for index, score in enumerate(scores)}
    if PROBLEM == "multi_label_classification":
        named = {label: score for label, score in named.items() if score > 0.5}
    return (named, note) if named else (None, "No label is above 50 %.")


with gr.Blocks(title=TITLE, analytics_enabled=False) as demo:
    gr.Markdown(f"# {TITLE}")
    boxes = [gr.Textbox(label=name, lines=2) for name in BOXES]
    button = gr.Button("Answer", variant="primary")
    result = gr.Label(label="Answer")
    note = gr.Markdown()
    gr.Examples(EXAMPLES, boxes)
    gr.on([button.click, *(box.submit for box in boxes)], answer, boxes, [result, note], api_name="answer")

if __name__ == "__main__":
    demo.launch()
