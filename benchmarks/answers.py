"""Whether a server answers right: nobody is measured before."""

from __future__ import annotations

import httpx
import numpy as np
import orjson

from benchmarks.model import POSITIVE, SCORES, Workload
from benchmarks.processes import BenchmarkError

TOLERANCE = 1e-5


def score(answer: bytes) -> float:
    """The probability of the positive class in an answer; `KeyError` if it has none."""
    for tensor in orjson.loads(answer)["outputs"]:
        if tensor["name"] == SCORES:
            return float(np.ravel(tensor["data"])[POSITIVE])
    raise KeyError(SCORES)


def check(url: str, workload: Workload) -> None:
    """Ask every question once; the first wrong answer is a `BenchmarkError`."""
    with httpx.Client(trust_env=False) as client:
        for number, (body, right) in enumerate(zip(workload.lines, workload.scores, strict=True)):
            answer = client.post(url, content=body, headers={"Content-Type": "application/json"})
            if answer.status_code != httpx.codes.OK:
                message = f"{url} answers {answer.status_code}: {answer.text[:200]}"
                raise BenchmarkError(message)
            given = score(answer.content)
            if not abs(given - right) <= TOLERANCE:
                message = f"{url} scores row {number} {given}, not {right}"
                raise BenchmarkError(message)
