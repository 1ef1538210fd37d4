"""What secrets may be called and hold, and where an app refers to one. Pure.

No text repeats a value. Sources: Kubernetes' validation of Secrets (keys, 1 MiB in all), its
reference of `secretKeyRef`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from delivery.rules.schema import Path, Problem
from reconcile.values import JSON

MAX_SECRETS = 200  # of a project
MAX_KEYS = 256
MAX_BYTES = 1_048_576
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}", re.ASCII)
_REF, _STORED = "secretKeyRef", "secretKey"
_RESERVED = ("kubenova", "default-token", "sh-helm")


def name_fault(name: str) -> str:
    """Say why people may not call a secret so, in a sentence; empty when they may."""
    if any(name == word or name.startswith(f"{word}-") for word in _RESERVED):
        return "Names of this beginning are used by the platform. Choose another."
    return ""


def value_problems(values: object) -> list[Problem]:
    """Return what is wrong with the values of a secret by their keys; empty when nothing is."""
    if not isinstance(values, Mapping):
        return [Problem((), "type", "Use an object of texts by their keys.")]
    if not values:
        return [Problem((), "required", "Give at least one key.")]
    if len(values) > MAX_KEYS:
        return [Problem((), "too_many", f"A secret may have at most {MAX_KEYS} keys.")]
    found = [
        Problem((str(key),), *fault)
        for key, value in values.items()
        if (fault := _fault(key, value))
    ]
    if found:
        return found
    size = sum(len(key.encode()) + len(value.encode()) for key, value in values.items())
    if size > MAX_BYTES:
        return [Problem((), "too_large", f"A secret may hold at most {MAX_BYTES} bytes in all.")]
    return []


def _fault(key: object, value: object) -> tuple[str, str] | None:
    if not isinstance(key, str) or not _KEY.fullmatch(key) or key == "." or key.startswith(".."):
        text = "Use a key of at most 253 letters, digits, '-', '_' and '.', not '.' or '..' first."
        return "key", text
    if not isinstance(value, str):
        return "type", "Use a text."
    if any(sign == "\0" or "\ud800" <= sign <= "\udfff" for sign in value):
        return "value", "A text may hold neither NUL nor half of a surrogate pair."
    return None


class SecretUse(NamedTuple):
    """Where a component refers to a secret of its project; `path` leads there.

    `key` is empty where all of it is mounted as files.
    """

    path: Path
    name: str
    key: str

    def places(self) -> tuple[Path, Path]:
        """Where the name is written, and where the key."""
        if self.path[-1] == _REF:
            return (*self.path, "name"), (*self.path, "key")
        return (*self.path, _STORED), (*self.path, _STORED)


def secret_uses(value: object, path: Path = ()) -> Iterator[SecretUse]:
    """Yield every use of a secret in components, wherever it stands; optional ones as well.

    That is a `secretKeyRef`, a volume or certificate by its `secretName`, and what the trait
    `storage` has under `secret`.
    """
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from secret_uses(item, (*path, index))
    if not isinstance(value, dict):
        return
    for key, item in value.items():
        if key == _REF and isinstance(item, dict):
            yield SecretUse((*path, key), str(item.get("name", "")), str(item.get("key", "")))
        elif key == "secretName" and isinstance(item, str):
            yield SecretUse((*path, key), item, "")
        else:
            stored = item if key == "secret" and isinstance(item, list) else ()
            yield from _stored(stored, (*path, key))
            yield from secret_uses(item, (*path, key))


def _stored(items: Sequence[object], path: Path) -> Iterator[SecretUse]:
    """What the trait `storage` takes of secrets: files, and variables by their keys."""
    for index, item in enumerate(items):
        if not isinstance(item, dict) or "secretName" in item:
            continue
        name, place = str(item.get("name", "")), (*path, index)
        if "mountPath" in item:
            yield SecretUse(place, name, "")
        one, several = item.get("mountToEnv"), item.get("mountToEnvs")
        variables = [((*place, "mountToEnv"), one)]
        variables += [
            ((*place, "mountToEnvs", number), each)
            for number, each in enumerate(several if isinstance(several, list) else ())
        ]
        for where, each in variables:
            if isinstance(each, dict) and _STORED in each:
                yield SecretUse(where, name, str(each[_STORED]))


def use_problems(components: object, known: Mapping[str, Mapping[str, object]]) -> list[Problem]:
    """Return the references that lead nowhere; `known` holds the keys of each secret by name.

    What is mounted as files may be made by others, such as an issuer of certificates.
    """
    found = []
    for use in filter(lambda use: use.key, secret_uses(components)):
        name_place, key_place = use.places()
        if use.name not in known:
            text = (
                f"The project has no secret {use.name[:63]!r}. Make it first: "
                f"PUT …/secrets/{use.name[:63]} with its keys under `data`."
            )
            found.append(Problem(name_place, "unknown", text))
        elif use.key not in known[use.name]:
            keys = ", ".join(sorted(known[use.name])[:20])
            text = f"Secret {use.name} has no such key. It has {keys}."
            found.append(Problem(key_place, "unknown", text))
    return found


def names_used(*specs: JSON | list[JSON]) -> set[str]:
    """Name the secrets that components, or whatever holds some, refer to."""
    return {use.name for spec in specs for use in secret_uses(spec)}
