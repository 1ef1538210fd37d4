"""Puts a bundle onto a cluster, object by object, and looks whether it works. Decides no order.

What is put there is the operator's: it carries no label of KubeNova's, is not watched for drift
and never removed.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from clusters.bundles import Bundle, Item, Wave, defined
from clusters.discovery import Kinds
from clusters.kinds import CUSTOM_RESOURCE_DEFINITION, DEPLOYMENT, NAMESPACE
from clusters.reachable import Reachable
from reconcile.drift import Difference, differences
from reconcile.errors import ClusterError, Conflict, Missing, Refused, Taken, Unreachable, Waiting
from reconcile.lanes import parallel
from reconcile.ownership import owners_of
from reconcile.planning.values import Checked, PlannedObject, Trial, shown
from reconcile.values import JSON, MANAGED_BY, MANAGER, OWNER, Live, Ref, Verb, Why, digest

AT_ONCE = 16
_FROM_THE_START = frozenset({"default", "kube-system", "kube-public", "kube-node-lease"})


@dataclass(frozen=True)
class Placed:
    """An object of a bundle where it goes: `manifest` is what is sent."""

    item: Item
    ref: Ref
    manifest: JSON


def place(item: Item, kinds: Kinds, namespace: str) -> Placed | None:
    """Return where an object goes, None while its kind is not served.

    `namespace` is where objects go that name none.
    """
    kind = kinds.get((item.api_version, item.kind))
    if kind is None:
        return None
    where = (item.namespace or namespace) if kind.namespaced else ""
    meta = {key: value for key, value in item.body["metadata"].items() if key != "namespace"}
    manifest = {**item.body, "metadata": meta | ({"namespace": where} if where else {})}
    return Placed(item, Ref(kind, where, item.name), manifest)


def homes(bundle: Bundle, kinds: Kinds, namespace: str) -> list[str]:
    """Name the namespaces that the bundle writes into and does not bring."""
    own = {item.name for item in bundle.wave(Wave.NAMESPACES)}
    placed = (place(item, kinds, namespace) for item in bundle.items)
    found = {each.ref.namespace for each in placed if each and each.ref.namespace}
    return sorted(found - own - _FROM_THE_START)


def make_homes(api: Reachable, names: Sequence[str]) -> None:
    """Create the namespaces that are not there. Raises Waiting while one is on its way out."""
    for name in names:
        ref = Ref(NAMESPACE, "", name)
        live = api.get(ref)
        if live and live.terminating:
            raise Waiting(f"{ref} is still on its way out.")
        if live is None:
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            api.apply(ref, body)


def put(api: Reachable, placed: Placed, *, force: bool, dry_run: bool = False) -> Live:
    """Apply one object. Raises ClusterError that names it; KubeNova's own is never written."""
    _refuse_ours(api.get(placed.ref))
    try:
        return api.apply(placed.ref, placed.manifest, force=force, dry_run=dry_run)
    except Conflict as conflict:
        holders = sorted({field.manager for field in conflict.fields})
        if not holders:
            raise
        raise Taken(
            f"{placed.item}: {', '.join(holders)} holds fields of it. Send the bundle with "
            '`"force": true` to take them over.'
        ) from None
    except Refused as refused:
        raise type(refused)(f"{placed.item}: {refused.message}") from None


def carry_out(api: Reachable, placed: Placed, *, force: bool) -> None:
    """Apply one object, or take it away. Raises ClusterError that names it."""
    if not placed.item.absent:
        put(api, placed, force=force)
    elif live := going(api, placed):
        api.delete(placed.ref, live.uid)


def going(api: Reachable, placed: Placed) -> Live | None:
    """Return the object that is to go; None where it is gone, or is none that was put there."""
    live = api.get(placed.ref)
    if live is None or live.terminating:
        return None
    return live if any(owner.ours for owner in owners_of(live.body)) else None


def _refuse_ours(live: Live | None) -> None:
    if live and (live.labels.get(MANAGED_BY) == MANAGER or OWNER in live.labels):
        raise Taken(f"{live.ref} is KubeNova's own: take it out of the bundle.")


def missing_kinds(items: Collection[Item], kinds: Kinds) -> list[str]:
    """Name the kinds of some objects that the cluster does not serve."""
    return sorted(
        {f"{i.kind} of {i.api_version}" for i in items if (i.api_version, i.kind) not in kinds}
    )


