// What row.py does, for scripts of node.
import fs from "node:fs";
import path from "node:path";

export const KINDS = ["encoder", "classifier", "regression", "multi-label", "words", "answers", "translator"];
const OUTPUTS = { encoder: ["last_hidden_state"], answers: ["start_logits", "end_logits"] };

/** Print a line of JSON. */
export function say(tool, kind, result) {
  console.log(JSON.stringify({ tool, kind, ...result }));
}

/** The tool cannot open a kind. */
export function refuse(tool, kind, error) {
  say(tool, kind, { refused: String(error.message ?? error).split("\n")[0].slice(0, 200) });
}

/** The version of a package that is installed beside this file. */
export function versionOf(name) {
  return JSON.parse(fs.readFileSync(new URL(`./node_modules/${name}/package.json`, import.meta.url))).version;
}

/** What stands in reference.json, of the outputs (lists by name) that a graph gives for one row. */
export function ofOutputs(kind, lists) {
  const [first, second] = (OUTPUTS[kind] ?? ["logits"]).map((name) => lists[name][0]);
  if (kind === "encoder") return [first[0]];
  if (kind === "answers") return first.map((one, i) => [one, second[i]]);
  return kind === "words" ? first : [first];
}

/** Ask a tool every text, or the first ones, and print how far it is from PyTorch; answer(row) gives rows of numbers, or a text. */
export async function compare(tool, work, kind, answer, how, most = Infinity) {
  const rows = JSON.parse(fs.readFileSync(path.join(work, kind, "reference.json"))).rows.slice(0, most);
  let largest = 0, same = 0, count = 0;
  for (const row of rows) {
    const found = await answer(row);
    if (kind === "translator") {
      same += found.trim() === row.said.trim() ? 1 : 0;
      continue;
    }
    if (found.length !== row.said.length || found[0].length !== row.said[0].length) {
      const shapes = [found, row.said].map((one) => `${one.length} x ${one[0]?.length}`);
      return say(tool, kind, { how, refused: `answers of shape ${shapes[0]} in place of ${shapes[1]}` });
    }
    const numbers = found.map((line) => line.map(Number));
    numbers.forEach((line, i) => line.forEach((value, j) => (largest = Math.max(largest, Math.abs(value - row.said[i][j])))));
    // A label a line; of answers a place a column.
    const turned = (lines) => (kind === "answers" ? lines[0].map((_, j) => lines.map((line) => line[j])) : lines);
    const best = (line) => line.indexOf(Math.max(...line));
    const right = turned(row.said);
    turned(numbers).forEach((line, i) => (same += best(line) === best(right[i]) ? 1 : 0));
    count += right.length;
  }
  if (kind === "translator") return say(tool, kind, { how, equal: `${same} of ${rows.length} translations` });
  const labels = ["classifier", "words", "answers"].includes(kind) ? { equal: `${same} of ${count} labels` } : {};
  // As Python writes it.
  const difference = largest.toExponential(1).replace(/e([+-])(\d)$/, "e$10$2");
  say(tool, kind, { how, difference, ...labels });
}
