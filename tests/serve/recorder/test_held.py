"""What monitors forgot is counted to the row."""

from serve.recorder.held import Held


def test_monitors_that_remember_all_have_forgotten_nothing() -> None:
    """Each answer tells as many rows as were sent in all."""
    held = Held()
    assert [held.forgotten(10, 10), held.forgotten(5, 15), held.forgotten(7, 22)] == [0, 0, 0]


def test_what_was_taken_in_since_the_last_time_it_was_kept_is_forgotten() -> None:
    """100 rows acknowledged, 60 kept; after the start, 8 more: 40 are gone, and only once."""
    held = Held()
    held.forgotten(100, 100)
    assert held.forgotten(8, 68) == 40
    assert held.forgotten(5, 73) == 0


def test_rows_that_were_thought_lost_are_not_lost_twice() -> None:
    """A shipment that was taken in but never acknowledged is held beyond what was known."""
    held = Held()
    held.forgotten(10, 10)
    assert held.forgotten(5, 25) == 0
    assert held.forgotten(5, 30) == 0
