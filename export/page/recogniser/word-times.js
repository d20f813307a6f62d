// @ts-check
/** From tokens and the frames in which they were heard to words with times and confidence; as pipeline/word_times.py. */

/**
 * @import { Word } from "./events.js"
 * @typedef {{first: number, last: number, logProb: number, cut: boolean}} Mark where a token stands on the best alignment;
 *   `cut`: whether the text before it may be committed
 * @typedef {{text: string, first: number, last: number, logProb: number, end: number}} Span a word on it; `end`: number of
 *   the token behind it
 */

/**
 * The words in a text of token pieces; a space in a piece is a word boundary.
 * @param {string[]} pieces
 * @param {Mark[]} marks
 */
export function spansOf(pieces, marks) {
  /** @type {Span[]} */
  const spans = [];
  let letters = ""; // of the word under way
  /** @type {Mark[]} */
  let heard = [];
  const close = (/** @type {number} */ end) => {
    const logProb = heard.reduce((sum, mark) => sum + mark.logProb, 0) / heard.length;
    spans.push({ text: letters, first: heard[0].first, last: heard[heard.length - 1].last, logProb, end });
    [letters, heard] = ["", []];
  };
  pieces.forEach((piece, i) => {
    piece.split(" ").forEach((part, j) => {
      if (j && letters) close(i);
      if (!part) return;
      letters += part;
      heard.push(marks[i]);
    });
  });
  if (letters) close(pieces.length);
  return spans;
}

/**
 * Seconds for frames.
 * @param {Span} span
 * @param {string} text
 * @param {number} frameS
 * @param {number} share posterior of the word among the texts that the search still had
 * @returns {Word}
 */
export function toWord(span, text, frameS, share) {
  const confidence = Math.min(Math.max(Math.exp(span.logProb) * share, 0), 1);
  return { text, startS: span.first * frameS, endS: (span.last + 1) * frameS, confidence };
}
