"""The process that optimises a model and saves what comes out, when nobody wants the processor.

Run as `python -m serve.models.graph_child MODEL TARGET HOSTS`, where HOSTS are the settings of that
name as JSON. A process of its own, because optimising takes three times the memory of the model,
which a process that goes on would keep.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from configs.errors import Refused
from configs.settings import Hosts
from registry.gently import NICE

_ROOT = Path(__file__).parents[2]
_LIMIT_S = 600.0


def write_graph(model: Path, target: Path, hosts: Hosts) -> None:
    """Have a child process save the optimised graph of a model; `Refused` if it cannot."""
    command = [sys.executable, "-P", "-s", "-B", "-m", __name__, str(model.absolute())]
    try:
        done = subprocess.run(  # noqa: S603 - our own module, no shell
            [*command, str(target.absolute()), hosts.model_dump_json()],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd="/",
            env=os.environ | {"PYTHONPATH": str(_ROOT)},
            timeout=_LIMIT_S,
            process_group=0,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Refused(f"the graph was not optimised in {_LIMIT_S:g} s") from None
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["nothing"]
        raise Refused(f"the process that optimises graphs failed: {said[-1][:300]}")


def main(arguments: list[str]) -> None:
    """Lower this process's priority, then optimise and save."""
    os.nice(NICE)
    # Imported only now: half of what this process does is importing.
    from serve.models.providers import chosen  # noqa: PLC0415
    from serve.models.session import Optimisation, open_session  # noqa: PLC0415

    providers = chosen(Hosts.model_validate_json(arguments[2]))
    saved = Optimisation(save_as=Path(arguments[1]))
    open_session(Path(arguments[0]), 1, providers, saved)


if __name__ == "__main__":
    main(sys.argv[1:])
