"""From tokens and the frames in which they were heard to words with times and confidence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from .events import Word


class Mark(NamedTuple):
    """Where a token stands on the best alignment."""

    first: int  # frame
    last: int  # frame
    log_prob: float  # its best in these frames
    cut: bool  # whether the text before it may be committed


class Span(NamedTuple):
    """A word on the best alignment."""

    text: str
    first: int  # frame
    last: int  # frame
    log_prob: float  # mean over its tokens
    end: int  # number of the token behind it


def spans_of(pieces: Sequence[str], marks: Sequence[Mark]) -> list[Span]:
    """The words in a text of token pieces; a space in a piece is a word boundary."""
    spans: list[Span] = []
    letters = ""  # of the word under way
    heard: list[Mark] = []
    for i, (piece, mark) in enumerate(zip(pieces, marks, strict=True)):
        for j, part in enumerate(piece.split(" ")):
            if j and letters:
                spans.append(_span(letters, heard, i))
                letters, heard = "", []
            if part:
                letters += part
                heard.append(mark)
    if letters:
        spans.append(_span(letters, heard, len(pieces)))
    return spans


def _span(letters: str, heard: list[Mark], end: int) -> Span:
    log_prob = sum(mark.log_prob for mark in heard) / len(heard)
    return Span(letters, heard[0].first, heard[-1].last, log_prob, end)


def to_word(span: Span, frame_s: float, share: float) -> Word:
    """Seconds for frames; `share` is the posterior of the word among the texts that the search still had."""
    confidence = min(max(math.exp(span.log_prob) * share, 0.0), 1.0)
    return Word(span.text, span.first * frame_s, (span.last + 1) * frame_s, confidence)
