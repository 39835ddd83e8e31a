"""What a process had in hand is known after its death, and what it had put down is not."""

from __future__ import annotations

from pathlib import Path

from serve.models.in_hand import InHand, VersionKey, was_in_hand

ALL: list[VersionKey] = [(f"model-{number}", number % 3) for number in range(300)]


def test_only_what_is_held_is_in_hand(tmp_path: Path) -> None:
    """Of many versions that ran, the file names those that still do."""
    path = tmp_path / "hand"
    in_hand = InHand(path)
    for key in ALL:
        in_hand.take_up(key)
        assert was_in_hand(path, ALL) == {key}
        in_hand.put_down(key)
        assert was_in_hand(path, ALL) == set()

    in_hand.take_up(ALL[7])
    in_hand.take_up(ALL[200])

    assert was_in_hand(path, ALL) == {ALL[7], ALL[200]}
    assert was_in_hand(path, ALL[:100]) == {ALL[7]}


def test_a_process_that_begins_has_nothing_in_hand(tmp_path: Path) -> None:
    """What is left in a file of the same name, of a process before, is not its own."""
    path = tmp_path / "hand"
    InHand(path).take_up(ALL[0])
    assert was_in_hand(path, ALL) == {ALL[0]}

    InHand(path)

    assert was_in_hand(path, ALL) == set()


def test_what_there_is_no_room_for_is_never_suspected(tmp_path: Path) -> None:
    """Beyond 8,191 versions nobody is named in another's place."""
    path = tmp_path / "hand"
    in_hand = InHand(path)
    many: list[VersionKey] = [("m", number) for number in range(8195)]
    for key in many:
        in_hand.take_up(key)
        in_hand.put_down(key)
    in_hand.take_up(many[8190])
    in_hand.take_up(many[8193])

    assert was_in_hand(path, many) == {many[8190]}
