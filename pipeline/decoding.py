"""Which decoder: greedy, over the sounds of words, over letters, or a grammar, from what the user asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

from .beam import BeamDecoder
from .beam_options import LETTERS, PHRASES, PRONUNCIATIONS, BeamOptions
from .decoder import Decoder
from .grammar import Grammar
from .greedy import GreedyDecoder
from .hotwords import HOTWORD_LOG_PROB, Hotword, Hotwords
from .lexicon import Lexicon, Sounds
from .lexicon_beam import LexiconBeamDecoder
from .lm import LanguageModel
from .phrase_model import UNKNOWN_PRICE, PhraseModel
from .pronounce import Pronouncer

GUESSES = 2  # pronunciations of a word that the lexicon lacks; more let it in where it was not said


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
        lm: language model. Where there are phrases, only how its words sound counts.
        options: of the beam search, or some of them by name for the others to be as usual. A width of 1 without all
            else is greedy decoding.
        hotwords: phrases to prefer, as `Hotword` or as text: "Kubernetes", "Anna Karenina:8".
        phrases: if given, only these come out, and "[unk]" for the rest if that is among them.

    Raises:
        BeamOptionError, UnknownBeamOptionError: there is no such option, or it cannot have such a value.
        HotwordError, UnspellableError: a phrase cannot be recognised, or there is none among `phrases`.
    """
    wanted = [Hotword.parse(each) if isinstance(each, str) else each for each in hotwords]
    automaton = Hotwords(wanted, tokens) if wanted else None
    lexicon = lm.lexicon if lm and phones else None
    if lexicon and lexicon.phones != tuple(phones):
        lexicon = None
    usual = LETTERS if lexicon is None else PRONUNCIATIONS if phrases is None else PHRASES
    if not isinstance(options, BeamOptions):
        options = usual.but_with(options or {})
    if options.width == 1 and phrases is None and not wanted and lm is None and not options.alternatives:
        return GreedyDecoder(tokens, frame_s)
    if lm and lexicon:
        words = {word for hotword in wanted for word in hotword.phrase.lower().split()}
        if phrases is None:
            lexicon = lexicon.with_words(_said(lexicon, words), HOTWORD_LOG_PROB) if words else lexicon
            return LexiconBeamDecoder(len(tokens), frame_s, lm, lexicon, options, automaton)
        model = PhraseModel(phrases, tokens)
        said = _said(lexicon, model.words)
        lexicon = lexicon.evenly(-UNKNOWN_PRICE) if model.allows_unknown else lexicon.empty()
        return LexiconBeamDecoder(len(tokens), frame_s, model, lexicon.with_words(said, 0.0), options, automaton)
    grammar = Grammar(phrases, tokens) if phrases is not None else None
    return BeamDecoder(tokens, frame_s, options, lm if grammar is None else None, automaton, grammar)


def _said(lexicon: Lexicon, words: Set[str]) -> dict[str, list[Sounds]]:
    """How words sound: as the lexicon knows, and as they are probably pronounced where it does not."""
    known = lexicon.pronunciations(words)
    missing = sorted(words - known.keys())
    if missing:
        pronouncer = Pronouncer.load()
        known |= {word: pronouncer(word, GUESSES) for word in missing}
    return known
