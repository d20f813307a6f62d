// @ts-check
/** Which decoder, from what the user chose; as pipeline/decoding.py. */
import { BeamDecoder } from "./beam.js";
import { Grammar } from "./grammar.js";
import { GreedyDecoder } from "./greedy.js";

/**
 * @import { Decoder } from "./events.js"
 * @import { LanguageModel } from "./language-model.js"
 * @import { BeamOptions } from "./text-model.js"
 * @import { Choice } from "./worker.js"
 */

/**
 * @param {string[]} tokens
 * @param {number} frameS
 * @param {Choice} choice
 * @param {LanguageModel | null} lm
 * @param {BeamOptions} options of the beam search
 * @returns {Decoder<any>}
 */
export function makeDecoder(tokens, frameS, { kind, phrases }, lm, options) {
  if (kind === "phrases") return new BeamDecoder(tokens, frameS, options, null, new Grammar(phrases, tokens));
  if (kind === "language" && lm) return new BeamDecoder(tokens, frameS, options, lm, null);
  return new GreedyDecoder(tokens, frameS);
}
