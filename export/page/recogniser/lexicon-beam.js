// @ts-check
/**
 * CTC beam search over sounds, as pipeline/lexicon_beam.py, which says how it works: the words of a pronunciation lexicon
 * that explain the sound and are likely together. The arithmetic has the same order, so that both find the same.
 */
import { COMMIT_EVERY_FRAMES } from "./beam.js";
import { ROOT } from "./lexicon.js";
import { roundHalfEven } from "./numbers.js";

/**
 * @import { Decoded, Word } from "./events.js"
 * @import { LanguageModel, LmState } from "./language-model.js"
 * @import { Lexicon } from "./lexicon.js"
 * @import { LongerLexicon } from "./longer-lexicon.js"
 * @import { PhraseModel } from "./phrase-model.js"
 * @import { BeamOptions } from "./text-model.js"
 *
 * A finished word.
 * @typedef {object} Said
 * @property {string} text
 * @property {number} first frame of its first sound
 * @property {number} last frame of its last sound
 * @property {number} logProb mean of its sounds
 * @property {number} share posterior when it was first seen finished in the best hypothesis; 0 until then
 * @property {boolean} settled whether the text may be committed up to here
 *
 * Words, sounds of the next word, and how likely the sound so far is under both.
 * @typedef {object} Hypothesis
 * @property {number} node of the lexicon; ROOT before the first sound of an utterance
 * @property {LmState} lm behind the finished words
 * @property {number} blank mass of alignments that end in blank, language counted in
 * @property {number} nonblank mass of those that end in the last sound
 * @property {number} sound the last one
 * @property {Said[]} words finished and not committed
 * @property {number} first frame of the open word's first sound
 * @property {number} last frame of its last sound
 * @property {number} logProb sum over its sounds
 * @property {number} sounds how many
 *
 * All that is open.
 * @typedef {object} LexiconState
 * @property {number} frame the next one, counted from the start of the stream
 * @property {Hypothesis[]} hypotheses best first
 * @property {number} untilS where the last committed word ended
 * @property {number[]} certain frames in which a letter was certain, as far back as words are open
 *
 * What it means that an open word was this one: `factor` of the mass, and the language model's state behind it.
 * @typedef {{text: string, factor: number, lm: LmState, place: string, settled: boolean}} Finish
 *
 * Where some hypotheses come together: `mass` of the likeliest way, where that came from, the word it finished and the new
 * sound, 0 if none.
 * @typedef {object} Reached
 * @property {number} node
 * @property {LmState} lm
 * @property {number} blank
 * @property {number} nonblank
 * @property {number} mass
 * @property {Hypothesis} before
 * @property {Finish | null} finish
 * @property {number} sound
 *
 * @typedef {{sound: number, logProb: number, prob: number}} Candidate
 */

const BLANK = 0;
const NO_SOUND = -1;
const CACHE_SIZE = 50_000;
const PEAK_S = 0.037; // a sound is heard as a peak in its middle: a word reaches so much further than its peaks
const CERTAIN_BEFORE = 25; // letters count that are certain from so many frames before a word ...
const CERTAIN_AFTER = 12; // ... to so many behind it
const CONFIDENCE = { constant: 2.6, logProb: 1.4, share: 1.4 }; // log-odds, and what each counts; fitted for Python

export class LexiconBeamDecoder {
  /**
   * @param {number} tokens columns of log-probabilities before those of the sounds, which begin with their blank
   * @param {number} columns in all
   * @param {number} frameS
   * @param {BeamOptions} options
   * @param {LanguageModel | PhraseModel} lm says how likely words are
   * @param {Lexicon | LongerLexicon} lexicon says how they sound; made with the same vocabulary
   */
  constructor(tokens, columns, frameS, options, lm, lexicon) {
    this.tokens = tokens;
    this.columns = columns;
    this.frameS = frameS;
    this.options = options;
    this.lm = lm;
    this.lexicon = lexicon;
    this.promises = lexicon.promises.map((logProb) => Math.exp(options.lm_weight * logProb + options.word_bonus));
    this.promises[ROOT] = 1;
    /** @type {Map<string, Finish[]>} */
    this.finishes = new Map();
    this.certain = Math.fround(Math.log(options.certain_blank_prob));
    this.belief = tokens ? options.belief : 0;
    this.waitFrames = roundHalfEven(options.commit_after_s / frameS);
  }

