"""Where models run: the execution providers of ONNX Runtime, by the names of the settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from configs.errors import Refused
from configs.settings import Hosts

Provider = Literal["cpu", "cuda"]
Chosen = tuple[str, Mapping[str, str]]
"""A provider by the name of ONNX Runtime, with its options."""

_NAMES: Mapping[Provider, str] = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_PACKAGES = {"cuda": "onnxruntime-gpu"}
CPU: tuple[Chosen, ...] = ((_NAMES["cpu"], {}),)


def choose(wanted: Sequence[Provider], available: Sequence[str], device: int) -> tuple[Chosen, ...]:
    """The providers in the order in which they are asked to take a part of the model.

    `available` are the names that ONNX Runtime gives, `device` is the number of the GPU. Raises
    `Refused` if one is not available: nothing runs elsewhere than it was told to without a word.
    """
    for provider in wanted:
        if _NAMES[provider] not in available:
            raise Refused(
                f"hosts.providers names {provider!r}, which this onnxruntime does not have (it has "
                f"{', '.join(available)}): install {_PACKAGES.get(provider, 'onnxruntime')} in its "
                "place, or take the name out"
            )
    options: Mapping[Provider, Mapping[str, str]] = {"cuda": {"device_id": str(device)}}
    return tuple((_NAMES[provider], options.get(provider, {})) for provider in wanted)


def chosen(hosts: Hosts) -> tuple[Chosen, ...]:
    """The providers that the settings name, on this machine; `Refused` if one is missing."""
    from registry.inference import onnxruntime  # noqa: PLC0415 - slow; not all who ask need it

    available = onnxruntime.get_available_providers()
    return choose(hosts.providers, available, hosts.cuda_device)


def refuse_missing(chosen: Sequence[Chosen], used: Sequence[str]) -> None:
    """`Refused` if a session that was made does without a provider that was chosen.

    ONNX Runtime leaves one out whose libraries or device cannot be used, and only says so in a log.
    """
    for name, _ in chosen:
        if name not in used:
            raise Refused(
                f"{name} is there but cannot be used: look for its libraries and its device"
            )
