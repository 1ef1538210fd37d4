"""The grammar of names, labels and annotations: what Kubernetes accepts, less what is reserved.

One place for models, forms, serializers, rules and commands. Pure. Sources: RFC 1123 labels, the
Kubernetes documentation on object names, labels and annotations.
"""

import re
from collections.abc import Callable, Mapping

NAME_LENGTH = 63
PREFIX_LENGTH = 253
MAX_LABELS = 64
ANNOTATIONS_BYTES = 262_144

_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?", re.ASCII)
_PREFIX = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*")
_WORD = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?", re.ASCII)
# A prefix of these domains, or of any domain below them, belongs to a platform and never to a user:
# such keys steer admission, tenancy, impersonation or ownership on the cluster.
_RESERVED = (
    "kubernetes.io",
    "k8s.io",
    "kubenova.io",
    "clastix.io",
    "projectcapsule.dev",
    "oam.dev",
)


def name_fault(value: object) -> str:
    """Say what is wrong with the name of a tenant, project, app, cluster, …; empty when nothing is.

    `--` is forbidden because it joins tenant and project in the name of a namespace.
    """
    if not isinstance(value, str):
        return "must be a string"
    if len(value) > NAME_LENGTH:
        return f"must be at most {NAME_LENGTH} characters long"
    if not _NAME.fullmatch(value):
        return (
            "must consist of lower-case letters, digits and '-', "
            "and start and end with a letter or digit"
        )
    if "--" in value:
        return "must not contain '--'"
    return ""


def label_key_fault(key: object) -> str:
    """Say what is wrong with a label's key as Kubernetes reads it; empty when nothing is."""
    if not isinstance(key, str):
        return "must be a string"
    prefix, slash, word = key.rpartition("/")
    if slash and (len(prefix) > PREFIX_LENGTH or not _PREFIX.fullmatch(prefix)):
        return (
            "must have a prefix that is a lower-case DNS name "
            f"of at most {PREFIX_LENGTH} characters"
        )
    if len(word) > NAME_LENGTH or not _WORD.fullmatch(word):
        return (
            f"must have a name of at most {NAME_LENGTH} letters, digits, '-', '_' and '.', "
            "that starts and ends with a letter or digit"
        )
    return ""


def label_value_fault(value: object) -> str:
    """Say what is wrong with a label's value; empty when nothing is. The empty value is fine."""
    if not isinstance(value, str):
        return "must be a string"
    if value and (len(value) > NAME_LENGTH or not _WORD.fullmatch(value)):
        return (
            f"must have a value of at most {NAME_LENGTH} letters, digits, '-', '_' and '.', "
            "that starts and ends with a letter or digit"
        )
    return ""


def reserved(key: str) -> bool:
    """Whether the prefix of a label or annotation belongs to a platform, in any spelling of it."""
    prefix, _, _ = key.rpartition("/")
    domain = prefix.strip().rstrip(".").lower()
    return any(domain == name or domain.endswith(f".{name}") for name in _RESERVED)


def label_faults(labels: object) -> dict[str, str]:
    """Say what is wrong with the labels that a user gives, by key; the key "" stands for all."""
    return _map_faults(labels, "labels", label_value_fault)


def annotation_faults(annotations: object) -> dict[str, str]:
    """Say what is wrong with the annotations that a user gives, by key; "" stands for all."""
    faults = _map_faults(annotations, "annotations", _text_fault)
    if not faults and isinstance(annotations, Mapping):
        size = sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items())
        if size > ANNOTATIONS_BYTES:
            return {"": f"must hold at most {ANNOTATIONS_BYTES} bytes in all"}
    return faults


def _map_faults(pairs: object, what: str, value_fault: Callable[[object], str]) -> dict[str, str]:
    if not isinstance(pairs, Mapping):
        return {"": f"must be an object of {what}"}
    if len(pairs) > MAX_LABELS:
        return {"": f"must hold at most {MAX_LABELS} {what}"}
    faults = {str(key): _pair_fault(key, value, value_fault) for key, value in pairs.items()}
    return {key: fault for key, fault in faults.items() if fault}


def _pair_fault(key: object, value: object, value_fault: Callable[[object], str]) -> str:
    if isinstance(key, str) and reserved(key):
        return "uses a reserved prefix"
    return label_key_fault(key) or value_fault(value)


def _text_fault(value: object) -> str:
    if not isinstance(value, str):
        return "must be a string"
    return "must not contain a NUL character" if "\x00" in value else ""


def escaped(key: str) -> str:
    """Write a key as one part of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def unescaped(part: str) -> str:
    """Read one part of a JSON pointer."""
    return part.replace("~1", "/").replace("~0", "~")


def sentence(key: str, fault: str) -> str:
    """Turn a fault into a sentence that names its key, cut where the key is long."""
    return f"{key[:80]!r} {fault}." if key else f"It {fault}."
