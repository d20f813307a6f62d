/** Runs one part of the page in node: what to do comes as JSON on standard input, what came out goes as JSON out. */
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const page = (name) => import(new URL(name, pathToFileURL(`${process.argv[2]}/`)));
const job = JSON.parse(readFileSync(0, "utf8"));
const floats = (base64) => new Float32Array(Uint8Array.from(Buffer.from(base64, "base64")).buffer);
const fileBuffer = (path) => new Uint8Array(readFileSync(path)).buffer;

async function decoderOf({ tokens, phones, columns, frame_s, kind, phrases, lm, options }) {
  const { makeDecoder } = await page("recogniser/decoding.js");
  const { LanguageModel } = await page("recogniser/language-model.js");
  const language = lm ? LanguageModel.read(fileBuffer(lm)) : null;
  return makeDecoder({ tokens, phones, columns }, frame_s, { kind, phrases }, language, options);
}

const tasks = {
  /** Log-probabilities in pieces: after each, what is committed and volatile; at last, what finishing gives. */
  async decode({ decoder: about, pieces }) {
    const decoder = await decoderOf(about);
    let state = decoder.start();
    let decoded;
    const steps = [];
    for (const piece of pieces) {
      [decoded, state] = decoder.step(floats(piece), state);
      steps.push(decoded);
    }
    [decoded, state] = decoder.finish(state);
    return [...steps, decoded];
  },

  /** A whole stream with a model that gives what was recorded. */
  async stream({ decoder: about, info, endpoints, audio, logProbs }) {
    const { Endpointer } = await page("recogniser/endpoint.js");
    const { Stream } = await page("recogniser/stream.js");
    const decoder = await decoderOf(about);
    const model = { info, start: () => 0, step: async (_, n) => [floats(logProbs[n]), n + 1] };
    const frameS = info.samples_per_frame / info.sample_rate_hz;
    const stream = new Stream(model, decoder, new Endpointer(endpoints, frameS, info.look_ahead_frames));
    const events = [];
    for (const piece of audio) events.push(...(await stream.accept(floats(piece))));
    return [...events, ...(await stream.finish())];
  },

  async resample({ rateHz, targetHz, pieces }) {
    const { Resampler } = await page("recogniser/resample.js");
    const resampler = new Resampler(rateHz, targetHz);
    return [...pieces.map((piece) => resampler.push(floats(piece))), resampler.finish()].flatMap((part) => [...part]);
  },

  async language({ lm, sentences, beginnings }) {
    const { LanguageModel } = await page("recogniser/language-model.js");
    const model = LanguageModel.read(fileBuffer(lm));
    const scores = sentences.map((words) => {
      let state = model.start();
      const values = words.map((word) => {
        const [value, after] = model.score(state, word);
        state = after;
        return [value, state, model.knows(word)];
      });
      return [...values, [model.end(state), [], false]];
    });
    return { scores, begins: beginnings.map((letters) => model.begins(letters)).map((x) => (x === -Infinity ? null : x)) };
  },

  async texts({ finals }) {
    const { toSrt, toText } = await page("text-files.js");
    return { txt: toText(finals), srt: toSrt(finals) };
  },

  async headerRates({ files }) {
    const { headerRate } = await page("audio-file.js");
    return files.map((file) => headerRate(new Uint8Array(readFileSync(file)).subarray(0, 65_536)));
  },
};

console.log(JSON.stringify(await tasks[job.task](job)));
