"""Tokens, and the exact number of frames that CTC needs."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rillet.models.tokens import ENGLISH_CHARACTERS, Tokens, frames_needed
from torch.nn import functional as F


def test_english_is_blank_space_apostrophe_letters() -> None:
    assert ENGLISH_CHARACTERS.strings == ("", " ", "'", *"abcdefghijklmnopqrstuvwxyz")
    assert len(ENGLISH_CHARACTERS) == 29


@given(st.text(alphabet=" 'abcdefghijklmnopqrstuvwxyz"))
def test_decoding_undoes_encoding(text: str) -> None:
    indices = ENGLISH_CHARACTERS.encode(text)
    assert len(indices) == len(text)
    assert 0 not in indices
    assert ENGLISH_CHARACTERS.decode(indices) == text


def test_the_longest_token_is_taken() -> None:
    tokens = Tokens(("", " ", "t", "h", "e", " the", " th"))
    assert [tokens.strings[i] for i in tokens.encode(" the eth")] == [" the", " ", "e", "t", "h"]


def test_what_cannot_be_spelled_is_named() -> None:
    with pytest.raises(ValueError, match="'4' in 'room 42'"):
        ENGLISH_CHARACTERS.encode("room 42")


@pytest.mark.parametrize("strings", [(), ("a", "b"), ("", "a", "a"), ("", "a", "")])
def test_tokens_begin_with_the_blank_and_are_distinct(strings: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="distinct"):
        Tokens(strings)


@settings(deadline=None)
@given(st.lists(st.integers(1, 3), max_size=8))
def test_the_loss_is_finite_exactly_from_the_bound_on(indices: list[int]) -> None:
    needed = frames_needed(indices)
    for frames in range(max(1, needed - 3), needed + 2):
        log_probs = torch.full((frames, 1, 4), 0.25).log()
        loss = F.ctc_loss(log_probs, torch.tensor([indices]), torch.tensor([frames]), torch.tensor([len(indices)]))
        assert bool(torch.isfinite(loss)) == (frames >= needed)
