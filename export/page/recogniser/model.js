// @ts-check
/** The acoustic model: the .onnx file in onnxruntime-web, and its one pure step. */
// @ts-ignore: put there by `rillet export --web`
import * as ort from "../ort/ort.wasm.min.mjs";

/** @import { ModelInfo } from "./stream.js" */

export class AcousticModel {
  /**
   * @param {ModelInfo} info
   * @param {any} session
   */
  constructor(info, session) {
    this.info = info;
    this.session = session;
  }

  /**
   * @param {ModelInfo} info
   * @param {ArrayBuffer} file the .onnx file
   * @param {ArrayBuffer} wasm onnxruntime-web's WebAssembly
   */
  static async load(info, file, wasm) {
    ort.env.wasm.numThreads = 1; // a small recurrent model is fastest with one, and more need special HTTP headers
    ort.env.wasm.wasmBinary = wasm;
    ort.env.wasm.wasmPaths = new URL("../ort/", import.meta.url).href;
    ort.env.logLevel = "error";
    const session = await ort.InferenceSession.create(file, { executionProviders: ["wasm"] });
    return new AcousticModel(info, session);
  }

  /** @returns {any} the state that begins a stream */
  start() {
    const size = this.info.state_size;
    return new ort.Tensor("float32", new Float32Array(size), [1, size]);
  }

  /**
   * Hear the next piece.
   * @param {Float32Array} audio step_frames * samples_per_frame, mono, -1..1
   * @param {any} state from `start` or from the step before; not altered
   * @returns {Promise<[Float32Array, any]>} rows of natural log-probabilities, and the next state
   */
  async step(audio, state) {
    const outputs = await this.session.run({ audio: new ort.Tensor("float32", audio, [1, audio.length]), state });
    return [outputs.log_probs.data, outputs.next_state];
  }

  /**
   * Run the file's self-test, which also warms up.
   * @param {{audio_int16: string, log_probs_float32: string}} golden as in the metadata of the model file
   * @returns {Promise<number>} the largest difference from what must come out
   */
  async verify(golden) {
    const audio = Float32Array.from(new Int16Array(bytes(golden.audio_int16)), (value) => value / 32768);
    const wanted = new Float32Array(bytes(golden.log_probs_float32));
    const { step_frames, samples_per_frame } = this.info;
    let state = this.start();
    let difference = 0;
    let row = 0;
    for (let start = 0; start < audio.length; start += step_frames * samples_per_frame) {
      const [logProbs, next] = await this.step(audio.slice(start, start + step_frames * samples_per_frame), state);
      state = next;
      for (const value of logProbs) difference = Math.max(difference, Math.abs(value - wanted[row++]));
    }
    return row === wanted.length ? difference : Infinity;
  }
}

/** @param {string} base64 */
function bytes(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)).buffer;
}
