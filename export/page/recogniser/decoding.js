// @ts-check
/**
 * Which decoder, from what the user chose; as pipeline/decoding.py, but phrases are found by their letters: nothing here
 * says how a word sounds that the lexicon lacks.
 */
import { BeamDecoder } from "./beam.js";
import { Grammar } from "./grammar.js";
import { GreedyDecoder } from "./greedy.js";
import { LexiconBeamDecoder } from "./lexicon-beam.js";

/**
 * @import { Decoder } from "./events.js"
 * @import { LanguageModel } from "./language-model.js"
 * @import { ModelInfo } from "./stream.js"
 * @import { BeamOptions } from "./text-model.js"
 * @import { Choice } from "./worker.js"
 *
 * As pipeline/beam_options.py: of the search over letters, and of the one over the sounds of a lexicon.
 * @typedef {{letters: BeamOptions, pronunciations: BeamOptions}} Options
 */

/**
 * @param {Pick<ModelInfo, "tokens" | "phones" | "columns">} info
 * @param {number} frameS
 * @param {Choice} choice
 * @param {LanguageModel | null} lm
 * @param {Options} options of the beam searches
 * @returns {Decoder<any>}
 */
export function makeDecoder({ tokens, phones, columns }, frameS, { kind, phrases }, lm, options) {
  if (kind === "phrases") {
    return new BeamDecoder(tokens, columns, frameS, options.letters, null, new Grammar(phrases, tokens));
  }
  if (kind === "plain" || !lm) return new GreedyDecoder(tokens, columns, frameS);
  const lexicon = phones.length ? lm.lexicon() : null;
  if (lexicon && String(lexicon.phones) === String(phones)) {
    return new LexiconBeamDecoder(tokens.length, columns, frameS, options.pronunciations, lm, lexicon);
  }
  return new BeamDecoder(tokens, columns, frameS, options.letters, lm, null);
}
