"""What a role is made of is there to stay: the garbage collector need not look at it again."""

import gc


def settle() -> None:
    """Leave all that is alive now out of every collection to come.

    Called once a process, when it has loaded what it works with. A full collection would look at
    some half a million objects of libraries, for half a second, while every thread waits.
    """
    gc.collect()
    gc.freeze()
