"""docs/conformance.md, as a function of what the clients said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.conformance.features import FEATURES
from tests.conformance.results import Results
from tests.conformance.table import CLIENTS, Client

WORKS, FAILS, ABSENT = "✓", "✗", "·"

_HEAD = """\
# Conformance

What the real clients can do with a running gateway. `make conformance` runs them, each in an
environment of its own, against two gateways, and writes this page: one with the settings as they
come, and one with `repository.control: true` for loading and unloading.

"""
_LEGEND = f"""
{WORKS} works. {FAILS} does not work. {ABSENT} the client has no such feature; why, stands below.

"""
_NOTES = """\
## What is refused on purpose

- **Streams** (`ModelStreamInfer`): one request has one answer here. The call ends with
  `UNIMPLEMENTED` and a sentence.
- **Sequences**: every request stands for itself. 501 or `UNIMPLEMENTED`.
- **Strings that are not UTF-8**: ONNX strings are text. The answer is 400 or `INVALID_ARGUMENT`.
- **Loading and unloading** while `repository.control` is false, as it is unless it is set: 403 or
  `PERMISSION_DENIED`.
- **Shared memory, tracing and log settings** of Triton are not offered and not advertised.

## What is not in the table

- **perf_analyzer** comes as a wheel for glibc 2.38 and newer (2.60.0, the only one with a binary);
  the machine that makes this page has glibc 2.36.
- **OpenAPI**: `tests/conformance/test_openapi.py` has schemathesis invent requests from the
  documents of the inference port and of the control API; `make conformance` fails if any answer
  is a 5xx, breaks its document, or if a gateway is not live afterwards. `CASES=10000` makes it
  the long run.
"""


def render(versions: Mapping[str, str], results: Mapping[str, Results]) -> str:
    """Give the page; both mappings are by the client's program."""
    return "".join(
        (
            _HEAD,
            *(f"- {line}\n" for line in _versions(versions)),
            "\n",
            *(f"{line}\n" for line in _table(results)),
            _LEGEND,
            "## What a client does not have\n\n",
            *(f"- {line}\n" for line in _absent()),
            "\n",
            _NOTES,
        )
    )


def _versions(versions: Mapping[str, str]) -> Sequence[str]:
    packages = {client.package: versions[client.program] for client in CLIENTS}
    return [f"{package} {version}" for package, version in packages.items()]


def _table(results: Mapping[str, Results]) -> list[str]:
    heads = ["", *(client.title for client in CLIENTS)]
    rows = [
        [title, *(_cell(client, name, results[client.program]) for client in CLIENTS)]
        for name, title in FEATURES.items()
    ]
    rule = ["---", *(":-:" for _ in CLIENTS)]
    return [f"| {' | '.join(cells)} |" for cells in (heads, rule, *rows)]


def _cell(client: Client, name: str, results: Results) -> str:
    if name not in client.features:
        return ABSENT
    found = results.get(name)
    return WORKS if found is not None and found.ok else FAILS


def _absent() -> list[str]:
    """One sentence for each client and reason."""
    return [
        f"**{client.title}**, {reason}: {', '.join(FEATURES[name] for name in names)}."
        for client in CLIENTS
        for reason, names in client.absent.items()
    ]
