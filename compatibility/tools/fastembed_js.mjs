// fastembed in Node: an encoder's embeddings. It gives the first token's state with the length 1.
// npm: fastembed@2.1.0
import path from "node:path";
import { EmbeddingModel, FlagEmbedding } from "fastembed";
import { compare, refuse, versionOf } from "./row.mjs";

const work = path.resolve(process.argv[2]);
const tool = `fastembed ${versionOf("fastembed")} (npm)`;
try {
  const options = { modelAbsoluteDirPath: path.join(work, "encoder", "onnx"), modelName: "onnx/model.onnx", maxLength: 128 };
  const model = await FlagEmbedding.init({ model: EmbeddingModel.CUSTOM, ...options });
  const answer = async (row) => {
    const [vector] = (await model.embed([row.text]).next()).value;
    const length = Math.hypot(...row.said[0]);
    return [Array.from(vector, (one) => one * length)];
  };
  await compare(tool, work, "encoder", answer, "FlagEmbedding.init({ model: EmbeddingModel.CUSTOM, modelAbsoluteDirPath: FOLDER, modelName: FILE })");
} catch (error) {
  refuse(tool, "encoder", error);
}
