"""The memory for units: bounded, exact about who was first, and shared out between replicas."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from serve.rollout.counting import COUNTED, ERROR, PAIRED, RolloutCount
from serve.rollout.tallies import JudgedArm, Tally
from serve.rollout.units import LEFT_OUT, UNKEYED, Share, Units
from tests.serve.rollout.judged import events

KEYS = st.lists(st.binary(min_size=1, max_size=4), max_size=60)
ASKED = st.lists(
    st.tuples(
        st.integers(0, 12),
        st.sampled_from(list(JudgedArm)),
        st.integers(0, 15),
        st.integers(1, 3),
    ),
    max_size=80,
)


@given(KEYS)
def test_a_unit_is_new_once(keys: list[bytes]) -> None:
    """As in a set, and each has a place of its own."""
    units, known = Units("r"), dict[bytes, int]()
    for key in keys:
        new = key not in known
        place = units.place(units.digest(key))
        assert known.setdefault(key, place) == place
        assert bool(units.first(place, COUNTED)) is new
    assert len(set(known.values())) == len(known) == units.count
    assert not units.full


def test_a_full_memory_is_reported() -> None:
    """Whoever reads the counts learns that not everybody is among them."""
    count = RolloutCount("r", Share, Units("r", most=1))
    count.place(b"ada")
    assert not count.report().leaves_out

    count.place(b"bob")
    assert count.report().leaves_out


@given(KEYS, st.integers(0, 5))
def test_when_it_is_full_only_the_known_count(keys: list[bytes], most: int) -> None:
    """Those that come later are left out of everything; those that are known go on."""
    units, known = Units("r", most), list[bytes]()
    for key in keys:
        before = units.count
        place = units.place(units.digest(key))
        if units.count > before:
            known.append(key)
        if key in known:
            assert place >= 0
        else:
            assert place == LEFT_OUT
            assert units.first(place, 15) == 0
            assert units.full
    assert len(known) == min(most, len(set(keys)))
    assert units.full is (len(set(keys)) > most)


@given(st.lists(st.integers(0, 127), max_size=20))
def test_flags_are_first_once(flags: list[int]) -> None:
    """Each flag of a unit is given once; of a unit that comes once, always."""
    units, had = Units("r"), 0
    place = units.place(units.digest(b"ada"))
    for some in flags:
        assert units.first(place, some) == some & ~had
        assert units.first(UNKEYED, some) == some
        had |= some
    assert units.place(units.digest(b"ada")) == place


def test_units_that_meet_in_the_table_are_told_apart() -> None:
    """Digests that begin their search at one place get places side by side."""
    units = Units("r")
    crowd = [(1 << 60) * number + (7 << 8) for number in range(1, 11)]

    places = [units.place(digest) for digest in crowd]

    assert places == list(range(7, 17))
    assert [units.place(digest) for digest in crowd] == places
    assert units.count == len(crowd)


def test_a_search_ends() -> None:
    """A crowd at one place is no reason to search for long: whoever comes later is left out."""
    units = Units("r")
    for number in range(1, 129):
        assert units.place((number << 32) + (7 << 8)) != LEFT_OUT

    assert units.place((200 << 32) + (7 << 8)) == LEFT_OUT
    assert units.full


def test_a_digest_is_the_same_everywhere_but_not_in_another_rollout() -> None:
    """Replicas agree on it, and nobody can prepare keys that crowd at one place."""
    assert Units("one").digest(b"ada") == Units("one").digest(b"ada")
    assert Units("one").digest(b"ada") != Units("two").digest(b"ada")


@given(st.integers(1, 8), st.lists(st.binary(min_size=1), min_size=1))
def test_a_unit_belongs_to_one_slot(slots: int, keys: list[bytes]) -> None:
    """One of the slots has it, and one alone."""
    units = Units("r")
    for key in keys:
        digest = units.digest(key)
        assert sum(Share({slot}, slots).has(digest) for slot in range(slots)) == 1
        assert Share(range(slots), slots).has(digest)


@given(ASKED)
def test_counts_are_those_of_a_list_of_all_requests(
    asked: list[tuple[int, JudgedArm, int, int]],
) -> None:
    """Whatever units ask of which arms in which order, the tallies are what they should be."""
    count = RolloutCount("r", Share)
    seen, had = set[int](), dict[int, int]()
    units = dict[tuple[int, JudgedArm], int]()
    trials, first = dict[tuple[int, JudgedArm, int], int](), dict[tuple[int, JudgedArm, int], int]()
    for unit, arm, flags, generation in asked:
        key = None if unit == 0 else b"%d" % unit
        stretch = count.stretch(generation)
        stretch[arm].happened(stretch[arm].see(key), flags)
        new = unit == 0 or unit not in seen
        seen.add(unit)
        units[generation, arm] = units.get((generation, arm), 0) + new
        before = 0 if unit == 0 else had.get(unit, 0)
        had[unit] = had.get(unit, 0) | flags
        for place in range(4):
            where = (generation, arm, place)
            if flags >> place & 1:
                trials[where] = trials.get(where, 0) + new
                first[where] = first.get(where, 0) + (not before >> place & 1)
    report = count.report()
    for generation, arms in report.stretches.items():
        for arm, tally in arms.items():
            assert tally.units == units.get((generation, arm), 0)
            for place, (tried, happened) in enumerate(
                zip(tally.trials.values(), tally.events.values(), strict=True)
            ):
                assert tried == trials.get((generation, arm, place), 0)
                assert happened == first.get((generation, arm, place), 0)


def test_who_came_before_the_candidate_is_new_to_it() -> None:
    """Only that a unit gave a pair is remembered of a stretch in which nothing is compared."""
    count = RolloutCount("r", Share)
    shadow, canary = count.stretch(1, keyed=False), count.stretch(2)
    early = shadow[JudgedArm.STABLE].see(b"ada")
    assert count.units.first(early.place, PAIRED)
    shadow[JudgedArm.STABLE].happened(early, ERROR)
    late = canary[JudgedArm.CANDIDATE].see(b"ada")
    canary[JudgedArm.CANDIDATE].happened(late, ERROR)

    assert shadow[JudgedArm.STABLE].tally() == Tally(0, events(), events())
    once = events(error_ratio=1)
    assert canary[JudgedArm.CANDIDATE].tally() == Tally(1, once, once)
    assert not count.units.first(late.place, PAIRED)


def test_units_without_a_key_count_before_the_candidate() -> None:
    """Each comes once, and is used up by nothing."""
    stable = RolloutCount("r", Share).stretch(1, keyed=False)[JudgedArm.STABLE]
    stable.happened(stable.see(None), ERROR)

    once = events(error_ratio=1)
    assert stable.tally() == Tally(1, once, once)
