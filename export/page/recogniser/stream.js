// @ts-check
/**
 * A live stream, as pipeline/stream.py: the one object that changes, and the thin loop around the steps.
 *
 * samples -> fixed pieces -> model -> decoder -> endpointer -> events
 */
import { frameLevels } from "./endpoint.js";
import { spell } from "./events.js";
import { concatenate } from "./numbers.js";

/**
 * @import { Decoded, Decoder, Event, Final, Reason, Word } from "./events.js"
 * @import { Endpointer } from "./endpoint.js"
 *
 * What is needed of a model; see model.js.
 * @typedef {object} Model
 * @property {ModelInfo} info
 * @property {() => any} start
 * @property {(audio: Float32Array, state: any) => Promise<[Float32Array, any]>} step
 *
 * The names are those of the metadata in the model file.
 * @typedef {object} ModelInfo
 * @property {number} sample_rate_hz
 * @property {number} samples_per_frame
 * @property {number} step_frames
 * @property {number} look_ahead_frames
 * @property {number} words_early_s
 * @property {number} state_size
 * @property {string[]} tokens
 * @property {string[]} phones
 * @property {number} columns of the log-probabilities: those of the tokens, then a blank and the phones if there are any
 * @property {string} name
 * @property {string} language
 */

/** One conversation. The words do not depend on how the audio is cut into pieces. */
export class Stream {
  /**
   * @param {Model} model
   * @param {Decoder<any>} decoder
   * @param {Endpointer} endpointer
   */
  constructor(model, decoder, endpointer) {
    this.model = model;
    this.decoder = decoder;
    this.endpointer = endpointer;
    this.modelState = model.start();
    this.decoderState = decoder.start();
    this.endpointState = endpointer.start();
    this.waiting = new Float32Array(0); // less than a step
    this.samples = 0; // so far
    this.frames = 0; // rows of log-probabilities so far, the look-ahead among them
    this.utterance = 0;
    /** @type {Word[]} committed, of this utterance */
    this.words = [];
    /** @type {Word[]} */
    this.volatile = [];
    this.shown = "0 "; // number of committed words and volatile text of the last partial
  }

  /**
   * Hear the next samples, of any number, at the model's rate.
   * @param {Float32Array} samples mono, -1..1
   * @returns {Promise<Event[]>} finals of utterances that ended, then one partial if the text has changed
   */
  async accept(samples) {
    const step = this.model.info.step_frames * this.model.info.samples_per_frame;
    this.samples += samples.length;
    const audio = concatenate(this.waiting, samples);
    const whole = audio.length - (audio.length % step);
    this.waiting = audio.slice(whole);
    return [...(await this.feed(audio.subarray(0, whole))), ...this.news()];
  }

  /**
   * Hear what is still under way, to the last sample, and end the stream.
   * @returns {Promise<Event[]>} the last event is a final
   */
  async finish() {
    const { info } = this.model;
    /** @type {Event[]} */
    let events = [];
    if (this.samples) {
      const endFrame = Math.ceil(this.samples / info.samples_per_frame) + info.look_ahead_frames;
      const steps = Math.ceil((endFrame - this.frames) / info.step_frames);
      const rest = new Float32Array(steps * info.step_frames * info.samples_per_frame);
      rest.set(this.waiting);
      events = await this.feed(rest, endFrame);
    }
    return [...events, this.endUtterance("finish")];
  }

  /**
   * Step through model and decoder, which gets the rows from the look-ahead to `endFrame`.
   * @param {Float32Array} audio whole steps; a call of the model always has the same size, as in Python
   * @param {number} endFrame
   */
  async feed(audio, endFrame = Infinity) {
    const { info } = this.model;
    const step = info.step_frames * info.samples_per_frame;
    const width = info.columns;
    /** @type {Event[]} */
    const events = [];
    for (let start = 0; start < audio.length; start += step) {
      const piece = audio.slice(start, start + step);
      const [logProbs, modelState] = await this.model.step(piece, this.modelState);
      this.modelState = modelState;
      const first = Math.max(info.look_ahead_frames - this.frames, 0); // rows before it are about the time before
      const last = Math.min(endFrame - this.frames, info.step_frames);
      const rows = logProbs.subarray(Math.min(first, last) * width, last * width);
      const [decoded, decoderState] = this.decoder.step(rows, this.decoderState);
      this.decoderState = decoderState;
      this.frames += info.step_frames;
      this.commit(decoded);
      events.push(...this.endByRules(piece, rows.length / width, decoded.unfinishedS));
    }
    return events;
  }

  /**
   * The final if the utterance ends with this step.
   * @param {Float32Array} piece
   * @param {number} decodedFrames
   * @param {number | null} unfinishedS
   * @returns {Final[]}
   */
  endByRules(piece, decodedFrames, unfinishedS) {
    const words = [...this.words, ...this.volatile];
    /** @type {[number, number] | null} */
    const speech = words.length ? [words[0].startS, words[words.length - 1].endS] : null;
    const levels = frameLevels(piece, this.model.info.samples_per_frame);
    const [reason, state] = this.endpointer.step(levels, decodedFrames, speech, unfinishedS, this.endpointState);
    this.endpointState = state;
    if (reason === null || (reason === "max_length" && !this.words.length)) return [];
    this.endpointState = this.endpointer.nextUtterance(state);
    return [this.endUtterance(reason)];
  }

  /** @param {Decoded} decoded */
  commit(decoded) {
    this.words.push(...decoded.committed);
    this.volatile = decoded.volatile;
  }

  /** @returns {Event[]} a partial if the text is no longer the one last shown */
  news() {
    const volatile = spell(this.volatile);
    const shown = `${this.words.length} ${volatile}`;
    if (shown === this.shown) return [];
    this.shown = shown;
    const words = this.placed([...this.words, ...this.volatile]);
    return [{ type: "partial", utterance: this.utterance, committed: spell(this.words), volatile, words }];
  }

  /**
   * Words where they are heard; what is written last may seem to be heard after the end.
   * @param {Word[]} words
   */
  placed(words) {
    const { sample_rate_hz, words_early_s } = this.model.info;
    const end = this.samples / sample_rate_hz;
    const place = (/** @type {number} */ timeS) => Math.min(Math.max(timeS + words_early_s, 0), end);
    return words.map((word) => ({ ...word, startS: place(word.startS), endS: place(word.endS) }));
  }

  /**
   * One that is too long ends with what is committed, and the decoder goes on as if nothing had happened.
   * @param {Reason} reason
   * @returns {Final}
   */
  endUtterance(reason) {
    if (reason !== "max_length") {
      const [decoded, state] = this.decoder.finish(this.decoderState);
      this.decoderState = state;
      this.commit(decoded);
    }
    const words = this.placed(this.words);
    this.words = [];
    this.shown = "0 ";
    return { type: "final", utterance: this.utterance++, text: spell(words), words, reason };
  }
}
