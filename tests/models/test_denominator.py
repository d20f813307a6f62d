"""The denominator of the discriminative loss, against the sum that it stands for."""

import itertools
import math

import pytest
import torch
from rillet.models.denominator import LogDenominator, phone_trigram
from torch import Tensor

PHONES = 3
SENTENCES = [[1, 2, 3, 1, 1, 2], [3, 3, 2], [2]]


def definition(log_probs: Tensor, trigram: Tensor) -> Tensor:
    """Over all paths: the product of their probabilities and of the trigram's of what they say."""
    total = torch.zeros((), dtype=torch.float64)
    for path in itertools.product(range(1 + PHONES), repeat=len(log_probs)):
        said = [0, 0, *(phone for phone, _ in itertools.groupby(path) if phone)]
        language = math.prod(
            float(trigram[first, second, third]) for first, second, third in zip(said, said[1:], said[2:], strict=False)
        )
        total = total + language * log_probs[range(len(path)), list(path)].sum().exp()
    return total.log()


@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_sum_over_all_paths(seed: int) -> None:
    torch.manual_seed(seed)
    trigram, frames = phone_trigram(SENTENCES, PHONES), torch.tensor([5, 3])
    log_probs = torch.log_softmax(3 * torch.randn(2, 5, 1 + PHONES, dtype=torch.float64), dim=-1).requires_grad_()
    expected = torch.stack([definition(row[:n], trigram) for row, n in zip(log_probs, frames, strict=True)])
    weights = torch.tensor([1.0, -2.0])
    (gradient,) = torch.autograd.grad((weights * expected).sum(), log_probs)

    single = log_probs.detach().float().requires_grad_()
    found = LogDenominator.apply(single, frames, trigram)
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=1e-5)
    (found_gradient,) = torch.autograd.grad((weights * found).sum(), single)
    torch.testing.assert_close(found_gradient.double(), gradient, atol=1e-5, rtol=1e-4)


def test_where_language_has_no_say_the_paths_sum_to_one() -> None:
    """Then only CTC is left of the loss."""
    trigram = torch.full((1 + PHONES,) * 3, 1.0)
    log_probs = torch.log_softmax(torch.randn(2, 40, 1 + PHONES), dim=-1)
    found = LogDenominator.apply(log_probs, torch.tensor([40, 7]), trigram)
    torch.testing.assert_close(found, torch.zeros(2), atol=1e-4, rtol=0)


def test_a_trigram_is_a_distribution_that_knows_what_it_has_seen() -> None:
    trigram = phone_trigram(SENTENCES, PHONES)
    torch.testing.assert_close(trigram.sum(-1), torch.ones(1 + PHONES, 1 + PHONES))
    assert (trigram[:, :, 0] == 0).all()
    assert (trigram[:, :, 1:] > 0).all()
    assert trigram[1, 2].argmax() == 3
