"""Ray shell: a gateway replica's way to the observer for labels and group attributes."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from configs.errors import Unavailable, WeirError
from monitors.labels.receipt import Receipt
from serve.node.names import NAMESPACE, OBSERVER
from serve.protocol.feedback import Sent


class RayObserver:
    """Hands bodies to the observer actor.

    A thread of its own finds the actor and copies the body: the loop that serves requests waits for
    neither.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="weir-feedback")
        self._actor: Any = None

    async def feedback(self, sent: Sent) -> Receipt:
        """Hand a body over; `Unavailable` when the observer is not there, else its own errors."""
        loop = asyncio.get_running_loop()
        try:
            answer = await loop.run_in_executor(self._thread, self._send, sent)
            return await asyncio.wrap_future(answer)
        except RayTaskError as error:
            if isinstance(error.cause, WeirError):
                raise error.cause from None
            raise
        except (RayError, ValueError) as error:  # ValueError: no actor of that name lives.
            self._actor = None
            raise Unavailable(
                "the observer is not there at the moment; send it again: nothing counts twice"
            ) from error

    def close(self) -> None:
        """End the thread, without waiting for what is on its way."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _send(self, sent: Sent) -> Future[Receipt]:
        if self._actor is None:
            self._actor = ray.get_actor(OBSERVER, namespace=NAMESPACE)
        answer: Future[Receipt] = self._actor.feedback.remote(sent).future()
        return answer
