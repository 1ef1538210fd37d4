"""What the values of restrictions of workloads, Services and kinds may look like. Pure.

Each function yields (path below the value, what is wrong), as those of `tenancy.rules.values`.
"""

import re
from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any, TypeGuard

from reconcile.spelling import label_key_fault
from tenancy.rules import values
from tenancy.rules.limits import COMPUTE, quantity_problem
from tenancy.rules.profiles import LEAST, STRICTEST
from tenancy.rules.values import Problems

HOST_ACCESS = ("hostIPC", "hostNetwork", "hostPID", "hostPath", "hostPorts", "privileged")
# capabilities(7), as of Linux 6.12; nobody is allowed ALL, which no list could tell.
CAPABILITIES = (
    *("AUDIT_CONTROL", "AUDIT_READ", "AUDIT_WRITE", "BLOCK_SUSPEND", "BPF", "CHECKPOINT_RESTORE"),
    *("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "IPC_LOCK", "IPC_OWNER"),
    *("KILL", "LEASE", "LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE", "MKNOD", "NET_ADMIN"),
    *("NET_BIND_SERVICE", "NET_BROADCAST", "NET_RAW", "PERFMON", "SETFCAP", "SETGID", "SETPCAP"),
    *("SETUID", "SYSLOG", "SYS_ADMIN", "SYS_BOOT", "SYS_CHROOT", "SYS_MODULE", "SYS_NICE"),
    *("SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG"),
    "WAKE_ALARM",
)
POD_SECURITY = (LEAST, STRICTEST)
SETTINGS = tuple(f"{side}.{resource}" for side in ("requests", "limits") for resource in COMPUTE)
METADATA = tuple(
    f"{side}_{sort}" for sort in ("labels", "annotations") for side in ("required", "forbidden")
)
MOST_REPLICAS = 10_000
# All of them are told in one message.
MOST_KINDS, LONGEST_KIND = 40, 100
_KIND = re.compile(r"(?=.{1,100}\Z)(\*|[a-z0-9][-a-z0-9]*)(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_BALANCERS = ("addresses", "classes", "source_ranges")


def resources(value: object) -> Problems:
    """Which resources containers have to set, and how much of each they may have."""
    if not _is_map(value, "max", "required"):
        yield "", 'Use {"required": ["requests.cpu"]} or {"max": {"memory": "4Gi"}}.'
        return
    for path, text in values.choices(SETTINGS)(value.get("required", [])):
        yield f"required/{path}" if path else "required", text
    most = value.get("max", {})
    if not isinstance(most, Mapping):
        yield "max", 'This is a map such as {"cpu": "2", "memory": "4Gi"}.'
        return
    for name, text in most.items():
        if name not in COMPUTE:
            yield f"max/{name}", f"This is for {', '.join(COMPUTE)}."
        elif problem := quantity_problem(text):
            yield f"max/{name}", problem


def metadata(value: object) -> Problems:
    """Labels and annotations of pods that there must be, or must not be."""
    if not _is_map(value, *METADATA):
        yield "", f"Use {', '.join(METADATA)}."
        return
    yield from values.marks(value, "labels", of_platforms=True)
    yield from values.marks(value, "annotations", of_platforms=True)


def replicas(value: object) -> Problems:
    """The fewest and the most of them."""
    if not _is_map(value, "max", "min"):
        yield "", 'Use {"min": 2, "max": 10}, or one of them.'
        return
    for side, count in value.items():
        if isinstance(count, bool) or not isinstance(count, int) or not 0 < count <= MOST_REPLICAS:
            yield side, f"This is a whole number from 1 to {MOST_REPLICAS}."
            return
    if value.get("min", 1) > value.get("max", MOST_REPLICAS):
        yield "min", "This is more than max."


def load_balancers(value: object) -> Problems:
    """Ranges of addresses, and classes."""
    if not _is_map(value, *_BALANCERS):
        yield "", f'Use {", ".join(_BALANCERS)}, such as {{"source_ranges": ["10.0.0.0/8"]}}.'
        return
    for part, listed in value.items():
        for path, text in values.texts(listed, re.compile(r"[^\s]{1,317}"), "texts"):
            yield f"{part}/{path}" if path else part, text
            return
        for index, text in enumerate(listed):
            fault = _class_fault(text) if part == "classes" else _range_fault(text)
            if fault:
                yield f"{part}/{index}", fault


def api_kinds(value: object) -> Problems:
    """Kinds of objects as kubectl names them: by plural and group."""
    if not _is_map(value, "deny"):
        yield "", 'Use {"deny": ["ingresses.networking.k8s.io"]}.'
        return
    listed = value["deny"]
    if isinstance(listed, list) and len(listed) > MOST_KINDS:
        yield "deny", f"This is a list of at most {MOST_KINDS} kinds."
        return
    what = "kinds, such as secrets, ingresses.networking.k8s.io or *.cert-manager.io"
    for path, text in values.texts(listed, _KIND, what):
        yield f"deny/{path}" if path else "deny", text
    if isinstance(listed, list) and "*" in listed:
        yield f"deny/{listed.index('*')}", "Name a group as well, as in *.cert-manager.io."


def pod_security(value: object) -> Problems:
    """One of the profiles."""
    if value not in POD_SECURITY:
        yield "", f"Use {' or '.join(POD_SECURITY)}."


def _is_map(value: object, *known: str) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(value, Mapping) and bool(value) and not set(value) - set(known)


def _range_fault(text: str) -> str:
    try:
        network = ip_network(text)
    except ValueError:
        return "This is no range of addresses, such as 192.0.2.0/24 or 2001:db8::/32."
    return "" if str(network) == text else f"Write it as {network}."


def _class_fault(text: str) -> str:
    fault = label_key_fault(text)
    return f"This {fault}." if fault else ""
