"""The component and trait types, as JSON schemas (draft 2020-12) of their properties.

Names and properties are those of KubeVela's built-in definitions of the same names, so that an app
can move between adapters unchanged. Where a definition would quietly ignore what it was given, or
fill in a value of its own, the schema asks for the part that means the same everywhere. A
`description` says what to use, after the word "Use".
"""

from collections.abc import Mapping

from delivery.rules.shapes import BOOLEAN, PAIRS, SECONDS, choice, listed, obj, text, whole
from delivery.rules.types_containers import (
    ENV_TRAIT,
    INIT_CONTAINER,
    MAX_ENV,
    RESOURCE,
    SIDECAR,
    STARTUP_PROBE,
    WORDS,
    container,
    probes,
)
from delivery.rules.types_network import (
    EXPOSE,
    GATEWAY,
    HPA,
    INNER_PORTS,
    NODE_PORTS,
    PORTS,
    SCALER,
    SERVICE_TYPE,
)
from delivery.rules.types_pods import AFFINITY, SECURITY_CONTEXT, SERVICE_ACCOUNT
from delivery.rules.types_volumes import STORAGE_TRAIT, VOLUME_MOUNTS, VOLUMES
from reconcile.values import JSON

__all__ = ["CARRIERS", "COMPONENT", "COMPONENT_TYPES", "MAX_ENV", "TRAIT_TYPES"]

_MARKED = {"labels": PAIRS, "annotations": PAIRS}
_SERVED = {
    **container(),
    **probes(scheme=True),
    **_MARKED,
    "args": WORDS,
    "exposeType": SERVICE_TYPE,
    "volumeMounts": VOLUME_MOUNTS,
}
# Five fields, or one of the names that cron has.
_SCHEDULE = text(
    r"(?:@(?:yearly|annually|monthly|weekly|daily|midnight|hourly)"
    r"|(?:[-0-9A-Za-z*/,?]+ +){4}[-0-9A-Za-z*/,?]+)",
    "a schedule of five fields such as */5 * * * *, or a name such as @daily",
    200,
)
_RUN = {
    **container(),
    **_MARKED,
    "count": whole(1, 1_000),
    "restart": choice("Never", "OnFailure"),
}

# Probes of tasks are known to KubeVela's definitions, which leave them out of the pod.
COMPONENT_TYPES: dict[str, JSON] = {
    "webservice": obj(("image",), **_SERVED, ports=PORTS),
    "worker": obj(("image",), **container(), **probes(scheme=False), volumeMounts=VOLUME_MOUNTS),
    "task": obj(("image",), **_RUN, volumes=VOLUMES),
    "cron-task": obj(
        ("image", "schedule"),
        **_RUN,
        schedule=_SCHEDULE,
        startingDeadlineSeconds=SECONDS,
        suspend=BOOLEAN,
        concurrencyPolicy=choice("Allow", "Forbid", "Replace"),
        successfulJobsHistoryLimit=whole(0, 100),
        failedJobsHistoryLimit=whole(0, 100),
        ttlSecondsAfterFinished=whole(0, 31_536_000),
        activeDeadlineSeconds=SECONDS,
        backoffLimit=whole(0, 100),
        volumeMounts=VOLUME_MOUNTS,
    ),
    "statefulset": obj(("image",), **_SERVED, ports=NODE_PORTS),
    "daemon": obj(("image",), **_SERVED, ports=INNER_PORTS),
}
TRAIT_TYPES: dict[str, JSON] = {
    "scaler": SCALER,
    "hpa": HPA,
    "env": ENV_TRAIT,
    "resource": RESOURCE,
    "labels": PAIRS,
    "annotations": PAIRS,
    "expose": EXPOSE,
    "gateway": GATEWAY,
    "storage": STORAGE_TRAIT,
    "sidecar": SIDECAR,
    "init-container": INIT_CONTAINER,
    "startup-probe": STARTUP_PROBE,
    "service-account": SERVICE_ACCOUNT,
    "affinity": AFFINITY,
    "securitycontext": SECURITY_CONTEXT,
}

_SCALED = ("webservice", "worker", "statefulset")
_PODS = (*_SCALED, "daemon", "task")
_ALL = (*_PODS, "cron-task")
# Which components can bear a trait: where the definition of the trait says that it applies, and
# where what it does has a place to go.
CARRIERS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("scaler", "hpa", "expose"), _SCALED),
    **dict.fromkeys(("resource", "labels", "annotations"), _ALL),
    **dict.fromkeys(("env", "storage", "sidecar", "init-container", "startup-probe"), _PODS),
    **dict.fromkeys(("service-account", "affinity", "securitycontext"), _PODS),
    "gateway": (*_SCALED, "daemon"),
}

COMPONENT = obj(
    ("name", "type"),
    name={"type": "string"},
    type={"type": "string"},
    properties={"type": "object"},
    traits=listed(obj(("type",), type={"type": "string"}, properties={"type": "object"}), 20),
    dependsOn=listed({"type": "string"}, 30),
)
