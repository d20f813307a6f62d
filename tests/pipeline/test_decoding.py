"""Choosing a decoder."""

import math
from typing import Any

import pytest
from rillet.pipeline.beam import BeamDecoder
from rillet.pipeline.beam_options import BeamOptions
from rillet.pipeline.decoding import make_decoder
from rillet.pipeline.errors import BeamOptionError, UnknownBeamOptionError
from rillet.pipeline.greedy import GreedyDecoder
from rillet.pipeline.hotwords import HotwordError, UnspellableError
from rillet.pipeline.lm import LanguageModel
from simulated_ctc import FRAME_S, SOUNDS, TOKENS


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


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("width", 0),
        ("width", 2.5),
        ("prune_nats", -1.0),
        ("tokens_per_frame", 0),
        ("blank_prob", 0.0),  # its logarithm is taken
        ("certain_blank_prob", 0.0),
        ("commit_after_s", math.inf),
        ("lm_weight", math.inf),
        ("lm_weight", 1e9),
        ("lm_weight", -0.1),
        ("word_bonus", 800.0),
        ("word_bonus", -100.0),
        ("word_bonus", math.nan),
        ("word_bonus", "much"),
        ("alternatives", -5),
    ],
)
def test_an_option_that_makes_no_sense_is_named(name: str, value: Any) -> None:
    with pytest.raises(BeamOptionError, match=rf"^{name} is {value} and must be a .*number from .* to .*\.$"):
        make_decoder(TOKENS, FRAME_S, options={name: value})
    with pytest.raises(BeamOptionError, match=f"^{name} is"):
        BeamOptions(**{name: value})


def test_options_without_limits_in_the_search_have_none() -> None:
    BeamOptions(width=10**6, prune_nats=math.inf, token_log_prob=-math.inf, tokens_per_frame=10**6, blank_prob=1.0)


def test_an_option_that_is_not_there_is_named_and_so_are_those_that_are() -> None:
    with pytest.raises(UnknownBeamOptionError, match=r"^widht: .*no such option; choose of: width, .*alternatives"):
        make_decoder(TOKENS, FRAME_S, options={"widht": 8})


def test_no_phrases_at_all_are_an_error(spoken_lm: LanguageModel) -> None:
    with pytest.raises(HotwordError, match="there are no phrases"):
        make_decoder(TOKENS, FRAME_S, phrases=[])
    with pytest.raises(HotwordError, match="there are no phrases"):
        make_decoder(TOKENS, FRAME_S, phones=SOUNDS, lm=spoken_lm, phrases=[])