  /** @returns {LexiconState} */
  start() {
    return this.begin(0);
  }

  /**
   * @param {number} frame
   * @returns {LexiconState}
   */
  begin(frame) {
    const nothing = { sound: NO_SOUND, words: [], first: frame, last: frame, logProb: 0, sounds: 0 };
    const hypothesis = { node: ROOT, lm: this.lm.start(), blank: 1, nonblank: 0, ...nothing };
    return { frame, hypotheses: [hypothesis], untilS: frame * this.frameS, certain: [] };
  }

  /**
   * @param {Float32Array} logProbs [frames * columns]
   * @param {LexiconState} state
   * @returns {[Decoded, LexiconState]}
   */
  step(logProbs, state) {
    /** @type {Word[]} */
    const committed = [];
    for (let row = 0; row < logProbs.length; row += this.columns) {
      const heard = logProbs.subarray(row + this.tokens, row + this.columns);
      const candidates = this.likelySounds(heard);
      if (!this.tokens || logProbs[row + BLANK] <= this.certain) {
        state = { ...state, certain: [...stillAskedFor(state), state.frame] };
      }
      state = candidates.length ? this.hear(state, this.blankProb(heard), candidates) : hearNothing(state);
      if (state.frame % COMMIT_EVERY_FRAMES === 0) {
        const [words, after] = this.commit(state);
        committed.push(...words);
        state = after;
      }
    }
    const unfinishedS = this.unfinishedS(state);
    return [{ committed, volatile: this.words(state, this.open(state)), unfinishedS }, state];
  }

  /**
   * @param {LexiconState} state
   * @returns {[Decoded, LexiconState]}
   */
  finish(state) {
    // where no last word could end, as in a recording that is cut off, the words before it are not lost
    const committed = this.best(state) ?? this.words(state, settledWords(state.hypotheses[0].words));
    return [{ committed, volatile: [], unfinishedS: null }, this.begin(state.frame)];
  }

  /**
   * The best reading if sentence and words ended now; null if none of them could.
   * @param {LexiconState} state
   */
  best(state) {
    /** @type {Map<string, {mass: number, largest: number, words: Said[]}>} */
    const readings = new Map();
    for (const hypothesis of state.hypotheses) {
      for (const end of this.ends(hypothesis)) {
        const mass = end.mass * Math.exp(this.options.lm_weight * this.lm.end(end.lm));
        if (!mass) continue;
        const words = end.words.filter((word) => this.isBelieved(word, state));
        const key = words.map((word) => word.text).join(" ");
        const same = readings.get(key);
        if (!same) {
          readings.set(key, { mass, largest: mass, words });
          continue;
        }
        same.mass += mass;
        if (mass > same.largest) [same.largest, same.words] = [mass, words];
      }
    }
    if (!readings.size) return null;
    const ranked = [...readings].sort(([a, { mass: x }], [b, { mass: y }]) => y - x || (a < b ? -1 : 1));
    const total = ranked.reduce((sum, [, { mass }]) => sum + mass, 0);
    const [, { mass, words }] = ranked[0];
    return this.words(state, words, mass / total);
  }

  /**
   * What it becomes if its open word ends here.
   * @param {Hypothesis} hypothesis
   * @returns {{mass: number, words: Said[], lm: LmState}[]}
   */
  ends(hypothesis) {
    const mass = hypothesis.blank + hypothesis.nonblank;
    if (hypothesis.node === ROOT) return [{ mass, words: hypothesis.words, lm: hypothesis.lm }];
    return this.finished(hypothesis.node, hypothesis.lm).map((finish) => ({
      mass: mass * finish.factor,
      words: [...hypothesis.words, said(hypothesis, finish)],
      lm: finish.lm,
    }));
  }

  /**
   * The words of the best hypothesis whose last word could end here.
   * @param {LexiconState} state
   */
  open({ hypotheses }) {
    for (const hypothesis of hypotheses) {
      if (hypothesis.node === ROOT) return settledWords(hypothesis.words);
      const finishes = this.finished(hypothesis.node, hypothesis.lm);
      if (!finishes.length) continue;
      const likeliest = finishes.reduce((best, each) => (each.factor > best.factor ? each : best));
      return settledWords([...hypothesis.words, said(hypothesis, likeliest)]);
    }
    return settledWords(hypotheses[0].words);
  }

