// @ts-check
/**
 * Which decoder, from what the user chose; as pipeline/decoding.py. One thing differs: nothing here guesses how a word
 * sounds that the lexicon lacks, so a list of phrases with such a word is found by its letters, all of it.
 */
import { BeamDecoder } from "./beam.js";
import { Grammar } from "./grammar.js";
import { GreedyDecoder } from "./greedy.js";
import { LexiconBeamDecoder } from "./lexicon-beam.js";
import { LongerLexicon } from "./longer-lexicon.js";
import { PhraseModel, UNKNOWN_PRICE } from "./phrase-model.js";

/**
 * @import { Decoder } from "./events.js"
 * @import { LanguageModel } from "./language-model.js"
 * @import { Lexicon } from "./lexicon.js"
 * @import { ModelInfo } from "./stream.js"
 * @import { BeamOptions } from "./text-model.js"
 * @import { Choice } from "./worker.js"
 *
 * As pipeline/beam_options.py: of the search over letters, of the one over the sounds of a lexicon, and of that one for
 * phrases.
 * @typedef {{letters: BeamOptions, pronunciations: BeamOptions, phrases: BeamOptions}} Options
 */

/**
 * @param {Pick<ModelInfo, "tokens" | "phones" | "columns">} info
 * @param {number} frameS
 * @param {Choice} choice
 * @param {LanguageModel | null} lm where there are phrases, only how its words sound counts
 * @param {Options} options of the beam searches
 * @returns {Decoder<any>}
 */
export function makeDecoder({ tokens, phones, columns }, frameS, { kind, phrases }, lm, options) {
  if (kind === "plain" || (kind === "language" && !lm)) return new GreedyDecoder(tokens, columns, frameS);
  const lexicon = phones.length && lm ? lm.lexicon() : null;
  const sounds = lexicon && String(lexicon.phones) === String(phones) ? lexicon : null;
  if (kind === "phrases") {
    const model = new PhraseModel(phrases, tokens);
    const words = sounds && lexiconOf(model, sounds);
    if (words) return new LexiconBeamDecoder(tokens.length, columns, frameS, options.phrases, model, words);
    return new BeamDecoder(tokens, columns, frameS, options.letters, null, new Grammar(phrases, tokens));
  }
  if (lm && sounds) return new LexiconBeamDecoder(tokens.length, columns, frameS, options.pronunciations, lm, sounds);
  return new BeamDecoder(tokens, columns, frameS, options.letters, lm, null);
}

/**
 * How the words of the phrases sound, and where it is allowed, all others; null if a word of the phrases is not known.
 * @param {PhraseModel} model
 * @param {Lexicon} lexicon
 */
function lexiconOf(model, lexicon) {
  const said = lexicon.pronunciations(model.words);
  if (said.size < model.words.size) return null;
  return new LongerLexicon(model.allowsUnknown ? lexicon.evenly(-UNKNOWN_PRICE) : lexicon.empty(), said, 0);
}
