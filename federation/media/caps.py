"""What a worker gives up before it reads a byte of content; only worker programs import this."""

from __future__ import annotations

import resource
import time
from pathlib import Path
from typing import Final

# The three standard streams, and a few to import what libraries load late.
_OPEN_FILES_MAX: Final = 32

# Too short for any core file, and the value at which Linux also leaves out a dump into a program;
# a dump would hold the content.
_CORE_BYTES_MAX: Final = 1


def confine(memory_bytes_max: int) -> None:
    """Set the limits that hold for the life of this process; none can be raised again."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    address_space = pages * resource.getpagesize() + memory_bytes_max
    for kind, most in (
        (resource.RLIMIT_AS, address_space),
        (resource.RLIMIT_CORE, _CORE_BYTES_MAX),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, _OPEN_FILES_MAX),
    ):
        resource.setrlimit(kind, (most, most))


def allow_cpu_time(seconds: int) -> None:
    """Let the kernel end this process after ``seconds`` more of CPU time, rounded up."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + 1 + seconds, hard))