  /**
   * Where the last word of a phrase ends that has only begun.
   * @param {LexiconState} state
   */
  unfinishedS(state) {
    const { words } = state.hypotheses[0];
    const begun = words.slice(settledWords(words).length).filter((word) => this.isBelieved(word, state));
    return begun.length ? (begun[begun.length - 1].last + 1) * this.frameS : null;
  }

  /**
   * The probability of blank, lowered.
   * @param {Float32Array} heard
   */
  blankProb(heard) {
    return Math.exp(heard[BLANK]) * Math.exp(-this.options.blank_penalty);
  }

  /**
   * The sounds worth trying in a frame, likeliest first.
   * @param {Float32Array} heard
   * @returns {Candidate[]}
   */
  likelySounds(heard) {
    const { token_log_prob, tokens_per_frame, blank_prob } = this.options;
    if (heard[BLANK] > Math.log(blank_prob)) return [];
    const found = [];
    for (let sound = 1; sound < heard.length; sound++) {
      const logProb = heard[sound];
      if (logProb >= token_log_prob) found.push({ sound, logProb, prob: Math.exp(logProb) });
    }
    found.sort((a, b) => b.logProb - a.logProb || a.sound - b.sound);
    return found.slice(0, tokens_per_frame);
  }

  /**
   * One frame of the search.
   * @param {LexiconState} state
   * @param {number} blank
   * @param {Candidate[]} candidates
   * @returns {LexiconState}
   */
  hear(state, blank, candidates) {
    const { frame, hypotheses } = state;
    const { promises, lexicon } = this;
    const { width, prune_nats } = this.options;
    const behind = Math.exp(-prune_nats);
    const probs = new Map(candidates.map((each) => [each.sound, each.prob]));
    let floor = behind * Math.max(blank, candidates[0].prob);
    floor *= Math.max(...hypotheses.map((each) => (each.blank + each.nonblank) * promises[each.node]));

    /** @type {Map<string, Reached>} */
    const reached = new Map();
    const places = hypotheses.map(({ lm }) => ` ${lm}`);
    hypotheses.forEach((before, i) => {
      const { node, lm } = before;
      const stays = (before.blank + before.nonblank) * blank;
      const held = before.nonblank * (probs.get(before.sound) ?? 0);
      const mass = stays + held;
      reached.set(node + places[i], { node, lm, blank: stays, nonblank: held, mass, before, finish: null, sound: 0 });
    });

    /**
     * @param {number} node
     * @param {LmState} lm
     * @param {string} place that state, spelled
     * @param {number} mass
     * @param {Hypothesis} before
     * @param {Finish | null} finish
     * @param {number} sound
     */
    const reach = (node, lm, place, mass, before, finish, sound) => {
      const key = node + place;
      const there = reached.get(key);
      if (!there) {
        reached.set(key, { node, lm, blank: 0, nonblank: mass, mass, before, finish, sound });
        return;
      }
      there.nonblank += mass;
      if (mass > there.mass) Object.assign(there, { mass, before, finish, sound });
    };

    const beginnings = candidates.map(({ sound }) => lexicon.child(ROOT, sound));
    hypotheses.forEach((before, i) => {
      const { node, lm } = before;
      const total = before.blank + before.nonblank;
      const finishes = node === ROOT ? [] : this.finished(node, lm);
      candidates.forEach(({ sound, prob }, j) => {
        const mass = (sound === before.sound ? before.blank : total) * prob;
        if (!mass) return;
        const child = lexicon.child(node, sound);
        if (child > ROOT && mass * promises[child] > floor) reach(child, lm, places[i], mass, before, null, sound);
        const beginning = beginnings[j];
        if (!finishes.length || beginning < ROOT) return;
        const hope = mass * promises[beginning];
        for (const finish of finishes) {
          const { factor, lm: next, place } = finish;
          if (hope * factor > floor) reach(beginning, next, place, mass * factor, before, finish, sound);
        }
      });
    });

    const ranked = Array.from(reached.values(), (there) => {
      return { score: (there.blank + there.nonblank) * promises[there.node], there };
    });
    ranked.sort((a, b) => b.score - a.score || byPlace(b.there, a.there));
    const best = ranked[0].score;
    const least = best * behind;
    const scale = 1 / best;
    const logProbs = new Map(candidates.map((each) => [each.sound, each.logProb]));
    /** @type {Hypothesis[]} */
    const kept = [];
    for (const { score, there } of ranked.slice(0, width)) {
      if (score < least) break;
      kept.push(moved(there, scale, frame, logProbs.get(there.sound) ?? 0));
    }
    return { ...state, frame: frame + 1, hypotheses: kept };
  }

