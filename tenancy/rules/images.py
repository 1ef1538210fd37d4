"""Names of images as registries know them, and which entries of a list cover one. Pure.

The grammar is the one of references of images (distribution, `reference`): without a host an image
is one of Docker Hub's, without a path there it is one of its library.
"""

import re

HUB = "docker.io"
ALIASES = ("index.docker.io", "registry-1.docker.io")
_HOSTED = re.compile(r"^([^/]*[.:][^/]*|localhost)/")
_TAG = re.compile(r":[^/:]*$")
_PORT = re.compile(r"^([^/:]*):[0-9]+(/|$)")


def normalised(image: str) -> str:
    """Return host and path of an image, without tag and digest: docker.io/library/nginx."""
    name = _TAG.sub("", image.lower().split("@")[0])
    if not _HOSTED.match(name):
        name = f"{HUB}/{name}" if "/" in name else f"{HUB}/library/{name}"
    name = folded(name)
    path = name.removeprefix(f"{HUB}/")
    return f"{HUB}/library/{path}" if path != name and "/" not in path else name


def folded(entry: str) -> str:
    """Return a registry, or what lies in one, under the one name that its host goes by."""
    host, slash, path = entry.partition("/")
    host = host.removesuffix(":443")
    return f"{HUB if host in ALIASES else host}{slash}{path}"


def portless(name: str) -> str:
    """Return a name without its port: what is denied is denied on every port."""
    return _PORT.sub(r"\1\2", name)


def covers(entry: str, name: str) -> bool:
    """Whether an entry covers a name: itself or a path above it, by whole components."""
    return name == entry or name.startswith(f"{entry}/")


def permitted(image: str, allow: list[str] | None, deny: list[str]) -> bool:
    """Whether an image may run; `allow` is None where everything is allowed. deny wins."""
    name = normalised(image)
    names = (name, portless(name))
    if any(covers(folded(entry), each) for entry in deny for each in names):
        return False
    return allow is None or any(covers(folded(entry), name) for entry in allow)
