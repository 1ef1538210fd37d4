"""The floor: the same objects written by the same HTTP client with nothing around it."""

import copy
import json
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from _stage import Unsettled

from tenancy.rules.quantities import parse

JSON = dict[str, Any]
THREADS = 16
_APPLY = {"Content-Type": "application/apply-patch+yaml"}
_QUERY = (("fieldManager", "floor"), ("fieldValidation", "Strict"))


def renamed(manifests: Iterable[JSON], old: str, new: str) -> list[JSON]:
    """Return copies in which every name that holds `old` holds `new`: as large, and another's."""
    return [json.loads(json.dumps(each).replace(old, new)) for each in manifests]


def foreign(manifests: Iterable[JSON]) -> list[JSON]:
    """Return copies of a product's objects under names of the floor's own, not marked as ours."""
    return renamed(renamed(manifests, "bench-", "floor-"), '"kubenova"', '"floor"')


def waves(manifests: Iterable[JSON]) -> list[list[JSON]]:
    """What has to exist first comes first: namespaces, then all the rest at once."""
    found: list[list[JSON]] = [[], []]
    for each in manifests:
        found[each["kind"] != "Namespace"].append(each)
    return [wave for wave in found if wave]


def differing(wanted: object, live: object, path: str = "") -> list[str]:
    """Return the paths at which a live object lacks what is wanted; more than wanted is fine.

    Items of a list are compared by their place: what is wanted here has no lists that are merged.
    """
    if isinstance(wanted, dict):
        if not isinstance(live, dict):
            return [path or "."]
        keys = [(key, f"{path}.{key}") for key in wanted]
        return [at for key, below in keys for at in differing(wanted[key], live.get(key), below)]
    if isinstance(wanted, list):
        if not isinstance(live, list) or len(live) != len(wanted):
            return [path]
        pairs = enumerate(zip(wanted, live, strict=True))
        return [at for n, (a, b) in pairs for at in differing(a, b, f"{path}[{n}]")]
    return [] if wanted == live or _same_quantity(wanted, live) else [path]


def _same_quantity(wanted: object, live: object) -> bool:
    """Whether the server has only written it differently, as it does with `1000m`."""
    try:
        return parse(str(wanted)) == parse(str(live))
    except ValueError:
        return False


class Raw:
    """An API server, written to by threads that do nothing else."""

    def __init__(self, kubeconfig: Path, threads: int = THREADS) -> None:
        from clusters.kubeconfig import parse
        from clusters.rules import address_rules
        from clusters.transport import Transport

        rules = address_rules()
        self._transport = Transport(parse(kubeconfig.read_bytes(), rules), rules)
        self._pool = ThreadPoolExecutor(threads)

    def apply(self, manifests: Sequence[JSON]) -> None:
        """Apply them all, as fast as the server takes them. Raises Unsettled for a refusal."""
        for wave in waves(manifests):
            for answer in self._pool.map(self.one, wave):
                if answer["kind"] == "Status":
                    raise Unsettled(f"the floor was refused: {answer.get('message')}")

    def one(self, manifest: JSON, *, force: bool = False) -> JSON:
        """Apply one object; return the answer."""
        from clusters.objects import encode
        from clusters.paths import item

        answer = self._transport.request(
            "PATCH",
            item(_ref(manifest)),
            (*_QUERY, ("force", "true" if force else "false")),
            body=encode(manifest),
            headers=_APPLY,
        )
        found: JSON = json.loads(answer.body)
        return found

    def get(self, manifest: JSON) -> JSON:
        """Return the live object of a manifest, or what the server says where there is none."""
        from clusters.paths import item

        found: JSON = json.loads(self._transport.request("GET", item(_ref(manifest))).body)
        return found

    def path(self, manifest: JSON) -> str:
        """Where an object lives."""
        from clusters.paths import item, target

        return target(item(_ref(manifest)))

    def live(self, manifests: Iterable[JSON]) -> Callable[[JSON], JSON | None]:
        """List every kind among them; return how to find the live object of a manifest."""
        from clusters.paths import collection

        found: dict[tuple[str, str, str], JSON] = {}
        for kind in {_ref(each).kind for each in manifests}:
            answer = self._transport.request("GET", collection(kind))
            for body in json.loads(answer.body)["items"]:
                found[_key({"kind": kind.name, **body})] = body
        return lambda manifest: found.get(_key(manifest))

    def verify(self, manifests: Sequence[JSON]) -> None:
        """Raise Unsettled unless every object is there with every field."""
        live = self.live(manifests)
        for each in manifests:
            body = live(each)
            missing = differing(without_type(each), body) if body else ["."]
            if missing:
                raise Unsettled(f"{_key(each)} is not as wanted: {missing}")


def without_type(manifest: JSON) -> JSON:
    """Items of a list do not say what they are."""
    body = copy.copy(manifest)
    del body["apiVersion"], body["kind"]
    return body


def _key(body: JSON) -> tuple[str, str, str]:
    meta = body["metadata"]
    return body["kind"], meta.get("namespace", ""), meta["name"]


def _ref(manifest: JSON) -> Any:
    from clusters.adapters.kubevela import APPLICATION
    from reconcile.values import ref_of
    from tenancy.adapters.native import NativeProjects, NativeTenants

    return ref_of(manifest, (*NativeTenants.kinds, *NativeProjects.kinds, APPLICATION))
