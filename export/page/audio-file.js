// @ts-check
/** A recording as samples at its own rate: the browser decodes, and only our resampler resamples. */

const USUAL_RATE_HZ = 48_000; // for formats whose header is not read here
const LOWEST_RATE_HZ = 8_000; // what every browser decodes to (Web Audio API, BaseAudioContext)
const HIGHEST_RATE_HZ = 96_000;

/**
 * @param {Blob} file anything that the browser can play
 * @returns {Promise<{channels: Float32Array[], rateHz: number}>}
 */
export async function decodeAudio(file) {
  const bytes = await file.arrayBuffer();
  const found = headerRate(new Uint8Array(bytes, 0, Math.min(bytes.byteLength, 65_536)));
  const rateHz = found >= LOWEST_RATE_HZ && found <= HIGHEST_RATE_HZ ? found : USUAL_RATE_HZ;
  const sound = await new OfflineAudioContext(1, 1, rateHz).decodeAudioData(bytes);
  const channels = Array.from({ length: sound.numberOfChannels }, (_, i) => sound.getChannelData(i).slice());
  return { channels, rateHz };
}

/**
 * The sample rate that a WAV, FLAC, Ogg or MP3 header tells, or 0.
 * @param {Uint8Array} head the first bytes of the file
 */
export function headerRate(head) {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const text = (/** @type {number} */ at, /** @type {number} */ length) =>
    String.fromCharCode(...head.subarray(at, at + length));
  if (text(0, 4) === "RIFF" && text(8, 4) === "WAVE") {
    for (let at = 12; at + 16 <= head.length; at += 8 + view.getUint32(at + 4, true) + (view.getUint32(at + 4, true) % 2)) {
      if (text(at, 4) === "fmt ") return view.getUint32(at + 12, true);
    }
  } else if (text(0, 4) === "fLaC" && head.length > 21) {
    return view.getUint32(18) >>> 12;
  } else if (text(0, 4) === "OggS") {
    const start = 27 + (head[26] ?? 0); // behind the page's segment table
    if (text(start, 8) === "OpusHead") return 48_000;
    if (text(start, 7) === "\x01vorbis" && head.length > start + 16) return view.getUint32(start + 12, true);
  } else {
    return mp3Rate(head);
  }
  return 0;
}

/** @param {Uint8Array} head */
function mp3Rate(head) {
  let at = 0;
  if (head[0] === 0x49 && head[1] === 0x44 && head[2] === 0x33) {
    at = 10 + ((head[6] << 21) | (head[7] << 14) | (head[8] << 7) | head[9]); // an ID3 tag
  }
  if (head[at] !== 0xff || (head[at + 1] & 0xe0) !== 0xe0) return 0;
  const version = (head[at + 1] >> 3) & 3; // 3: MPEG 1, 2: MPEG 2, 0: MPEG 2.5
  const rate = [44_100, 48_000, 32_000, 0][(head[at + 2] >> 2) & 3];
  return version === 3 ? rate : version === 2 ? rate / 2 : version === 0 ? rate / 4 : 0;
}
