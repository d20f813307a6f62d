// @ts-check
/**
 * What a stream tells, as pipeline/events.py has it: partial results that grow, and one final result per utterance.
 *
 * @typedef {{text: string, startS: number, endS: number, confidence: number}} Word seconds from the start of the stream
 * @typedef {{type: "partial", utterance: number, committed: string, volatile: string, words: Word[]}} Partial
 *   `committed` will not change again, `volatile` may
 * @typedef {"silence" | "max_length" | "finish"} Reason
 * @typedef {{type: "final", utterance: number, text: string, words: Word[], reason: Reason}} Final
 * @typedef {Partial | Final} Event
 */

/**
 * What one step of a decoder brought: newly certain words, the best guess for everything after them, and where the last
 * word of a phrase ends that is not complete.
 * @typedef {{committed: Word[], volatile: Word[], unfinishedS: number | null}} Decoded
 */

/**
 * A pure step from log-probabilities and a state to words and the next state; see pipeline/decoder.py.
 * @template State
 * @typedef {object} Decoder
 * @property {() => State} start
 * @property {(logProbs: Float32Array, state: State) => [Decoded, State]} step rows of log-probabilities, one after another
 * @property {(state: State) => [Decoded, State]} finish
 */

/** @param {Word[]} words */
export function spell(words) {
  return words.map((word) => word.text).join(" ");
}
