"""What was measured of a model is found again, and not kept without end."""

from __future__ import annotations

from serve.models.curve import Curve
from serve.models.measured import KnownModels, Measured, ModelKey


def key(number: int) -> ModelKey:
    """The key of a version."""
    return f"sha256:{number}", f"credit {number}", 1


def measured(number: int) -> Measured:
    """What was measured of a version."""
    return Measured(Curve((1,), (float(number),)), 1)


def test_the_model_that_was_not_asked_for_longest_is_forgotten() -> None:
    """Two have room: the third takes the place of the one that nobody has asked for since."""
    known = KnownModels(most=2)
    for number in (1, 2):
        known.note(key(number), measured(number))
    assert known.find(key(1)) == measured(1)

    known.note(key(3), measured(3))

    found = [known.find(key(number)) for number in (1, 2, 3)]
    assert found == [measured(1), None, measured(3)]


def test_what_was_measured_last_counts() -> None:
    """A model that is noted again takes no second place."""
    known = KnownModels(most=2)
    for seconds in (1, 2):
        known.note(key(1), measured(seconds))
    known.note(key(2), measured(2))

    assert known.find(key(1)) == measured(2)
