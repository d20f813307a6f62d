"""Word and character error rates, counted by jiwer."""

from dataclasses import dataclass

import jiwer


@dataclass(frozen=True)
class Errors:
    """Edits between what was said and what was heard."""

    substitutions: int
    insertions: int
    deletions: int
    length: int  # of what was said

    @property
    def rate(self) -> float:
        return (self.substitutions + self.insertions + self.deletions) / max(1, self.length)


def word_errors(said: list[str], heard: list[str]) -> Errors:
    """Over whole lists, so that long utterances weigh more; an empty `said` counts what was heard as insertions."""
    return _count(jiwer.process_words, said, heard)


def character_errors(said: list[str], heard: list[str]) -> Errors:
    return _count(jiwer.process_characters, said, heard)


def _count(process: object, said: list[str], heard: list[str]) -> Errors:
    out = process(said, heard)  # type: ignore[operator]
    return Errors(out.substitutions, out.insertions, out.deletions, out.hits + out.substitutions + out.deletions)


def show_alignment(said: str, heard: str) -> str:
    """Two lines with the words of both above one another, and a third with S, I and D where they differ."""
    text = jiwer.visualize_alignment(jiwer.process_words(said, heard), show_measures=False, skip_correct=False)
    return "\n".join(line for line in text.splitlines() if line.startswith(("REF", "HYP", " ")))
