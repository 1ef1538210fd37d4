"""Text that strangers wrote, fit for a terminal and a page. Pure."""

import re

# What colours and moves the cursor: CSI and OSC sequences, and the other escapes of two characters.
_SEQUENCE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])"
    r"|\x9b[0-?]*[ -/]*[@-~]"
)
# Controls but the tab, what turns the direction of text around, and other line breaks.
_CONTROL = re.compile(
    r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]"
)
_STANDS_FOR_ONE = "\ufffd"


def printable(line: str) -> str:
    """Return a line of a log without what steers a terminal or turns text around.

    Sequences of ECMA-48 (colours) are dropped, any other control shows as U+FFFD; tabs stay.
    """
    return _CONTROL.sub(_STANDS_FOR_ONE, _SEQUENCE.sub("", line))
