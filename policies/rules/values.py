"""What a simulation finds, before it is anybody's. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Broken:
    """A kind of rules that an object breaks, and what the cluster says then."""

    rule: str
    message: str
