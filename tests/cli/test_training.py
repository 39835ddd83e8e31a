"""`weir training`."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from configs.settings import Training, Verify
from monitors.training.log import TrainingLog
from registry.card import Card, Label, Task
from registry.registry import Registry
from serve.cli.main import main
from serve.cli.options import user_name
from serve.node.owned import owned
from tests.monitors.samples import CARD, block, columns
from tests.registry import models


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The data folder of a gateway that has ended: model m, and 20 rows that wait."""
    with closing(Registry.open(tmp_path, Verify())) as registry:
        digest = registry.put_artifact(models.regressor(1.0).SerializeToString())
        registry.register("m", digest, Card(task=Task.REGRESSION), None, "ada")
    log = TrainingLog(tmp_path / "training", Training(models=("m",)))
    card = CARD.model_copy(update={"label": Label()})
    log.take(card, block(columns(np.random.default_rng(1), 20)))
    log.write(log.gathered(), 0.0)
    log.close()
    return tmp_path


def delete(data: Path, *args: str) -> Result:
    """Run the command on a folder."""
    return CliRunner().invoke(main, ["training", "delete", *args, "--data", str(data)])


def test_rows_are_deleted_and_that_is_in_the_audit_log(data: Path) -> None:
    """How many and why, but not whose."""
    wanted = f"{7:032x}"
    done = delete(data, "m", "--id", wanted, "--reason", "case 12")
    assert (done.exit_code, done.stdout) == (0, "1 row is gone from the log of m.\n")
    assert "0 rows are gone" in delete(data, "m", "--id", wanted).stdout
    with closing(Registry.open(data, Verify())) as registry:
        entry = registry.audit()[-2]
        assert registry.verify_audit() is None
    assert (entry.action, entry.resource) == ("delete", "models/m/training")
    assert (entry.actor, entry.reason) == (user_name(), "case 12")
    assert (entry.before, entry.after) == ('{"rows":1}', '{"rows":0}')
    assert wanted not in repr(entry)


def test_a_model_that_is_not_there_and_a_folder_in_use_are_errors(data: Path) -> None:
    """One line each."""
    done = delete(data, "n", "--id", "x")
    assert done.exit_code == 1
    assert "no model 'n' is registered" in done.stderr
    with owned(data):
        done = delete(data, "m", "--id", "x")
    assert done.exit_code == 1
    assert "another gateway is running" in done.stderr


def test_a_log_that_is_damaged_is_an_error(data: Path) -> None:
    """And nothing is said to be gone."""
    (data / "training" / "spool.sqlite").write_bytes(b"nonsense" * 1000)
    done = delete(data, "m", "--id", "x")
    assert done.exit_code == 1
    assert "the training log cannot be changed" in done.stderr