def unready(api: Reachable, bundle: Bundle, wave: Wave, kinds: Kinds, namespace: str) -> list[str]:
    """Say what has to happen before the next wave, in sentences. Raises ClusterError."""
    items = bundle.wave(wave)
    if wave is Wave.DEFINITIONS:
        found = parallel(lambda item: _unestablished(api, item, kinds), items)
    elif wave is Wave.OBJECTS:
        deployments = [item for item in items if item.kind == DEPLOYMENT.name]
        found = parallel(lambda item: _unavailable(api, item, namespace), deployments)
    else:
        found = []
    return [told for told in found if told]


def _unestablished(api: Reachable, item: Item, kinds: Kinds) -> str:
    live = api.get(Ref(CUSTOM_RESOURCE_DEFINITION, "", item.name))
    if live is None or not _is_true(live, "Established"):
        return f"{item.name} is not established yet."
    lacking = [each for each in defined(item) if (each.api_version, each.name) not in kinds]
    return f"{lacking[0].name} is not served yet." if lacking else ""


def _unavailable(api: Reachable, item: Item, namespace: str) -> str:
    ref = Ref(DEPLOYMENT, item.namespace or namespace, item.name)
    live = api.get(ref)
    status = (live.body.get("status") or {}) if live else {}
    generation = live.body["metadata"].get("generation", 0) if live else 0
    behind = status.get("observedGeneration", generation) < generation
    if live is None or behind or not _is_true(live, "Available"):
        return f"{ref} is not available yet."
    return ""


def _is_true(live: Live, condition: str) -> bool:
    found = (live.body.get("status") or {}).get("conditions")
    return any(
        isinstance(each, dict) and each.get("type") == condition and each.get("status") == "True"
        for each in (found if isinstance(found, list) else ())
    )


@dataclass(frozen=True)
class Rehearsal:
    """What a bundle would do: its writes, and a hash over what they are based on."""

    objects: tuple[PlannedObject, ...]
    hash: str


def rehearse(api: Reachable, bundle: Bundle, namespace: str, *, row: str, force: bool) -> Rehearsal:
    """Try every object by dry run; nothing is written.

    Raises ClusterError when the cluster does not answer.
    """
    kinds = api.kinds()

    def tried(item: Item) -> tuple[PlannedObject | None, list[str]]:
        return _try(api, item, kinds, namespace, row=row, force=force)

    found = parallel(tried, bundle.items)
    objects = tuple(planned for planned, _ in found if planned)
    return Rehearsal(objects, digest([basis for _, basis in found]))


def _try(
    api: Reachable, item: Item, kinds: Kinds, namespace: str, *, row: str, force: bool
) -> tuple[PlannedObject | None, list[str]]:
    placed = place(item, kinds, namespace)
    basis = [item.key, item.hash]
    if placed is None:
        return None, basis
    before = going(api, placed) if item.absent else api.get(placed.ref)
    basis += [before.uid, before.fp] if before else []
    if item.absent:
        trial = Trial(Checked.NONE, message="A deletion is not tried.")
        gone = PlannedObject(row, Verb.DELETE, Why.UNWANTED, placed.ref, trial)
        return (gone if before else None), basis
    trial = _trial(api, placed, force=force)
    why = Why.CHANGED if before else Why.NEW
    fields: tuple[Difference, ...] = ()
    manifest = None if before else shown(placed.ref, placed.manifest)
    if before and trial.after:
        fields = tuple(differences(before.body, trial.after.body, placed.ref))
        if not fields:
            return None, basis
    return PlannedObject(row, Verb.APPLY, why, placed.ref, trial, fields, manifest), basis


def _trial(api: Reachable, placed: Placed, *, force: bool) -> Trial:
    ref = placed.ref
    if ref.namespace and api.get(Ref(NAMESPACE, "", ref.namespace)) is None:
        return Trial(Checked.NONE, message="Its namespace does not exist yet.")
    try:
        after = put(api, placed, force=force, dry_run=True)
    except Unreachable:
        raise
    except ClusterError as error:
        return Trial(Checked.SERVER, denial=error.message)
    return Trial(Checked.SERVER, after, warnings=after.warnings)


def unserved(bundle: Bundle, kinds: Kinds, wave: Wave) -> Missing | None:
    """The error of objects whose kinds neither the cluster serves nor the bundle brings."""
    foreign = [
        item for item in bundle.wave(wave) if (item.api_version, item.kind) not in bundle.brings
    ]
    lacking = missing_kinds(foreign, kinds)
    if not lacking:
        return None
    return Missing(f"The cluster does not serve {', '.join(lacking)}: take it out of the bundle.")


def chunks(items: Sequence[Placed]) -> Iterator[Sequence[Placed]]:
    """Yield so many at a time as are applied at once."""
    for begin in range(0, len(items), AT_ONCE):
        yield items[begin : begin + AT_ONCE]
