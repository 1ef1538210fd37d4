"""What a simulation sends to a cluster, and what it makes of the answer. Pure.

A live object is tried as a copy without what the cluster has filled in. The copy is created by dry
run in a namespace whose parameters warn of the rules, so that one answer names every rule it breaks
(of what refuses, the API server names the first alone). The policies are the ones that refuse.
"""

import copy
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from clusters.intents import SIMULATION_NAMESPACE
from clusters.kinds import (
    CONFIG_MAP,
    CRON_JOB,
    DAEMON_SET,
    DEPLOYMENT,
    INGRESS,
    JOB,
    NAMESPACE,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    REPLICA_SET,
    SERVICE,
    STATEFUL_SET,
)
from clusters.rule_names import rule_of
from policies.rules import foreseeing, profiles
from policies.rules.values import Broken
from reconcile.planning.values import PLAN_NAMESPACE
from reconcile.values import JSON, Kind, Live, Ref, ref_of
from tenancy.rules import cel
from tenancy.rules.admission import ENFORCED
from tenancy.rules.encoding import encoded
from tenancy.rules.modes import CONFIG_MAPS, Mode
from tenancy.rules.named import NAMED
from tenancy.rules.network_bounds import NETWORK
from tenancy.rules.violations import violations

SUFFIX = "-kn-sim"
_LONGEST = 52 - len(SUFFIX)  # a CronJob's name is the shortest
_KINDS: Sequence[Kind] = (
    *(DEPLOYMENT, STATEFUL_SET, DAEMON_SET, CRON_JOB, JOB, REPLICA_SET, POD),
    *(SERVICE, INGRESS, PERSISTENT_VOLUME_CLAIM),
)
# What KubeNova may not make itself, or nobody should: their template is tried in a Deployment.
_AS_DEPLOYMENT = (POD, REPLICA_SET)
_TRIED = (CONFIG_MAP, *_KINDS)
# Stands for what apps are to become: nothing of it is on the cluster.
NEXT_REVISIONS = Kind("kubenova.io/v1", "Revision", "revisions")
_WORKLOADS = frozenset((kind.api_version, kind.name) for kind in _KINDS[:6])
_MARK = {"kubenova.io/simulation": "tried"}
_FILLED_IN: Mapping[Kind, Sequence[str]] = {
    SERVICE: ("clusterIPs", "healthCheckNodePort"),
    PERSISTENT_VOLUME_CLAIM: ("volumeName",),
    JOB: ("selector", "manualSelector"),
}
_OF_JOBS = re.compile(r"^(batch\.kubernetes\.io/)?(controller-uid|job-name)$")
_OF_PODS = ("activeDeadlineSeconds", "ephemeralContainers", "nodeName", "priority")
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_SAID = re.compile(
    r"^Validation failed for ValidatingAdmissionPolicy '([^']+)' with binding '\1-warn': (.*)$",
    re.DOTALL,
)


@dataclass(frozen=True)
class Subject:
    """A live object that is tried: what people know it by, and the copy that is sent.

    `tried` is the kind of the object itself, whatever it is copied as.
    """

    kind: str
    name: str
    ref: Ref
    manifest: JSON
    tried: Kind


def replayed(rules: Mapping[str, object]) -> list[Kind]:
    """Return the kinds whose objects the rules concern, those that own others first.

    Namespaces are asked themselves which of their pods break a profile. After what is tried comes
    what is computed, at last what the next revisions of apps would make.
    """
    asked = [NAMESPACE] if profiles.RULE in rules else []
    tried = [kind for kind in _KINDS if any(concerns(rule, kind) for rule in rules)]
    judged = [kind for kind, rule in foreseeing.KINDS.items() if rule in rules]
    coming = [NEXT_REVISIONS] if tried else []
    return asked + tried + judged + coming


def behind(place: int, kind: int, token: str, kinds: int) -> JSON:
    """Return where the page begins that comes behind one of a namespace and kind."""
    if token:
        return {"place": place, "kind": kind, "token": token}
    if kind + 1 < kinds:
        return {"place": place, "kind": kind + 1, "token": ""}
    return {"place": place + 1, "kind": 0, "token": ""}


