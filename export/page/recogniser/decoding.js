// @ts-check
/** Which decoder, from what the user chose; as pipeline/decoding.py. */
import { GreedyDecoder } from "./greedy.js";

/**
 * @import { Choice } from "./worker.js"
 * @import { Decoder } from "./events.js"
 * @import { LanguageModel } from "./language-model.js"
 */

/**
 * @param {string[]} tokens
 * @param {number} frameS
 * @param {Choice} choice
 * @param {LanguageModel | null} lm
 * @param {any} options of the beam search
 * @returns {Decoder<any>}
 */
export function makeDecoder(tokens, frameS, choice, lm, options) {
  return new GreedyDecoder(tokens, frameS);
}
