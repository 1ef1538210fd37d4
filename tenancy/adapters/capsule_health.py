"""What Capsule tells of a tenant and of what it replicates, as health for people."""

from collections.abc import Mapping, Sequence

from reconcile.values import JSON, Assessment, Health, Live

_LATER = "Capsule has not taken up the tenant yet."
_LONGEST = 300


def assessed(
    tenant: Live,
    owners: Sequence[tuple[str, str]],
    replicated: Sequence[Live],
    *,
    cordoned: bool,
) -> Assessment:
    """Judge a Tenant by its status; `owners` are kinds and names that Capsule has to know.

    A namespace made before Capsule knows its owners is refused, or lands in another tenant.
    """
    status = _dict(tenant.body.get("status"))
    if not _taken_up(tenant, status):
        return Assessment(Health.PROGRESSING, "TenantPending", _LATER)
    if (refusal := _condition(status, "Ready")).get("status") != "True":
        return _not_ready(refusal)
    if waiting := _waiting(status, owners, cordoned=cordoned):
        return Assessment(Health.PROGRESSING, "TenantPending", waiting)
    for live in replicated:
        found = _condition(_dict(live.body.get("status")), "Ready")
        if found.get("status") != "True":
            return _not_ready(found)
    reason = "TenantCordoned" if cordoned else "TenantReady"
    return Assessment(Health.READY, reason, facts={"capsule": {"namespaces": _size(status)}})


def _taken_up(tenant: Live, status: JSON) -> bool:
    generation = tenant.body["metadata"].get("generation", 0)
    observed = status.get("observedGeneration")
    return isinstance(observed, int) and observed >= generation


def _waiting(status: JSON, owners: Sequence[tuple[str, str]], *, cordoned: bool) -> str:
    if status.get("state") == "Terminating":
        return "The tenant is being deleted on the cluster."
    known = {(each.get("kind"), each.get("name")) for each in _dicts(status.get("owners"))}
    unknown = sorted(name for kind, name in owners if (kind, name) not in known)
    if unknown:
        return f"Capsule does not know the owner {', '.join(unknown[:5])} yet."
    if (status.get("state") == "Cordoned") != cordoned:
        return f"Capsule has not {'cordoned' if cordoned else 'opened'} the tenant yet."
    return ""


def _not_ready(condition: Mapping[str, object]) -> Assessment:
    told = str(condition.get("message") or "")[:_LONGEST]
    if condition.get("status") == "False" and told:
        return Assessment(Health.FAILED, "TenantNotReady", f"Capsule: {told}")
    return Assessment(Health.PROGRESSING, "TenantPending", _LATER)


def _size(status: JSON) -> int:
    size = status.get("size")
    return size if isinstance(size, int) else 0


def _condition(status: JSON, kind: str) -> JSON:
    return next((each for each in _dicts(status.get("conditions")) if each.get("type") == kind), {})


def _dict(value: object) -> JSON:
    return value if isinstance(value, dict) else {}


def _dicts(value: object) -> list[JSON]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
