"""Further detectors are named in the settings, and refused at the start when they cannot be had."""

import pytest

from configs.errors import ConfigError
from configs.settings import Monitors
from monitors import detectors as module
from monitors.detectors import DETECTORS, Registered, detectors


def test_a_named_detector_comes_after_weirs_own() -> None:
    """It is found by module and name."""
    found = detectors(Monitors(detectors=("river_adwin:ADWIN",)))
    assert found[:-1] == DETECTORS
    assert found[-1].name == "adwin"


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("no_such_module:X", "No module named"),
        ("river_adwin:Nothing", "has no attribute"),
        ("river_adwin:AdwinDrift", "is not a monitors.detectors.Registered"),
    ],
)
def test_what_cannot_be_had_is_refused(path: str, why: str) -> None:
    """The message names the setting and the reason."""
    with pytest.raises(ConfigError, match=f"monitors.detectors: {path} .*{why}"):
        detectors(Monitors(detectors=(path,)))


def test_names_are_used_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two detectors of one name would share their signals and states."""
    twice = Registered("drift", "input_drift", DETECTORS[0].make)
    monkeypatch.setattr(module, "TWICE", twice, raising=False)
    with pytest.raises(ConfigError, match="'input_drift', as another one is"):
        detectors(Monitors(detectors=("monitors.detectors:TWICE",)))
    assert len({each.name for each in DETECTORS}) == len(DETECTORS)
