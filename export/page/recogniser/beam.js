// @ts-check
/**
 * CTC prefix beam search, as pipeline/beam.py, which says how it works. For every text two masses are kept: of the
 * alignments that end in blank, and of those that end in its last token.
 */
import { roundHalfEven } from "./numbers.js";
import { TextModel } from "./text-model.js";
import { spansOf, toWord } from "./word-times.js";

/**
 * @import { Decoded, Word } from "./events.js"
 * @import { Grammar } from "./grammar.js"
 * @import { LanguageModel } from "./language-model.js"
 * @import { BeamOptions, Prose } from "./text-model.js"
 * @import { Mark } from "./word-times.js"
 *
 * @typedef {{prose: Prose, blank: number, nonblank: number, marks: Mark[]}} Hypothesis a text and how likely the sound is
 *   under it; one mark for each token
 *
 * @typedef {object} BeamState all that is open
 * @property {number} frame the next one, counted from the start of the stream
 * @property {Hypothesis[]} hypotheses best first
 * @property {number} logScale
 * @property {Map<string, number>} shares finished words of the best text: tokens up to there, posterior
 */

const BLANK = 0;
const SMALLEST_MASS = 1e-120;
const LARGEST_MASS = 1e120; // lifted letters let masses grow, where nothing stops the talk
// commits happen at frames divisible by this, so that they do not depend on the chunking
export const COMMIT_EVERY_FRAMES = 8;
const LANGUAGE_GAIN_NATS = 4; // a text may gain so much by one more token, when a likely word is finished
const GRAMMAR_PRUNE_NATS = 30; // leaving a phrase that was begun costs much at once
const GRAMMAR_TOKEN_LOG_PROB = -14; // a grammar forbids most tokens, and the right one may be unlikely

export class BeamDecoder {
  /**
   * @param {string[]} tokens
   * @param {number} columns of log-probabilities; the first are those of the tokens
   * @param {number} frameS
   * @param {BeamOptions} options
   * @param {LanguageModel | null} lm
   * @param {Grammar | null} grammar
   */
  constructor(tokens, columns, frameS, options, lm, grammar) {
    this.tokens = tokens;
    this.columns = columns;
    this.frameS = frameS;
    this.options = options;
    this.grammar = grammar;
    this.text = new TextModel(tokens, options, lm, grammar);
    this.isSpace = tokens.map((token) => token === " ");
    this.hasSpace = tokens.map((token) => token.includes(" "));
    this.pruneNats = Math.max(options.prune_nats, grammar ? GRAMMAR_PRUNE_NATS : 0);
    this.waitFrames = roundHalfEven(options.commit_after_s / frameS);
  }

  /** @returns {BeamState} */
  start() {
    return this.begin(0);
  }

  /**
   * @param {number} frame
   * @returns {BeamState}
   */
  begin(frame) {
    const nothing = { prose: this.text.start(), blank: 1, nonblank: 0, marks: [] };
    return { frame, hypotheses: [nothing], logScale: 0, shares: new Map() };
  }

  /**
   * @param {Float32Array} logProbs [frames * columns]
   * @param {BeamState} state
   * @returns {[Decoded, BeamState]}
   */
  step(logProbs, state) {
    /** @type {Word[]} */
    const committed = [];
    for (let row = 0; row < logProbs.length; row += this.columns) {
      const blank = logProbs[row];
      const candidates = this.likelyTokens(logProbs.subarray(row, row + this.tokens.length));
      state = candidates.length ? this.hear(state, blank, candidates) : this.hearNothing(state, blank);
      if (state.frame % COMMIT_EVERY_FRAMES === 0) {
        const [words, after] = this.commit(state);
        committed.push(...words);
        state = after;
      }
    }
    const best = state.hypotheses[0];
    const whole = this.whole(best);
    const unfinishedS = whole === best ? null : (this.words(best, state.shares).at(-1)?.endS ?? null);
    return [{ committed, volatile: this.words(whole, state.shares), unfinishedS }, state];
  }

  /**
   * @param {BeamState} state
   * @returns {[Decoded, BeamState]}
   */
  finish(state) {
    const committed = this.best(state) ?? this.words(this.whole(state.hypotheses[0]), state.shares);
    return [{ committed, volatile: [], unfinishedS: null }, this.begin(state.frame)];
  }

