"""Options about language that several commands have, and what they say together."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from .beam_options import PRONUNCIATIONS as USUAL
from .errors import PhrasesFileError

Lm = Annotated[
    str | None,
    typer.Option("--lm", metavar="none|PATH", help="A language model; by default the English one that is included."),
]
Beam = Annotated[int | None, typer.Option(min=1, metavar="N", help="Texts that are kept in mind; 1 is greedy.")]
LmWeight = Annotated[
    float | None, typer.Option(min=0.0, metavar="W", help=f"Trust in the language model [{USUAL.lm_weight}].")
]
WordBonus = Annotated[
    float | None, typer.Option(metavar="NATS", help=f"Preference for more and shorter words [{USUAL.word_bonus}].")
]
HotwordList = Annotated[
    list[str] | None,
    typer.Option("--hotword", metavar="PHRASE[:NATS]", help="A word or phrase to prefer; may be given again."),
]
Phrases = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Hear only these phrases, one a line; [unk] allows others.")
]
Alternatives = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="In JSON, so many readings of each utterance, best first, with scores."),
]


@dataclass(frozen=True)
class Language:
    """What the options say; `for_load` are arguments of `Recognizer.load`."""

    lm: str | None = None
    beam: int | None = None
    lm_weight: float | None = None
    word_bonus: float | None = None
    hotwords: tuple[str, ...] = ()
    phrases: tuple[str, ...] | None = None
    alternatives: int | None = None

    @classmethod
    def of(
        cls,
        lm: str | None,
        beam: int | None,
        lm_weight: float | None,
        word_bonus: float | None,
        hotwords: list[str] | None,
        phrases: Path | None,
        alternatives: int | None = None,
    ) -> "Language":
        """Raises PhrasesFileError if the file of phrases cannot be read, or has none."""
        lines = None if phrases is None else _lines_of(phrases)
        return cls(lm, beam, lm_weight, word_bonus, tuple(hotwords or ()), lines, alternatives)

    @property
    def for_load(self) -> dict[str, Any]:
        chosen: dict[str, Any] = {
            "width": self.beam,
            "lm_weight": self.lm_weight,
            "word_bonus": self.word_bonus,
            "alternatives": self.alternatives,
        }
        changed = {name: value for name, value in chosen.items() if value is not None}
        return {
            "lm": {None: "auto", "none": None}.get(self.lm, self.lm),
            "options": changed or None,
            "hotwords": self.hotwords,
            "phrases": self.phrases,
            "verify": True,  # 15 ms; a damaged model would write nonsense
        }


def _lines_of(path: Path) -> tuple[str, ...]:
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors put a mark before the first letter
    except FileNotFoundError:
        raise PhrasesFileError(path, "there is no such file") from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise PhrasesFileError(path, f"the file cannot be read ({reason})") from error
    except UnicodeDecodeError as error:
        raise PhrasesFileError(path, "the file is not text in UTF-8") from error
    lines = tuple(line.strip() for line in text.splitlines() if line.strip())
    if not lines:
        raise PhrasesFileError(path, "there is no phrase in this file")
    return lines
