"""HTTP requests as a person writes them, with nothing but httpx between us and the gateway."""

from __future__ import annotations

import json
from typing import Any

import httpx

from tests.conformance.clients import trying
from tests.conformance.clients.plain_http_infer import COUNT, LENGTH, ONES, collect, tensor
from tests.conformance.clients.trying import Features, addresses


def main() -> None:
    """Try all features."""
    where = addresses()
    feature = Features()
    with (
        httpx.Client(base_url=f"http://{where['http']}", timeout=30, trust_env=False) as http,
        httpx.Client(base_url=f"http://{where['open_http']}", timeout=30, trust_env=False) as wide,
    ):
        _describes(feature, http)
        collect(feature, http)
        _refused(feature, http)
        _repository(feature, http, wide)
        feature.run()


def _describes(feature: Features, http: httpx.Client) -> None:
    def says(path: str, **wanted: object) -> None:
        for each in (path, path + "/"):
            response = http.get(each)
            assert response.status_code == 200, response.text
            assert response.headers["content-type"] == "application/json"
            assert response.json().items() >= wanted.items(), response.text

    def gives(path: str, status: int) -> None:
        response = http.get(path)
        assert response.status_code == status, response.text
        assert isinstance(response.json()["error"], str)

    feature("live")(lambda: says("/v2/health/live", live=True))
    feature("ready")(lambda: says("/v2/health/ready", ready=True))
    feature("model_ready")(lambda: says("/v2/models/simple/ready", name="simple", ready=True))
    feature("model_ready_version")(lambda: says("/v2/models/versions/versions/2/ready", ready=True))
    feature("model_ready_alias")(
        lambda: says("/v2/models/versions/versions/candidate/ready", ready=True)
    )
    feature("model_ready_unknown")(lambda: gives("/v2/models/nobody/ready", 404))
    feature("server_metadata")(lambda: says("/v2", name="weir"))
    feature("model_metadata")(lambda: says("/v2/models/simple", name="simple", versions=["1"]))
    feature("model_metadata_version")(
        lambda: says("/v2/models/versions/versions/2", name="versions")
    )
    feature("trailing_slash")(lambda: says("/v2/models/simple/stats"))
    feature("configuration")(lambda: says("/v2/models/simple/config", name="simple"))
    feature("unknown_model")(lambda: gives("/v2/models/nobody", 404))
    feature("unknown_version")(lambda: gives("/v2/models/versions/versions/9", 404))

    @feature("statistics")
    def statistics() -> None:
        for path in ("/v2/models/simple/stats", "/v2/models/simple/versions/1/stats"):
            (found,) = http.get(path).json()["model_stats"]
            assert found.items() >= {"name": "simple", "version": "1"}.items()


def _refused(feature: Features, http: httpx.Client) -> None:
    def refused(content: dict[str, Any], *words: str) -> None:
        response = http.post("/v2/models/simple/infer", json=content)
        assert response.status_code == 400, response.text
        said = response.json()["error"]
        assert all(word in said for word in words), said

    short = tensor("INPUT0", COUNT[:, :8])
    real = tensor("INPUT0", COUNT, "FP32")
    other = tensor("INPUT9", COUNT)
    one = tensor("INPUT1", ONES)
    feature("wrong_shape")(lambda: refused({"inputs": [short, one]}, "INPUT0", "16"))
    feature("wrong_datatype")(lambda: refused({"inputs": [real, one]}, "INPUT0", "INT32"))
    feature("wrong_name")(lambda: refused({"inputs": [other, one]}, "INPUT9", "INPUT0"))

    @feature("bytes_not_text")
    def not_text() -> None:
        raw = b"\x02\0\0\0\xff\xfe" + b"\x01\0\0\0a"
        size = {"binary_data_size": len(raw)}
        words = {"name": "in_BYTES", "shape": [1, 2], "datatype": "BYTES", "parameters": size}
        head = json.dumps({"inputs": [words]}).encode()
        headers = {LENGTH: str(len(head))}
        response = http.post("/v2/models/strings/infer", content=head + raw, headers=headers)
        assert response.status_code == 400, response.text
        assert "UTF-8" in response.json()["error"], response.text


def _repository(feature: Features, http: httpx.Client, wide: httpx.Client) -> None:
    def change(client: httpx.Client, verb: str) -> httpx.Response:
        return client.post(f"/v2/repository/models/simple/{verb}", json={})

    @feature("repository_index")
    def index() -> None:
        for content in (b"", b"{}", b'{"ready": true}'):
            found = http.post("/v2/repository/index", content=content).json()
            states = {(each["name"], each["version"]): each["state"] for each in found}
            assert states["simple", "1"] == "READY", states

    @feature("repository_closed")
    def closed() -> None:
        for verb in ("load", "unload"):
            response = change(http, verb)
            assert response.status_code == 403, response.text
            assert "repository.control" in response.json()["error"], response.text

    @feature("repository_control")
    def control() -> None:
        def ready() -> bool:
            return wide.get("/v2/models/simple/ready").status_code == 200

        assert change(wide, "unload").status_code == 200
        trying.wait_for(lambda: not ready(), "the model is unloaded")
        assert change(wide, "load").status_code == 200
        trying.wait_for(ready, "the model is loaded again")


if __name__ == "__main__":
    main()