  /**
   * The words that the open one can be.
   * @param {number} node
   * @param {LmState} lm
   */
  finished(node, lm) {
    const key = `${node} ${lm}`;
    let found = this.finishes.get(key);
    if (!found) {
      const ways = this.lexicon.words(node).flatMap((word) => this.lm.ways(lm, word));
      found = ways.map(({ text, logProb, state, settled }) => {
        const factor = Math.exp(this.options.lm_weight * logProb + this.options.word_bonus);
        return { text, factor, lm: state, place: ` ${state}`, settled };
      });
      if (this.finishes.size >= CACHE_SIZE) this.finishes.clear();
      this.finishes.set(key, found);
    }
    return found;
  }

  /**
   * Give out what is certain: the words that all hypotheses share, or that have waited long enough in the best. Hypotheses
   * that disagree are dropped.
   * @param {LexiconState} state
   * @returns {[Word[], LexiconState]}
   */
  commit(state) {
    const hypotheses = this.withShares(state.hypotheses);
    const { words } = hypotheses[0];
    if (!words.length) return [[], state];
    const shared = Math.min(...hypotheses.map((each) => common(words, each.words)));
    const oldest = state.frame - this.waitFrames;
    const waited = words.filter((word) => word.last < oldest).length;
    const isOpen = (/** @type {Said} */ word) =>
      word.last + CERTAIN_AFTER >= state.frame && !this.isBelieved(word, state);
    const open = words.findIndex(isOpen);
    const known = open < 0 ? words.length : open;
    const count = settledCount(words, Math.min(known, Math.max(shared, waited)));
    if (!count) return [[], { ...state, hypotheses }];
    const certain = hypotheses[0].words.slice(0, count);
    const agreeing = hypotheses
      .filter((each) => common(certain, each.words) === count)
      .map((each) => ({ ...each, words: each.words.slice(count) }));
    const following = (words[count] ?? hypotheses[0]).first;
    const given = this.words(state, certain, 1, following);
    return [given, { ...state, hypotheses: agreeing, untilS: given.at(-1)?.endS ?? state.untilS }];
  }

  /**
   * Write down the posterior of each finished word of the best hypothesis when it is first seen.
   * @param {Hypothesis[]} hypotheses
   */
  withShares(hypotheses) {
    const [best, ...others] = hypotheses;
    if (best.words.every((word) => word.share)) return hypotheses;
    const masses = hypotheses.map((each) => (each.blank + each.nonblank) * this.promises[each.node]);
    const total = masses.reduce((a, b) => a + b, 0);
    const words = best.words.map((word, i) => {
      if (word.share) return word;
      const head = best.words.slice(0, i + 1);
      const agreeing = masses.filter((_, j) => common(head, hypotheses[j].words) > i);
      return { ...word, share: agreeing.reduce((a, b) => a + b, 0) / total };
    });
    return [{ ...best, words }, ...others];
  }

  /**
   * Those to be believed, in seconds.
   * @param {LexiconState} state
   * @param {Said[]} words
   * @param {number} share the posterior of words that have none yet
   * @param {number} following frame in which the word behind them begins, if there is one
   * @returns {Word[]}
   */
  words(state, words, share = 1, following = Infinity) {
    const { frameS } = this;
    const believed = words.filter((word) => this.isBelieved(word, state, share));
    let { untilS } = state;
    return believed.map((word, i) => {
      // in the hypothesis that was the best then, committed words may have ended later
      const startS = Math.max(word.first * frameS - PEAK_S, untilS);
      const soonestS = Math.max((word.last + 1) * frameS, startS + frameS);
      const nextFirst = believed[i + 1]?.first ?? following;
      untilS = Math.max(soonestS, Math.min(soonestS + PEAK_S, nextFirst * frameS - PEAK_S));
      return { text: word.text, startS, endS: untilS, confidence: confidenceOf(word.logProb, word.share || share) };
    });
  }

