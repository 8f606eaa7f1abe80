"""The program itself, which kills itself with SIGKILL at one step of a publish; run as a process.

``python -m tests.system.crashing_serve STEP NTH ARGUMENT…`` is ``federation ARGUMENT…`` until what
its node publishes comes to STEP (see :class:`federation.daemon.publisher.LanePublisher`) for the
NTH time.
"""

from __future__ import annotations

import os
import signal
import sys
from functools import partial

from federation.cli.operator import main
from federation.daemon.node import Node


def _crash_at(step: str, nth: int) -> None:
    seen = 0

    def after_step(name: str) -> None:
        nonlocal seen
        seen += name == step
        if seen == nth and name == step:
            os.kill(os.getpid(), signal.SIGKILL)

    setattr(Node, "open", partial(Node.open, after_step=after_step))  # noqa: B010 - for one process


if __name__ == "__main__":
    _crash_at(sys.argv[1], int(sys.argv[2]))
    sys.argv = ["federation", *sys.argv[3:]]
    main()