  /**
   * The best reading if the utterance ended now; texts that differ in spaces alone are one. Null if every phrase of the
   * grammar is unfinished.
   * @param {BeamState} state
   */
  best(state) {
    /** @type {Map<string, {score: number, bearer: Hypothesis}>} */
    const readings = new Map();
    for (const hypothesis of state.hypotheses) {
      const language = this.text.ended(hypothesis.prose);
      if (language === null) continue;
      const score = Math.log(hypothesis.blank + hypothesis.nonblank) + language + state.logScale;
      const key = this.spelled(hypothesis).join(" ");
      const same = readings.get(key);
      if (!same) readings.set(key, { score, bearer: hypothesis });
      else same.score = Math.max(score, same.score) + Math.log1p(Math.exp(-Math.abs(score - same.score)));
    }
    if (!readings.size) return null;
    const ranked = [...readings.values()].sort((a, b) => b.score - a.score);
    const total = ranked.reduce((sum, each) => sum + Math.exp(each.score - ranked[0].score), 0);
    return this.words(ranked[0].bearer, state.shares, 1 / total);
  }

  /**
   * The tokens worth trying in a frame, likeliest first and lifted; `heard` is not lifted.
   * @param {Float32Array} row
   * @returns {{token: number, name: string, heard: number, logProb: number, prob: number}[]}
   */
  likelyTokens(row) {
    const { token_log_prob, tokens_per_frame, blank_prob } = this.options;
    if (blank_prob < 1 && row[BLANK] > Math.log(blank_prob)) return [];
    const floor = Math.fround(this.grammar ? Math.min(token_log_prob, GRAMMAR_TOKEN_LOG_PROB) : token_log_prob);
    const found = [];
    for (let token = 1; token < row.length; token++) {
      if (row[token] < floor) continue;
      const logProb = row[token] + this.text.lifts[token];
      found.push({ token, name: String.fromCharCode(token), heard: row[token], logProb, prob: Math.exp(logProb) });
    }
    found.sort((a, b) => b.logProb - a.logProb || a.token - b.token);
    return this.grammar ? found : found.slice(0, tokens_per_frame);
  }

  /**
   * A frame in which only blank is possible changes no ranking.
   * @param {BeamState} state
   * @param {number} blank
   * @returns {BeamState}
   */
  hearNothing(state, blank) {
    const hypotheses = state.hypotheses.map((each) => ({ ...each, blank: each.blank + each.nonblank, nonblank: 0 }));
    return { ...state, frame: state.frame + 1, hypotheses, logScale: state.logScale + blank };
  }

