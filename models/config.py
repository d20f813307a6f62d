"""Everything that a training run is told: one TOML file, checked before anything starts."""

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    TypeAdapter,
    ValidationError,
)

from ..features import AugmentConfig
from .batches import BatchConfig
from .network import NetworkConfig

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


Chance = Annotated[float, Field(ge=0, le=1)]


class ConfigError(ValueError):
    """The configuration file is missing or says something that rillet does not know."""


@dataclass(frozen=True)
class Source:
    """Training speech; any layout that `read_manifest` knows."""

    manifest: Path
    weight: NonNegativeFloat = 1.0  # how many times each clip comes in an epoch; a fraction is a chance


@dataclass(frozen=True)
class TrainConfig:
    """A training run. Relative paths are relative to the configuration file."""

    run: Path  # folder for checkpoints and TensorBoard
    train: Annotated[tuple[Source, ...], Field(min_length=1)]
    validation: Annotated[tuple[Path, ...], Field(min_length=1)]  # manifests; the mean of their WERs picks the best
    cache: Path  # folder for decoded audio, about 115 MB an hour
    noise: Path | None = None  # manifest of background recordings
    rooms: Path | None = None  # manifest of room impulse responses
    aligner: Path | None = None  # checkpoint or exported model that finds where words end, see models/splices.py
    phone_text: Path | None = None  # sentences, a line each, for the phone n-gram of models/denominator.py
    teacher: Path | None = None  # ONNX encoder of a large recogniser, see models/teacher.py
    network: NetworkConfig = field(default_factory=NetworkConfig)
    batches: BatchConfig = field(default_factory=BatchConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    steps: PositiveInt = 20_000
    learning_rate: PositiveFloat = 1e-3
    warm_up_steps: NonNegativeInt = 500  # linear from zero
    cool_down_steps: NonNegativeInt = 4_000  # linear to zero at the end; between the two the rate is constant
    weight_decay: NonNegativeFloat = 0.01
    clip_norm: PositiveFloat = 2.0
    average: Chance = 0.999  # decay of the running mean of the weights, which is what is validated and kept
    phone_loss: NonNegativeFloat = 0.0  # weight of CTC on English phones, for guess and head each; wants a phone_layer
    denominator: Chance = 0.0  # how far what is told is trained against what competes with it; wants a phone_text
    teacher_loss: NonNegativeFloat = 0.0  # weight of the squared error of the guessed features; wants a teacher
    teacher_layer: NonNegativeInt = 0  # the LSTM layer, from 1, that guesses them
    splice_chance: Chance = 0.0  # utterances put together from pieces of others by the same speaker; wants an aligner
    carry_state_chance: Chance = 0.3  # utterances that begin in the state in which another ended, as in a long stream
    precision: Literal["float32", "bfloat16"] = "float32"
    validate_every_steps: PositiveInt = 500  # and keep the last checkpoint, from which a broken-off run goes on
    log_every_steps: PositiveInt = 50
    workers: NonNegativeInt = 1  # processes that prepare batches
    threads: NonNegativeInt = 0  # of the network on a CPU; 0 leaves it to torch
    seed: NonNegativeInt = 1

    def __post_init__(self) -> None:
        if self.phone_loss and not self.network.phone_layer:
            raise ValueError("phone_loss needs a phone_layer in [network]")
        if self.denominator and not (self.phone_loss and self.phone_text):
            raise ValueError("denominator needs phone_loss and a phone_text")
        if self.splice_chance and not self.aligner:
            raise ValueError("splice_chance needs an aligner")
        if self.teacher_loss and not (self.teacher and 0 < self.teacher_layer <= self.network.lstm_layers):
            raise ValueError("teacher_loss needs a teacher, and a teacher_layer among the LSTM layers")


def read_config(path: Path) -> TrainConfig:
    """Read and check a TOML file; every field of `TrainConfig` may stand in it.

    Raises:
        ConfigError: with the first thing that is wrong.
    """
    try:
        with path.open("rb") as file:
            config = TypeAdapter(TrainConfig).validate_python(tomllib.load(file), extra="forbid")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    except ValidationError as error:
        # An unknown name says more than the field that it left without a value.
        first = min(error.errors(), key=lambda e: e["type"] != "unexpected_keyword_argument")
        known = "there is no such setting" if first["type"] == "unexpected_keyword_argument" else first["msg"]
        raise ConfigError(f"{path}: {'.'.join(map(str, first['loc'])) or 'settings'}: {known}") from error
    return _relative_to(path.parent, config)


def _relative_to(folder: Path, config: TrainConfig) -> TrainConfig:
    return replace(
        config,
        run=folder / config.run,
        cache=folder / config.cache,
        train=tuple(replace(source, manifest=folder / source.manifest) for source in config.train),
        validation=tuple(folder / path for path in config.validation),
        noise=config.noise and folder / config.noise,
        rooms=config.rooms and folder / config.rooms,
        aligner=config.aligner and folder / config.aligner,
        phone_text=config.phone_text and folder / config.phone_text,
        teacher=config.teacher and folder / config.teacher,
    )