def concerns(rule: str, kind: Kind) -> bool:
    """Whether the rule governs objects of a kind; of what is copied as another, by its template."""
    if rule == NAMED:  # which kinds it governs is known on clusters
        return kind not in _AS_DEPLOYMENT
    how = ENFORCED.get(rule)
    if how is None or (how.everything and kind in _AS_DEPLOYMENT):
        return False
    return how.everything or any(
        kind.api_version == (f"{group}/v1" if group else "v1") and kind.plural in plurals
        for group, plurals in how.resources
    )


def parameters(rules: Mapping[str, object]) -> list[tuple[Ref, JSON]]:
    """Return the ConfigMaps by which the rules warn in the namespace, and nothing refuses.

    Where the one that refuses is missing, policies let nothing be made: it is there, and empty.
    """
    data: Mapping[Mode, dict[str, str]] = {Mode.ENFORCE: {}, Mode.WARN: encoded(rules)}
    return [(parameters_at(mode), _config_map(mode, found)) for mode, found in data.items()]


def parameters_at(mode: Mode) -> Ref:
    """Where the parameters of a mode lie."""
    return Ref(CONFIG_MAP, SIMULATION_NAMESPACE, CONFIG_MAPS[mode])


def _config_map(mode: Mode, data: Mapping[str, str]) -> JSON:
    meta: JSON = {"name": CONFIG_MAPS[mode], "namespace": SIMULATION_NAMESPACE}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": dict(data)}


def trials(rules: Mapping[str, object]) -> list[tuple[Ref, JSON, Broken]]:
    """Return what the cluster has to warn of before anything that it says is believed."""
    found = []
    tried = {rule: value for rule, value in sorted(rules.items()) if rule != NETWORK}
    for rule, broken in violations(tried):
        meta = {**broken.manifest["metadata"], "namespace": SIMULATION_NAMESPACE}
        manifest = {**broken.manifest, "metadata": meta}
        expected = Broken(rule, _told(broken.policy, broken.message))
        found.append((ref_of(manifest, _TRIED), manifest, expected))
    return found


def subjects(live: Iterable[Live]) -> Iterator[Subject]:
    """Yield what is to be tried of live objects, each workload once.

    What another workload controls is tried with that one. What something else controls is named
    after it: that is what somebody would have to change. Nothing runs by an emptied ReplicaSet.
    """
    for each in live:
        meta, kind = each.body["metadata"], each.ref.kind
        emptied = kind == REPLICA_SET and not (each.body.get("spec") or {}).get("replicas")
        owners = meta.get("ownerReferences") or ()
        owner = next((one for one in owners if one.get("controller")), None)
        if "deletionTimestamp" in meta or (emptied and owner):
            continue
        if owner is None:
            yield _subject(each, kind.name, each.ref.name)
        elif (owner.get("apiVersion"), owner.get("kind")) not in _WORKLOADS:
            yield _subject(each, str(owner.get("kind", "")), str(owner.get("name", "")))


def alone(pods: Iterable[Live], named: Collection[str]) -> list[Subject]:
    """Return what tells of pods, beside those named, whether each breaks the strictest profile.

    They are what nothing else makes, and are tried where plans are: there it is warned of.
    """
    bare = [each for each in pods if each.ref.name not in named and not _controlled(each)]
    return [_at_plans(each) for each in subjects(bare)]


def _controlled(live: Live) -> bool:
    owners = live.body["metadata"].get("ownerReferences") or ()
    return any(each.get("controller") for each in owners)


def _at_plans(subject: Subject) -> Subject:
    meta = {**subject.manifest["metadata"], "namespace": PLAN_NAMESPACE}
    ref = subject.ref._replace(namespace=PLAN_NAMESPACE)
    return replace(subject, ref=ref, manifest={**subject.manifest, "metadata": meta})


def planned(rules: Mapping[str, object], manifests: Iterable[JSON]) -> list[Subject]:
    """Return what is to be tried of manifests that are on no cluster yet."""
    known = {(kind.api_version, kind.name) for kind in replayed(rules)}
    wanted = [each for each in manifests if (each["apiVersion"], each["kind"]) in known]
    return [*subjects(Live(ref_of(each, _KINDS), each) for each in wanted)]


