// @ts-check
/**
 * Any sample rate to the model's: a Kaiser-windowed sinc, 100 dB, flat to 91 % of the lower Nyquist frequency. The same
 * filter as pipeline/resample.py, which says where it comes from.
 */
import { concatenate, roundHalfEven } from "./numbers.js";

const STOPBAND_DB = 100;
const PASSBAND = 0.913; // of the lower Nyquist frequency; the stopband begins at 1

/** Mono sound from one rate to another, in pieces of any size. */
export class Resampler {
  /**
   * @param {number} rateHz a whole number
   * @param {number} targetHz a whole number
   */
  constructor(rateHz, targetHz) {
    const divisor = greatestCommonDivisor(rateHz, targetHz);
    this.up = targetHz / divisor;
    this.down = rateHz / divisor;
    const nyquistHz = Math.min(rateHz, targetHz) / 2;
    const halfS = (STOPBAND_DB - 8) / (2.285 * 2 * Math.PI * (1 - PASSBAND) * nyquistHz) / 2;
    this.half = this.up === this.down ? 0 : Math.ceil(halfS * rateHz); // inputs on either side under the filter
    this.taps = 2 * this.half + 2;
    this.filters = this.up === this.down ? [] : this.makeFilters(rateHz, targetHz, nyquistHz, halfS);
    this.tail = new Float32Array(this.half); // input that later outputs still need
    this.begin = -this.half; // number of the input that the tail begins with
    this.samplesIn = 0;
    this.samplesOut = 0;
  }

  /**
   * @param {Float32Array} samples
   * @returns {Float32Array} what can be told by now; the rest lags by half the filter, 5 ms
   */
  push(samples) {
    this.samplesIn += samples.length;
    if (this.up === this.down) return samples;
    return this.filter(samples);
  }

  /** @returns {Float32Array} the rest: in all, exactly round(input * up / down) samples come out */
  finish() {
    if (this.up === this.down) return new Float32Array(0);
    const rest = roundHalfEven((this.samplesIn * this.up) / this.down) - this.samplesOut;
    return this.filter(new Float32Array(this.taps + this.half)).slice(0, rest);
  }

  /** @param {Float32Array} samples */
  filter(samples) {
    const { up, down, half, taps } = this;
    const input = concatenate(this.tail, samples);
    const end = this.begin + input.length;
    // output m needs the inputs up to floor(m * down / up) - half + taps - 1
    const ready = Math.ceil(((end + half - taps + 1) * up) / down);
    const out = new Float32Array(Math.max(0, ready - this.samplesOut));
    for (let n = 0; n < out.length; n++) {
      const m = this.samplesOut + n;
      const filter = this.filters[m % up];
      const first = Math.floor((m * down) / up) - half - this.begin;
      let sum = 0;
      for (let k = 0; k < taps; k++) sum += input[first + k] * filter[k];
      out[n] = sum;
    }
    this.samplesOut += out.length;
    const needed = Math.floor((this.samplesOut * down) / up) - half;
    this.tail = input.slice(needed - this.begin);
    this.begin = needed;
    return out;
  }

  /**
   * One filter for each phase.
   * @param {number} rateHz
   * @param {number} targetHz
   * @param {number} nyquistHz
   * @param {number} halfS
   */
  makeFilters(rateHz, targetHz, nyquistHz, halfS) {
    const beta = 0.1102 * (STOPBAND_DB - 8.7);
    const cutoffHz = ((1 + PASSBAND) / 2) * nyquistHz;
    const filters = [];
    for (let phase = 0; phase < this.up; phase++) {
      const filter = new Float32Array(this.taps);
      const first = Math.floor((phase * this.down) / this.up) - this.half;
      for (let k = 0; k < this.taps; k++) {
        const timeS = phase / targetHz - (first + k) / rateHz;
        if (Math.abs(timeS) >= halfS) continue;
        const window = besselI0(beta * Math.sqrt(1 - (timeS / halfS) ** 2)) / besselI0(beta);
        filter[k] = ((2 * cutoffHz) / rateHz) * sinc(2 * cutoffHz * timeS) * window;
      }
      filters.push(filter);
    }
    return filters;
  }
}

/**
 * @param {number} a
 * @param {number} b
 * @returns {number}
 */
function greatestCommonDivisor(a, b) {
  return b ? greatestCommonDivisor(b, a % b) : a;
}

/** @param {number} x */
function sinc(x) {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/**
 * The modified Bessel function of order zero, by its power series.
 * @param {number} x
 */
function besselI0(x) {
  let sum = 1;
  for (let term = 1, n = 1; term > sum * 1e-17; n++) {
    term *= (x / (2 * n)) ** 2;
    sum += term;
  }
  return sum;
}
