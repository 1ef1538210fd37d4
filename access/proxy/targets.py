"""Reads the target of a request: only the one normal form of a path is understood. Pure.

What two servers may read differently is refused, never repaired: dot segments, empty segments,
encoded slashes, dots, percent signs and control characters, absolute and authority forms
(RFC 9112, RFC 3986). What a path means follows `RequestInfo` of the Kubernetes API server.
"""

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from access.proxy.answers import Refusal
from reconcile.spelling import name_fault

Query = tuple[tuple[str, str], ...]

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
MAX_TARGET = 16 * 1024
MAX_PARAMETERS = 64

_CHARACTERS = r"[A-Za-z0-9._~!$&'()*+,;=:@%/-]"  # pchar of RFC 3986, and slashes
_TARGET = re.compile(rf"(?P<path>/{_CHARACTERS}*)(?:\?(?P<query>(?:{_CHARACTERS}|\?)*))?", re.ASCII)
_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})|%(?:2[eEfF5]|5[cC])")
_FALSE = frozenset({"false", "0"})
_VERBS = {
    "GET": "get",
    "HEAD": "get",
    "POST": "create",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
    "OPTIONS": "options",
}


@dataclass(frozen=True)
class Resource:
    """What a path of the Kubernetes API names; all empty for a path that is no resource."""

    group: str = ""
    version: str = ""
    namespace: str = ""
    plural: str = ""
    name: str = ""
    subresource: str = ""

    def __bool__(self) -> bool:
        return bool(self.plural)

    def __str__(self) -> str:
        whole = f"{self.plural}.{self.group}" if self.group else self.plural
        return f"{whole}/{self.subresource}" if self.subresource else whole


@dataclass(frozen=True)
class Target:
    """A request for a cluster: `path` and `raw_query` as they were sent, below the cluster's URL.

    `query` are the decoded parameters in their order.
    """

    cluster: str
    method: str
    path: str
    raw_query: str = ""
    query: Query = ()
    resource: Resource = Resource()

    @property
    def watch(self) -> bool:
        """Whether it asks for a stream of changes, as the API server reads it."""
        if self.method != "GET":
            return False
        return self._flag("watch")

    @property
    def follows(self) -> bool:
        """Whether the answer is a stream without an end of its own."""
        return self.watch or (self.resource.subresource == "log" and self._flag("follow"))

    @property
    def verb(self) -> str:
        """The verb as the API server's access rules name it."""
        verb = _VERBS[self.method]
        if not self.resource or self.resource.name:
            return verb
        if verb == "get":
            return "watch" if self.watch else "list"
        return "deletecollection" if verb == "delete" else verb

    @property
    def collection(self) -> bool:
        """Whether it reads a list of a kind over all namespaces, or one that lives in none."""
        found = self.resource
        return bool(found) and self.method == "GET" and not (found.namespace or found.name)

    def parameter(self, name: str) -> str:
        """Return the first value of a parameter, empty without any."""
        return next((value for key, value in self.query if key == name), "")

    def _flag(self, name: str) -> bool:
        values = [value for key, value in self.query if key == name]
        return bool(values) and values[0].lower() not in _FALSE


def read_target(method: str, raw: str) -> Target:
    """Read a request line. Raises Refusal (400, 404, 405) for all that is not in normal form."""
    if method not in METHODS:
        raise Refusal(405, "The method is not one of the Kubernetes API.")
    match = _TARGET.fullmatch(raw) if len(raw) <= MAX_TARGET else None
    if match is None:
        raise Refusal(400, "The request target is not a plain path with an optional query.")
    segments = _segments(match["path"])
    below = match["path"].split("/", 3)
    if segments[:1] != ["clusters"] or len(segments) < 2 or name_fault(segments[1]):
        raise Refusal(404, "There is nothing here: use the server of a kubeconfig.")
    path = f"/{below[3]}" if len(below) > 3 else "/"
    raw_query = match["query"] or ""
    query = _query(raw_query)
    resource = _resource(segments[2:])
    return Target(segments[1], method, path, raw_query, query, resource)


def _segments(path: str) -> list[str]:
    """Decode the segments. Raises Refusal for a path that has another form than its normal one."""
    if _ESCAPE.search(path):
        raise Refusal(400, "The path hides characters: send it decoded.")
    try:
        found = [unquote(segment, errors="strict") for segment in path.split("/")[1:]]
    except UnicodeDecodeError:
        raise Refusal(400, "The path is not UTF-8.") from None
    if found[-1] == "":
        found.pop()  # `/clusters/prod/` is the root of the cluster
        if len(found) > 2:
            raise Refusal(400, "The path ends with a slash.")
    for segment in found:
        if segment in ("", ".", "..") or not segment.isprintable():
            raise Refusal(400, "The path is not in its normal form.")
    return found


def _query(raw: str) -> Query:
    if not raw:
        return ()
    try:
        pairs = parse_qsl(
            raw, keep_blank_values=True, max_num_fields=MAX_PARAMETERS, errors="strict"
        )
    except ValueError:
        raise Refusal(400, "The query cannot be read.") from None
    return tuple(pairs)


def _resource(segments: list[str]) -> Resource:
    """Read the path of a resource: `api/v1/…` or `apis/group/version/…`. Raises Refusal."""
    if segments[:1] == ["api"] and len(segments) > 2:
        group, version, rest = "", segments[1], segments[2:]
    elif segments[:1] == ["apis"] and len(segments) > 3:
        group, version, rest = segments[1], segments[2], segments[3:]
    else:
        return Resource()
    if rest[0] in ("watch", "proxy") and len(rest) > 1:
        raise Refusal(400, "This path is long deprecated: use the parameter watch=true.")
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 1:
        namespace = rest[1]
        # `…/namespaces/x/status` is a subresource of the namespace, all else lies inside of it.
        if len(rest) > 2 and rest[2] not in ("status", "finalize"):
            rest = rest[2:]
    plural, name, subresource = (*rest, "", "")[:3]
    return Resource(group, version, namespace, plural, name, subresource)
