"""How much memory this process holds and may take, and how what is free goes back to the system.

ONNX Runtime takes all of a session's memory from the C library's heap, which keeps what was freed:
after 75 of 150 sessions of 2 MiB had ended, none of their memory was the system's again before
`give_back`, and all of it afterwards (5 to 9 ms).
"""

from __future__ import annotations

import ctypes
import os
import resource
from collections.abc import Callable
from pathlib import Path

_DATA = 5
"""The place of memory of one's own in /proc/self/statm (proc(5))."""
_NEARLY = 0.95
_FIELDS = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks")
_FIELDS_UNUSED = ("fordblks", "keepcost")


class _Mallinfo2(ctypes.Structure):
    """What `mallinfo2` gives (mallinfo(3))."""

    _fields_ = [(name, ctypes.c_size_t) for name in (*_FIELDS, *_FIELDS_UNUSED)]


def heap_bytes() -> int:
    """Give how many bytes of the heap are in use; 0 where the C library cannot tell."""
    if _mallinfo2 is None:
        return 0
    info = _mallinfo2()
    return int(info.uordblks + info.hblkhd)


def limit_growth(more: int) -> None:
    """Have this process get no more memory of its own than so many bytes beyond what it has now.

    What it asks for beyond fails, as on a machine that is full: `MemoryError`, or what libraries
    make of it (RLIMIT_DATA, setrlimit(2); memory that is shared or mapped from files is not in it).
    """
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = _own_bytes() + more
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def is_spent() -> bool:
    """Whether this process has nearly all of the memory that it may have, as after a leak."""
    most, _ = resource.getrlimit(resource.RLIMIT_DATA)
    return most != resource.RLIM_INFINITY and _own_bytes() > _NEARLY * most


def _own_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[_DATA])
    return pages * os.sysconf("SC_PAGE_SIZE")


def give_back() -> None:
    """Give the free memory of the heap back to the system."""
    if _malloc_trim is not None:
        _malloc_trim(0)


def _function(name: str, result: type) -> Callable[..., _Mallinfo2] | None:
    """Give a function of the C library; glibc has had `mallinfo2` since 2.33, others have not."""
    found = getattr(ctypes.CDLL(None), name, None)
    if found is not None:
        found.restype = result
    return found


_mallinfo2 = _function("mallinfo2", _Mallinfo2)
_malloc_trim = _function("malloc_trim", ctypes.c_int)
