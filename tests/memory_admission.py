"""What the admission of an API server warns of and refuses, as far as tests can tell."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from reconcile.values import JSON
from tenancy.rules import cel
from tenancy.rules.admission import ENFORCED
from tenancy.rules.encoding import CORDONED
from tenancy.rules.images import permitted
from tenancy.rules.kinds import KINDS
from tenancy.rules.named import NAMED, proofs
from tenancy.rules.profiles import ENFORCE
from tenancy.rules.violations import cordon_violation, violation, violations

WARN = "pod-security.kubernetes.io/warn"


def warnings_of(labels: Mapping[str, str], body: JSON) -> tuple[str, ...]:
    """Return the warnings for an object with a pod template in a namespace with these labels.

    Of the profile `restricted` as much as a container's own securityContext can break.
    """
    template: JSON = (body.get("spec") or {}).get("template") or {}
    if labels.get(WARN) != "restricted" or not template:
        return ()
    pod: JSON = template.get("spec") or {}
    broken = [fault for container in pod.get("containers", ()) for fault in _faults(pod, container)]
    told = ", ".join(dict.fromkeys(broken))
    return (f'would violate PodSecurity "restricted:latest": {told}',) if told else ()


def existing_warnings(
    before: Mapping[str, str], now: Mapping[str, str], pods: Iterable[JSON]
) -> tuple[str, ...]:
    """Return what the pods of a namespace that comes to enforce `restricted` are warned of."""
    if before.get(ENFORCE) == now.get(ENFORCE) or now.get(ENFORCE) != "restricted":
        return ()
    alike: dict[str, list[str]] = {}
    for body in pods:
        pod: JSON = body.get("spec") or {}
        found = [
            fault for container in pod.get("containers", ()) for fault in _faults(pod, container)
        ]
        if found:
            alike.setdefault(", ".join(dict.fromkeys(found)), []).append(body["metadata"]["name"])
    told = []
    for reasons, (first, *others) in alike.items():
        many = f" (and {len(others)} other pod{'s' if len(others) > 1 else ''})" if others else ""
        told.append(f"{first}{many}: {reasons}")
    head = 'existing pods in namespace "x" violate the new PodSecurity enforce level "restricted"'
    return (head, *told) if told else ()


def _faults(pod: JSON, container: JSON) -> list[str]:
    own: JSON = container.get("securityContext") or {}
    shared: JSON = pod.get("securityContext") or {}
    both: dict[str, Any] = {**shared, **own}
    faults = {
        "allowPrivilegeEscalation != false": own.get("allowPrivilegeEscalation") is not False,
        "unrestricted capabilities": "ALL" not in (own.get("capabilities") or {}).get("drop", ()),
        "runAsNonRoot != true": both.get("runAsNonRoot") is not True,
        "seccompProfile": not both.get("seccompProfile"),
    }
    return [fault for fault, found in faults.items() if found]


def refusal_of(data: Mapping[str, str], manifest: JSON) -> str:
    """Return what a policy says that refuses an object by these parameters; empty when none does.

    Of all that policies refuse only what is tried as a proof: there is no CEL here.
    """
    rules = {
        kind: value
        for kind, value in decoded(data).items()
        if not any(KINDS[kind].problems(value))  # else somebody has scribbled on it
    }
    tried = [each for _, each in violations(rules)]
    tried += [cordon_violation()] if CORDONED in data else []
    name, spec = manifest["metadata"]["name"], manifest.get("spec")
    found = (each for each in tried if each.manifest["metadata"]["name"] == name)
    return next((each.refusal for each in found if each.manifest.get("spec") == spec), "")


def advice_of(data: Mapping[str, str], manifest: JSON) -> tuple[str, ...]:
    """Return what policies warn of that would refuse an object by these parameters.

    Of what is no proof, image registries and Service types are judged.
    """
    name = manifest["metadata"]["name"]
    rules = decoded(data)
    found = list(_named(rules.pop(NAMED, {"rules": []}), name))
    for kind, value in rules.items():
        proof, policy = violation(kind, value), cel.policy_name(kind)
        if name.startswith(cel.PROOF):
            told = proof.message if proof and proof.manifest["metadata"]["name"] == name else ""
        else:
            how = ENFORCED[kind]
            allowed = [line for line in data.get(how.keys[0], "").split("\n") if line]
            refused = _JUDGED[kind](value, manifest) if kind in _JUDGED else ""
            told = cel.told(how.noun, refused, allowed, how.missing) if refused else ""
        if told:
            found.append(_warning(policy, told))
    return tuple(found)


def _warning(policy: str, told: str) -> str:
    start = f"Validation failed for ValidatingAdmissionPolicy '{policy}' with binding"
    return f"{start} '{policy}-warn': {told}"


def _named(value: Mapping[str, list[str]], name: str) -> Iterable[str]:
    """Rules in CEL are broken by their proofs, and by what is called after them."""
    for policy, manifest, message in proofs(value):
        if manifest["metadata"]["name"] == name:
            yield _warning(policy, message)
        elif policy.removeprefix("kubenova-cel-") in name:
            yield _warning(policy, f"{name} breaks it.")


def _refused_image(value: Mapping[str, list[str]], manifest: JSON) -> str:
    spec: JSON = manifest.get("spec") or {}
    pod = (spec.get("template") or {}).get("spec") or {}
    images = [str(each.get("image", "")) for each in pod.get("containers", ())]
    allow, deny = value.get("allow"), value.get("deny", [])
    return next((each for each in images if not permitted(each, allow, deny)), "")


def _refused_service(value: list[str], manifest: JSON) -> str:
    sort = str((manifest.get("spec") or {}).get("type") or "ClusterIP")
    return sort if manifest["kind"] == "Service" and sort not in value else ""


_JUDGED: Mapping[str, Callable[[Any, JSON], str]] = {
    "image_registries": _refused_image,
    "service_types": _refused_service,
}


def decoded(data: Mapping[str, str]) -> dict[str, Any]:
    """Return the restrictions of a ConfigMap `kubenova-rules`, as the policies read them."""
    found: dict[str, Any] = {}
    for key, text in data.items():
        kind, _, part = key.partition(".")
        if part:
            schema = KINDS[kind].schema["properties"][part]
            found.setdefault(kind, {})[part] = _decoded(text, schema["type"])
        elif kind in KINDS:
            found[kind] = _decoded(text, KINDS[kind].schema["type"])
    return found


def _decoded(text: str, sort: str) -> Any:
    lines = [line for line in text.split("\n") if line]
    if sort == "object":
        return {key: value for key, _, value in (line.partition("=") for line in lines)}
    if sort == "string":
        return text
    if sort == "integer":
        return int(text) if text.isdecimal() else text
    return [line.split(" ")[0] for line in lines]
