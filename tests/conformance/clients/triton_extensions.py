"""What all four of Triton's clients are asked of Triton's extensions of the protocol."""

from __future__ import annotations

from typing import Any

from tritonclient.utils import InferenceServerException

from tests.conformance.clients.triton import Triton, sum_and_difference
from tests.conformance.clients.trying import Features, raises, wait_for


def collect_extensions(feature: Features, triton: Triton) -> None:
    """Collect the repository, the statistics and the configuration."""
    _repository(feature, triton)
    _extensions(feature, triton)


def _repository(feature: Features, triton: Triton) -> None:
    client = triton.open_client

    def models(said: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = said["models"] if isinstance(said, dict) else said
        return found

    def state(name: str) -> str:
        index = models(client.get_model_repository_index(**triton.as_dict))
        return str(next(each.get("state") for each in index if each["name"] == name))

    @feature("repository_index")
    def index() -> None:
        said = models(triton.client.get_model_repository_index(**triton.as_dict))
        found = {(each["name"], each["version"]): each["state"] for each in said}
        assert found["simple", "1"] == found["versions", "2"] == "READY", found

    @feature("repository_closed")
    def closed() -> None:
        for change in (triton.client.load_model, triton.client.unload_model):
            with raises(InferenceServerException, triton.forbidden, "repository.control"):
                change("simple")

    @feature("repository_control")
    def control() -> None:
        client.unload_model("simple")
        wait_for(lambda: state("simple") == "UNAVAILABLE", "the model is unloaded")
        with raises(InferenceServerException, "simple"):
            client.infer("simple", triton.pair())
        client.load_model("simple")
        wait_for(lambda: state("simple") == "READY", "the model is loaded again")
        sum_and_difference(client.infer("simple", triton.pair()))


def _extensions(feature: Features, triton: Triton) -> None:
    client, as_dict = triton.client, triton.as_dict

    @feature("statistics")
    def statistics() -> None:
        def asked() -> dict[str, Any]:
            (found,) = client.get_inference_statistics("simple", **as_dict)["model_stats"]
            return dict(found)

        client.infer("simple", triton.pair())
        wait_for(lambda: int(asked().get("inference_count", 0)) > 0, "an inference is counted")
        found = asked()
        assert (found["name"], found["version"]) == ("simple", "1")
        assert int(found["execution_count"]) > 0
        success = found["inference_stats"]["success"]
        assert int(success["count"]) > 0
        assert int(success["ns"]) > 0
        everything = client.get_inference_statistics(**as_dict)["model_stats"]
        assert {"simple", "versions", "labels"} <= {each["name"] for each in everything}

    @feature("configuration")
    def configuration() -> None:
        said = client.get_model_config("simple", **as_dict)
        config = said.get("config", said)
        batch = int(config.get("max_batch_size", 0))
        dims = [16] if batch else [-1, 16]
        for side, names in (("input", "INPUT"), ("output", "OUTPUT")):
            found = [(t["name"], t["data_type"], [int(d) for d in t["dims"]]) for t in config[side]]
            assert found == [(f"{names}{i}", "TYPE_INT32", dims) for i in (0, 1)], found
        assert config["name"] == "simple"
