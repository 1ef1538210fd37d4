"""How hard a rule holds: refused, warned of, or only written down. Pure."""

from collections.abc import Mapping
from enum import StrEnum

from tenancy.rules.encoding import PARAMETERS


class Mode(StrEnum):
    """What a cluster does with what breaks a rule.

    enforce: it is refused. warn: who asks is told, and it passes. audit: the audit log of the
    cluster's API server tells it, and it passes.
    """

    ENFORCE = "enforce"
    WARN = "warn"
    AUDIT = "audit"


ADVISORY = (Mode.WARN, Mode.AUDIT)
ACTIONS: Mapping[Mode, str] = {Mode.ENFORCE: "Deny", Mode.WARN: "Warn", Mode.AUDIT: "Audit"}
# The ConfigMap with the rules of a mode, in each namespace of a project.
CONFIG_MAPS: Mapping[Mode, str] = {
    Mode.ENFORCE: PARAMETERS,
    Mode.WARN: f"{PARAMETERS}-warn",
    Mode.AUDIT: f"{PARAMETERS}-audit",
}
