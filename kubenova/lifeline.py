"""No process outlives the one that started it, not even when that one is killed by SIGKILL.

A role asks the kernel to be killed when its parent dies, and so does each process that it forks.
"""

import ctypes
import os
import signal
import sys

PARENT = "KUBENOVA_PARENT_PID"
_PR_SET_PDEATHSIG = 1  # prctl(2)


def following(environment: dict[str, str]) -> dict[str, str]:
    """Return the environment for a child that is to die with this process."""
    return {**environment, PARENT: str(os.getpid())}


def tie(role: str) -> None:
    """Tie a role's process to the parent that asked for it, and what it forks to itself.

    Linux only; elsewhere nothing happens.
    """
    parent = os.environ.pop(PARENT, "")
    if sys.platform != "linux" or not (role or parent):
        return
    os.register_at_fork(after_in_child=_die_with_parent)
    if not parent:
        return
    _die_with_parent()
    if os.getppid() != int(parent):  # it died before we asked
        os._exit(1)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
