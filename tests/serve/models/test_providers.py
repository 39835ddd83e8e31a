"""Models run where the settings say, or not at all."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from configs.errors import Refused
from configs.settings import Hosts
from serve.models.providers import CPU, choose, chosen, refuse_missing

CUDA = "CUDAExecutionProvider"


def test_the_order_of_the_settings_is_kept_and_the_gpu_is_named() -> None:
    """The first is asked first; cuda is told its device."""
    available = ["CPUExecutionProvider", CUDA]
    assert choose(("cuda", "cpu"), available, 3) == ((CUDA, {"device_id": "3"}), *CPU)
    assert chosen(Hosts()) == CPU


def test_a_provider_that_is_not_installed_is_refused() -> None:
    """The sentence names the setting, what there is, and the package that has it."""
    with pytest.raises(Refused) as caught:
        choose(("cuda",), ["CPUExecutionProvider"], 0)

    for word in ("hosts.providers", "'cuda'", "CPUExecutionProvider", "onnxruntime-gpu"):
        assert word in caught.value.message


def test_a_provider_that_onnxruntime_leaves_out_is_refused() -> None:
    """A session that came to be without its GPU does not serve."""
    with pytest.raises(Refused, match=CUDA):
        refuse_missing(((CUDA, {}), *CPU), ["CPUExecutionProvider"])
    refuse_missing(CPU, ["CPUExecutionProvider"])


@pytest.mark.parametrize("providers", [(), ("tpu",)])
def test_unknown_and_no_providers_are_no_setting(providers: tuple[str, ...]) -> None:
    """The configuration is refused, not the model."""
    with pytest.raises(ValidationError):
        Hosts.model_validate({"providers": providers})