  /**
   * One frame of the search.
   * @param {BeamState} state
   * @param {number} blank
   * @param {{token: number, name: string, heard: number, logProb: number, prob: number}[]} candidates
   * @returns {BeamState}
   */
  hear(state, blank, candidates) {
    const { frame, hypotheses } = state;
    const { width } = this.options;
    const blankProb = Math.exp(blank);
    const byName = new Map(candidates.map((each) => [each.name, each]));
    const spaces = candidates.filter((each) => this.isSpace[each.token]);
    const spaceProb = spaces.reduce((sum, each) => sum + each.prob, 0);

    // Every text may stay as it is: by a blank, or by holding its last token.
    /** @type {Map<string, Hypothesis>} */
    const stays = new Map();
    for (const { prose, blank: massBlank, nonblank: massNonblank, marks } of hypotheses) {
      const total = massBlank + massNonblank;
      const held = byName.get(prose.tokens.slice(-1));
      if (!prose.word && spaceProb) {
        // a space where no word is open is no different from a blank
        stays.set(prose.tokens, { prose, blank: total * (blankProb + spaceProb), nonblank: 0, marks });
      } else if (!held) {
        stays.set(prose.tokens, { prose, blank: total * blankProb, nonblank: 0, marks });
      } else {
        let heldMarks = marks;
        if (held.prob > blankProb && massNonblank > massBlank) {
          const last = marks[marks.length - 1];
          heldMarks = [...marks.slice(0, -1), { ...last, last: frame, logProb: Math.max(last.logProb, held.heard) }];
        }
        const nonblank = massNonblank * held.prob;
        stays.set(prose.tokens, { prose, blank: total * blankProb, nonblank, marks: heldMarks });
      }
    }

    // Or it goes on by one token, to a text that may be there already.
    const reaches = hypotheses.map((each) => Math.log(each.blank + each.nonblank) + each.prose.weight);
    let floor = Math.max(...reaches) + Math.max(blank, candidates[0].logProb) - this.pruneNats;
    /** @type {{hope: number, i: number, j: number, mass: number}[]} */
    const proposals = [];
    hypotheses.forEach(({ prose, blank: massBlank, nonblank: massNonblank, marks }, i) => {
      const last = prose.tokens.slice(-1);
      for (let j = 0; j < candidates.length; j++) {
        const { token, name, heard, logProb, prob } = candidates[j];
        const mass = (name === last ? massBlank : massBlank + massNonblank) * prob;
        if (!mass || (!prose.word && this.isSpace[token])) continue;
        const known = stays.get(prose.tokens + name);
        if (known) {
          const better = mass > known.blank + known.nonblank;
          const mark = { first: frame, last: frame, logProb: heard, cut: known.prose.settled };
          const itsMarks = better ? [...marks, mark] : known.marks;
          stays.set(known.prose.tokens, { ...known, nonblank: known.nonblank + mass, marks: itsMarks });
          continue;
        }
        const mayGain = !prose.word || this.hasSpace[token];
        const hope = reaches[i] + logProb + (mayGain ? LANGUAGE_GAIN_NATS : 0);
        if (hope >= floor) proposals.push({ hope, i, j, mass });
      }
    });
    /** @type {{score: number, hypothesis: Hypothesis}[]} */
    const ranked = [];
    for (const hypothesis of stays.values()) {
      const mass = hypothesis.blank + hypothesis.nonblank;
      if (mass) ranked.push({ score: Math.log(mass) + hypothesis.prose.weight, hypothesis });
    }

    // What language says to a new text is looked up for the most hopeful first, and for as long as there is hope.
    const least = ranked.map((each) => each.score).sort((a, b) => a - b).slice(-width); // the best scores so far
    proposals.sort((a, b) => b.hope - a.hope || a.i - b.i || a.j - b.j);
    for (const { hope, i, j, mass } of proposals) {
      if (least.length === width) floor = Math.max(floor, least[0]);
      if (hope < floor) break;
      const longer = this.text.extend(hypotheses[i].prose, candidates[j].token);
      if (!longer) continue;
      const score = Math.log(mass) + longer.weight;
      if (score < floor) continue;
      insert(least, score);
      if (least.length > width) least.shift();
      // its mark is made below, if it survives: many do not
      ranked.push({ score, hypothesis: { prose: longer, blank: 0, nonblank: mass, marks: hypotheses[i].marks } });
    }
    ranked.sort((a, b) => b.score - a.score || (a.hypothesis.prose.tokens < b.hypothesis.prose.tokens ? 1 : -1));
    floor = ranked[0].score - this.pruneNats;
    /** @type {Hypothesis[]} */
    const kept = [];
    for (const { score, hypothesis } of ranked.slice(0, width)) {
      if (score < floor) break;
      const { prose, marks } = hypothesis;
      if (marks.length === prose.tokens.length) {
        kept.push(hypothesis);
      } else {
        const logProb = byName.get(prose.tokens.slice(-1))?.heard ?? 0;
        kept.push({ ...hypothesis, marks: [...marks, { first: frame, last: frame, logProb, cut: prose.settled }] });
      }
    }
    return rescaled({ ...state, frame: frame + 1, hypotheses: kept });
  }

  /**
   * Give out what is certain: what all texts share, or what has waited long enough in the best one. Texts that disagree
   * with what has waited are dropped. A cut lies before a space, so that only whole words leave.
   * @param {BeamState} state
   * @returns {[Word[], BeamState]}
   */
  commit(state) {
    const [best] = state.hypotheses;
    const cuts = cutsOf(best);
    if (!cuts.length) return [[], state];
    const shares = sharesOf(state, cuts);
    const shared = commonLength(state.hypotheses.map((each) => each.prose.tokens));
    const oldest = state.frame - this.waitFrames;
    const cut = Math.max(0, ...cuts.filter((each) => each < shared || best.marks[each - 1].last < oldest));
    if (!cut) return [[], { ...state, shares }];
    const head = best.prose.tokens.slice(0, cut + 1);
    const words = this.words(firstTokens(best, cut), shares);
    const agreeing = state.hypotheses
      .filter((each) => each.prose.tokens.startsWith(head))
      .map((each) => ({
        ...each,
        prose: { ...each.prose, tokens: each.prose.tokens.slice(cut) },
        marks: each.marks.slice(cut),
      }));
    /** @type {Map<string, number>} */
    const left = new Map();
    for (const [tokens, share] of shares) if (tokens.length > cut + 1) left.set(tokens.slice(cut), share);
    return [words, { ...state, hypotheses: agreeing, shares: left }];
  }

