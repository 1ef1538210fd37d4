"""The workloads of components: what makes pods, one per component. Pure."""

from collections.abc import Callable, Mapping

from clusters.kinds import CRON_JOB, DAEMON_SET, DEPLOYMENT, JOB, STATEFUL_SET
from delivery.adapters.native_pods import REVISION, meta_of, selector_of, template_of
from delivery.intents import AppIntent, Component
from reconcile.values import JSON, Kind, digest

WORKLOADS: Mapping[str, Kind] = {
    "webservice": DEPLOYMENT,
    "worker": DEPLOYMENT,
    "statefulset": STATEFUL_SET,
    "daemon": DAEMON_SET,
    "task": JOB,
    "cron-task": CRON_JOB,
}
_KEPT = 54  # characters of a component's name in that of its Job, beside a dash and eight digits

_SCHEDULED = ("schedule", "startingDeadlineSeconds")
_BOUNDED = ("ttlSecondsAfterFinished", "activeDeadlineSeconds", "backoffLimit")
_SCHEDULED_OR: JSON = {
    "suspend": False,
    "concurrencyPolicy": "Allow",
    "successfulJobsHistoryLimit": 3,
    "failedJobsHistoryLimit": 1,
}


def workload_of(intent: AppIntent, component: Component) -> JSON:
    """Return the object that runs a component."""
    kind = WORKLOADS[component.type]
    spec = _SPECS[kind](intent, component)
    meta = meta_of(intent, component, _job_name(component, spec) if kind == JOB else "")
    meta["labels"] = {**component.traits.get("labels", {}), **meta["labels"]}
    # The revision is noted here alone: on its pods it would restart them all.
    given = component.traits.get("annotations", {})
    meta["annotations"] = {**given, REVISION: str(intent.revision)}
    return {"apiVersion": kind.api_version, "kind": kind.name, "metadata": meta, "spec": spec}


def _deployment(intent: AppIntent, component: Component) -> JSON:
    return {
        "replicas": component.replicas,
        "progressDeadlineSeconds": intent.health_deadline,
        "selector": {"matchLabels": selector_of(component)},
        "template": template_of(intent, component),
    }


def _stateful_set(intent: AppIntent, component: Component) -> JSON:
    """It names the Service of the component whether there is one or not: that never changes."""
    return {
        "replicas": component.replicas,
        "serviceName": component.name,
        "selector": {"matchLabels": selector_of(component)},
        "template": template_of(intent, component),
    }


def _daemon_set(intent: AppIntent, component: Component) -> JSON:
    return {
        "selector": {"matchLabels": selector_of(component)},
        "template": template_of(intent, component),
    }


def _job(intent: AppIntent, component: Component) -> JSON:
    count = component.properties.get("count", 1)
    bounds = {key: component.properties[key] for key in _BOUNDED if key in component.properties}
    template = template_of(intent, component)
    return {"parallelism": count, "completions": count, **bounds, "template": template}


def _cron_job(intent: AppIntent, component: Component) -> JSON:
    properties = component.properties
    job = _job(intent, component)
    meta = {key: value for key, value in job["template"]["metadata"].items() if value}
    job.setdefault("backoffLimit", 6)
    return {
        **{key: properties[key] for key in _SCHEDULED if key in properties},
        **{key: properties.get(key, default) for key, default in _SCHEDULED_OR.items()},
        "jobTemplate": {"metadata": meta, "spec": job},
    }


def _job_name(component: Component, spec: JSON) -> str:
    """A Job cannot be changed: another one takes its place, and runs."""
    return f"{component.name[:_KEPT]}-{digest(spec)[:8]}"


_SPECS: Mapping[Kind, Callable[[AppIntent, Component], JSON]] = {
    DEPLOYMENT: _deployment,
    STATEFUL_SET: _stateful_set,
    DAEMON_SET: _daemon_set,
    JOB: _job,
    CRON_JOB: _cron_job,
}
