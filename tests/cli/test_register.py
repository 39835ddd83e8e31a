"""`weir register`, from a real ONNX file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from configs.errors import Conflict
from monitors.profile.reference import ReferenceProfile
from serve.cli.main import main
from tests.cli.conftest import Weir
from tests.control.serving import Api
from tests.registry import models
from tests.tools.ports import free_port

CARD = """
task: binary
decision: {threshold: 0.5}
groups: [{name: region}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a model, a reference and a card."""
    (tmp_path / "model.onnx").write_bytes(models.classifier().SerializeToString())
    (tmp_path / "card.yaml").write_text(CARD, encoding="utf-8")
    random = np.random.default_rng(1)
    rows = ["income,debt,region", *(f"{a},{b},north" for a, b in random.normal(size=(500, 2)))]
    (tmp_path / "reference.csv").write_text("\n".join(rows), encoding="utf-8")
    return tmp_path


def options(folder: Path) -> list[str]:
    """The arguments of a whole registration."""
    return [
        "register",
        "credit",
        str(folder / "model.onnx"),
        *("--reference", str(folder / "reference.csv")),
        *("--card", str(folder / "card.yaml")),
    ]


def test_a_version_is_registered_with_a_summary(weir: Weir, api: Api, folder: Path) -> None:
    """What was inferred, inputs, outputs, digest, number, profile, and what to type next."""
    result = weir(*options(folder))

    assert result.exit_code == 0, result.stderr
    (version,) = api.control.registered["credit"]
    assert "Registered credit version 1." in result.stdout
    assert version.digest in result.stdout
    assert "500 rows read, 500 kept, 2 features" in result.stdout
    assert "score.column: 1" in result.stdout
    assert "named by the reference" in result.stdout
    assert "weir route credit --set 1=100" in result.stdout
    assert api.control.files[version.digest] == (folder / "model.onnx").read_bytes()
    assert version.profile is not None
    profile = ReferenceProfile.from_json(api.control.files[version.profile])
    assert set(profile.features) == {"income", "debt"}
    assert profile.groups["region"][0].rows == 500
    assert [feature.name for feature in version.card.features] == ["income", "debt"]


def test_the_next_version_is_offered_a_rollout(weir: Weir, two_versions: Api, folder: Path) -> None:
    """The command to type next has it earn its traffic instead of taking it."""
    result = weir(*options(folder), "--json")
    plain = weir(*options(folder))

    assert json.loads(result.stdout)["version"]["version"] == 3
    assert "weir rollout start credit 4 --follow" in plain.stdout


def test_without_a_reference_the_summary_warns(weir: Weir, folder: Path) -> None:
    """Nothing is watched in silence."""
    card = str(folder / "card.yaml")

    result = weir("register", "credit", str(folder / "model.onnx"), "--card", card)

    assert result.exit_code == 0, result.stderr
    assert "give --reference" in result.stdout


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        pytest.param("model.onnx", b"\x00", "model", id="model"),
        pytest.param("card.yaml", b"task: guess", "task", id="card"),
        pytest.param("reference.csv", b"income\n1\n", "reference has 1", id="reference"),
    ],
)
def test_a_wrong_file_is_refused_before_anything_is_sent(
    weir: Weir, api: Api, folder: Path, name: str, content: bytes, words: str
) -> None:
    """The sentence says what is wrong, and the gateway has nothing to keep."""
    (folder / name).write_bytes(content)

    result = weir(*options(folder))

    assert result.exit_code == 1
    assert words in result.stderr
    assert api.control.files == {}


def test_a_refusal_of_the_gateway_is_passed_on(weir: Weir, api: Api, folder: Path) -> None:
    """The gateway has the last word."""
    api.control.fails = Conflict("this file and card are version 1 of 'credit'")

    result = weir(*options(folder))

    assert result.exit_code == 1
    assert "version 1 of 'credit'" in result.stderr


def test_the_gateway_is_looked_for_first(folder: Path) -> None:
    """Nobody waits for a profile that has nowhere to go."""
    url = f"http://127.0.0.1:{free_port()}"
    (folder / "model.onnx").write_bytes(b"would be refused, if it were looked at")

    result = CliRunner().invoke(main, [*options(folder), "--url", url])

    assert result.exit_code == 1
    assert "no gateway answers" in result.stderr
