"""What else could have been said: the denominator that makes CTC on phones a discriminative loss.

CTC raises the probability of the right phones under a model in which any phone may follow any other. Recognition
knows better: with the probabilities of a phone n-gram the same loss (CTC-CRF, Xiang and Ou 2019; lattice-free MMI,
Povey et al. 2016) lowers what competes with the right phones and sounds like English, and nothing else.
    loss = -log p(right phones | audio) + log sum over all phone strings of p(string | audio) p(string)
The first term is CTC's. The second is computed here, exactly, over a trigram without pruning: the states are the last
two phones, and whether blank came since, all of which fit into one dense tensor.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

Context = Any


def phone_trigram(sentences: Iterable[list[int]], phones: int, discount: float = 0.7) -> Tensor:
    """Probability of a phone after two others, interpolated absolute discounting (Ney, Essen and Kneser 1994).

    Args:
        sentences: phones 1..phones.
        phones: how many there are.
        discount: taken from each count.

    Returns:
        float32 [1 + phones, 1 + phones, 1 + phones]: of the third after the first and the second, where 0 as first and
        second is the beginning. Nothing is 0 as third: the end of a sentence costs nothing.
    """
    size = 1 + phones
    counts = torch.zeros(size**3, dtype=torch.float64)
    for sentence in sentences:
        said = torch.tensor([0, 0, *sentence])
        places = (said[:-2] * size + said[1:-1]) * size + said[2:]
        counts.index_add_(0, places, torch.ones(len(places), dtype=torch.float64))
    third = counts.view(size, size, size)
    lower = torch.full((size,), 1 / phones, dtype=torch.float64)
    lower[0] = 0
    for table in (third.sum((0, 1)), third.sum(0), third):
        total, kinds = table.sum(-1, keepdim=True), (table > 0).sum(-1, keepdim=True)
        lower = torch.where(
            total > 0, ((table - discount).clamp(min=0) + discount * kinds * lower) / total.clamp(min=1), lower
        )
    return lower.float()


class LogDenominator(torch.autograd.Function):
    """Logarithm of the sum over all phone strings; its gradient is how often each phone is expected in each frame."""

    @staticmethod
    def forward(ctx: Context, log_probs: Tensor, frames: Tensor, trigram: Tensor) -> Tensor:
        """One value per row.

        Args:
            log_probs: float32 [batch, frames, 1 + phones], natural, blank first.
            frames: int64 [batch], those that count.
            trigram: see `phone_trigram`.

        Returns:
            float32 [batch].
        """
        batch, longest, size = log_probs.shape
        probs = log_probs.exp()
        past_end = torch.arange(longest, device=probs.device)[None] >= frames[:, None]
        probs[past_end] = 0  # certain blanks: they change nothing
        probs[..., 0][past_end] = 1
        after = trigram.permute(1, 0, 2).contiguous()  # [second, first, third]
        twice = torch.diagonal(trigram, dim1=1, dim2=2).T[:, None].contiguous()  # [second, 1, first]
        # Mass of the alignments by the last two phones, [second, batch, first], behind blank and behind the phone.
        blank = probs.new_zeros(size, batch, size)
        blank[0, :, 0] = 1
        sound = torch.zeros_like(blank)
        kept, scale_logs = [], probs.new_zeros(batch)
        for frame in range(longest):
            prob = probs[:, frame]
            said = torch.bmm(blank + sound, after)  # [second, batch, third]: the next phone
            said -= torch.diag_embed((twice * sound).sum(2).T, dim1=0, dim2=2)  # which is no other than the last one
            blank, sound = (blank + sound) * prob[:, :1], said.permute(2, 1, 0) + sound
            sound *= prob.T[:, :, None]
            sound[0] = 0
            scale = blank.sum((0, 2)) + sound.sum((0, 2))
            blank, sound = blank / scale[:, None], sound / scale[:, None]
            scale_logs += scale.log()
            kept.append((blank, sound))
        ctx.kept = kept
        ctx.save_for_backward(probs, after, twice, past_end)
        return scale_logs

    @staticmethod
    def backward(ctx: Context, gradient: Tensor) -> tuple[Tensor, None, None]:
        probs, after, twice, past_end = ctx.saved_tensors
        longest, size = probs.shape[1:]
        before = after.transpose(1, 2).contiguous()
        expected = torch.empty_like(probs)
        blank = torch.ones_like(ctx.kept[0][0])  # mass of what can follow, as above
        sound = torch.ones_like(blank)
        for frame in reversed(range(longest)):
            mass_blank, mass_sound = ctx.kept[frame]
            expected[:, frame] = (mass_sound * sound).sum(2).T
            expected[:, frame, 0] = (mass_blank * blank).sum((0, 2))
            expected[:, frame] /= expected[:, frame].sum(1, keepdim=True)
            prob = probs[:, frame]
            told = sound * prob.T[:, :, None]
            told[0] = 0
            following = torch.bmm(told.permute(2, 1, 0).contiguous(), before)
            blank = blank * prob[:, :1] + following
            same = torch.diagonal(told, dim1=0, dim2=2).T[:, :, None]  # [second, batch, 1]
            sound = blank + told - twice * same
            scale = blank.sum((0, 2)) / size
            blank, sound = blank / scale[:, None], sound / scale[:, None]
        ctx.kept = None
        expected[past_end] = 0
        return expected * gradient[:, None, None], None, None
