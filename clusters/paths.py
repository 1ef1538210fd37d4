"""Builds request targets of the Kubernetes API that mean exactly what they say.

HTTP libraries collapse `..` and take `?` and `#` for syntax, so a name could reach another object
or change the request. Every segment is validated and percent-encoded, and the finished target is
parsed again, as the library will, and compared with what was meant.

Grammars: Kubernetes object names (RFC 1123), RBAC names (path segments), labels and selectors.
"""

import re
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from reconcile.errors import Refused
from reconcile.spelling import label_key_fault, label_value_fault
from reconcile.values import Kind, Ref

Segments = tuple[str, ...]
Query = tuple[tuple[str, str], ...]

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
# RBAC takes any path segment; these are the characters that people and platforms use.
_RBAC_NAME = re.compile(r"[A-Za-z0-9_.:@ -]+")
_RBAC = "rbac.authorization.k8s.io"
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
_MAX_NAME = 253
_MAX_TARGET = 16 * 1024


class Unaddressable(Refused, ValueError):
    """A name that cannot be an object of this kind: nothing was sent."""


def collection(kind: Kind, namespace: str = "") -> Segments:
    """Return where objects of a kind are listed; no namespace means in all of them."""
    group, _, version = kind.api_version.rpartition("/")
    root = ("apis", _subdomain(group, "group"), version) if group else ("api", version)
    _label(version, "version")
    place = ("namespaces", _label(namespace, "namespace")) if namespace else ()
    if namespace and not kind.namespaced:
        raise Unaddressable(f"{kind.name} lives in no namespace")
    return (*root, *place, _label(kind.plural, "resource"))


def item(ref: Ref, subresource: str = "") -> Segments:
    """Return where one object lives, or a subresource of it."""
    if ref.kind.namespaced and not ref.namespace:
        raise Unaddressable(f"{ref.kind.name} needs a namespace")
    name = _name(ref.kind, ref.name)
    below = (_label(subresource, "subresource"),) if subresource else ()
    return (*collection(ref.kind, ref.namespace), name, *below)


def plain(*segments: str) -> Segments:
    """Return the path of something that is no object, such as `version` or `openid/v1/jwks`."""
    for segment in segments:
        # `.well-known` is the one name of the API server's that starts with a dot.
        if not _PLAIN.fullmatch(segment.removeprefix(".")) or ".." in segment:
            raise Unaddressable(f"{segment!r} is no path segment")
    return segments


def selector(labels: Mapping[str, str]) -> str:
    """Return the selector of objects that carry all of `labels`.

    Raises ValueError for no labels at all and for an empty value: both select what nobody meant.
    """
    if not labels:
        raise ValueError("an empty selector would select everything")
    for key, value in labels.items():
        fault = label_key_fault(key) or label_value_fault(value) or ("" if value else "is empty")
        if fault:
            raise Unaddressable(f"label {key!r} {fault}")
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


def target(segments: Segments, query: Query = (), *, prefix: str = "") -> str:
    """Return the request target, encoded. `prefix` is the path of the server's URL, if any.

    Raises Unaddressable when what a library would send is not what was meant.
    """
    path = prefix + "".join(f"/{quote(segment, safe='')}" for segment in segments)
    built = f"{path}?{urlencode(query, quote_via=quote, safe='')}" if query else path
    if len(built) > _MAX_TARGET or not _means(built, prefix, segments, query):
        raise Unaddressable("the request would not mean what it says: nothing was sent")
    return built


def _means(built: str, prefix: str, segments: Segments, query: Query) -> bool:
    """Whether the standard library and urllib3 both read the very parts back."""
    parts = urlsplit(built)
    read = tuple(unquote(part) for part in parts.path.removeprefix(prefix).split("/"))
    asked = tuple(parse_qsl(parts.query, keep_blank_values=True)) if parts.query else ()
    try:
        sent = parse_url(f"https://host{built}").request_uri
    except LocationParseError:
        return False
    clean = all(segment not in ("", ".", "..") for segment in segments)
    return clean and (*read,) == ("", *segments) and asked == query and sent == built


def _label(value: str, what: str) -> str:
    if not _LABEL.fullmatch(value):
        raise Unaddressable(f"{what} {value[:80]!r} is no RFC 1123 label")
    return value


def _subdomain(value: str, what: str) -> str:
    if len(value) > _MAX_NAME or not _SUBDOMAIN.fullmatch(value):
        raise Unaddressable(f"{what} {value[:80]!r} is no RFC 1123 subdomain")
    return value


def _name(kind: Kind, name: str) -> str:
    if kind.group != _RBAC:
        return _subdomain(name, "name")
    if name in (".", "..") or len(name) > _MAX_NAME or not _RBAC_NAME.fullmatch(name):
        raise Unaddressable(f"name {name[:80]!r} is no RBAC name")
    return name


def review(kind: Kind, path: str) -> Segments:
    """Return where to post: `path` is empty, a namespace, or namespace/name/subresource."""
    parts: Sequence[str] = path.split("/") if path else ()
    if len(parts) == 3:
        namespace, name, subresource = parts
        return item(Ref(kind, namespace, name), subresource)
    if len(parts) > 1:
        raise Unaddressable(f"{path[:80]!r} is no place of a review")
    return collection(kind, parts[0] if parts else "")
