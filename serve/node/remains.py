"""What is left of a gateway whose supervisor was killed, ended and taken away.

The driver becomes this program (execve(2)): its children stay its own, and none of Ray is in the
process any more, which ends it when what it speaks to has ended.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from serve.node.descendants import end_descendants

_END_S = 5.0


def main(run_dir: Path) -> None:
    """End all descendants, then take their folder away, into which they wrote until then."""
    end_descendants(_END_S)
    shutil.rmtree(run_dir, ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
