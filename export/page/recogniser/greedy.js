// @ts-check
/** Greedy CTC, as pipeline/greedy.py: the likeliest token of each frame, repeats merged, blanks dropped. */

/**
 * @import { Decoded, Word } from "./events.js"
 * @typedef {{text: string, first: number, last: number, logProb: number}} Spelled a token and the frames it led in
 * @typedef {{frame: number, token: number, word: Spelled[]}} GreedyState
 */

const BLANK = 0;
const MAX_WORD_TOKENS = 64; // noise without a space in it is cut here

/** Commits each word at the space behind it; only the unfinished word is volatile. */
export class GreedyDecoder {
  /**
   * @param {string[]} tokens tokens[0] is the blank; a space inside a token is a word boundary
   * @param {number} columns of log-probabilities; the first are those of the tokens
   * @param {number} frameS seconds of audio to a row
   */
  constructor(tokens, columns, frameS) {
    this.tokens = tokens;
    this.columns = columns;
    this.frameS = frameS;
  }

  /** @returns {GreedyState} */
  start() {
    return { frame: 0, token: BLANK, word: [] };
  }

  /**
   * @param {Float32Array} logProbs [frames * columns]
   * @param {GreedyState} state
   * @returns {[Decoded, GreedyState]}
   */
  step(logProbs, state) {
    const count = this.tokens.length;
    const committed = [];
    let { frame, token: previous, word } = state;
    for (let row = 0; row < logProbs.length; row += this.columns, frame++) {
      let token = BLANK;
      for (let i = 1; i < count; i++) if (logProbs[row + i] > logProbs[row + token]) token = i;
      const logProb = logProbs[row + token];
      if (token !== BLANK && token !== previous) {
        const [head, ...tails] = this.tokens[token].split(" ");
        word = spelled(word, head, frame, logProb);
        for (const tail of tails) {
          committed.push(...this.close(word));
          word = spelled([], tail, frame, logProb);
        }
        if (word.length === MAX_WORD_TOKENS) {
          committed.push(...this.close(word));
          word = [];
        }
      } else if (token !== BLANK && word.length) {
        const last = word[word.length - 1];
        word = [...word.slice(0, -1), { ...last, last: frame, logProb: Math.max(last.logProb, logProb) }];
      }
      previous = token;
    }
    return [
      { committed, volatile: this.close(word), unfinishedS: null },
      { frame, token: previous, word },
    ];
  }

  /**
   * @param {GreedyState} state
   * @returns {[Decoded, GreedyState]}
   */
  finish(state) {
    return [
      { committed: this.close(state.word), volatile: [], unfinishedS: null },
      { frame: state.frame, token: BLANK, word: [] },
    ];
  }

  /**
   * The word in seconds, or nothing if there is none.
   * @param {Spelled[]} word
   * @returns {Word[]}
   */
  close(word) {
    if (!word.length) return [];
    const meanLogProb = word.reduce((sum, token) => sum + token.logProb, 0) / word.length;
    return [
      {
        text: word.map((token) => token.text).join(""),
        startS: word[0].first * this.frameS,
        endS: (word[word.length - 1].last + 1) * this.frameS,
        confidence: Math.min(Math.exp(meanLogProb), 1),
      },
    ];
  }
}

/**
 * @param {Spelled[]} word
 * @param {string} text
 * @param {number} frame
 * @param {number} logProb
 * @returns {Spelled[]}
 */
function spelled(word, text, frame, logProb) {
  return text ? [...word, { text, first: frame, last: frame, logProb }] : word;
}
