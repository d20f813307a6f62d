"""Which decoder: greedy, beam with a language model, or a grammar, from what the user asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .beam import BeamDecoder
from .beam_options import BeamOptions
from .decoder import Decoder
from .grammar import Grammar
from .greedy import GreedyDecoder
from .hotwords import Hotword, Hotwords
from .lm import LanguageModel


def make_decoder(
    tokens: Sequence[str],
    frame_s: float,
    *,
    lm: LanguageModel | None = None,
    options: BeamOptions | None = None,
    hotwords: Iterable[str | Hotword] = (),
    phrases: Iterable[str] | None = None,
) -> Decoder[Any]:
    """A decoder for the tokens of a model.

    Args:
        tokens: of the model, the blank first.
        frame_s: seconds of audio to a row of log-probabilities.
        lm: language model. A grammar does without it, for it says itself what can be said.
        options: of the beam search; a width of 1 without all else is greedy decoding.
        hotwords: phrases to prefer, as `Hotword` or as text: "Kubernetes", "Anna Karenina:8".
        phrases: if given, only these come out, and "[unk]" for the rest if that is among them.

    Raises:
        HotwordError, UnspellableError: a phrase cannot be recognised.
    """
    options = options or BeamOptions()
    wanted = [Hotword.parse(each) if isinstance(each, str) else each for each in hotwords]
    if phrases is None and not wanted and lm is None and options.width == 1:
        return GreedyDecoder(tokens, frame_s)
    return BeamDecoder(
        tokens,
        frame_s,
        options,
        lm if phrases is None else None,
        Hotwords(wanted, tokens) if wanted else None,
        Grammar(phrases, tokens) if phrases is not None else None,
    )
