// onnxruntime in Node, by its own library and as WebAssembly (the package for browsers), with the tokenizers of JavaScript.
// npm: onnxruntime-node@1.30.0 onnxruntime-web@1.30.0 @huggingface/tokenizers@0.2.0
import fs from "node:fs";
import path from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";
import * as node from "onnxruntime-node";
import * as web from "onnxruntime-web";
import { compare, KINDS, ofOutputs, refuse, versionOf } from "./row.mjs";

const work = path.resolve(process.argv[2]);
const read = (...parts) => JSON.parse(fs.readFileSync(path.join(...parts), "utf8"));
const files = { onnx: "model.onnx", "onnx-int8": "model_quantized.onnx", "onnx-float16": "model_fp16.onnx" };
const settings = { "onnxruntime-node": { intraOpNumThreads: 1 }, "onnxruntime-web": { executionProviders: ["wasm"] } };
web.env.wasm.numThreads = 1;
for (const [name, runtime] of [["onnxruntime-node", node], ["onnxruntime-web", web]]) {
  for (const [form, file] of Object.entries(files)) {
    const tool = `${name} ${versionOf(name)}, ${form}`;
    for (const kind of KINDS.slice(0, -1)) {
      try {
        const folder = path.join(work, kind, form);
        // A browser gives the bytes that it has fetched.
        const session = await runtime.InferenceSession.create(fs.readFileSync(path.join(folder, "onnx", file)), settings[name]);
        const tokenizer = new Tokenizer(read(folder, "tokenizer.json"), read(folder, "tokenizer_config.json"));
        const answer = async (row) => {
          const { ids, attention_mask, token_type_ids } = tokenizer.encode(row.text, { text_pair: row.pair ?? null, return_token_type_ids: true });
          const given = { input_ids: ids, attention_mask, token_type_ids };
          const numbers = (one) => new runtime.Tensor("int64", BigInt64Array.from(one, BigInt), [1, one.length]);
          const out = await session.run(Object.fromEntries(session.inputNames.map((input) => [input, numbers(given[input])])));
          const lists = session.outputNames.map((output) => [output, nested([...out[output].data], out[output].dims)]);
          return ofOutputs(kind, Object.fromEntries(lists));
        };
        await compare(tool, work, kind, answer, "InferenceSession.create(FILE)");
        await session.release();
      } catch (error) {
        refuse(tool, kind, error);
      }
    }
  }
}

/** A flat list as lists of lists. */
function nested(values, dims) {
  if (dims.length === 1) return values;
  const size = values.length / dims[0];
  return Array.from({ length: dims[0] }, (_, i) => nested(values.slice(i * size, (i + 1) * size), dims.slice(1)));
}
