"""What can go wrong with a language model file."""

from .errors import PathLike, RilletError


class LanguageModelError(RilletError, ValueError):
    """Base of everything that is wrong with a language model."""


class LanguageModelNotFoundError(LanguageModelError, FileNotFoundError):
    def __init__(self, path: PathLike) -> None:
        super().__init__(f"{path}: there is no such language model; check the spelling, or build one: rillet lm build")


class DamagedLanguageModelError(LanguageModelError):
    def __init__(self, path: PathLike, reason: str) -> None:
        super().__init__(f"{path}: the language model is damaged ({reason}); copy it again or build it again.")


class LanguageModelVersionError(LanguageModelError):
    def __init__(self, path: PathLike, found: int, supported: int) -> None:
        super().__init__(
            f"{path}: the language model has format version {found} and this rillet reads version {supported}; "
            f"build it again from its ARPA file with: rillet lm convert"
        )


class TextError(RilletError, ValueError):
    """A text that no language model can be built from or measured on."""

    def __init__(self, path: PathLike, reason: str) -> None:
        super().__init__(f"{path}: {reason}; give a text in UTF-8 with one sentence a line.")


class ArpaError(LanguageModelError):
    def __init__(self, path: PathLike, line_number: int, reason: str) -> None:
        super().__init__(
            f"{path}, line {line_number}: {reason}; this is not an ARPA language model as they are written."
        )
