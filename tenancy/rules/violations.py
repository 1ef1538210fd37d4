"""What breaks a restriction, and what the cluster then has to say: for proofs and for tests. Pure.

A violation is a manifest that the API server finds valid but for the rule. Only kinds are used that
KubeNova may make in a namespace of a project: what is tried there is tried in its own name.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from reconcile.values import JSON
from tenancy.rules import cel, named
from tenancy.rules.admission import ENFORCED
from tenancy.rules.encoding import encoded
from tenancy.rules.guards import CORDON, cordoned_message
from tenancy.rules.images import permitted
from tenancy.rules.merging import serves
from tenancy.rules.trying import MARK, PULLED, Made, service, unlisted, workload
from tenancy.rules.values import IMAGE_REFERENCES, PULL_POLICIES, SERVICE_TYPES
from tenancy.rules.violations_network import network
from tenancy.rules.violations_workloads import MADE


@dataclass(frozen=True)
class Violation:
    """A manifest without namespace, the policy that has to refuse it, and with which message."""

    policy: str
    manifest: JSON
    message: str

    @property
    def refusal(self) -> str:
        """What the API server's answer contains when this policy has refused it for this reason."""
        named = f"ValidatingAdmissionPolicy '{self.policy}' with binding '{self.policy}'"
        return f"{named} denied request: {self.message}"


def violation(kind: str, value: object) -> Violation | None:
    """Return what breaks a value without problems; None where nothing does.

    That is so for a list of everything there is, and for a kind that no policy enforces.
    """
    make = _MADE.get(kind)
    made = make(value) if make else None
    if made is None:
        return None
    refused, manifest = made
    policy = cel.policy_name(kind)
    manifest["metadata"] = {"name": f"{cel.PROOF}{policy}"}
    return Violation(policy, manifest, _message(kind, value, refused))


def violations(rules: Mapping[str, Any]) -> Iterator[tuple[str, Violation]]:
    """Yield what breaks restrictions, by kind; of rules in CEL one for each."""
    for kind, value in rules.items():
        if kind == named.NAMED:
            yield from ((kind, Violation(*each)) for each in named.proofs(value))
        elif found := violation(kind, value):
            yield kind, found


def cordon_violation() -> Violation:
    """Return what a cordoned namespace does not take."""
    meta: JSON = {"name": f"{cel.PROOF}{CORDON}"}
    manifest: JSON = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}
    return Violation(CORDON, manifest, cordoned_message())


def _message(kind: str, value: object, refused: str) -> str:
    how = ENFORCED[kind]
    if how.told:
        before, after = how.told
        return f"{before}{refused}{after}"
    allowed = encoded({kind: value}).get(how.keys[0], "")
    return cel.told(how.noun, refused, [line for line in allowed.split("\n") if line], how.missing)


def _image(value: Mapping[str, Sequence[str]]) -> Made | None:
    allow, deny = value.get("allow"), list(value.get("deny", ()))
    if allow is None:
        image = f"{deny[0]}/kubenova-proof" if deny else ""
    else:
        tried = (f"kubenova-proof-{number}.invalid/proof" for number in count())
        image = next(each for each in tried if not permitted(each, list(allow), deny))
    return (image, workload(image=image)) if image else None


def _reference(value: Sequence[str]) -> Made | None:
    if not (sort := unlisted(value, IMAGE_REFERENCES)):
        return None
    image = f"{PULLED}@sha256:{'0' * 64}" if sort == "digest" else PULLED
    return image, workload(image=image)


def _pull_policy(value: Sequence[str]) -> Made | None:
    policy = unlisted(value, PULL_POLICIES)
    return (policy, workload(pull_policy=policy)) if policy else None


def _service(value: Sequence[str]) -> Made | None:
    sort = unlisted(value, SERVICE_TYPES)
    if not sort:
        return None
    if sort == "ExternalName":
        return sort, service(type=sort, externalName="kubenova-proof.invalid")
    return sort, service(type=sort, selector=MARK, ports=[{"port": 80}])


def _ingress_class(value: Sequence[str]) -> Made:
    name = unlisted(value)
    return name, _ingress(name=name)


def _ingress_host(value: Sequence[str]) -> Made:
    tried = (f"proof.kubenova-{number}.invalid" for number in count())
    host = next(each for each in tried if not any(serves(wide, each) for wide in value))
    return host, _ingress(host=host)


def _storage_class(value: Sequence[str]) -> Made:
    name = unlisted(value)
    spec = {
        "storageClassName": name,
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Mi"}},
    }
    return name, workload("StatefulSet", claims=[{"metadata": {"name": "proof"}, "spec": spec}])


def _priority_class(value: Sequence[str]) -> Made:
    name = unlisted(value)
    return name, workload(pod={"priorityClassName": name})


def _runtime_class(value: Sequence[str]) -> Made:
    name = unlisted(value)
    return name, workload(pod={"runtimeClassName": name})


def _nodes(value: Mapping[str, str]) -> Made | None:
    lines = ", ".join(f"{key}={text}" for key, text in sorted(value.items()))
    return (lines, workload()) if lines else None


def _ingress(*, host: str = "proof.kubenova.invalid", name: str = "") -> JSON:
    backend: JSON = {"service": {"name": "proof", "port": {"number": 80}}}
    path: JSON = {"path": "/", "pathType": "Prefix", "backend": backend}
    spec: JSON = {"rules": [{"host": host, "http": {"paths": [path]}}]}
    if name:
        spec["ingressClassName"] = name
    return {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "spec": spec}


_MADE: Mapping[str, Callable[[Any], Made | None]] = {
    "image_registries": _image,
    "image_references": _reference,
    "image_pull_policies": _pull_policy,
    "service_types": _service,
    "ingress_classes": _ingress_class,
    "ingress_hosts": _ingress_host,
    "storage_classes": _storage_class,
    "priority_classes": _priority_class,
    "runtime_classes": _runtime_class,
    "node_selector": _nodes,
    "network": network,
    **MADE,
}
