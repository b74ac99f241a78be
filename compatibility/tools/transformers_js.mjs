// transformers.js in Node: the ONNX export of fp32.
// npm: @huggingface/transformers@4.3.2
import fs from "node:fs";
import path from "node:path";
import * as hf from "@huggingface/transformers";

const work = path.resolve(process.argv[2]);
hf.env.allowRemoteModels = false;
hf.env.localModelPath = work;
const version = JSON.parse(fs.readFileSync(new URL("./node_modules/@huggingface/transformers/package.json", import.meta.url))).version;
const classes = {
  encoder: hf.AutoModel,
  classifier: hf.AutoModelForSequenceClassification,
  regression: hf.AutoModelForSequenceClassification,
  "multi-label": hf.AutoModelForSequenceClassification,
  words: hf.AutoModelForTokenClassification,
  answers: hf.AutoModelForQuestionAnswering,
  translator: hf.AutoModelForSeq2SeqLM,
};
for (const [form, dtype] of [["onnx", "fp32"], ["onnx-int8", "q8"]]) {
  const tool = `transformers.js ${version}, ${dtype}`;
  for (const [kind, auto] of Object.entries(classes)) {
    const say = (result) => console.log(JSON.stringify({ tool, kind, ...result }));
    try {
      const folder = `${kind}/${form}`;
      const model = await auto.from_pretrained(folder, { dtype });
      const tokenizer = await hf.AutoTokenizer.from_pretrained(folder);
      const rows = JSON.parse(fs.readFileSync(path.join(work, kind, "reference.json"))).rows;
      let largest = 0, same = 0, count = 0, tokens = 0;
      for (const row of rows) {
        const options = { truncation: true, max_length: 128 };
        if (row.pair) options.text_pair = row.pair;
        const batch = await tokenizer(row.text, options);
        if (kind === "translator") {
          const ids = await model.generate({ ...batch, num_beams: 1, do_sample: false, max_new_tokens: 32 });
          const [text] = tokenizer.batch_decode(ids, { skip_special_tokens: true });
          same += text.trim() === row.said.trim() ? 1 : 0;
          count += 1;
          continue;
        }
        const out = await model(batch);
        tokens += JSON.stringify(batch.input_ids.tolist()[0].map(Number)) === JSON.stringify(row.ids) ? 1 : 0;
        let found;
        if (kind === "encoder") found = [out.last_hidden_state.tolist()[0][0]];
        else if (kind === "answers") found = out.start_logits.tolist()[0].map((one, i) => [one, out.end_logits.tolist()[0][i]]);
        else found = kind === "words" ? out.logits.tolist()[0] : out.logits.tolist();
        found.forEach((line, i) => line.forEach((value, j) => {
          largest = Math.max(largest, Math.abs(Number(value) - (row.said[i] ?? [])[j]));
        }));
        const best = (line) => line.indexOf(Math.max(...line));
        if (kind === "classifier" || kind === "words") {
          found.forEach((line, i) => { same += best(line.map(Number)) === best(row.said[i] ?? []) ? 1 : 0; count += 1; });
        }
      }
      const how = `${auto.name}.from_pretrained(FOLDER, { dtype: "${dtype}" })`;
      if (kind === "translator") say({ how, equal: `${same} of ${count} translations` });
      else say({ how, difference: largest.toExponential(1), ...(count ? { equal: `${same} of ${count} labels` } : {}), tokens: `${tokens} of ${rows.length}` });
    } catch (error) {
      say({ refused: String(error.message ?? error).split("\n")[0].slice(0, 200) });
    }
  }
}
