"""keras-hub on torch: a stock BERT's encoder, and its head by hand. It asks for TensorFlow, and runs without."""
# pip: torch==2.13.0 keras==3.15.1 tokenizers kagglehub safetensors regex sentencepiece --no-deps keras-hub==0.32.0

import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"

import keras_hub
from row import KINDS, compare, refuse
from safetensors.numpy import load_file

work, tool = Path(sys.argv[1]), f"keras-hub {keras_hub.__version__}, bert"
HEADS = {"classifier": 2, "regression": 1, "multi-label": 3}
for kind in KINDS[:4]:
    try:
        folder = str(work / kind / "bert")
        # It reads of a folder whether words are lowered, and not what becomes of accents.
        tokenizer = keras_hub.models.BertTokenizer.from_preset(folder, strip_accents=True)
        read = keras_hub.models.BertTextClassifierPreprocessor(tokenizer, sequence_length=128)
        if kind == "encoder":
            encoder = keras_hub.models.BertBackbone.from_preset(folder)

            def answer(row, read=read, encoder=encoder):
                return encoder(read([row["text"]]))["sequence_output"][0, 0].detach().numpy()

            how = "BertBackbone.from_preset(FOLDER)"
        else:
            model = keras_hub.models.BertTextClassifier.from_preset(folder, num_classes=HEADS[kind], preprocessor=read)
            weights = load_file(f"{folder}/model.safetensors")
            model.get_layer("logits").set_weights([weights["classifier.weight"].T, weights["classifier.bias"]])

            def answer(row, model=model):
                # `predict` wants grain or TensorFlow.
                return model(model.preprocessor([row["text"]]))[0].detach().numpy()

            how = "BertTextClassifier.from_preset(FOLDER, num_classes=N), then get_layer('logits').set_weights(...)"
        compare(tool, work, kind, answer, how)
    except Exception as error:
        refuse(tool, kind, error)
