// @ts-check
/** A recording's text as files; the same as pipeline/writers.py makes. */
import { GAP_S, subtitles } from "./subtitles.js";

/** @import { Final } from "./recogniser/events.js" */

const LINGER_S = 0.6; // a subtitle may stand on for so long when its utterance ended in silence

/**
 * One line per utterance.
 * @param {Final[]} finals
 */
export function toText(finals) {
  return finals.filter((final) => final.words.length).map((final) => `${final.text}\n`).join("");
}

/**
 * SubRip subtitles.
 * @param {Final[]} finals
 */
export function toSrt(finals) {
  let text = "";
  let count = 0;
  let lastS = 0;
  for (const final of finals) {
    for (const { startS, endS, lines } of subtitles(final.words, final.reason === "silence" ? LINGER_S : 0)) {
      let fromS = startS;
      if (count) fromS = Math.max(lastS, Math.min(Math.max(fromS, lastS + GAP_S), endS - GAP_S));
      lastS = Math.max(endS, fromS + GAP_S);
      text += `${++count}\n${clock(fromS)} --> ${clock(lastS)}\n${lines.join("\n")}\n\n`;
    }
  }
  return text;
}

/** @param {number} timeS */
function clock(timeS) {
  const milliseconds = Math.round(timeS * 1000);
  const two = (/** @type {number} */ value) => String(Math.floor(value)).padStart(2, "0");
  const seconds = `${two((milliseconds / 1000) % 60)},${String(milliseconds % 1000).padStart(3, "0")}`;
  return `${two(milliseconds / 3_600_000)}:${two((milliseconds / 60_000) % 60)}:${seconds}`;
}

/**
 * @param {string} name of the file
 * @param {string} text
 */
export function save(name, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/plain;charset=utf-8" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
