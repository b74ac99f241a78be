"""Older versions of transformers: the student with its own code, and the stock BERT or BART."""
# pip: torch==2.13.0 numpy transformers==4.57.6
# pip: torch==2.13.0 numpy transformers==5.8.1

import sys
from pathlib import Path

import torch
import transformers
from row import KINDS, compare, of_output, refuse

work = Path(sys.argv[1])
CLASSES = {
    "encoder": "AutoModel",
    "classifier": "AutoModelForSequenceClassification",
    "regression": "AutoModelForSequenceClassification",
    "multi-label": "AutoModelForSequenceClassification",
    "words": "AutoModelForTokenClassification",
    "answers": "AutoModelForQuestionAnswering",
    "translator": "AutoModelForSeq2SeqLM",
}
for form in ("student", "bert or bart"):
    tool = f"transformers {transformers.__version__}, {form}"
    for kind in KINDS:
        try:
            stock = "bart" if kind == "translator" else "bert"
            folder = str(work / kind / (form if form == "student" else stock))
            trusted = {"trust_remote_code": form == "student"}
            model = getattr(transformers, CLASSES[kind]).from_pretrained(folder, **trusted).eval()
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **trusted)

            def answer(row, model=model, tokenizer=tokenizer, kind=kind):
                batch = tokenizer(row["text"], row.get("pair"), truncation=True, max_length=128, return_tensors="pt")
                with torch.no_grad():
                    if kind == "translator":
                        ids = model.generate(**batch, num_beams=1, do_sample=False, max_new_tokens=32)[0]
                        return tokenizer.decode(ids, skip_special_tokens=True)
                    return of_output(kind, model(**batch))

            compare(tool, work, kind, answer, f"{CLASSES[kind]}.from_pretrained(FOLDER, ...)")
        except Exception as error:
            refuse(tool, kind, error)
