// @ts-check
/**
 * A lexicon with more words, as `with_words` in pipeline/lexicon.py: the trie stays as it is, and what is new stands beside
 * it. New nodes are numbered as they are made.
 */
import { NO_NODE, ROOT } from "./lexicon.js";

/**
 * @import { Lexicon } from "./lexicon.js"
 */

export class LongerLexicon {
  /**
   * @param {Lexicon} lexicon
   * @param {Map<string, number[][]>} said sounds of the new words, which may be among the old ones
   * @param {number} logProb each of them is at least as promising
   */
  constructor(lexicon, said, logProb) {
    this.lexicon = lexicon;
    /** @type {Map<number, Map<number, number>>} */
    this.newChildren = new Map();
    /** @type {Map<number, string[]>} */
    this.newWords = new Map();
    const promises = Array.from(lexicon.promises);
    for (const [word, several] of said) {
      for (const sounds of several) {
        let node = ROOT;
        for (const sound of sounds) {
          node = this.childOrNew(node, sound, promises.length);
          promises[node] = Math.max(promises[node] ?? -Infinity, logProb);
        }
        this.newWords.set(node, [...(this.newWords.get(node) ?? []), word]);
      }
    }
    /** By node: log-probability of the likeliest word below it. */
    this.promises = Float64Array.from(promises);
  }

  /**
   * @param {number} node
   * @param {number} sound
   * @param {number} next number of a new node
   */
  childOrNew(node, sound, next) {
    const child = this.child(node, sound);
    if (child !== NO_NODE) return child;
    const children = this.newChildren.get(node) ?? new Map();
    this.newChildren.set(node, children.set(sound, next));
    return next;
  }

  /**
   * The node one sound further on; -1 if no word goes on so.
   * @param {number} node
   * @param {number} sound
   */
  child(node, sound) {
    const child = this.isOld(node) ? this.lexicon.child(node, sound) : NO_NODE;
    return child === NO_NODE ? (this.newChildren.get(node)?.get(sound) ?? NO_NODE) : child;
  }

  /**
   * The words that sound like the way to this node.
   * @param {number} node
   */
  words(node) {
    const old = this.isOld(node) ? this.lexicon.words(node) : [];
    return [...old, ...(this.newWords.get(node) ?? []).filter((word) => !old.includes(word))];
  }

  /** @param {number} node */
  isOld(node) {
    return node < this.lexicon.promises.length;
  }
}
