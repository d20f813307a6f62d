// @ts-check
/** Words as subtitles: where one ends and the next begins, and where a line breaks; as pipeline/subtitles.py. */

/**
 * @import { Word } from "./recogniser/events.js"
 * @typedef {{startS: number, endS: number, lines: string[]}} Subtitle one or two lines of at most 42 characters
 */

const LINE_CHARACTERS = 42;
const LONGEST_S = 7;
const SHORTEST_S = 1; // a short subtitle stands on into the silence behind it
const CHARACTERS_PER_S = 17; // what can be read; a faster one stands on as well, if there is silence
export const GAP_S = 0.08; // two frames of film between subtitles
const PAUSE_S = 0.4; // a pause of this length is as good a place as any
const LONG_PAUSE_S = 1.5; // across a longer one no subtitle reaches

// Words before which a clause or a phrase begins, and words that nobody wants at the end of a line.
const BEGINS_CLAUSE = new Set(
  (
    "and but or so because that which who when where while if though although unless until since before after " +
    "then as than whether what why how"
  ).split(" "),
);
const BEGINS_PHRASE = new Set(
  "in on at to for from with by of about into over under through between without".split(" "),
);
const LEANS_ON_NEXT = new Set(
  (
    "a an the my your his her its our their this these those some any no every very of in on at to for from with " +
    "by and but or so because i you he she we they it mr mrs dr is are was were be been has have had do does did " +
    "will would can could shall should may might must not don't"
  ).split(" "),
);

/**
 * Break the words of an utterance into subtitles.
 * @param {Word[]} utterance
 * @param {number} silenceS how long it is known to be silent behind the last word
 * @returns {Subtitle[]}
 */
export function subtitles(utterance, silenceS) {
  const words = utterance.flatMap(pieces);
  return bounds(words).map(([first, last]) => {
    const shown = words.slice(first, last);
    const textS = shown.reduce((sum, word) => sum + word.text.length + 1, 0) / CHARACTERS_PER_S;
    const startS = shown[0].startS;
    const endS = shown[shown.length - 1].endS;
    const freeS = last < words.length ? words[last].startS - GAP_S : endS + silenceS;
    const wantedS = startS + Math.min(Math.max(SHORTEST_S, textS), LONGEST_S);
    return { startS, endS: Math.max(endS, Math.min(wantedS, freeS)), lines: lines(shown) };
  });
}

/**
 * A word that is longer than a line, in pieces that are not.
 * @param {Word} word
 * @returns {Word[]}
 */
function pieces(word) {
  const count = Math.ceil(word.text.length / LINE_CHARACTERS);
  const pieceS = (word.endS - word.startS) / Math.max(count, 1);
  return Array.from({ length: count }, (_, n) => {
    const startS = word.startS + n * pieceS;
    const text = word.text.slice(n * LINE_CHARACTERS, (n + 1) * LINE_CHARACTERS);
    return { ...word, text, startS, endS: startS + pieceS };
  });
}

/**
 * The cheapest way to cut words into subtitles.
 * @param {Word[]} words
 * @returns {[number, number][]} the first word of each, and the first that is no longer in it
 */
function bounds(words) {
  const best = [0, ...words.map(() => Infinity)];
  const cameFrom = best.map(() => 0);
  for (let last = 1; last <= words.length; last++) {
    const after = last < words.length ? breakCost(words[last - 1], words[last]) : 0;
    for (let first = last - 1; first >= 0; first--) {
      const inside = subtitleCost(words.slice(first, last));
      if (inside === Infinity && last - first > 1) break; // nor does anything longer fit
      const cost = best[first] + (inside === Infinity ? 0 : inside) + after;
      if (cost < best[last]) {
        best[last] = cost;
        cameFrom[last] = first;
      }
    }
  }
  /** @type {[number, number][]} */
  const found = [];
  for (let last = words.length; last; last = cameFrom[last]) found.unshift([cameFrom[last], last]);
  return found;
}

/**
 * What it costs that these words stand together; infinite if they cannot.
 * @param {Word[]} words
 */
function subtitleCost(words) {
  if (words[words.length - 1].endS - words[0].startS > LONGEST_S) return Infinity;
  if (words.length > 1 && words[1].startS - words[0].endS > LONG_PAUSE_S) return Infinity;
  const cut = lineCut(words);
  if (cut === null) return Infinity;
  let cost = 1; // for each subtitle, so that there are few
  if (cut < words.length) cost += 0.2 + 0.5 * breakCost(words[cut - 1], words[cut]);
  return cost + 0.3 * Math.max(0, 3 - words.length); // a word or two alone look lost
}

/**
 * What it costs to separate two words: 0 at a pause or a clause, up to about 3 where they belong together.
 * @param {Word} before
 * @param {Word} after
 */
function breakCost(before, after) {
  const hold = 1 - Math.min(Math.max(after.startS - before.endS, 0) / PAUSE_S, 1);
  let cost = 1;
  if (BEGINS_CLAUSE.has(after.text)) cost = 0.3;
  else if (BEGINS_PHRASE.has(after.text)) cost = 0.6;
  if (LEANS_ON_NEXT.has(before.text)) cost += 1.5;
  return cost * hold;
}

/**
 * Where the second line begins; `words.length` if one line is enough, null if two are too short.
 * @param {Word[]} words
 */
function lineCut(words) {
  const lengths = words.map((word) => word.text.length);
  const whole = lengths.reduce((a, b) => a + b, 0) + words.length - 1;
  if (whole <= LINE_CHARACTERS) return words.length;
  if (whole > 2 * LINE_CHARACTERS + 1) return null;
  let best = null;
  let least = Infinity;
  let first = -1;
  for (let cut = 1; cut < words.length; cut++) {
    first += lengths[cut - 1] + 1;
    const second = whole - first - 1;
    if (Math.max(first, second) > LINE_CHARACTERS) continue;
    const cost = breakCost(words[cut - 1], words[cut]) + Math.abs(first - second) / LINE_CHARACTERS;
    if (cost < least) [best, least] = [cut, cost];
  }
  return best;
}

/** @param {Word[]} words */
function lines(words) {
  const cut = lineCut(words) ?? words.length;
  return [words.slice(0, cut), words.slice(cut)]
    .filter((line) => line.length)
    .map((line) => line.map((word) => word.text).join(" "));
}