  /**
   * Without a phrase that a grammar has only begun.
   * @param {Hypothesis} hypothesis
   */
  whole(hypothesis) {
    if (!this.grammar || this.grammar.accepts(hypothesis.prose.grammar) !== null) return hypothesis;
    return firstTokens(hypothesis, Math.max(0, ...cutsOf(hypothesis)));
  }

  /** @param {Hypothesis} hypothesis */
  spans(hypothesis) {
    const pieces = Array.from(hypothesis.prose.tokens, (name) => this.tokens[name.charCodeAt(0)]);
    return spansOf(pieces, hypothesis.marks);
  }

  /**
   * Its words as they are given out: with a grammar, those outside all phrases are [unk].
   * @param {Hypothesis} hypothesis
   */
  spelled(hypothesis) {
    const texts = this.spans(hypothesis).map((span) => span.text);
    return this.grammar?.allowsUnknown ? this.grammar.label(texts) : texts;
  }

  /**
   * Words in seconds.
   * @param {Hypothesis} hypothesis
   * @param {Map<string, number>} shares the posteriors of finished words
   * @param {number} openShare that of the last one
   * @returns {Word[]}
   */
  words(hypothesis, shares, openShare = 1) {
    const { tokens } = hypothesis.prose;
    const texts = this.spelled(hypothesis);
    return this.spans(hypothesis).map((span, i) =>
      toWord(span, texts[i], this.frameS, shares.get(tokens.slice(0, span.end + 1)) ?? openShare),
    );
  }
}

/**
 * @param {Hypothesis} hypothesis
 * @param {number} count
 * @returns {Hypothesis}
 */
function firstTokens(hypothesis, count) {
  const prose = { ...hypothesis.prose, tokens: hypothesis.prose.tokens.slice(0, count) };
  return { ...hypothesis, prose, marks: hypothesis.marks.slice(0, count) };
}

/**
 * Numbers of the tokens before which the text may be committed.
 * @param {Hypothesis} hypothesis
 */
function cutsOf({ marks }) {
  return [...marks.keys()].filter((i) => i && marks[i].cut);
}

/**
 * The posterior of each finished word of the best text, from when it was first seen finished.
 * @param {BeamState} state
 * @param {number[]} cuts
 */
function sharesOf({ hypotheses, shares }, cuts) {
  const heads = cuts.map((cut) => hypotheses[0].prose.tokens.slice(0, cut + 1));
  const scores = hypotheses.map((each) => Math.log(each.blank + each.nonblank) + each.prose.weight);
  const masses = scores.map((score) => Math.exp(score - scores[0]));
  const total = masses.reduce((a, b) => a + b, 0);
  return new Map(
    heads.map((head) => {
      const agreeing = masses.filter((_, i) => hypotheses[i].prose.tokens.startsWith(head));
      return [head, shares.get(head) ?? agreeing.reduce((a, b) => a + b, 0) / total];
    }),
  );
}

/**
 * How many characters all texts share at their beginning.
 * @param {string[]} texts
 */
function commonLength(texts) {
  let length = Math.min(...texts.map((text) => text.length));
  for (const text of texts) while (text.slice(0, length) !== texts[0].slice(0, length)) length--;
  return length;
}

/**
 * The same with masses that cannot vanish in the next frame.
 * @param {BeamState} state
 * @returns {BeamState}
 */
function rescaled(state) {
  const largest = Math.max(...state.hypotheses.map((each) => each.blank + each.nonblank));
  if (largest > SMALLEST_MASS && largest < LARGEST_MASS) return state;
  const hypotheses = state.hypotheses.map((each) => ({
    ...each,
    blank: each.blank / largest,
    nonblank: each.nonblank / largest,
  }));
  return { ...state, hypotheses, logScale: state.logScale + Math.log(largest) };
}

/**
 * Put a number where it belongs.
 * @param {number[]} sorted
 * @param {number} value
 */
function insert(sorted, value) {
  let place = sorted.length;
  while (place && sorted[place - 1] > value) place--;
  sorted.splice(place, 0, value);
}
