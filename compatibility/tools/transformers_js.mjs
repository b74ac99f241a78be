// transformers.js in Node: the ONNX exports, in fp32, int8 and float16; a translator as Optimum exports the stock BART,
// in fp32 and int8 (optimum_onnx.py has made them).
// npm: @huggingface/transformers@4.3.2
import path from "node:path";
import * as hf from "@huggingface/transformers";
import { compare, KINDS, ofOutputs, refuse, versionOf } from "./row.mjs";

const work = path.resolve(process.argv[2]);
hf.env.allowRemoteModels = false;
hf.env.localModelPath = work;
const classes = {
  encoder: hf.AutoModel,
  classifier: hf.AutoModelForSequenceClassification,
  regression: hf.AutoModelForSequenceClassification,
  "multi-label": hf.AutoModelForSequenceClassification,
  words: hf.AutoModelForTokenClassification,
  answers: hf.AutoModelForQuestionAnswering,
  translator: hf.AutoModelForSeq2SeqLM,
};
for (const [form, dtype] of [["onnx", "fp32"], ["onnx-int8", "q8"], ["onnx-float16", "fp16"]]) {
  const tool = `transformers.js ${versionOf("@huggingface/transformers")}, ${dtype}`;
  for (const kind of dtype === "fp16" ? KINDS.slice(0, -1) : KINDS) {
    try {
      const folder = `${kind}/${kind === "translator" ? "bart-onnx" : form}`;
      const model = await classes[kind].from_pretrained(folder, { dtype });
      const tokenizer = await hf.AutoTokenizer.from_pretrained(folder);
      const answer = async (row) => {
        const options = { truncation: true, max_length: 128 };
        if (row.pair) options.text_pair = row.pair;
        const batch = await tokenizer(row.text, options);
        if (kind === "translator") {
          const ids = await model.generate({ ...batch, num_beams: 1, do_sample: false, max_new_tokens: 32 });
          return tokenizer.batch_decode(ids, { skip_special_tokens: true })[0];
        }
        const out = await model(batch);
        const lists = Object.entries(out).filter(([, one]) => one?.tolist).map(([name, one]) => [name, one.tolist()]);
        return ofOutputs(kind, Object.fromEntries(lists));
      };
      await compare(tool, work, kind, answer, `${classes[kind].name}.from_pretrained(FOLDER, { dtype: "${dtype}" })`);
    } catch (error) {
      refuse(tool, kind, error);
    }
  }
}
