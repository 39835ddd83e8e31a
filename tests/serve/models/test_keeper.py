"""Models come back when they are missed: one load for all who wait, and nobody waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from configs.errors import NotReady, Refused, Unavailable
from serve.models import keeper as module
from serve.models.in_hand import InHand
from serve.models.keeper import Keeper, Kept
from tests.serve.models.shelved import Loads, Tallied
from tests.serve.waiting import until

ROWS = (np.zeros((1, 3), np.float32),)


class Stand:
    """A keeper with room for two models of 40 bytes."""

    def __init__(self, wait_s: float, folder: Path) -> None:
        self.loads = Loads()
        self.tally = Tallied()
        self.keeper = Keeper(100, wait_s, self.tally, InHand(folder / "hand"))

    def know(self, number: int) -> Kept:
        """Let the keeper know a model."""
        return self.keeper.know(("m", number), lambda: (self.loads.load(number), 40))

    def in_memory(self, *numbers: int) -> list[int]:
        """Those of the models that are in memory."""
        return [number for number in numbers if self.keeper.has(("m", number))]


@pytest.fixture
def stand(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Stand]:
    """A keeper whose models take what their files say; it waits as long as a test wants."""
    monkeypatch.setattr(module, "heap_bytes", lambda: 1)
    made = Stand(getattr(request, "param", 10.0), tmp_path)
    yield made
    made.keeper.close()


async def ask(kept: Kept) -> float:
    """Run one row, as a host does."""
    async with kept.use():
        return float(kept.run(ROWS)[0][0, 0])


async def test_a_model_is_loaded_when_somebody_asks(stand: Stand) -> None:
    """Knowing a model costs nothing; the second request finds it in memory."""
    kept = stand.know(1)
    assert stand.in_memory(1) == []

    assert [await ask(kept), await ask(kept)] == [1.0, 1.0]

    assert kept.present
    assert stand.loads.of == {1: 1}
    assert stand.tally.loads == [""]


async def test_who_misses_the_same_model_waits_for_the_same_load(stand: Stand) -> None:
    """Many requests for a cold model are one load, and loads take turns."""
    kept = [stand.know(number) for number in (1, 2)]
    with stand.loads.held():
        asking = [asyncio.ensure_future(ask(each)) for each in kept * 10]
        await until(stand.loads.entered.is_set, "a load")

    assert await asyncio.gather(*asking) == [1.0, 2.0] * 10
    assert stand.loads.of == {1: 1, 2: 1}
    assert stand.loads.most_at_once == 1


async def test_the_least_recently_used_leaves_and_comes_back(stand: Stand) -> None:
    """The third model takes the place of the one that nobody used for longest."""
    one, two, three = (stand.know(number) for number in (1, 2, 3))
    await ask(one)
    await ask(two)
    one.run(ROWS)  # As a quick run on the loop does.

    await ask(three)

    assert stand.in_memory(1, 2, 3) == [1, 3]
    assert stand.tally.unloads == 1
    assert await ask(two) == 2.0
    assert stand.loads.of[2] == 2
    assert (stand.keeper.resident, stand.keeper.used_bytes) == (2, 80)


async def test_a_model_that_comes_back_counts_for_what_it_once_took(stand: Stand) -> None:
    """Its first load runs large batches, which callers may send again; later loads do not."""
    sizes = iter([60, 10])
    varies = stand.keeper.know(("v", 1), lambda: (stand.loads.load(1), next(sizes)))
    await ask(varies)
    for number in (2, 3):
        await ask(stand.know(number))
    assert not stand.keeper.has(("v", 1))

    await ask(varies)

    assert stand.keeper.has(("v", 1))
    assert (stand.in_memory(2, 3), stand.keeper.used_bytes) == ([3], 100)


async def test_a_model_in_use_does_not_leave(stand: Stand) -> None:
    """A run that is under way keeps its model, however many others come."""
    one = stand.know(1)
    async with one.use():
        for number in (2, 3, 4):
            await ask(stand.know(number))
        assert stand.in_memory(1, 2, 3, 4) == [1, 4]
        assert one.run(ROWS)[0].item() == 1.0


@pytest.mark.parametrize("stand", [0.02], indirect=True)
async def test_nobody_waits_for_ever(stand: Stand) -> None:
    """Beyond the bound a request is refused for now; the load goes on for the next one."""
    kept = stand.know(1)
    with stand.loads.held(), pytest.raises(Unavailable, match="1 of m is still being loaded"):
        await ask(kept)

    await until(lambda: stand.in_memory(1) == [1], "the load that nobody waited for")
    assert await ask(kept) == 1.0
    assert stand.loads.of == {1: 1}


async def test_loading_one_model_does_not_keep_another(stand: Stand) -> None:
    """While a load is stuck, what is in memory answers."""
    warm = stand.know(1)
    await ask(warm)
    with stand.loads.held():
        missing = asyncio.ensure_future(ask(stand.know(2)))
        await until(stand.loads.entered.is_set, "a load")
        assert await ask(warm) == 1.0
        assert not missing.done()
    assert await missing == 2.0


async def test_a_model_that_does_not_load_is_not_ready(stand: Stand) -> None:
    """Its callers are told to try again and not why; its owner reads why; the next one tries."""
    stand.loads.broken.add(1)
    kept = stand.know(1)
    with pytest.raises(NotReady, match="cannot be loaded now"):
        await ask(kept)
    with pytest.raises(Refused, match="changed on disk"):
        await stand.keeper.load(("m", 1))
    assert stand.tally.loads == ["refused", "refused"]

    stand.loads.broken.clear()

    assert await ask(kept) == 1.0


async def test_what_was_let_go_of_does_not_come_back(stand: Stand) -> None:
    """A model that leaves while it is loaded, or while a batch is on its way, is not ready."""
    kept = stand.know(1)
    with stand.loads.held():
        asking = asyncio.ensure_future(ask(kept))
        await until(stand.loads.entered.is_set, "a load")
        stand.keeper.forget(("m", 1))
    with pytest.raises(NotReady):
        await asking
    with pytest.raises(NotReady):
        kept.run(ROWS)
    with pytest.raises(NotReady):
        await ask(kept)
    assert stand.keeper.used_bytes == 0
