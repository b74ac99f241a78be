"""A page for a text classifier or a translator, the one that settings.json beside this file names."""

import json
from pathlib import Path
from typing import Any

import gradio as gr
import torch
from transformers import AutoModelForSeq2SeqLM, AutoModelForSequenceClassification, AutoTokenizer

folder = Path(__file__).parent
# model: a folder beside this file, or an id on the Hub; limit: tokens that it reads; positions: tokens that it writes.
settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
problem, limit = settings["problem"], settings["limit"]
translates = problem == "translation"
place = str(folder / settings["model"]) if (folder / settings["model"]).is_dir() else settings["model"]
# The model's code travels with it.
tokenizer = AutoTokenizer.from_pretrained(place, trust_remote_code=True)
auto_class = AutoModelForSeq2SeqLM if translates else AutoModelForSequenceClassification
model = auto_class.from_pretrained(place, trust_remote_code=True, dtype=torch.float32).eval()


def answer(*given: str) -> tuple[Any, str]:
    """The labels of a text with their probabilities, a number, or a translation; and what to know about it."""
    texts = [(text or "").strip() for text in given]
    if not all(texts):
        return None, "Please type a text first."
    cut = len(tokenizer(*texts, verbose=False)["input_ids"]) > limit
    note = f"The text has more than {limit} tokens; only its beginning was read." if cut else ""
    batch = tokenizer(*texts, truncation=True, max_length=limit, return_tensors="pt")
    with torch.inference_mode():
        found = translation(batch) if translates else labels(batch)
    return (None, "No label is above 50 %.") if found == {} else (found, note)


def labels(batch: Any) -> Any:
    """Label -> probability, or a number as text; nothing where no label of several is above one half."""
    logits = model(**batch).logits[0]
    if problem == "regression":
        return f"{logits[0]:.3f}"
    several = problem == "multi_label_classification"
    scores = (logits.sigmoid() if several else logits.softmax(-1)).tolist()
    return {model.config.id2label[index]: score for index, score in enumerate(scores) if not several or score > 0.5}


def translation(batch: Any) -> str:
    """What the model writes."""
    ids = batch["input_ids"]
    longest = min(2 * ids.shape[1] + 10, settings["positions"])
    search = {"num_beams": settings["beams"], "do_sample": False, "max_length": None, "forced_eos_token_id": None}
    written = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=longest, **search)
    return str(tokenizer.batch_decode(written, skip_special_tokens=True)[0]).strip()


with gr.Blocks(title=settings["title"], analytics_enabled=False) as demo:
    gr.Markdown(f"# {settings['title']}")
    boxes = [gr.Textbox(label=name, lines=2) for name in settings["boxes"]]
    button = gr.Button("Translate" if translates else "Answer", variant="primary")
    result = gr.Textbox(label="Translation", lines=2, interactive=False) if translates else gr.Label(label="Answer")
    below = gr.Markdown()
    gr.Examples(settings["examples"], boxes)
    gr.on([button.click, *(box.submit for box in boxes)], answer, boxes, [result, below], api_name="answer")

if __name__ == "__main__":
    demo.launch()
