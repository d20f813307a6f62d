// @ts-check
/**
 * What a beam search knows of language, as pipeline/text_model.py: language model or grammar, in one score that grows with
 * the text.
 */

/**
 * @import { Grammar, GrammarState } from "./grammar.js"
 * @import { LanguageModel, LmState } from "./language-model.js"
 *
 * The names are those of pipeline/beam_options.py.
 * @typedef {Record<string, number>} BeamOptions
 *
 * A text and what is known of it.
 * @typedef {object} Prose
 * @property {string} tokens one character per token, since the last commit
 * @property {string} word letters of the unfinished word
 * @property {LmState} lm of the language model before that word
 * @property {GrammarState} grammar
 * @property {boolean} settled the text before the last token is whole words (in a grammar: phrases) and may be committed
 * @property {number} fixed nats for all that is finished
 * @property {number} weight the same with the promise of the unfinished word: what the search ranks by
 */

const MAX_WORD_LETTERS = 64; // no longer word is spelled, so that noise cannot grow one for ever
const CACHE_SIZE = 50_000;
const LEAST_LETTER_SHARE = 1e-4; // of a letter that the language model never writes

export class TextModel {
  /**
   * @param {string[]} tokens
   * @param {BeamOptions} options
   * @param {LanguageModel | null} lm
   * @param {Grammar | null} grammar
   */
  constructor(tokens, options, lm, grammar) {
    this.pieces = tokens;
    this.options = options;
    this.lm = lm;
    this.grammar = grammar;
    this.wordBonus = lm || grammar ? options.word_bonus : 0;
    this.unknown = lm ? lm.score([], "")[0] : 0;
    /** @type {Map<string, number>} */
    this.promises = new Map();
    const shares = lm?.letterShares();
    /** Nats by token: what both models know of how frequent letters are counts once. */
    this.lifts = tokens.map((piece) => {
      let sum = 0;
      if (shares) for (const letter of piece) sum += Math.log(Math.max(shares.get(letter) ?? 0, LEAST_LETTER_SHARE));
      return -options.letter_prior * sum;
    });
  }

  /** @returns {Prose} no text */
  start() {
    const grammar = this.grammar?.start() ?? [];
    return { tokens: "", word: "", lm: this.lm?.start() ?? [], grammar, settled: false, fixed: 0, weight: 0 };
  }

  /**
   * The text with one more token; null if the grammar or the length of the word forbids it.
   * @param {Prose} prose
   * @param {number} token
   * @returns {Prose | null}
   */
  extend(prose, token) {
    let { word, lm, grammar, fixed } = prose;
    const piece = this.pieces[token];
    let settled = false;
    let i = 0;
    for (const character of piece) {
      const first = i++ === 0;
      if (character === " ") {
        if (!word) continue;
        const [nats, after] = this.finishWord(word, lm);
        fixed += nats;
        lm = after;
        word = "";
      } else {
        word += character;
      }
      if (this.grammar) {
        const step = this.grammar.step(grammar, character);
        if (!step) return null;
        grammar = step[0];
        fixed -= step[1];
      }
      if (character === " " && first) settled = this.grammar?.isSettled(grammar, prose.tokens.length) ?? true;
    }
    if (word.length > MAX_WORD_LETTERS) return null;
    const tokens = prose.tokens + String.fromCharCode(token);
    return { tokens, word, lm, grammar, settled, fixed, weight: word ? fixed + this.promise(word) : fixed };
  }

  /**
   * Nats of the text if it ends here; null if the grammar does not let it.
   * @param {Prose} prose
   */
  ended(prose) {
    let { fixed, lm } = prose;
    if (prose.word) {
      const [nats, after] = this.finishWord(prose.word, lm);
      fixed += nats;
      lm = after;
    }
    if (this.grammar) {
      const price = this.grammar.accepts(prose.grammar);
      if (price === null) return null;
      fixed -= price;
    }
    return fixed + (this.lm ? this.options.lm_weight * this.lm.end(lm) : 0);
  }

  /**
   * Nats for a whole word, and the language model's state behind it.
   * @param {string} word
   * @param {LmState} lm
   * @returns {[number, LmState]}
   */
  finishWord(word, lm) {
    const { lm_weight } = this.options;
    if (!this.lm) return [this.wordBonus, []];
    const [logProb, after] = this.lm.score(lm, word);
    let nats = lm_weight * logProb;
    if (!this.lm.knows(word)) nats -= this.unknownPenalty(word);
    return [nats + this.wordBonus, after];
  }

  /**
   * Nats to expect of a word that begins so: the better of a known word and an unknown one.
   * @param {string} letters
   */
  promise(letters) {
    let promise = this.promises.get(letters);
    if (promise === undefined) {
      promise = this.wordBonus;
      if (this.lm) {
        const known = this.options.lm_weight * this.lm.begins(letters);
        const unknown = this.options.lm_weight * this.unknown - this.unknownPenalty(letters);
        promise += Math.max(known, unknown);
      }
      if (this.promises.size >= CACHE_SIZE) this.promises.clear();
      this.promises.set(letters, promise);
    }
    return promise;
  }

  /** @param {string} letters */
  unknownPenalty(letters) {
    return this.options.unknown_word_penalty + this.options.unknown_letter_penalty * letters.length;
  }
}
