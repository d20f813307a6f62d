// @ts-check
/** When an utterance is over, and why, as pipeline/endpoint.py: from the decoder's words and the level of the sound. */
import { concatenate, roundHalfEven } from "./numbers.js";

/**
 * @import { Reason } from "./events.js"
 * @typedef {{before_speech_s: number, after_speech_s: number, longest_s: number}} EndpointRules
 * @typedef {object} EndpointState
 * @property {Float32Array} levelsDbfs of the latest frames heard
 * @property {number} heardFrames since the start of the stream
 * @property {number} decodedFrames fewer, by the look-ahead
 * @property {number} beginFrame of the utterance
 * @property {number} loudestDbfs of its decoded frames
 */

const QUIET_DB = 15; // so far under the loudest frame of its utterance, a frame is a pause for certain
const LOWEST_DBFS = -120; // digital silence

export class Endpointer {
  /**
   * @param {EndpointRules} rules
   * @param {number} frameS
   * @param {number} lookAheadFrames
   */
  constructor(rules, frameS, lookAheadFrames) {
    this.frameS = frameS;
    this.lookAheadFrames = lookAheadFrames;
    const frames = (/** @type {number} */ timeS) => Math.max(1, roundHalfEven(timeS / frameS));
    this.beforeSpeech = frames(rules.before_speech_s);
    this.afterSpeech = frames(rules.after_speech_s);
    this.longest = frames(rules.longest_s);
  }

  /** @returns {EndpointState} */
  start() {
    return {
      levelsDbfs: new Float32Array(0),
      heardFrames: 0,
      decodedFrames: 0,
      beginFrame: 0,
      loudestDbfs: LOWEST_DBFS,
    };
  }

  /**
   * @param {Float32Array} levelsDbfs of audio that went into the model
   * @param {number} decodedFrames how many frames the decoder has got meanwhile
   * @param {[number, number] | null} speech start of the utterance's first word, end of its last one; seconds
   * @param {number | null} unfinishedS where the last word of a phrase ends that is not complete; it is waited for
   * @param {EndpointState} state
   * @returns {[Reason | null, EndpointState]}
   */
  step(levelsDbfs, decodedFrames, speech, unfinishedS, state) {
    const frame = state.decodedFrames + decodedFrames;
    const heardFrames = state.heardFrames + levelsDbfs.length;
    const levels = concatenate(state.levelsDbfs, levelsDbfs);
    const oldest = heardFrames - levels.length; // frame that levels[0] belongs to
    const decoded = levels.slice(state.decodedFrames - oldest, frame - oldest);
    const loudestDbfs = decoded.reduce((a, b) => Math.max(a, b), state.loudestDbfs);

    /** @type {Reason | null} */
    let reason = null;
    if (speech === null) {
      const begun = Math.max(state.beginFrame, roundHalfEven((unfinishedS ?? 0) / this.frameS));
      if (frame - begun >= this.beforeSpeech) reason = "silence";
    } else {
      const [first, last] = speech.map((timeS) => roundHalfEven(timeS / this.frameS));
      const pause = levels.slice(Math.max(last - oldest, 0), frame - oldest);
      const threshold = Math.fround(loudestDbfs - QUIET_DB);
      const quiet = pause.filter((level) => level < threshold).length;
      if (quiet + pause.length >= 2 * this.afterSpeech) reason = "silence";
      else if (frame - first >= this.longest) reason = "max_length";
    }
    const kept = this.lookAheadFrames + 2 * this.afterSpeech; // all that may be asked for
    const next = { ...state, levelsDbfs: levels.slice(-kept), heardFrames, decodedFrames: frame, loudestDbfs };
    return [reason, next];
  }

  /**
   * The state that begins an utterance where the last one ended.
   * @param {EndpointState} state
   * @returns {EndpointState}
   */
  nextUtterance(state) {
    return { ...state, beginFrame: state.decodedFrames, loudestDbfs: LOWEST_DBFS };
  }
}

/**
 * The level of each frame in dB, where a full-scale square wave is 0 and silence -120.
 * @param {Float32Array} audio
 * @param {number} samplesPerFrame
 */
export function frameLevels(audio, samplesPerFrame) {
  const levels = new Float32Array(audio.length / samplesPerFrame);
  for (let frame = 0; frame < levels.length; frame++) {
    let power = 0;
    for (let i = frame * samplesPerFrame; i < (frame + 1) * samplesPerFrame; i++) power += audio[i] ** 2;
    levels[frame] = 10 * Math.log10(Math.max(power / samplesPerFrame, 10 ** (LOWEST_DBFS / 10)));
  }
  return levels;
}