def _subject(live: Live, kind: str, name: str) -> Subject:
    ref = Ref(_made_as(live.ref.kind), SIMULATION_NAMESPACE, _copied_name(live.ref.name))
    return Subject(kind[:63], name[:253], ref, copy_of(live, ref), live.ref.kind)


def _made_as(kind: Kind) -> Kind:
    return DEPLOYMENT if kind in _AS_DEPLOYMENT else kind


def _copied_name(name: str) -> str:
    """Policies leave alone what is tried as a proof: no copy may be called so."""
    if name.startswith(cel.PROOF):
        name = f"a-{name}"
    return name[:_LONGEST].rstrip("-.") + SUFFIX


def copy_of(live: Live, ref: Ref) -> JSON:
    """Return the object as somebody would create it, under the name of `ref`."""
    body, kind = copy.deepcopy(live.body), live.ref.kind
    spec: JSON = body.get("spec") or {}
    if kind in _AS_DEPLOYMENT:
        spec = _deployment(kind, body["metadata"], spec)
    for name in _FILLED_IN.get(kind, ()):
        spec.pop(name, None)
    if kind == SERVICE:
        _forget_addresses(spec)
    if kind == JOB:
        _forget_labels((spec.get("template") or {}).get("metadata") or {})
    meta: JSON = {"name": ref.name, "namespace": ref.namespace}
    for part in ("labels", "annotations"):
        kept = {key: text for key, text in (body["metadata"].get(part) or {}).items()}
        kept.pop(_LAST_APPLIED, None)
        if kept:
            meta[part] = kept
    if kind == JOB:
        _forget_labels(meta)
    return {
        "apiVersion": ref.kind.api_version,
        "kind": ref.kind.name,
        "metadata": meta,
        "spec": spec,
    }


def _deployment(kind: Kind, meta: JSON, spec: JSON) -> JSON:
    alone = {"metadata": meta, "spec": spec}
    template, replicas = (
        (alone, 0) if kind == POD else (spec.get("template", {}), spec.get("replicas", 1))
    )
    pod = {key: value for key, value in template.get("spec", {}).items() if key not in _OF_PODS}
    meta = template.get("metadata") or {}
    marks = {"labels": {**(meta.get("labels") or {}), **_MARK}}
    if annotations := meta.get("annotations"):
        marks["annotations"] = annotations
    return {
        "replicas": replicas,
        "selector": {"matchLabels": _MARK},
        "template": {"metadata": marks, "spec": {**pod, "restartPolicy": "Always"}},
    }


def _forget_addresses(spec: JSON) -> None:
    """A Service without an address of its own stays one; others get theirs from the cluster."""
    if spec.get("clusterIP") != "None":
        spec.pop("clusterIP", None)
    for port in spec.get("ports") or ():
        port.pop("nodePort", None)


def _forget_labels(meta: JSON) -> None:
    """The cluster gives Jobs and their pods these itself, and refuses those of others."""
    kept = {
        key: text for key, text in (meta.get("labels") or {}).items() if not _OF_JOBS.match(key)
    }
    meta["labels"] = kept
    meta.pop("creationTimestamp", None)


def broken_in(warnings: Iterable[str]) -> list[Broken]:
    """Return the rules that an object breaks, by what the API server has warned of.

    Each kind of rules once: of those in CEL, one tells of all that are broken.
    """
    kinds = {cel.policy_name(rule): rule for rule in ENFORCED}
    found: dict[str, list[str]] = {}
    for hit in filter(None, (_SAID.match(text) for text in warnings)):
        if rule := NAMED if rule_of(hit[1]) else kinds.get(hit[1]):
            found.setdefault(rule, []).append(_told(hit[1], hit[2]))
    return [Broken(rule, " ".join(texts)) for rule, texts in found.items()]


def _told(policy: str, message: str) -> str:
    """A message, with the name of the rule where it is one in CEL."""
    name = rule_of(policy)
    return f"{name}: {message}" if name else message


def holds(expected: Broken, warnings: Iterable[str]) -> bool:
    """Whether the cluster has warned of it, with the values of these rules.

    Long warnings are cut short on their way.
    """
    found = [each for each in broken_in(warnings) if each.rule == expected.rule]
    return any(expected.message.startswith(each.message.rstrip("….")) for each in found)
