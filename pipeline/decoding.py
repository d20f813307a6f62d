"""Which decoder: greedy, over the sounds of words, over letters, or a grammar, from what the user asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from .beam import BeamDecoder
from .beam_options import LETTERS, PRONUNCIATIONS, BeamOptions
from .decoder import Decoder
from .grammar import Grammar
from .greedy import GreedyDecoder
from .hotwords import HOTWORD_LOG_PROB, Hotword, Hotwords
from .lexicon import Lexicon
from .lexicon_beam import LexiconBeamDecoder
from .lm import LanguageModel

HOTWORD_PRONUNCIATIONS = 2  # of a word that the lexicon lacks; more let it in where it was not said


def make_decoder(
    tokens: Sequence[str],
    frame_s: float,
    *,
    phones: Sequence[str] = (),
    lm: LanguageModel | None = None,
    options: BeamOptions | Mapping[str, Any] | None = None,
    hotwords: Iterable[str | Hotword] = (),
    phrases: Iterable[str] | None = None,
) -> Decoder[Any]:
    """A decoder for the tokens of a model.

    Args:
        tokens: of the model, the blank first.
        frame_s: seconds of audio to a row of log-probabilities.
        phones: sounds that the model tells. With a language model that says how words sound, words are found by sounds.
        lm: language model. A grammar does without it, for it says itself what can be said.
        options: of the beam search, or some of them by name for the others to be as usual. A width of 1 without all
            else is greedy decoding.
        hotwords: phrases to prefer, as `Hotword` or as text: "Kubernetes", "Anna Karenina:8".
        phrases: if given, only these come out, and "[unk]" for the rest if that is among them.

    Raises:
        HotwordError, UnspellableError: a phrase cannot be recognised.
    """
    wanted = [Hotword.parse(each) if isinstance(each, str) else each for each in hotwords]
    lexicon = lm.lexicon if lm and phones and phrases is None else None
    if lexicon and lexicon.phones != tuple(phones):
        lexicon = None
    usual = PRONUNCIATIONS if lexicon else LETTERS
    if not isinstance(options, BeamOptions):
        options = replace(usual, **(options or {}))
    if options.width == 1 and phrases is None and not wanted and lm is None:
        return GreedyDecoder(tokens, frame_s)
    automaton = Hotwords(wanted, tokens) if wanted else None
    if lm and lexicon:
        if wanted:
            lexicon = _with_hotwords(lexicon, wanted)
        return LexiconBeamDecoder(len(tokens), frame_s, lm, lexicon, options, automaton)
    grammar = Grammar(phrases, tokens) if phrases is not None else None
    return BeamDecoder(tokens, frame_s, options, lm if grammar is None else None, automaton, grammar)


def _with_hotwords(lexicon: Lexicon, hotwords: Iterable[Hotword]) -> Lexicon:
    """The lexicon with all words of the phrases, those that it lacks as they are probably pronounced."""
    words = {word for hotword in hotwords for word in hotword.phrase.lower().split()}
    known = lexicon.pronunciations(words)
    missing = sorted(words - known.keys())
    if missing:
        from .pronounce import Pronouncer

        pronouncer = Pronouncer.load()
        known |= {word: pronouncer(word, HOTWORD_PRONUNCIATIONS) for word in missing}
    return lexicon.with_words(known, HOTWORD_LOG_PROB)
