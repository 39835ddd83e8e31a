"""What one request alone would cost a version, told from batches of many sizes."""

from __future__ import annotations

_NEW = 1 / 16
_NO_SPREAD = 1e-3


class Runs:
    """Fits run = fixed + each * jobs to the batches of late, each weighing 15/16 of the next.

    A moving least-squares line. It tells a model whose run does not care how many rows it has,
    for which a batch that waits a whole run is no queue, from one that pays for every row.
    """

    __slots__ = ("_covariance", "_jobs", "_seconds", "_seen", "_spread")

    def __init__(self) -> None:
        self._seen = False
        self._jobs = 1.0
        self._seconds = 0.0
        self._spread = 0.0
        self._covariance = 0.0

    def ran(self, jobs: int, seconds: float) -> None:
        """Take in how long a batch of so many jobs was out."""
        if not self._seen:
            self._seen = True
            self._jobs, self._seconds = float(jobs), seconds
            return
        more_jobs = jobs - self._jobs
        more_seconds = seconds - self._seconds
        self._jobs += _NEW * more_jobs
        self._seconds += _NEW * more_seconds
        self._spread = (1 - _NEW) * (self._spread + _NEW * more_jobs * more_jobs)
        self._covariance = (1 - _NEW) * (self._covariance + _NEW * more_jobs * more_seconds)

    @property
    def alone_s(self) -> float:
        """The seconds that a batch of one job would take; 0 before the first batch."""
        if self._spread <= _NO_SPREAD * self._jobs * self._jobs:
            return self._seconds
        each = min(max(self._covariance / self._spread, 0.0), self._seconds / self._jobs)
        return self._seconds - each * (self._jobs - 1)
