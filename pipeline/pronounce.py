"""How a word sounds, guessed from its letters: for hotwords and names that are in no dictionary.

`models/g2p.py` trains the network, one ONNX file. The format: input `letters` int64 [batch, letters], indices in the
metadata's letters; output `log_probs` float32 [batch, letters * slots, 1 + phones], the CTC blank first. Words of a
batch have one length, and none depends on another.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import nlargest
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .errors import DamagedModelError, ModelError, ModelNotFoundError, PathLike, RilletError
from .samples import FloatArray

if TYPE_CHECKING:
    import onnxruntime  # type: ignore[import-untyped]  # slow to import; `Pronouncer.load` does it

Pronunciation = tuple[int, ...]  # CTC indices 1, 2, ...: k + 1 is phones[k]

PREFIX = "rillet.g2p."  # of entries in the file's metadata
SHIPPED_PRONOUNCER = Path(__file__).parent.parent / "models" / "pretrained" / "en.g2p.onnx"
BEAM_WIDTH = 8
LEAST_PROB = 1e-3  # less likely phones are not tried: a tenth of the time, and the same pronunciations
BATCH_WORDS = 256


class NotAPronouncerError(ModelError, ValueError):
    def __init__(self, path: PathLike, reason: str) -> None:
        super().__init__(
            f"{path}: this is not a pronunciation model ({reason}); "
            f"use a file written by `python -m rillet.models.g2p` or the shipped one."
        )


class UnpronounceableError(RilletError, ValueError):
    def __init__(self, word: str, character: str, letters: str) -> None:
        what = f"there is no letter {character!r}" if character else "it is empty"
        super().__init__(f"{word!r} cannot be pronounced because {what}; spell it with: {letters}")


@dataclass(frozen=True)
class Pronouncer:
    """A loaded pronunciation model. Immutable; any number of threads may use it at once."""

    path: Path
    letters: str
    phones: tuple[str, ...]  # ARPAbet without stress, in the order of the CTC indices from 1
    session: "onnxruntime.InferenceSession"

    @classmethod
    def load(cls, path: Path | None = None) -> "Pronouncer":
        """Load a model file; None is the English one that comes with rillet.

        Raises:
            ModelNotFoundError, DamagedModelError, NotAPronouncerError
        """
        path = path or SHIPPED_PRONOUNCER
        if not path.is_file():
            raise ModelNotFoundError(
                f"{path}: there is no such pronunciation model; check the spelling and the folder."
            )
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4  # errors become exceptions; nothing else belongs on a user's terminal
        try:
            session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"], enable_fallback=0
            )
        except Exception as error:  # onnxruntime raises a dozen kinds, none of which says more than its text
            raise DamagedModelError(path, (str(error).strip().splitlines() or [type(error).__name__])[0]) from error
        metadata = session.get_modelmeta().custom_metadata_map
        try:
            letters = str(metadata[f"{PREFIX}letters"])
            phones = tuple(map(str, json.loads(metadata[f"{PREFIX}phones"])))
        except KeyError as error:
            raise NotAPronouncerError(path, f"its metadata lacks {error.args[0]}") from None
        except (ValueError, TypeError) as error:
            raise NotAPronouncerError(path, f"its metadata {PREFIX}phones makes no sense: {error}") from error
        return cls(path, letters, phones, session)

    def __call__(self, word: str, count: int = 1) -> list[Pronunciation]:
        """At most `count` pronunciations of a word, best first, by CTC prefix beam search (Hannun et al. 2014).

        Raises:
            UnpronounceableError: the word is empty, or has a character that the model does not know. Case is ignored.
        """
        log_probs = self._log_probs([self._indices(word)])[0]
        return prefix_beam_search(np.exp(log_probs), max(count, BEAM_WIDTH))[:count]

    def many(self, words: Iterable[str]) -> list[Pronunciation]:
        """One pronunciation for each of thousands of words, in their order: the best path.

        That is what calling gives first but for 3 words in 1000: calling adds up the paths to the same phones.

        Raises:
            UnpronounceableError: as for a call.
        """
        spelled = [self._indices(word) for word in words]
        found: list[Pronunciation] = [()] * len(spelled)
        for batch in _batches_of_one_length(spelled):
            best = self._log_probs([spelled[i] for i in batch]).argmax(axis=2)
            starts = best != 0  # where a phone begins: CTC merges neighbours that are equal
            starts[:, 1:] &= best[:, 1:] != best[:, :-1]
            for i, row, start in zip(batch, best, starts, strict=True):
                found[i] = tuple(row[start].tolist())
        return found

    def _indices(self, word: str) -> list[int]:
        if not word:
            raise UnpronounceableError(word, "", self.letters)
        indices = [self.letters.find(character) for character in word.lower()]
        if -1 in indices:
            raise UnpronounceableError(word, word.lower()[indices.index(-1)], self.letters)
        return indices

    def _log_probs(self, words: Sequence[Sequence[int]]) -> FloatArray:
        """float32 [words, slots, 1 + phones] of words of one length."""
        log_probs: FloatArray = self.session.run(["log_probs"], {"letters": np.array(words, np.int64)})[0]
        return log_probs


def prefix_beam_search(probs: NDArray[np.floating], width: int = BEAM_WIDTH) -> list[Pronunciation]:
    """The likeliest sequences of phones, best first; never the empty one.

    Args:
        probs: [slots, 1 + phones], the blank first.
        width: sequences to keep at a time; at most so many come out.
    """
    beam: dict[Pronunciation, tuple[float, float]] = {(): (1.0, 0.0)}  # probability to end in the blank, in the phone
    for row in probs.tolist():
        likely = [(index, prob) for index, prob in enumerate(row) if prob >= LEAST_PROB]
        grown = defaultdict[Pronunciation, list[float]](lambda: [0.0, 0.0])
        for phones, (blank, phone) in beam.items():
            for index, prob in likely:
                longer = (*phones, index)
                if index == 0:
                    grown[phones][0] += prob * (blank + phone)
                elif phones[-1:] == (index,):
                    grown[phones][1] += prob * phone
                    grown[longer][1] += prob * blank
                else:
                    grown[longer][1] += prob * (blank + phone)
        best = nlargest(width, grown.items(), key=lambda item: sum(item[1]))
        beam = {phones: (blank, phone) for phones, (blank, phone) in best}
    return [phones for phones, (blank, phone) in beam.items() if phones and blank + phone > 0]


def _batches_of_one_length(words: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Numbers of words, in batches that need no padding."""
    lengths = defaultdict[int, list[int]](list)
    for i, word in enumerate(words):
        lengths[len(word)].append(i)
    for numbers in lengths.values():
        for start in range(0, len(numbers), BATCH_WORDS):
            yield numbers[start : start + BATCH_WORDS]
