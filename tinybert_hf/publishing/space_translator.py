"""A page for a translator."""

from pathlib import Path

import gradio as gr
import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

TITLE = "TinyBERT"
MODEL = "model"  # a folder beside this file, or an id on the Hub
LIMIT = 512  # tokens that the model reads
POSITIONS = 512  # tokens that it can write
BEAMS = 1
EXAMPLES = [["The train leaves at noon."]]

beside = Path(__file__).with_name(MODEL)
place = str(beside) if beside.is_dir() else MODEL
# The model's code travels with it.
tokenizer = AutoTokenizer.from_pretrained(place, trust_remote_code=True)
model = AutoModelForSeq2SeqLM.from_pretrained(place, trust_remote_code=True, dtype=torch.float32).eval()


def answer(text: str) -> tuple[str, str]:
    """A translation, and what to know about it."""
    if not text or not text.strip():
        return "", "Please type a text first."
    text = text.strip()
    cut = len(tokenizer(text, verbose=False)["input_ids"]) > LIMIT
    ids = tokenizer(text, truncation=True, max_length=LIMIT, return_tensors="pt")["input_ids"]
    longest = min(2 * ids.shape[1] + 10, POSITIONS)
    search = {"num_beams": BEAMS, "do_sample": False, "max_length": None, "forced_eos_token_id": None}
    with torch.inference_mode():
        written = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=longest, **search)
    note = f"The text has more than {LIMIT} tokens; only its beginning was read." if cut else ""
    return tokenizer.batch_decode(written, skip_special_tokens=True)[0].strip(), note


with gr.Blocks(title=TITLE, analytics_enabled=False) as demo:
    gr.Markdown(f"# {TITLE}")
    box = gr.Textbox(label="Text", lines=2)
    button = gr.Button("Translate", variant="primary")
    result = gr.Textbox(label="Translation", lines=2, interactive=False)
    note = gr.Markdown()
    gr.Examples(EXAMPLES, [box])
    gr.on([button.click, box.submit], answer, [box], [result, note], api_name="answer")

if __name__ == "__main__":
    demo.launch()
