"""The field: every contestant and every workload, with the files they need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from benchmarks import compiled, model, questions
from benchmarks.contestants import Contestant, Peer
from benchmarks.model import Workload
from benchmarks.questions import Questions
from benchmarks.slow_model import slowed
from benchmarks.weir import Served, Weir, here

WEIR, UNRECORDED, FLOOR, FASTAPI = "weir", "weir, recorder off", "floor", "fastapi"
INTERPRETED, APART = "weir, not compiled", "weir, models apart"
TRITON = "triton front end, python backend"
ROW_S = 0.005
WAIT_TARGET_S = 10.0
"""No other contestant refuses anything; at its default of 0.1 s, Weir refuses what must wait."""

INSIDE = {"shared_in": "gateway"}
"""Models in the process that is asked, like those of the other contestants."""

_JSON = frozenset({"row-json", "block-json", "slow-json"})
_BINARY = frozenset({"block-binary", "image-binary"})
_GRPC = frozenset({"row-grpc"})

RAY = {"RAY_TMPDIR": "{folder}"}
# Short: Ray adds 57 characters, and the path of a socket may have 97 in HAProxy.
HAPROXY = RAY | {
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": "{folder}/h/haproxy.cfg",
    "RAY_SERVE_HAPROXY_SOCKET_PATH": "{folder}/h/s",
    "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": "{folder}/h",
    "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": "{folder}/h/state",
    "RAY_SERVE_HAPROXY_METRICS_PORT": "{port}",
    "RAY_SERVE_HAPROXY_STATS_PORT": "{spare_port}",
}

# Name, environment, script, workloads, and variables of its own.
PEERS: tuple[tuple[str, str, str, frozenset[str], dict[str, str]], ...] = (
    (FLOOR, "floor", "floor_server.py", _JSON | _BINARY, {}),
    (FASTAPI, "fastapi", "fastapi_server.py", _JSON | _BINARY, {}),
    ("mlserver", "mlserver", "mlserver_server.py", _JSON | _GRPC, {}),
    ("kserve", "kserve", "kserve_server.py", _JSON | _BINARY | _GRPC, {}),
    ("litserve", "litserve", "litserve_server.py", _JSON, {}),
    ("bentoml", "bentoml", "bentoml_server.py", _JSON, {}),
    ("ray serve", "ray", "ray_server.py", _JSON | _BINARY, RAY),
    ("ray serve, haproxy", "ray", "ray_server.py", _JSON | _BINARY, HAPROXY),
    (TRITON, "triton", "triton_server.py", _JSON | _BINARY | _GRPC, {}),
)
NAMES = (WEIR, UNRECORDED, INTERPRETED, APART, *(peer[0] for peer in PEERS))


@dataclass(frozen=True, slots=True)
class Field:
    """Who is compared over what."""

    workload: Workload
    questions: tuple[Questions, ...]
    served: tuple[Served, ...]


def prepare(folder: Path) -> Field:
    """Write models, cards and questions into a folder."""
    models = folder / "models"
    models.mkdir()
    workload = model.build(folder)
    tabular = models / f"{model.NAME}.onnx"
    tabular.write_bytes(workload.model.read_bytes())
    slowed(workload, ROW_S, models / "slow.onnx")
    image = questions.images(models / "image.onnx")
    asked = questions.build(
        folder,
        questions.rows(model.NAME, tabular, workload),
        questions.rows("slow", models / "slow.onnx", workload),
        image,
    )
    second = _card(folder / "second-card.yaml", model.card() | {"decision": {"threshold": 0.6}})
    cards = (workload.card, second)
    pictures = [
        {"task": "other", "lineage": {"intended_use": f"benchmark {place}"}} for place in (1, 2)
    ]
    served = (
        Served(model.NAME, tabular, cards, workload.reference),
        Served("slow", models / "slow.onnx", cards, workload.reference),
        Served(
            "image",
            models / "image.onnx",
            tuple(
                _card(folder / f"image-card-{place}.yaml", card)
                for place, card in enumerate(pictures)
            ),
        ),
    )
    return Field(workload, asked, served)


def contestants(
    field: Field, folder: Path, wanted: Sequence[str], workers: int, otlp: str
) -> list[Contestant]:
    """The wanted contestants, or all."""
    everyone: list[Contestant] = [
        Weir(
            name,
            field.served,
            folder,
            name != UNRECORDED,
            otlp,
            workers,
            WAIT_TARGET_S,
            {} if name == APART else INSIDE,
            here if name == INTERPRETED else compiled.command,
        )
        for name in (WEIR, UNRECORDED, INTERPRETED, APART)
    ]
    everyone += [
        Peer(name, environment, script, answers, folder, field.questions, workers, variables)
        for name, environment, script, answers, variables in PEERS
    ]
    return [one for one in everyone if not wanted or one.name in wanted]


def _card(path: Path, card: Mapping[str, object]) -> Path:
    path.write_text(yaml.safe_dump(card, sort_keys=False), encoding="utf-8")
    return path
