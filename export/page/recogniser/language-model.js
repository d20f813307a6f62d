// @ts-check
/**
 * A back-off n-gram model in use, as pipeline/lm.py: how likely a word is after others, and how likely a word begins with
 * given letters. The state is a list of positions in the trie: of the last word, the last two words, and so on.
 */
import { Lexicon } from "./lexicon.js";
import { readLanguageModel } from "./lm-file.js";

/**
 * @import { Pronunciations } from "./lexicon.js"
 * @import { Level } from "./lm-file.js"
 * @typedef {number[]} LmState
 *
 * What a word can be, in a model of language: what is written for it, and whether a text may end with it.
 * @typedef {{text: string, logProb: number, state: LmState, settled: boolean}} Way
 */

const CACHE_SIZE = 50_000; // entries of each cache; a full one is emptied

export class LanguageModel {
  /**
   * @param {string[]} vocabulary sorted
   * @param {Level[]} levels
   * @param {Pronunciations | null} said
   */
  constructor(vocabulary, levels, said) {
    this.vocabulary = vocabulary;
    this.levels = levels;
    this.order = levels.length;
    this.said = said;
    /** @type {Lexicon | null} */
    this.sounds = null; // made when it is first asked for
    this.unknown = this.position("<unk>");
    this.sentenceEnd = this.position("</s>");
    // p(word begins so) is a difference of two of these, because such words stand side by side
    this.cumulative = new Float64Array(vocabulary.length + 1);
    for (let i = 0; i < vocabulary.length; i++) {
      this.cumulative[i + 1] = this.cumulative[i] + Math.exp(logProb(levels[0], i));
    }
    /** @type {Map<string, [number, LmState]>} */
    this.scores = new Map();
    /** @type {Map<string, number>} */
    this.beginnings = new Map();
  }

  /** @param {ArrayBuffer} buffer a compact language model file */
  static read(buffer) {
    const { vocabulary, levels, said } = readLanguageModel(buffer);
    return new LanguageModel(vocabulary, levels, said);
  }

  /** @param {string} word */
  knows(word) {
    return this.vocabulary[this.position(word)] === word;
  }

  /** @returns {LmState} at the beginning of a sentence */
  start() {
    return this.order > 1 ? [this.position("<s>")] : [];
  }

  /**
   * @param {LmState} state
   * @param {string} word one out of the vocabulary counts as <unk>
   * @returns {[number, LmState]} ln p(word | state) and the state behind it
   */
  score(state, word) {
    const key = `${word} ${state}`;
    let found = this.scores.get(key);
    if (!found) {
      const i = this.position(word);
      found = this.follow(state, this.vocabulary[i] === word ? i : this.unknown);
      if (this.scores.size >= CACHE_SIZE) this.scores.clear();
      this.scores.set(key, found);
    }
    return found;
  }

  /**
   * The one thing that a word can be; models of phrases know several.
   * @param {LmState} state
   * @param {string} word
   * @returns {Way[]}
   */
  ways(state, word) {
    const [logProb, after] = this.score(state, word);
    return [{ text: word, logProb, state: after, settled: true }];
  }

  /**
   * ln p(the sentence ends here).
   * @param {LmState} state
   */
  end(state) {
    return this.follow(state, this.sentenceEnd)[0];
  }

  /**
   * ln of the unigram probability that a word begins so; -Infinity if no word does.
   * @param {string} letters
   */
  begins(letters) {
    let found = this.beginnings.get(letters);
    if (found === undefined) {
      const low = this.position(letters);
      const high = this.position(letters + "\uffff", low);
      found = high > low ? Math.log(this.cumulative[high] - this.cumulative[low]) : -Infinity;
      if (this.beginnings.size >= CACHE_SIZE) this.beginnings.clear();
      this.beginnings.set(letters, found);
    }
    return found;
  }

  /**
   * How frequent each letter is in what the model expects, and the space behind words, summing to one.
   * @returns {Map<string, number>}
   */
  letterShares() {
    const shares = new Map();
    let total = 0;
    for (let i = 0; i < this.vocabulary.length; i++) {
      const word = this.vocabulary[i];
      if (word === "<s>" || word === "</s>" || word === "<unk>") continue;
      const mass = this.cumulative[i + 1] - this.cumulative[i];
      for (const letter of `${word} `) {
        shares.set(letter, (shares.get(letter) ?? 0) + mass);
        total += mass;
      }
    }
    for (const [letter, mass] of shares) shares.set(letter, mass / total);
    return shares;
  }

  /** How the words sound; null if the file does not say it. */
  lexicon() {
    if (!this.sounds && this.said) {
      const logProbs = Float64Array.from(this.vocabulary, (_, i) => logProb(this.levels[0], i));
      this.sounds = new Lexicon(this.said, this.vocabulary, logProbs);
    }
    return this.sounds;
  }

  /**
   * Follow the word from every known context; the longest that has it gives the probability.
   * @param {LmState} state
   * @param {number} word
   * @returns {[number, LmState]}
   */
  follow(state, word) {
    const nodes = [word];
    for (let n = 0; n < state.length; n++) {
      const children = this.levels[n].first_child;
      const longer = this.levels[n + 1].words;
      const end = children[state[n] + 1];
      const i = bisect(longer, word, children[state[n]], end);
      if (i === end || longer[i] !== word) break;
      nodes.push(i);
    }
    let sum = logProb(this.levels[nodes.length - 1], nodes[nodes.length - 1]);
    for (let n = nodes.length - 1; n < state.length; n++) sum += logBackoff(this.levels[n], state[n]);
    return [sum, nodes.slice(0, this.order - 1)];
  }

  /**
   * Where the word stands in the vocabulary, or would stand.
   * @param {string} word
   */
  position(word, low = 0) {
    return bisect(this.vocabulary, word, low, this.vocabulary.length);
  }
}

/**
 * @param {Level} level
 * @param {number} i
 */
function logProb({ log_probs, prob_book }, i) {
  return prob_book ? prob_book[log_probs[i]] : log_probs[i];
}

/**
 * @param {Level} level
 * @param {number} i
 */
function logBackoff({ log_backoffs, backoff_book }, i) {
  return backoff_book ? backoff_book[log_backoffs[i]] : log_backoffs[i];
}

/**
 * The first place from `low` on whose entry is not below `value`.
 * @template T
 * @param {ArrayLike<T>} sorted
 * @param {T} value
 * @param {number} low
 * @param {number} high
 */
function bisect(sorted, value, low, high) {
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
