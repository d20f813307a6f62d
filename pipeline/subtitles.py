"""Words as subtitles: where one ends and the next begins, and where a line breaks.

A subtitle has at most 2 lines of 42 characters and stands for at most 7 seconds, as broadcasters have it (BBC Subtitle
Guidelines; Netflix Timed Text Style Guide). Breaks are chosen together, by dynamic programming: each costs something,
less at a pause and before a word that begins a clause, more behind a word that leans on the next.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .events import Word

LINE_CHARACTERS = 42
LONGEST_S = 7.0
SHORTEST_S = 1.0  # a short subtitle stands on into the silence behind it
CHARACTERS_PER_S = 17.0  # what can be read; a faster one stands on as well, if there is silence
GAP_S = 0.08  # two frames of film between subtitles, or the eye does not see that the text has changed
PAUSE_S = 0.4  # a pause of this length is as good a place as any
LONG_PAUSE_S = 1.5  # across a longer one no subtitle reaches


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Words before which a clause or a phrase begins, and words that nobody wants at the end of a line.
BEGINS_CLAUSE = _set(
    "and but or so because that which who when where while if though although unless until since before after then as "
    "than whether what why how"
)
BEGINS_PHRASE = _set("in on at to for from with by of about into over under through between without")
LEANS_ON_NEXT = _set(
    "a an the my your his her its our their this these those some any no every very of in on at to for from with by "
    "and but or so because i you he she we they it mr mrs dr is are was were be been has have had do does did will "
    "would can could shall should may might must not don't"
)


@dataclass(frozen=True, slots=True)
class Subtitle:
    """Text and when it stands on the screen."""

    start_s: float
    end_s: float
    lines: tuple[str, ...]  # one or two, of at most 42 characters each


def subtitles(words: Sequence[Word], silence_s: float = 0.0) -> Iterator[Subtitle]:
    """Break the words of an utterance into subtitles, which follow each other in time and do not overlap.

    Args:
        words: of a `Final`, in order.
        silence_s: how long it is known to be silent behind the last word; the last subtitle may stand on into it.
    """
    words = [piece for word in words for piece in _pieces(word)]
    bounds = _bounds(words)
    for first, last in bounds:
        shown = words[first:last]
        text_s = sum(len(word.text) + 1 for word in shown) / CHARACTERS_PER_S
        start_s, end_s = shown[0].start_s, shown[-1].end_s
        free_s = words[last].start_s - GAP_S if last < len(words) else end_s + silence_s
        wanted_s = start_s + min(max(SHORTEST_S, text_s), LONGEST_S)
        yield Subtitle(start_s, max(end_s, min(wanted_s, free_s)), _lines(shown))


def _pieces(word: Word) -> Iterator[Word]:
    """A word that is longer than a line, in pieces that are not."""
    count = math.ceil(len(word.text) / LINE_CHARACTERS)
    piece_s = (word.end_s - word.start_s) / max(count, 1)
    for n in range(count):
        text = word.text[n * LINE_CHARACTERS : (n + 1) * LINE_CHARACTERS]
        start_s = word.start_s + n * piece_s
        yield Word(text, start_s, start_s + piece_s, word.confidence)


def _bounds(words: Sequence[Word]) -> list[tuple[int, int]]:
    """The cheapest way to cut words into subtitles: the first word of each, and the first that is no longer in it."""
    best = [0.0] + [math.inf] * len(words)
    came_from = [0] * (len(words) + 1)
    for last in range(1, len(words) + 1):
        after = _break_cost(words[last - 1], words[last]) if last < len(words) else 0.0
        for first in range(last - 1, -1, -1):
            inside = _subtitle_cost(words[first:last])
            if math.isinf(inside) and last - first > 1:
                break  # nor does anything longer fit
            cost = best[first] + (0.0 if math.isinf(inside) else inside) + after
            if cost < best[last]:
                best[last], came_from[last] = cost, first
    bounds, last = [], len(words)
    while last:
        bounds.append((came_from[last], last))
        last = came_from[last]
    return bounds[::-1]


def _subtitle_cost(words: Sequence[Word]) -> float:
    """What it costs that these words stand together; infinite if they cannot."""
    if words[-1].end_s - words[0].start_s > LONGEST_S:
        return math.inf
    if len(words) > 1 and words[1].start_s - words[0].end_s > LONG_PAUSE_S:
        return math.inf  # pauses further on were looked at before, when `first` was there
    cut = _line_cut(words)
    if cut is None:
        return math.inf
    cost = 1.0  # for each subtitle, so that there are few
    if cut < len(words):
        cost += 0.2 + 0.5 * _break_cost(words[cut - 1], words[cut])
    return cost + 0.3 * max(0, 3 - len(words))  # a word or two alone look lost


def _break_cost(before: Word, after: Word) -> float:
    """What it costs to separate two words: 0 at a pause or a clause, up to about 3 where they belong together."""
    hold = 1.0 - min(max(after.start_s - before.end_s, 0.0) / PAUSE_S, 1.0)
    cost = 1.0
    if after.text in BEGINS_CLAUSE:
        cost = 0.3
    elif after.text in BEGINS_PHRASE:
        cost = 0.6
    if before.text in LEANS_ON_NEXT:
        cost += 1.5
    return cost * hold


def _line_cut(words: Sequence[Word]) -> int | None:
    """Where the second line begins; `len(words)` if one line is enough, None if two are too short."""
    lengths = [len(word.text) for word in words]
    whole = sum(lengths) + len(words) - 1
    if whole <= LINE_CHARACTERS:
        return len(words)
    if whole > 2 * LINE_CHARACTERS + 1:
        return None
    cuts = {}
    first = -1
    for cut in range(1, len(words)):
        first += lengths[cut - 1] + 1
        second = whole - first - 1
        if max(first, second) <= LINE_CHARACTERS:
            cuts[cut] = _break_cost(words[cut - 1], words[cut]) + abs(first - second) / LINE_CHARACTERS
    return min(cuts, key=lambda cut: cuts[cut], default=None)


def _lines(words: Sequence[Word]) -> tuple[str, ...]:
    cut = _line_cut(words) or len(words)
    lines = (words[:cut], words[cut:])
    return tuple(" ".join(word.text for word in line) for line in lines if line)
