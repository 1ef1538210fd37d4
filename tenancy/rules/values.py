"""What the values of restrictions may look like. Pure.

Each function yields (path below the value, what is wrong).
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from reconcile.spelling import label_key_fault, label_value_fault, reserved

Problems = Iterator[tuple[str, str]]

PULL_POLICIES = ("Always", "IfNotPresent", "Never")
IMAGE_REFERENCES = ("digest", "tag")
SERVICE_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
MOST_NAMESPACES = 1000
MOST_ENTRIES = 100
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", re.ASCII)
_HOST = re.compile(
    r"(?=.{1,253}\Z)(\*\.)?[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
    r"(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)+",
    re.ASCII,
)
# A host as in references of images, then whole components of a path (distribution's grammar).
_REGISTRY = re.compile(
    r"(?=.{1,253}\Z)(?P<host>[a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[0-9]{1,5})?)"
    r"(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*",
    re.ASCII,
)
_NAMESPACES = ("count", "forbidden_labels", "required_labels")


def names(value: object) -> Problems:
    """Names of objects of a cluster."""
    return texts(value, _NAME, "names")


def hosts(value: object) -> Problems:
    """Host names; `*.` in front stands for one label."""
    return texts(value, _HOST, "host names, such as shop.example.org or *.example.org")


def choices(known: Sequence[str]) -> Callable[[object], Problems]:
    """Some of the words that Kubernetes knows."""
    pattern = re.compile("|".join(map(re.escape, known)))
    return lambda value: texts(value, pattern, f"values {', '.join(known)}")


def registries(value: object) -> Problems:
    """Registries to allow, to deny or both: a host and, where it matters, a path."""
    if not isinstance(value, Mapping) or not value or set(value) - {"allow", "deny"}:
        yield "", 'Use {"allow": ["registry.example.org/team"]} or {"deny": ["docker.io"]}.'
        return
    for side, listed in value.items():
        found = list(texts(listed, _REGISTRY, "registries, such as registry.example.org/team"))
        for path, text in found or _hostless(listed):
            yield f"{side}/{path}" if path else side, text


def _hostless(listed: Sequence[str]) -> Problems:
    """`team` would be taken for docker.io/team by one reader and for a host by another."""
    for index, text in enumerate(listed):
        host = text.split("/")[0]
        if not ("." in host or ":" in host or host == "localhost"):
            yield str(index), f"Name the host as well, as in docker.io/{text}."


def node_selector(value: object) -> Problems:
    """Labels of nodes with their values."""
    if not isinstance(value, Mapping) or len(value) > MOST_ENTRIES:
        yield "", 'A node selector is a map of labels such as {"pool": "batch"}.'
        return
    for key, text in value.items():
        if fault := label_key_fault(key) or label_value_fault(text):
            yield str(key), f"This {fault}."


def namespaces(value: object) -> Problems:
    """How many projects, and their labels."""
    if not isinstance(value, Mapping) or not value or set(value) - set(_NAMESPACES):
        yield "", f"Use {', '.join(_NAMESPACES)}."
        return
    count = value.get("count", 1)
    if isinstance(count, bool) or not isinstance(count, int) or not 0 < count <= MOST_NAMESPACES:
        yield "count", f"This is a whole number from 1 to {MOST_NAMESPACES}."
    yield from marks(value, "labels")


def marks(value: Mapping[str, object], sort: str, *, of_platforms: bool = False) -> Problems:
    """Labels or annotations that there must be, or must not be; those `of_platforms` too or not."""
    required, forbidden = value.get(f"required_{sort}", {}), value.get(f"forbidden_{sort}", [])
    yield from _required(f"required_{sort}", required, of_platforms)
    yield from _label_keys(f"forbidden_{sort}", forbidden, of_platforms)
    if isinstance(required, Mapping) and isinstance(forbidden, list):
        for key in sorted(str(key) for key in required if key in forbidden):
            yield f"forbidden_{sort}/{key}", "This is required as well."


def _required(side: str, required: object, of_platforms: bool) -> Problems:
    if not isinstance(required, Mapping):
        yield side, 'This is a map such as {"team": ""}; "" takes any value.'
        return
    yield from _label_keys(side, list(required), of_platforms)
    for key, text in required.items():
        if fault := label_value_fault(text):
            yield f"{side}/{key}", f"Its value {fault}."


def texts(value: object, pattern: re.Pattern[str], what: str) -> Problems:
    """A list without repetitions, of texts that the pattern matches."""
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) > MOST_ENTRIES:
        yield "", f"This is a list of at most {MOST_ENTRIES} {what}."
        return
    for index, text in enumerate(value):
        if not isinstance(text, str) or not pattern.fullmatch(text):
            yield str(index), f"This is none of the {what} that can be written."
        elif text in value[:index]:
            yield str(index), "This is listed twice."


def _label_keys(side: str, keys: object, of_platforms: bool) -> Problems:
    if not isinstance(keys, list) or len(keys) > MOST_ENTRIES:
        yield side, f"This is a list of at most {MOST_ENTRIES} keys."
        return
    for key in keys:
        if fault := label_key_fault(key):
            yield f"{side}/{key}", f"This {fault}."
        elif reserved(key) and not of_platforms:
            yield f"{side}/{key}", "This uses a reserved prefix."
