// @ts-check
/**
 * Only these phrases, for a search over sounds, as pipeline/phrase_model.py: a language model that knows nothing else. A
 * state is one place in the tree of phrases: a text that can be read in two ways is two hypotheses.
 */
import { spellable, UNKNOWN } from "./grammar.js";

/**
 * @import { LmState, Way } from "./language-model.js"
 */

export const UNKNOWN_PRICE = 6; // nats for a word that is in no phrase

export class PhraseModel {
  /**
   * @param {string[]} phrases among which may be "[unk]"
   * @param {string[]} tokens
   */
  constructor(phrases, tokens) {
    this.allowsUnknown = phrases.includes(UNKNOWN);
    const known = phrases.filter((each) => each !== UNKNOWN).map((each) => spellable(each, tokens));
    /** @type {Map<string, number>[]} */
    this.children = [new Map()];
    /** @type {Set<number>} */
    this.ends = new Set();
    /** @type {Set<string>} */
    this.words = new Set();
    // sorted as in Python, because the numbers of nodes decide where readings tie
    for (const phrase of [...new Set(known)].sort()) {
      let node = 0;
      for (const word of phrase.split(" ")) {
        let next = this.children[node].get(word);
        if (next === undefined) {
          next = this.children.push(new Map()) - 1;
          this.children[node].set(word, next);
        }
        node = next;
        this.words.add(word);
      }
      this.ends.add(node);
    }
  }

  /** @returns {LmState} between phrases; elsewhere the number of a node */
  start() {
    return [];
  }

  /**
   * What a word can be: the next in a phrase, the last in one, or none of ours.
   * @param {LmState} state
   * @param {string} word
   */
  ways(state, word) {
    /** @type {Way[]} */
    const ways = [];
    const node = this.children[state[0] ?? 0].get(word);
    if (node !== undefined) {
      if (this.ends.has(node)) ways.push({ text: word, logProb: 0, state: [], settled: true });
      if (this.children[node].size) ways.push({ text: word, logProb: 0, state: [node], settled: false });
    }
    if (this.allowsUnknown && !state.length) { // also a word of a phrase, said outside of it
      ways.push({ text: UNKNOWN, logProb: -UNKNOWN_PRICE, state: [], settled: true });
    }
    return ways;
  }

  /**
   * Zero between phrases, and -Infinity in the middle of one.
   * @param {LmState} state
   */
  end(state) {
    return state.length ? -Infinity : 0;
  }
}
