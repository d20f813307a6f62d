"""A checkpoint is one safetensors file: weights, and in its header the network's configuration and the progress."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from .network import AcousticNetwork, NetworkConfig


class CheckpointError(ValueError):
    """The file is missing, no checkpoint of rillet, or damaged."""


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds."""

    network: NetworkConfig
    weights: dict[str, Tensor]
    extra: dict[str, Tensor]  # optimiser and averages, so that training can go on
    progress: dict[str, Any]  # step, epoch, hours, error rates ...

    def load_network(self) -> AcousticNetwork:
        """The network with these weights, ready to use.

        Raises:
            CheckpointError: the weights do not fit the configuration.
        """
        network = AcousticNetwork(self.network)
        try:
            network.load_state_dict(self.weights)
        except RuntimeError as error:
            raise CheckpointError("the checkpoint's weights do not fit its own configuration; it is damaged") from error
        return network.eval()


def save_checkpoint(
    path: Path,
    config: NetworkConfig,
    weights: Mapping[str, Tensor],
    progress: Mapping[str, Any],
    extra: Mapping[str, Tensor] | None = None,
) -> None:
    """Write at once or not at all; the folder must exist."""
    tensors = {f"network.{name}": tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    tensors |= {f"extra.{name}": tensor.detach().cpu().contiguous() for name, tensor in (extra or {}).items()}
    partial = path.with_suffix(".partial")
    save_file(tensors, partial, {"rillet": json.dumps({"network": asdict(config), "progress": dict(progress)})})
    os.replace(partial, path)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read what `save_checkpoint` wrote, onto the CPU.

    Raises:
        CheckpointError: there is no such file, or it is not one of ours.
    """
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint {path}")
    try:
        with safe_open(path, "pt") as file:
            header = json.loads(file.metadata()["rillet"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        network = TypeAdapter(NetworkConfig).validate_python(header["network"], extra="forbid")
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, ValidationError) as error:
        raise CheckpointError(f"{path} is not a checkpoint that rillet train wrote, or it is damaged") from error

    def part(prefix: str) -> dict[str, Tensor]:
        return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}

    return Checkpoint(network, part("network."), part("extra."), header["progress"])


def mean_checkpoint(paths: Sequence[Path]) -> Checkpoint:
    """The mean of the weights of checkpoints, better than each of them where they lie along one run or near each other.

    Izmailov et al. 2018, "Averaging weights leads to wider optima"; Wortsman et al. 2022, "Model soups". Progress is
    that of the first.

    Raises:
        CheckpointError: one of them cannot be read, or is of another network than the first, or not whole.
    """
    first, *others = [load_checkpoint(path) for path in paths]
    for path, other in zip(paths[1:], others, strict=True):
        if replace(other.network, dropout=first.network.dropout) != first.network:
            raise CheckpointError(f"{path} is of another network than {paths[0]}; only weights of one have a mean")
        other.load_network()  # which says what is missing
    if not others:
        return first
    weights = {
        name: torch.stack([tensor, *(other.weights[name] for other in others)]).mean(0)
        for name, tensor in first.weights.items()
    }
    return Checkpoint(first.network, weights, {}, first.progress)
