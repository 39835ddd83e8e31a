"""`weir explain`, against a gateway of one version."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from configs.settings import Limits, Settings
from serve.cli.main import main
from tests.serve.edge.test_explain import body
from tests.serve.explained import routed, stored
from tests.serve.stage import stage
from tests.serve.versions import MODEL


@pytest.fixture(scope="module", name="url")
def inference_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a version with a reference is served."""
    data = tmp_path_factory.mktemp("data")
    settings = Settings(data=data, limits=Limits(drain_s=1.0))
    with stage(tmp_path_factory.mktemp("run"), settings=settings) as opened:
        opened.start_host(1)
        opened.apply(routed(stored(data / "artifacts")))
        yield opened.url


@pytest.fixture(name="file")
def request_file(tmp_path: Path) -> str:
    """A request about two rows."""
    path = tmp_path / "request.json"
    path.write_text(json.dumps(body((1, 2, 3), (20, -1, 0))))
    return str(path)


def weir(url: str, *words: str, typed: str | None = None) -> Result:
    """Run the command."""
    return CliRunner().invoke(main, ["explain", *words, "--url", url], input=typed)


def test_the_largest_part_comes_first(url: str, file: str) -> None:
    """Of each row, with the sum of all."""
    done = weir(url, MODEL, file)
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == f"{MODEL} version 1"
    heads = [at for at, each in enumerate(lines) if each.startswith("score ")]
    assert [lines[at].split()[1] for at in heads] == ["7.0000;", "20.0000;"]
    second = [each.split() for each in lines[heads[1] + 2 :]]
    assert second[0][0] == "income"
    assert float(second[0][1]) == pytest.approx(15, abs=0.6)
    assert second[0][3] == "+" * 20
    assert second[3][0] == "all"
    assert float(second[3][1]) == pytest.approx(
        sum(float(each[1]) for each in second[:3]), abs=1e-3
    )


def test_json_is_the_answer(url: str, file: str) -> None:
    """And a request may be typed."""
    done = weir(url, MODEL, "-", "--json", "--version", "stable", typed=Path(file).read_text())
    found = json.loads(done.stdout)
    assert [row["prediction"] for row in found["explanations"]] == pytest.approx([7.0, 20.0])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nobody",), "no model 'nobody' is served"),
        ((MODEL, "--version", "9"), "version 9 of credit is not served"),
    ],
)
def test_an_error_is_one_line(url: str, file: str, words: tuple[str, ...], said: str) -> None:
    """That of the gateway."""
    done = weir(url, words[0], file, *words[1:])
    assert done.exit_code == 1
    assert said in done.stderr
