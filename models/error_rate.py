"""Word and character error rates, counted by jiwer."""

from collections.abc import Callable
from dataclasses import dataclass

import jiwer

LINE_CHARACTERS = 100


@dataclass(frozen=True)
class Errors:
    """Edits between what was said and what was heard."""

    substitutions: int
    insertions: int
    deletions: int
    length: int  # of what was said

    @property
    def rate(self) -> float:
        """Edits to a word or character that was said: 0.0 is perfect, and insertions can bring it above 1.0."""
        return (self.substitutions + self.insertions + self.deletions) / max(1, self.length)


def word_errors(said: list[str], heard: list[str]) -> Errors:
    """Edits of words over whole lists of utterances, so that long ones weigh more.

    Args:
        said: normalised texts; where one is empty, all that was heard is insertions.
        heard: as many.
    """
    return _count(jiwer.process_words, said, heard)


def character_errors(said: list[str], heard: list[str]) -> Errors:
    """As `word_errors`, of characters, spaces included."""
    return _count(jiwer.process_characters, said, heard)


def _count(
    process: Callable[[list[str], list[str]], jiwer.WordOutput | jiwer.CharacterOutput],
    said: list[str],
    heard: list[str],
) -> Errors:
    out = process(said, heard)
    return Errors(out.substitutions, out.insertions, out.deletions, out.hits + out.substitutions + out.deletions)


def show_alignment(said: str, heard: str) -> str:
    """Two lines with the words of both above one another, and a third with S, I and D where they differ.

    Long utterances are broken into several such groups.
    """
    text = jiwer.visualize_alignment(
        jiwer.process_words(said, heard), show_measures=False, skip_correct=False, line_width=LINE_CHARACTERS
    )
    return "\n".join(line for line in text.splitlines() if line.startswith(("REF", "HYP", " ")))
