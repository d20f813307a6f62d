// @ts-check
/**
 * Only these phrases, as pipeline/grammar.py: a finite automaton over letters and spaces that the beam search may not
 * leave. With [unk] among the phrases, any other word may stand in place of one, at a price.
 */

/** @typedef {[number, number][]} GrammarState places where one could be, each with its price above the cheapest; sorted */

export const UNKNOWN = "[unk]";
const UNKNOWN_PRICE = 4; // nats for a word that is in no phrase ...
const UNKNOWN_LETTER_PRICE = 0.5; // ... and for each of its letters
const ROOT = 0;
const IN_UNKNOWN = -1; // a place besides the nodes of the phrases' tree
const MAX_WAYS = 64;
const CACHE_SIZE = 20_000;

export class Grammar {
  /**
   * @param {string[]} phrases
   * @param {string[]} tokens
   */
  constructor(phrases, tokens) {
    /** @type {Map<string, number>[]} */
    this.children = [new Map()];
    /** @type {Set<number>} */
    this.ends = new Set();
    this.allowsUnknown = phrases.includes(UNKNOWN);
    this.phrases = new Set(phrases.filter((each) => each !== UNKNOWN).map((each) => spellable(each, tokens)));
    const counts = [...this.phrases].map((phrase) => phrase.split(" ").length);
    this.longest = Math.max(0, ...counts);
    this.longestLetters = Math.max(0, ...[...this.phrases].map((phrase) => [...phrase].length));
    for (const phrase of this.phrases) {
      let node = ROOT;
      for (const character of phrase) {
        let next = this.children[node].get(character);
        if (next === undefined) {
          next = this.children.push(new Map()) - 1;
          this.children[node].set(character, next);
        }
        node = next;
      }
      this.ends.add(node);
    }
    /** @type {Map<string, [GrammarState, number] | null>} */
    this.steps = new Map();
  }

  /** @returns {GrammarState} */
  start() {
    return [[ROOT, 0]];
  }

  /**
   * Read one letter, or one space behind a word.
   * @param {GrammarState} state
   * @param {string} character
   * @returns {[GrammarState, number] | null} the next state and what it costs; null if that is not allowed
   */
  step(state, character) {
    const key = `${character} ${state.join(";")}`;
    let found = this.steps.get(key);
    if (found === undefined) {
      if (this.steps.size >= CACHE_SIZE) this.steps.clear();
      found = this.search(state, character);
      this.steps.set(key, found);
    }
    return found;
  }

  /**
   * @param {GrammarState} state
   * @param {string} character
   * @returns {[GrammarState, number] | null}
   */
  search(state, character) {
    /** @type {Map<number, number>} */
    const ways = new Map();
    for (const [place, price] of state) {
      for (const [after, extra] of this.moves(place, character)) {
        ways.set(after, Math.min(ways.get(after) ?? Infinity, price + extra));
      }
    }
    if (!ways.size) return null;
    const cheapest = Math.min(...ways.values());
    const kept = [...ways].sort((a, b) => a[1] - b[1] || a[0] - b[0]).slice(0, MAX_WAYS);
    /** @type {GrammarState} */
    const next = kept.map(([place, price]) => [place, price - cheapest]);
    return [next.sort((a, b) => a[0] - b[0]), cheapest];
  }

  /**
   * @param {number} place
   * @param {string} character
   * @returns {Iterable<[number, number]>}
   */
  *moves(place, character) {
    if (character === " ") {
      if (place === IN_UNKNOWN || this.ends.has(place)) yield [ROOT, 0];
    } else if (place === IN_UNKNOWN) {
      yield [IN_UNKNOWN, UNKNOWN_LETTER_PRICE];
    } else if (place === ROOT && this.allowsUnknown) {
      yield [IN_UNKNOWN, UNKNOWN_PRICE + UNKNOWN_LETTER_PRICE];
    }
    const next = place === IN_UNKNOWN ? undefined : this.children[place].get(character);
    if (next !== undefined) yield [next, 0];
  }

  /**
   * Whether everything so far, `letters` long, can be committed because it is whole phrases.
   * @param {GrammarState} state
   * @param {number} letters
   */
  isSettled(state, letters) {
    const wholes = state.map(([place]) => place === ROOT);
    if (wholes.every(Boolean)) return true;
    return wholes.some(Boolean) && (!this.allowsUnknown || letters > 2 * this.longestLetters);
  }

  /**
   * What it costs to end here; null if a phrase is unfinished.
   * @param {GrammarState} state
   */
  accepts(state) {
    const good = state.filter(([place]) => place === ROOT || place === IN_UNKNOWN || this.ends.has(place));
    return good.length ? Math.min(...good.map(([, price]) => price)) : null;
  }

  /**
   * The words with those outside all phrases replaced by [unk], as few as possible.
   * @param {string[]} words
   * @returns {string[]}
   */
  label(words) {
    /** @type {{unknown: number, labels: string[]}[]} */
    const best = [{ unknown: 0, labels: [] }];
    for (let end = 1; end <= words.length; end++) {
      const before = best[end - 1];
      let found = { unknown: before.unknown + 1, labels: [...before.labels, UNKNOWN] };
      for (let start = Math.max(end - this.longest, 0); start < end; start++) {
        const phrase = words.slice(start, end);
        if (this.phrases.has(phrase.join(" ")) && best[start].unknown < found.unknown) {
          found = { unknown: best[start].unknown, labels: [...best[start].labels, ...phrase] };
        }
      }
      best.push(found);
    }
    return best[words.length].labels;
  }
}

/**
 * The phrase as the model writes it: lower case, one space between words.
 * @param {string} phrase
 * @param {string[]} tokens
 */
export function spellable(phrase, tokens) {
  const written = phrase.toLowerCase().trim().split(/\s+/).join(" ");
  const characters = new Set(tokens.join(""));
  const strange = [...written].find((character) => character !== " " && !characters.has(character));
  if (strange) throw new Error(`"${phrase}" cannot be recognised, because the model has no token with "${strange}".`);
  if (!written) throw new Error("An empty phrase cannot be recognised; give at least one word.");
  return written;
}
