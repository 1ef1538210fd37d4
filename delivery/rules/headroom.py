"""What an app's pods ask of the quota of their namespace, beyond what they use of it already.

Rules: Kubernetes resource quotas count the requests and limits of every container; what a
container leaves open it gets from the namespace's LimitRange, a request also from its limit.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction

from reconcile.planning.values import Headroom
from reconcile.values import JSON
from tenancy.rules.quantities import measure, write

Demand = Mapping[str, Fraction]

_AMOUNTS = ("cpu", "memory")
_SIDES = (("requests", "defaultRequest"), ("limits", "default"))
_PODS = frozenset({"CronJob", "DaemonSet", "Deployment", "Job", "StatefulSet"})
# The names under which a quota counts objects; some have an old one beside the new.
_COUNTED = {
    "ConfigMap": ("configmaps", "count/configmaps"),
    "CronJob": ("count/cronjobs.batch",),
    "DaemonSet": ("count/daemonsets.apps",),
    "Deployment": ("count/deployments.apps",),
    "HorizontalPodAutoscaler": ("count/horizontalpodautoscalers.autoscaling",),
    "Ingress": ("count/ingresses.networking.k8s.io",),
    "Job": ("count/jobs.batch",),
    "PersistentVolumeClaim": ("persistentvolumeclaims", "count/persistentvolumeclaims"),
    "Service": ("services", "count/services"),
    "StatefulSet": ("count/statefulsets.apps",),
}
_BY_TYPE = {"LoadBalancer": "services.loadbalancers", "NodePort": "services.nodeports"}
_MEBI, _GIBI = 1024**2, 1024**3


def defaults_of(limit_range: JSON) -> JSON:
    """Return what a container gets that says nothing: `requests` and `limits` by resource."""
    items = _map(limit_range, "spec").get("limits") or []
    item: JSON = next((each for each in items if each.get("type") == "Container"), {})
    return {side: _map(item, key) for side, key in _SIDES}


def demand_of(bodies: Iterable[JSON], defaults: JSON) -> dict[str, Fraction]:
    """Sum up what objects ask for, by the resources of a quota: pods, claims, their own number."""
    total: defaultdict[str, Fraction] = defaultdict(Fraction)
    for body in bodies:
        kind = str(body.get("kind", "Deployment"))
        for resource in _COUNTED.get(kind, ()):
            total[resource] += 1
        if kind == "PersistentVolumeClaim":
            for resource, amount in _claimed(_map(body, "spec")):
                total[resource] += amount
        if kind == "Service" and (counted := _BY_TYPE.get(str(_map(body, "spec").get("type")))):
            total[counted] += 1
        if kind in _PODS:
            pods, pod = _pods(kind, body)
            total["pods"] += pods
            for resource, amount in _of_pod(pod, defaults).items():
                total[resource] += pods * amount
    return total


def _pods(kind: str, body: JSON) -> tuple[int, JSON]:
    """How many pods of which spec. A CronJob needs room for a run, though between runs it has none;
    a Job that is done has given its room back; of a DaemonSet the cluster says how many it has.
    """
    spec, status = _map(body, "spec"), _map(body, "status")
    if kind == "CronJob":
        spec = _map(_map(spec, "jobTemplate"), "spec")
    pod = _map(_map(spec, "template"), "spec")
    if kind == "DaemonSet":
        return int(status.get("desiredNumberScheduled", 1)), pod
    if kind == "Job":
        done = any(
            each.get("type") in ("Complete", "Failed") and each.get("status") == "True"
            for each in status.get("conditions") or []
        )
        return 0 if done else int(spec.get("parallelism", 1)), pod
    return int(spec.get("parallelism" if kind == "CronJob" else "replicas", 1)), pod


def _of_pod(pod: JSON, defaults: JSON) -> dict[str, Fraction]:
    """A pod asks for its containers together, or for the greediest init container if that is more.

    Rule: Kubernetes, resource sharing within containers.
    """
    together: defaultdict[str, Fraction] = defaultdict(Fraction)
    for container in pod.get("containers") or []:
        for resource, amount in _asked(_map(container, "resources"), defaults):
            together[resource] += amount
    for container in pod.get("initContainers") or []:
        for resource, amount in _asked(_map(container, "resources"), defaults):
            together[resource] = max(together[resource], amount)
    return together


def _claimed(spec: JSON) -> Iterator[tuple[str, Fraction]]:
    amount = _value(_map(_map(spec, "resources"), "requests").get("storage", "0"))
    yield "requests.storage", amount
    if class_ := spec.get("storageClassName"):
        yield f"{class_}.storageclass.storage.k8s.io/requests.storage", amount
        yield f"{class_}.storageclass.storage.k8s.io/persistentvolumeclaims", Fraction(1)


def _asked(resources: JSON, defaults: JSON) -> Iterator[tuple[str, Fraction]]:
    requests, limits = _map(resources, "requests"), _map(resources, "limits")
    for amount in _AMOUNTS:
        limit = limits.get(amount)
        request = requests.get(amount, limit) or defaults["requests"].get(amount)
        if request is not None:
            yield f"requests.{amount}", _value(request)
            yield amount, _value(request)
        if (limit := limit or defaults["limits"].get(amount)) is not None:
            yield f"limits.{amount}", _value(limit)


def _map(body: JSON, key: str) -> JSON:
    found = body.get(key)
    return found if isinstance(found, dict) else {}


def headroom(namespace: str, quota: JSON, before: Demand, after: Demand) -> list[Headroom]:
    """Compare what a ResourceQuota leaves with how the demand of some objects changes.

    A quota that was not counted yet is taken at its spec, with nothing used.
    """
    status = _map(quota, "status")
    hard = _map(_map(quota, "spec"), "hard") or _map(status, "hard")
    used = _map(status, "used")
    return [
        _room(namespace, resource, str(hard[resource]), str(used.get(resource, "0")), asked)
        for resource in sorted(hard)
        if (asked := _more(resource, before, after)) is not None
    ]


def _more(resource: str, before: Demand, after: Demand) -> Fraction | None:
    if resource not in before and resource not in after:
        return None
    return after.get(resource, Fraction(0)) - before.get(resource, Fraction(0))


def _room(namespace: str, resource: str, hard: str, used: str, asked: Fraction) -> Headroom:
    left = _value(hard) - _value(used) - asked
    more, rest = (_written(value, resource) for value in (asked, left))
    return Headroom(namespace, resource, hard, used, asked=more, left=rest, fits=left >= 0)


def _value(text: object) -> Fraction:
    """A cluster may write what no quantity is: it counts as nothing."""
    try:
        return measure(str(text))
    except ValueError:
        return Fraction(0)


def _written(value: Fraction, resource: str) -> str:
    for size, suffix in ((_GIBI, "Gi"), (_MEBI, "Mi")):
        if resource.endswith(("memory", "storage")) and value and value % size == 0:
            return f"{value // size}{suffix}"
    return write(value, resource)
