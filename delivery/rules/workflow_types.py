"""The types of steps that workflows may have, with the schemas of their properties. Pure.

Names are KubeVela's. Nothing here runs a command, reads an object or writes one outside of the
project (threat A3): those types are not among them. Objects are of few kinds (`objects`), requests
go to servers that operators have named and to no other (`requests`).
"""

import re

from delivery.rules.overrides import OVERRIDES
from delivery.rules.requests import REQUEST_PROPERTIES
from delivery.rules.shapes import LABEL, listed, obj, text, whole
from reconcile.values import JSON

GROUP = "step-group"
DEPLOY = "deploy"
SUSPEND = "suspend"
NOTIFICATION = "notification"
DEPENDS = "depends-on-app"
APPLY = "apply-object"
REQUEST = "request"

LONGEST = 30 * 24 * 3600  # seconds that a step may take or wait
_PART = re.compile(r"([0-9]{1,7})(h|m|s)")
_SECONDS = {"h": 3600, "m": 60, "s": 1}

DURATION = text(r"(?:[0-9]{1,7}(?:h|m|s))+", "a duration such as 90s, 30m or 1h30m", 30)
_MESSAGE: JSON = {
    "type": "string",
    "minLength": 1,
    "maxLength": 500,
    "description": "a text of 1 to 500 characters",
}

# What a step does, by its type.
TYPES: dict[str, JSON] = {
    DEPLOY: obj(
        app=LABEL,
        revision=whole(1, 1_000_000_000),
        clusters=listed(LABEL, 200, 1),
        components=OVERRIDES["items"]["properties"]["components"],
    ),
    SUSPEND: obj(duration=DURATION, message=_MESSAGE),
    NOTIFICATION: obj(("message",), message=_MESSAGE),
    DEPENDS: obj(("name",), name=LABEL),
    APPLY: obj(("value",), value={"type": "object"}, clusters=listed(LABEL, 200, 1)),
    REQUEST: REQUEST_PROPERTIES,
    GROUP: obj(),
}

STEP_TYPES = sorted(TYPES)

# What a step tells to those after it, by its type.
OUTPUTS: dict[str, tuple[str, ...]] = {
    DEPLOY: ("revision",),
    DEPENDS: ("revision",),
    SUSPEND: ("by", "comment"),
    NOTIFICATION: (),
    APPLY: ("object",),
    REQUEST: ("status", "value"),
    GROUP: (),
}

# What only a workflow engine on a cluster could do.
UNSERVED = frozenset({"apply-component"})
CAPABILITY = "delivery.workflowrun"


def seconds_of(duration: str) -> int:
    """Return a valid duration in seconds."""
    return sum(int(number) * _SECONDS[unit] for number, unit in _PART.findall(duration))


def duration_fault(duration: str) -> str:
    """Say why a well-formed duration cannot be taken; empty when it can."""
    if 0 < seconds_of(duration) <= LONGEST:
        return ""
    return f"Use at least one second and at most {LONGEST // 3600} hours."
