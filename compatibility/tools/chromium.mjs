// transformers.js in Chromium, a real browser: the ONNX exports as WebAssembly and by WebGPU; a translator as for
// transformers_js.mjs. Pages, models and libraries are served on this machine. It wants a `chromium` in PATH (or its path
// in CHROMIUM), and says no rows where there is none.
// npm: playwright-core@1.65.1 @huggingface/transformers@4.3.2
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { compare, KINDS, ofOutputs, refuse, versionOf } from "./row.mjs";

const work = path.resolve(process.argv[2]);
const modules = fileURLToPath(new URL("./node_modules/", import.meta.url));
const classes = {
  encoder: "AutoModel",
  classifier: "AutoModelForSequenceClassification",
  regression: "AutoModelForSequenceClassification",
  "multi-label": "AutoModelForSequenceClassification",
  words: "AutoModelForTokenClassification",
  answers: "AutoModelForQuestionAnswering",
  translator: "AutoModelForSeq2SeqLM",
};
// Of the imports in the package's build for browsers.
const imports = {
  "@huggingface/transformers": "/modules/@huggingface/transformers/dist/transformers.web.js",
  "onnxruntime-web/webgpu": "/modules/onnxruntime-web/dist/ort.webgpu.bundle.min.mjs",
  "onnxruntime-common": "/modules/onnxruntime-common/dist/esm/index.js",
};
const page = `<!doctype html><script type="importmap">${JSON.stringify({ imports })}</script><script type="module">
import * as hf from "@huggingface/transformers";
hf.env.allowRemoteModels = false;
hf.env.allowLocalModels = true;
hf.env.localModelPath = "/students/";
hf.env.backends.onnx.wasm.wasmPaths = "/modules/onnxruntime-web/dist/";
hf.env.backends.onnx.wasm.numThreads = 1;
let model, tokenizer;
window.load = async (name, folder, options) => {
  const last = model;
  model = undefined; // where the next one cannot be opened, it must not be let go twice
  await last?.dispose();
  model = await hf[name].from_pretrained(folder, options);
  tokenizer = await hf.AutoTokenizer.from_pretrained(folder);
};
window.answer = async (row, writes) => {
  const batch = await tokenizer(row.text, { truncation: true, max_length: 128, ...(row.pair && { text_pair: row.pair }) });
  if (writes) {
    const ids = await model.generate({ ...batch, num_beams: 1, do_sample: false, max_new_tokens: 32 });
    return tokenizer.batch_decode(ids, { skip_special_tokens: true })[0];
  }
  const out = await model(batch);
  return Object.fromEntries(Object.entries(out).filter(([, one]) => one?.tolist).map(([key, one]) => [key, one.tolist()]));
};
window.ready = true;
</script>`;
const types = { ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm", ".json": "application/json" };

/** A server on this machine for the page, the students and the libraries. */
async function served() {
  const server = http.createServer((request, response) => {
    const name = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
    if (name === "/") return response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(page);
    const [root, rest] = name.startsWith("/modules/") ? [modules, name.slice(9)] : [work, name.replace("/students/", "")];
    const file = path.join(root, rest); // join and URL take ".." out
    if (!fs.statSync(file, { throwIfNoEntry: false })?.isFile()) return response.writeHead(404).end();
    response.writeHead(200, { "content-type": types[path.extname(file)] ?? "application/octet-stream", "content-length": fs.statSync(file).size });
    if (request.method === "HEAD") return response.end();
    fs.createReadStream(file).pipe(response);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

/** The browser of this machine; null where there is none. */
function installed() {
  try {
    return process.env.CHROMIUM ?? execFileSync("sh", ["-c", "command -v chromium"], { encoding: "utf8" }).trim();
  } catch {
    return null;
  }
}

const place = installed();
if (place === null) {
  console.error("There is no chromium on this machine (Debian: apt-get install chromium): no rows.");
  process.exit(0);
}
const quiet = ["--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const gpu = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"]; // a GPU in software, the same on every machine
const server = await served();
const browser = await chromium.launch({ executablePath: place, args: ["--no-sandbox", ...quiet, ...gpu] });
const tab = await browser.newPage();
await tab.goto(`http://localhost:${server.address().port}/`);
await tab.waitForFunction("window.ready");
const name = `transformers.js ${versionOf("@huggingface/transformers")} in Chromium ${browser.version()}`;
const encoders = KINDS.slice(0, -1); // a translator is made in fp32 and int8
await opened("wasm", "fp32", "onnx", KINDS);
await opened("wasm", "q8", "onnx-int8", KINDS);
await opened("wasm", "fp16", "onnx-float16", encoders);
// In software a text takes seconds, so few are asked; and no float16, which this GPU has not.
await opened("webgpu", "fp32", "onnx", KINDS, 20);
await opened("webgpu", "q8", "onnx-int8", KINDS, 20);
await browser.close();
server.close();

/** Rows of the students of some kinds. */
async function opened(device, dtype, form, kinds, most = Infinity) {
  const tool = `${name}, ${device === "webgpu" ? "WebGPU in software" : "WASM"}, ${dtype}`;
  for (const kind of kinds) {
    try {
      const writes = kind === "translator";
      const folder = `${kind}/${writes ? "bart-onnx" : form}`;
      await tab.evaluate((given) => window.load(...given), [classes[kind], folder, { dtype, device }]);
      const answer = async (row) => {
        const said = await tab.evaluate((given) => window.answer(...given), [row, writes]);
        return writes ? said : ofOutputs(kind, said);
      };
      const how = `${classes[kind]}.from_pretrained(FOLDER, { dtype: "${dtype}", device: "${device}" })`;
      await compare(tool, work, kind, answer, how, most);
    } catch (error) {
      if (!browser.isConnected()) throw error; // it says nothing of the tool
      refuse(tool, kind, error);
    }
  }
}
