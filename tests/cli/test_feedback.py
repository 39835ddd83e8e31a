"""`weir feedback`, against a real inference port."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result

from configs.errors import Unavailable
from registry.records import FULL
from serve.cli import inference_port
from serve.cli.feedback import BATCH, BATCH_BYTES, batches
from serve.cli.main import main
from serve.control.connection import Connection
from serve.protocol.feedback import Sent, messages
from tests.serve.observing import AWAITING, BAD, Observing
from tests.serve.stage import Stage, stage
from tests.serve.versions import MODEL, table
from tests.tools.ports import free_port

Send = Callable[..., Result]
GOOD = '{"key": "a", "label": 1}\n'
REFUSED = json.dumps(BAD) + "\n"


@pytest.fixture(scope="module")
def observer() -> Observing:
    """What all of these labels come to."""
    return Observing()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, observer: Observing) -> Iterator[Stage]:
    """A gateway with a model that awaits labels."""
    with stage(tmp_path_factory.mktemp("run"), observer=observer) as opened:
        opened.apply(table(1, {1: FULL}, card=AWAITING), connect_s=0.0)
        yield opened


@pytest.fixture
def send(served: Stage, observer: Observing, tmp_path: Path) -> Send:
    """Writes a file and sends it by the command."""
    observer.sent.clear()
    observer.gone = False

    def sent(content: str, *more: str, model: str = MODEL, name: str = "labels.jsonl") -> Result:
        made = tmp_path / name
        made.write_text(content)
        return CliRunner().invoke(main, ["feedback", model, str(made), "--url", served.url, *more])

    return sent


def test_labels_are_sent_and_counted(send: Send, observer: Observing) -> None:
    """The summary says what became of them; nothing refused is a good end."""
    done = send(GOOD * 3)
    rest = "0 waiting for their predictions, 0 known already, 0 corrections"

    assert (done.exit_code, done.stdout) == (
        0,
        f"3 of 3 accepted: 3 joined, {rest}\n",
    )
    (sent,) = observer.sent
    assert (sent.model, sent.audit, sent.lines) == (MODEL, False, True)
    assert messages(sent) == [{"key": "a", "label": 1}] * 3


def test_what_is_refused_is_told_by_its_reason(send: Send) -> None:
    """How often, and where in the file first; the exit status says that something was."""
    done = send((GOOD + REFUSED) * 2)

    assert done.exit_code == 1
    assert done.stdout.startswith("2 of 4 accepted")
    assert "2 refused" in done.stdout
    *_, last = done.stdout.strip().splitlines()
    assert last.split(maxsplit=2) == ["2", "2", "it is bad"]


def test_a_single_message_that_is_refused(send: Send) -> None:
    """An error of the gateway is a line of the summary as well."""
    done = send(REFUSED)

    assert done.exit_code == 1
    assert "0 of 1 accepted" in done.stdout
    assert "it is bad" in done.stdout


def test_as_json(send: Send) -> None:
    """The same for programs."""
    done = send(GOOD + REFUSED, "--json")

    assert json.loads(done.stdout) == {
        "sent": 2,
        "accepted": 1,
        "joined": 1,
        "waiting": 0,
        "repeated": 0,
        "corrected": 0,
        "refused": 1,
        "reasons": [{"reason": "it is bad", "times": 1, "first": 2}],
    }


def test_places_are_those_of_the_file(send: Send, observer: Observing) -> None:
    """However many batches it takes."""
    done = send(GOOD * BATCH + GOOD + REFUSED, "--json")

    assert len(observer.sent) == 2
    assert json.loads(done.stdout)["reasons"][0]["first"] == BATCH + 2


def test_group_attributes_go_by_their_channel(send: Send, observer: Observing) -> None:
    """Those for audits are never sent with labels."""
    assert send("key,group_sex\na,F\n", "--groups", name="groups.csv").exit_code == 0

    assert observer.sent == [
        Sent(MODEL, b'{"key":"a","groups":{"sex":"F"}}', audit=True, lines=True, versions=(1,))
    ]


def test_an_empty_file(send: Send) -> None:
    """It is said, and is no error."""
    done = send("")

    assert done.exit_code == 0
    assert "no labels" in done.stdout


@pytest.mark.parametrize(
    ("model", "says"), [("nobody", "no model 'nobody'"), ("no/body", "no such path")]
)
def test_a_model_that_is_none(send: Send, model: str, says: str) -> None:
    """The gateway's own sentence in one line."""
    done = send(GOOD, model=model)

    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1].startswith("weir: ")
    assert says in done.stderr


def test_what_was_sent_before_an_error_is_told(send: Send, observer: Observing) -> None:
    """A file that breaks off in the middle has been sent up to there."""
    done = send(GOOD * (BATCH + 1) + "\n{")

    assert done.exit_code == 1
    assert done.stdout.startswith(f"{BATCH:,} of {BATCH:,} accepted")
    assert f"line {BATCH + 3} is not JSON" in done.stderr


def test_nobody_there() -> None:
    """Said at once: trying again is for a gateway that has answered before."""
    with closing(Connection(f"http://127.0.0.1:{free_port()}", {}, None)) as connection:
        port = inference_port.InferencePort(connection)
        with pytest.raises(Unavailable, match="no gateway answers"):
            port.feedback(MODEL, [b"{}"])


def test_an_observer_that_comes_back(
    served: Stage, observer: Observing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not taken is sent again."""
    observer.gone = True

    def comes_back(_seconds: float) -> None:
        observer.gone = False

    monkeypatch.setattr(inference_port, "sleep", comes_back)
    with closing(Connection(served.url, {}, None)) as connection:
        port = inference_port.InferencePort(connection)
        assert port.feedback(MODEL, [GOOD.encode(), GOOD.encode()]).accepted == 2
    assert not observer.gone


def test_batches_are_bounded() -> None:
    """By their number and by their size; a message larger than that goes alone."""
    small = [{"key": str(n)} for n in range(2 * BATCH + 1)]
    large = [{"key": "x" * (BATCH_BYTES // 2)}] * 3 + [{"key": "x" * (2 * BATCH_BYTES)}]

    assert [len(batch) for batch in batches(small)] == [BATCH, BATCH, 1]
    assert [len(batch) for batch in batches(large)] == [1, 1, 1, 1]
    sent = [orjson.loads(line) for batch in batches([*large, *small]) for line in batch]
    assert sent == [*large, *small]
    assert list(batches([])) == []
