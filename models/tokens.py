"""What the network writes: strings whose concatenation is the text, and the CTC blank."""

from dataclasses import dataclass
from itertools import pairwise

BLANK = ""


@dataclass(frozen=True)
class Tokens:
    """An ordered set of tokens; index 0 is the CTC blank, written as the empty string.

    Raises:
        ValueError: no blank at index 0, or a token twice.
    """

    strings: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.strings or self.strings[0] != BLANK or len(set(self.strings)) != len(self.strings):
            raise ValueError("tokens must be distinct strings and begin with the blank, the empty string")

    def __len__(self) -> int:
        return len(self.strings)

    def encode(self, text: str) -> list[int]:
        """Indices of the tokens that spell `text`, always the longest that fits, from left to right.

        Raises:
            ValueError: a character that no token can spell.
        """
        index, longest = {s: i for i, s in enumerate(self.strings)}, max(map(len, self.strings))
        found, start = [], 0
        while start < len(text):
            for size in range(min(longest, len(text) - start), 0, -1):
                if (token := index.get(text[start : start + size])) is not None:
                    found.append(token)
                    start += size
                    break
            else:
                raise ValueError(f"{text[start]!r} in {text!r} is not among the tokens")
        return found

    def decode(self, indices: list[int]) -> str:
        """The text that tokens spell; blanks vanish, repeats stay."""
        return "".join(self.strings[i] for i in indices)


ENGLISH_CHARACTERS = Tokens((BLANK, " ", "'", *"abcdefghijklmnopqrstuvwxyz"))


def frames_needed(indices: list[int]) -> int:
    """The exact CTC bound: a frame for each token, and one for the blank between two of the same.

    With fewer frames no path writes these tokens and the loss is infinite; with as many there is one
    (Graves et al. 2006, section 3.1).
    """
    return len(indices) + sum(a == b for a, b in pairwise(indices))
