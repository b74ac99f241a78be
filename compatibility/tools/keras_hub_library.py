"""keras-hub on torch: a stock BERT's encoder, and its head by hand. It asks for TensorFlow, and runs without."""
# pip: torch==2.13.0 numpy h5py ml_dtypes optree rich absl-py namex regex requests pyyaml tqdm sentencepiece safetensors tokenizers==0.23.1 --no-deps keras==3.15.1 kagglehub==1.0.2 kagglesdk==0.1.38 keras-hub==0.32.0

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
        if kind == "encoder":
            tokenizer = keras_hub.models.BertTextClassifierPreprocessor.from_preset(folder, sequence_length=128)
            encoder = keras_hub.models.BertBackbone.from_preset(folder)

            def answer(row, tokenizer=tokenizer, encoder=encoder):
                return encoder(tokenizer([row["text"]]))["sequence_output"][0, 0].detach().numpy()

            how = "BertBackbone.from_preset(FOLDER)"
        else:
            model = keras_hub.models.BertTextClassifier.from_preset(folder, num_classes=HEADS[kind])
            weights = load_file(f"{folder}/model.safetensors")
            model.get_layer("logits").set_weights([weights["classifier.weight"].T, weights["classifier.bias"]])

            def answer(row, model=model):
                return model(model.preprocessor([row["text"]]))[0].detach().numpy()  # predict wants grain or TensorFlow

            how = "BertTextClassifier.from_preset(FOLDER, num_classes=N), then get_layer('logits').set_weights(...)"
        compare(tool, work, kind, answer, how)
    except Exception as error:
        refuse(tool, kind, error)
