"""PEFT: an adapter on a student, merged again, leaves its answers as they are."""
# pip: torch==2.13.0 peft==0.20.0 transformers==5.24.0

import sys
from importlib.metadata import version
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from row import compare, refuse
from transformers import AutoModelForSequenceClassification, AutoTokenizer

work, tool = Path(sys.argv[1]), f"PEFT {version('peft')}"
for form, targets in (("student, target_modules named", ["query", "value"]), ("student, as it comes", None)):
    try:
        folder = str(work / "classifier" / "student")
        model = AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=True).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
        tuned = get_peft_model(model, LoraConfig(task_type="SEQ_CLS", target_modules=targets)).eval()
        assert any("lora_A" in name for name, _ in tuned.named_parameters())
        merged = tuned.merge_and_unload()

        def answer(row, merged=merged, tokenizer=tokenizer):
            batch = tokenizer(row["text"], truncation=True, max_length=128, return_tensors="pt")
            with torch.no_grad():
                return merged(**batch).logits[0].numpy()

        compare(f"{tool}, {form}", work, "classifier", answer, "get_peft_model(model, LoraConfig(...))")
    except Exception as error:
        refuse(f"{tool}, {form}", "classifier", error)
