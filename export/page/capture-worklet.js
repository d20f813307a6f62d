// @ts-check
/**
 * The audio thread: mixes to mono, resamples to the model's rate, measures the level, and hands pieces on. What the
 * recogniser needs goes through a port of its own, straight to it.
 */
import { Resampler } from "./recogniser/resample.js";

const PIECE_S = 0.04;

class Capture extends AudioWorkletProcessor {
  /** @param {{processorOptions: {rateHz: number}}} options */
  constructor({ processorOptions: { rateHz } }) {
    super();
    this.resampler = new Resampler(sampleRate, rateHz);
    this.piece = new Float32Array(Math.round(PIECE_S * sampleRate));
    this.filled = 0;
    this.ended = false;
    /** @type {MessagePort | null} */
    this.recogniser = null;
    this.port.onmessage = ({ data }) => {
      if (data === "end") this.end();
      else this.recogniser = data;
    };
  }

  /** @param {Float32Array[][]} inputs */
  process([channels]) {
    if (this.ended) return false;
    const count = channels[0]?.length ?? 0; // none while the device starts
    for (let i = 0; i < count; i++) {
      let sum = 0;
      for (const channel of channels) sum += channel[i];
      this.piece[this.filled++] = sum / channels.length;
      if (this.filled === this.piece.length) this.send();
    }
    return true;
  }

  send() {
    const piece = this.piece.subarray(0, this.filled);
    this.filled = 0;
    let power = 0;
    let peak = 0;
    for (const value of piece) {
      power += value * value;
      peak = Math.max(peak, Math.abs(value));
    }
    this.port.postMessage({ rms: Math.sqrt(power / Math.max(piece.length, 1)), peak });
    this.hand(this.resampler.push(piece));
  }

  /** Hands the last sound on, and says so. */
  end() {
    this.send();
    this.hand(this.resampler.finish());
    this.ended = true;
    this.recogniser?.postMessage("end");
    this.port.postMessage("ended");
  }

  /** @param {Float32Array} samples */
  hand(samples) {
    if (!samples.length) return;
    const own = samples.slice();
    this.recogniser?.postMessage(own, [own.buffer]);
  }
}

registerProcessor("capture", Capture);
