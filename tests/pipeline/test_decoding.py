"""Choosing a decoder."""

import pytest
from rillet.pipeline.beam import BeamDecoder
from rillet.pipeline.beam_options import BeamOptions
from rillet.pipeline.decoding import make_decoder
from rillet.pipeline.greedy import GreedyDecoder
from rillet.pipeline.hotwords import UnspellableError
from rillet.pipeline.lm import LanguageModel
from simulated_ctc import FRAME_S, TOKENS


def test_what_is_asked_for(small_lm: LanguageModel) -> None:
    one = BeamOptions(width=1)
    assert isinstance(make_decoder(TOKENS, FRAME_S, options=one), GreedyDecoder)
    assert isinstance(make_decoder(TOKENS, FRAME_S, options=one, phrases=["yes"]), BeamDecoder)
    assert isinstance(make_decoder(TOKENS, FRAME_S, lm=small_lm, hotwords=["Anna Karenina:8"]), BeamDecoder)


def test_what_cannot_be_spelled_is_an_error() -> None:
    with pytest.raises(UnspellableError, match="'ü'"):
        make_decoder(TOKENS, FRAME_S, hotwords=["Zürich"])
    with pytest.raises(UnspellableError, match="'7'"):
        make_decoder(TOKENS, FRAME_S, phrases=["gate 7"])
