// @ts-check
/**
 * A pronunciation lexicon as a trie of sounds, as pipeline/lexicon.py: which words can a string of sounds be, and which can
 * it become? Nodes are numbered by depth, so that the children of a node are neighbours.
 */

/**
 * What the words of a vocabulary sound like, sorted by sounds.
 * @typedef {object} Pronunciations
 * @property {string[]} phones names of the sounds; sound k is phones[k - 1]
 * @property {Uint16Array | Uint32Array} words positions in the vocabulary
 * @property {Uint8Array} lengths sounds in each
 * @property {Uint8Array} sounds
 */

export const ROOT = 0; // before the first sound of a word
export const NO_NODE = -1;
const MOST_SOUNDS = 255; // in a word

export class Lexicon {
  /**
   * @param {Pronunciations} said
   * @param {string[]} vocabulary the words that `said` names by number
   * @param {ArrayLike<number>} logProbs of each of them; the best word below a node is what it promises
   */
  constructor(said, vocabulary, logProbs) {
    const { lengths, words } = said;
    this.said = said;
    this.phones = said.phones;
    this.vocabulary = vocabulary;
    this.ids = words;
    const shared = sharedWithRowBefore(said);
    const next = firstNodes(lengths, shared); // by depth, the next node that is made
    const nodes = next[MOST_SOUNDS + 1];
    this.sounds = new Uint8Array(nodes); // by node: the one that leads to it
    this.firstChild = new Uint32Array(nodes + 1);
    this.firstRow = new Uint32Array(nodes); // by node: the words that end there are rows from this ...
    this.endRow = new Uint32Array(nodes); // ... to before this
    /** By node: log-probability of the likeliest word below it. */
    this.promises = new Float64Array(nodes).fill(-Infinity);
    const parents = new Uint32Array(nodes);
    const path = new Uint32Array(MOST_SOUNDS + 1); // of the row before, by depth
    for (let row = 0, at = 0; row < lengths.length; at += lengths[row++]) {
      for (let depth = shared[row]; depth < lengths[row]; depth++) {
        const node = next[depth + 1]++;
        this.sounds[node] = said.sounds[at + depth];
        parents[node] = path[depth];
        path[depth + 1] = node;
      }
      const end = path[lengths[row]];
      if (!this.endRow[end]) this.firstRow[end] = row;
      this.endRow[end] = row + 1;
      this.promises[end] = Math.max(this.promises[end], logProbs[words[row]]);
    }
    for (let node = 1; node < nodes; node++) this.firstChild[parents[node] + 1]++;
    this.firstChild[0] = 1;
    for (let node = 0; node < nodes; node++) this.firstChild[node + 1] += this.firstChild[node];
    for (let node = nodes - 1; node > ROOT; node--) {
      this.promises[parents[node]] = Math.max(this.promises[parents[node]], this.promises[node]);
    }
  }

  /**
   * The node one sound further on; -1 if no word goes on so.
   * @param {number} node
   * @param {number} sound
   */
  child(node, sound) {
    const end = this.firstChild[node + 1];
    for (let child = this.firstChild[node]; child < end; child++) if (this.sounds[child] === sound) return child;
    return NO_NODE;
  }

  /**
   * The words that sound like the way to this node.
   * @param {number} node
   */
  words(node) {
    return Array.from(this.ids.subarray(this.firstRow[node], this.endRow[node]), (id) => this.vocabulary[id]);
  }

  /**
   * How these words sound, without those that it does not know; in the order of sounds.
   * @param {Set<string>} words
   */
  pronunciations(words) {
    /** @type {Map<string, number[][]>} */
    const found = new Map();
    const { lengths, sounds } = this.said;
    for (let row = 0, at = 0; row < lengths.length; at += lengths[row++]) {
      const word = this.vocabulary[this.ids[row]];
      if (!words.has(word)) continue;
      found.set(word, [...(found.get(word) ?? []), [...sounds.subarray(at, at + lengths[row])]]);
    }
    return found;
  }

  /**
   * The same words, all as promising as each other.
   * @param {number} logProb
   */
  evenly(logProb) {
    return new Lexicon(this.said, this.vocabulary, new Float64Array(this.vocabulary.length).fill(logProb));
  }

  /** No words, and the same sounds. */
  empty() {
    const nothing = { words: new Uint16Array(), lengths: new Uint8Array(), sounds: new Uint8Array() };
    return new Lexicon({ phones: this.phones, ...nothing }, [], []);
  }
}

/**
 * By row: with how many sounds it begins as the one before does.
 * @param {Pronunciations} said
 */
function sharedWithRowBefore({ lengths, sounds }) {
  const shared = new Uint8Array(lengths.length);
  for (let row = 1, at = lengths[0]; row < lengths.length; at += lengths[row++]) {
    const before = at - lengths[row - 1];
    const most = Math.min(lengths[row - 1], lengths[row]);
    while (shared[row] < most && sounds[before + shared[row]] === sounds[at + shared[row]]) shared[row]++;
  }
  return shared;
}

/**
 * By depth: the number of the first node there; last, how many nodes there are.
 * @param {Uint8Array} lengths
 * @param {Uint8Array} shared
 */
function firstNodes(lengths, shared) {
  const first = new Uint32Array(MOST_SOUNDS + 2);
  for (let row = 0; row < lengths.length; row++) {
    for (let depth = shared[row]; depth < lengths[row]; depth++) first[depth + 2]++;
  }
  first[1] = 1; // behind the root
  for (let depth = 2; depth < first.length; depth++) first[depth] += first[depth - 1];
  return first;
}
