// @ts-check
/**
 * The compact language model file, whose layout is described in pipeline/lm_file.py: arrays as they lie in memory. They
 * become views on the downloaded bytes; only the vocabulary is read.
 */

/**
 * @import { Pronunciations } from "./lexicon.js"
 *
 * All n-grams of one order; see pipeline/ngrams.py.
 * @typedef {object} Level
 * @property {Uint16Array | Uint32Array} words
 * @property {Uint8Array | Float32Array} log_probs
 * @property {Uint8Array | Float32Array} log_backoffs
 * @property {Uint32Array} first_child
 * @property {Float32Array} [prob_book]
 * @property {Float32Array} [backoff_book]
 */

const MAGIC = "rilletLM";
const VERSION = 1;
const PREAMBLE_BYTES = 20;
const TYPES = { uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array, float32: Float32Array };

/**
 * @param {ArrayBuffer} buffer the file
 * @returns {{vocabulary: string[], levels: Level[], said: Pronunciations | null}}
 */
export function readLanguageModel(buffer) {
  const text = new TextDecoder();
  const view = new DataView(buffer);
  if (buffer.byteLength < PREAMBLE_BYTES || text.decode(new Uint8Array(buffer, 0, 8)) !== MAGIC) {
    throw new Error("The language model is damaged: it does not begin as one.");
  }
  if (view.getUint32(8, true) !== VERSION) throw new Error("The language model has another format version.");
  const length = view.getUint32(12, true);
  const header = JSON.parse(text.decode(new Uint8Array(buffer, PREAMBLE_BYTES, length)));
  if (Number(header.bytes) !== buffer.byteLength) throw new Error("The language model is damaged: it is cut short.");
  const start = Math.ceil((PREAMBLE_BYTES + length) / 8) * 8;
  const levels = Array.from({ length: header.order }, () => /** @type {any} */ ({}));
  const said = header.phones ? /** @type {any} */ ({ phones: header.phones }) : null;
  let vocabulary = [""];
  for (const { name, dtype, count, offset } of header.sections) {
    const array = new TYPES[/** @type {keyof typeof TYPES} */ (dtype)](buffer, start + offset, count);
    const [part, field] = name.split(".");
    if (name === "vocabulary") vocabulary = text.decode(array).split("\n").slice(0, -1);
    else if (part === "said") said[field] = array;
    else levels[Number(part) - 1][field] = array;
  }
  return { vocabulary, levels, said };
}