  /**
   * Whether letters were certain near it: where none is, as in noise, nobody spoke.
   * @param {Said} word
   * @param {LexiconState} state
   * @param {number} share its posterior if it has none yet
   */
  isBelieved(word, { certain }, share = 1) {
    const [first, last] = [word.first - CERTAIN_BEFORE, word.last + CERTAIN_AFTER];
    const letters = certain.filter((frame) => first <= frame && frame <= last).length;
    return letters > 0 && letters * confidenceOf(word.logProb, word.share || share) >= this.belief;
  }
}

/**
 * The frames with certain letters that an open word may yet be believed by.
 * @param {LexiconState} state
 */
function stillAskedFor({ frame, hypotheses, certain }) {
  const open = hypotheses.filter((each) => each.sounds);
  const oldest = Math.min(frame, ...open.map((each) => (each.words[0] ?? each).first)) - CERTAIN_BEFORE;
  return certain.filter((each) => each >= oldest);
}

/**
 * How often such a word is right.
 * @param {number} logProb
 * @param {number} share
 */
function confidenceOf(logProb, share) {
  const odds = CONFIDENCE.constant + CONFIDENCE.logProb * logProb + CONFIDENCE.share * Math.log(Math.max(share, 1e-9));
  return 1 / (1 + Math.exp(-odds));
}

/**
 * A frame in which only blank is possible changes no ranking.
 * @param {LexiconState} state
 * @returns {LexiconState}
 */
function hearNothing(state) {
  const silent = state.hypotheses.map((each) => ({ ...each, blank: each.blank + each.nonblank, nonblank: 0 }));
  return { ...state, frame: state.frame + 1, hypotheses: silent };
}

/**
 * The hypothesis that was reached, with its masses scaled.
 * @param {Reached} there
 * @param {number} scale
 * @param {number} frame
 * @param {number} logProb of the new sound
 * @returns {Hypothesis}
 */
function moved({ node, lm, before, finish, sound, ...there }, scale, frame, logProb) {
  const blank = there.blank * scale;
  const nonblank = there.nonblank * scale;
  if (!sound) {
    const held = there.nonblank > there.blank && before.nonblank > before.blank;
    return { ...before, blank, nonblank, last: held ? frame : before.last };
  }
  const place = { node, lm, blank, nonblank, sound, last: frame };
  if (!finish && before.node !== ROOT) {
    const { words, first } = before;
    return { ...place, words, first, logProb: before.logProb + logProb, sounds: before.sounds + 1 };
  }
  const words = finish ? [...before.words, said(before, finish)] : before.words;
  return { ...place, words, first: frame, logProb, sounds: 1 };
}

/**
 * @param {Hypothesis} hypothesis
 * @param {Finish} finish
 * @returns {Said}
 */
function said({ first, last, logProb, sounds }, { text, settled }) {
  return { text, first, last, logProb: logProb / sounds, share: 0, settled };
}

/**
 * How many of the first `count` words may be committed.
 * @param {Said[]} words
 * @param {number} count
 */
function settledCount(words, count) {
  while (count && !words[count - 1].settled) count--;
  return count;
}

/**
 * Without a phrase that has only begun.
 * @param {Said[]} words
 */
function settledWords(words) {
  return words.slice(0, settledCount(words, words.length));
}

/**
 * How many words both begin with.
 * @param {Said[]} some
 * @param {Said[]} others
 */
function common(some, others) {
  const most = Math.min(some.length, others.length);
  let count = 0;
  while (count < most && some[count].text === others[count].text) count++;
  return count;
}

/**
 * Order of what is equally likely, the same as that of Python's tuples (node, lm).
 * @param {Reached} a
 * @param {Reached} b
 */
function byPlace(a, b) {
  if (a.node !== b.node) return a.node - b.node;
  const i = a.lm.findIndex((entry, n) => entry !== b.lm[n]);
  if (i < 0) return a.lm.length - b.lm.length;
  return i < b.lm.length ? a.lm[i] - b.lm[i] : 1;
}
