// @ts-check
/**
 * The recogniser in a thread of its own, so that the page never stalls. One stream at a time; messages are worked off in
 * the order in which they come. The sound of the microphone comes through a port, straight from the capture thread.
 *
 * in:    load | listen {decoder, port} | file {decoder, channels, rateHz} | stop
 * port:  samples at the model's rate, then "end"
 * out:   progress {share} | ready {info} | events {events, heardS} | late {lostS} | done {audioS, computeS, lostS} | error
 *
 * @import { Event } from "./events.js"
 * @typedef {{kind: "language" | "phrases" | "plain", phrases: string[]}} Choice how to find words
 */
import { Endpointer } from "./endpoint.js";
import { makeDecoder } from "./decoding.js";
import { download } from "./download.js";
import { LanguageModel } from "./language-model.js";
import { AcousticModel } from "./model.js";
import { Resampler } from "./resample.js";
import { Stream } from "./stream.js";

const MOST_WAITING_S = 60; // a device that is too slow loses sound beyond this; silence takes its place
const FILE_PIECE_S = 0.5;

/** @type {{info: any, beam: any, endpoints: any, model: AcousticModel, lm: LanguageModel | null}} */
let loaded;
/** @type {Stream | null} */
let stream = null;
let waitingSamples = 0;
let lostSamples = 0;
let computeMs = 0;
let generation = 0; // counts streams; `stop` makes what belongs to the last one void

/** @param {string} type @param {object} content */
const tell = (type, content = {}) => postMessage({ type, ...content });

async function load() {
  const about = await (await fetch(new URL("../model.json", import.meta.url))).json();
  const names = ["model", "wasm", ...(about.files.lm ? ["lm"] : [])];
  const sizes = names.map((name) => about.files[name].bytes);
  const total = sizes.reduce((a, b) => a + b, 0);
  const got = names.map(() => 0);
  const [file, wasm, lm] = await Promise.all(
    names.map((name, i) =>
      download(new URL(`../${about.files[name].path}`, import.meta.url), sizes[i], (bytes) => {
        got[i] = bytes;
        tell("progress", { share: got.reduce((a, b) => a + b, 0) / total });
      }),
    ),
  );
  const model = await AcousticModel.load(about.info, file, wasm);
  const difference = await model.verify(about.golden);
  if (!(difference <= about.golden.tolerance)) {
    throw new Error(`This browser computes something else than it should: the self-test is off by ${difference}.`);
  }
  loaded = { ...about, model, lm: lm ? LanguageModel.read(lm) : null };
  tell("ready", { info: { ...about.info, hasLanguageModel: Boolean(lm) }, difference });
}

/** @param {Choice} choice */
function start(choice) {
  const { info, model, lm, beam, endpoints } = loaded;
  const frameS = info.samples_per_frame / info.sample_rate_hz;
  const decoder = makeDecoder(info, frameS, choice, lm, beam);
  stream = new Stream(model, decoder, new Endpointer(endpoints, frameS, info.look_ahead_frames));
  computeMs = 0;
}

/** @param {Float32Array | null} samples the next ones; null: there are no more */
async function hear(samples) {
  const mine = stream;
  if (!mine) return;
  const begin = performance.now();
  const events = await (samples ? mine.accept(samples) : mine.finish());
  computeMs += performance.now() - begin;
  if (mine === stream) tell("events", { events, heardS: mine.samples / loaded.info.sample_rate_hz });
}

function done() {
  const rateHz = loaded.info.sample_rate_hz;
  if (stream) tell("done", { audioS: stream.samples / rateHz, computeS: computeMs / 1000, lostS: lostSamples / rateHz });
  stream = null;
}

/**
 * Sound from the microphone, which may wait, but not without bounds.
 * @param {Float32Array} samples
 */
function queue(samples) {
  if (waitingSamples > MOST_WAITING_S * loaded.info.sample_rate_hz) {
    lostSamples += samples.length;
    samples.fill(0);
    tell("late", { lostS: lostSamples / loaded.info.sample_rate_hz });
  }
  waitingSamples += samples.length;
  enqueue(async () => {
    waitingSamples -= samples.length;
    await hear(samples);
  });
}

function finish() {
  enqueue(() => hear(null));
  enqueue(done);
}

/**
 * @param {Float32Array[]} channels
 * @param {number} rateHz
 */
async function hearFile(channels, rateHz) {
  if (!stream) return; // it could not be started
  const mine = generation;
  const begin = performance.now();
  const resampler = new Resampler(rateHz, loaded.info.sample_rate_hz);
  const size = Math.round(FILE_PIECE_S * rateHz);
  for (let first = 0; first < channels[0].length && mine === generation; first += size) {
    await hear(resampler.push(mean(channels, first, first + size)));
    tell("progress", { share: Math.min(1, (first + size) / channels[0].length) });
    await new Promise((resolve) => setTimeout(resolve)); // lets `stop` in
  }
  if (mine !== generation) return;
  await hear(resampler.finish());
  await hear(null);
  computeMs = performance.now() - begin;
  done();
}

/**
 * @param {Float32Array[]} channels
 * @param {number} first
 * @param {number} last
 */
function mean(channels, first, last) {
  if (channels.length === 1) return channels[0].slice(first, last);
  const mono = new Float64Array(channels[0].subarray(first, last));
  for (const channel of channels.slice(1)) channel.subarray(first, last).forEach((value, i) => (mono[i] += value));
  return Float32Array.from(mono, (value) => value / channels.length);
}

let tail = Promise.resolve();

/** @param {() => unknown} job */
function enqueue(job) {
  const mine = generation;
  tail = tail
    .then(() => (mine === generation ? job() : undefined))
    .then(() => {}, (error) => tell("error", { message: String(error.message ?? error) }));
}

/** @param {MessageEvent} event */
onmessage = ({ data }) => {
  switch (data.type) {
    case "load":
      return enqueue(load);
    case "listen":
      waitingSamples = lostSamples = 0;
      enqueue(() => start(data.decoder));
      data.port.onmessage = (/** @type {MessageEvent} */ { data }) => (data === "end" ? finish() : queue(data));
      return;
    case "file":
      enqueue(() => start(data.decoder));
      return enqueue(() => hearFile(data.channels, data.rateHz));
    case "stop":
      generation++;
      stream = null;
  }
};
