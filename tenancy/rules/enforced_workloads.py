"""How restrictions of pods and of what makes them are enforced, beyond what they name. Pure."""

from collections.abc import Mapping

from tenancy.rules import cel
from tenancy.rules.enforced import PODS, Enforced, Resources

_SCALABLE = ("deployments", "replicasets", "statefulsets")
_REPLICATED: Resources = (("apps", _SCALABLE),)
_SCALED: Resources = (("apps", tuple(f"{plural}/scale" for plural in _SCALABLE)),)

_CONTAINERS = cel.containers("{spec}")
_WINDOWS = "?securityContext.?windowsOptions.?hostProcess.orValue(false)"
# Pods on the network of their node have its ports: the cluster itself writes them down so.
_HOST_ACCESS = " + ".join(
    f"({used} ? ['{name}'] : [])"
    for name, used in (
        ("hostIPC", "{spec}.?hostIPC.orValue(false)"),
        ("hostNetwork", "{spec}.?hostNetwork.orValue(false)"),
        ("hostPID", "{spec}.?hostPID.orValue(false)"),
        ("hostPath", "{spec}.?volumes.orValue([]).exists(volume, has(volume.hostPath))"),
        (
            "hostPorts",
            f"!{{spec}}.?hostNetwork.orValue(false) && {_CONTAINERS}.exists(each, "
            "each.?ports.orValue([]).exists(port, port.?hostPort.orValue(0) > 0))",
        ),
        (
            "privileged",
            f"{{spec}}.{_WINDOWS} || {_CONTAINERS}.exists(each, "
            f"each.?securityContext.?privileged.orValue(false) || each.{_WINDOWS})",
        ),
    )
)
_ADDED = (
    f"{_CONTAINERS}.map(each, each.?securityContext.?capabilities.?add.orValue([]).join(' '))"
    ".join(' ').split(' ').filter(name, name != '')"
)
# Runtimes know a capability by either name, in either case.
_CAPABILITY = "name.upperAscii().replace('CAP_', '', 1)"

# Debug containers can have none.
_SIZED = "({spec}.?containers.orValue([]) + {spec}.?initContainers.orValue([]))"
_SET = (
    "each.?resources[?line.split('.')[0]][?line.split('.')[1]].hasValue() || "
    "(line.startsWith('requests.') && "
    "each.?resources.?limits[?line.split('.')[1]].hasValue())"
)
_LIMIT = "each.?resources.?limits[?line.split('=')[0]]"
_LACKING = (
    f"variables.needed.filter(line, !({_SET})).map(line, each.name + ': ' + line + ' is missing')"
)
_EXCESSIVE = (
    f"variables.bounds.filter(line, {_LIMIT}.hasValue() && "
    f"quantity(string({_LIMIT}.value())).isGreaterThan(quantity(line.split('=')[1])))"
    f".map(line, each.name + ': limits.' + line.split('=')[0] + ' ' + string({_LIMIT}.value()) + "
    "' is more than ' + line.split('=')[1])"
)
_RESOURCES = (
    f"{_SIZED}.map(each, ({_LACKING} + {_EXCESSIVE}).join('\\n')).join('\\n').split('\\n')"
    ".filter(text, text != '')"
)

_TEMPLATE = "spec.?template.?metadata.orValue({{}})"
_META = (
    "(request.resource.resource == 'pods' ? dyn({name}).metadata : "
    f"request.resource.resource == 'cronjobs' ? dyn({{name}}).spec.jobTemplate.{_TEMPLATE} : "
    f"dyn({{name}}).{_TEMPLATE})"
)


def _marks(sort: str) -> str:
    """What is wrong with the labels or annotations of pods, as texts."""
    marks, kind = f"{_META}.?{sort}.orValue({{{{}}}})", sort[:-1]
    has = (
        f"(line.contains('=') ? {marks}[?line.split('=')[0]].orValue('') == line.split('=')[1] : "
        f"line in {marks})"
    )
    missing, there = (
        cel.lines(f"workload_metadata.{side}_{sort}") for side in ("required", "forbidden")
    )
    return (
        f"{missing}.filter(line, !{has}).map(line, 'the {kind} ' + line + ' is missing') + "
        f"{there}.filter(line, {has}).map(line, 'the {kind} ' + line + ' is forbidden')"
    )


# A controller brings what it owns to its owner's number: step by step, and past it for a while.
_BY_THE_CLUSTER = (
    "(request.resource.resource == 'replicasets' && ("
    "'system:serviceaccounts:kube-system' in request.userInfo.?groups.orValue([]) || "
    "request.userInfo.username == 'system:kube-controller-manager'))"
)
_OWNED = (
    "dyn(object).metadata.?ownerReferences.orValue([])"
    ".exists(owner, owner.?controller.orValue(false))"
)
_COUNTED = (
    "variables.now.filter(count, variables.most.exists(most, int(count) > int(most)))"
    ".map(count, count + ', more than ' + variables.most[0]) + "
    f"(({_OWNED}) ? [] : "
    "variables.now.filter(count, variables.allowed.exists(least, int(count) < int(least)))"
    ".map(count, count + ', fewer than ' + variables.allowed[0]))"
)

WORKLOADS: Mapping[str, Enforced] = {
    "host_access": Enforced(
        ("host_access",),
        PODS,
        _HOST_ACCESS,
        "Access to the node by",
    ),
    "capabilities": Enforced(
        ("capabilities",),
        PODS,
        _ADDED,
        "The capability",
        refused=f"variables.now.filter(name, !({_CAPABILITY} in variables.allowed))",
    ),
    "container_resources": Enforced(
        ("container_resources.required", "container_resources.max"),
        PODS,
        _RESOURCES,
        "What a container is given",
        refused="variables.now",
        told=("What a container is given is not allowed here: ", "."),
        more=(
            ("bounds", cel.lines("container_resources.max")),
            (
                "needed",
                "variables.allowed + "
                "variables.bounds.map(line, 'limits.' + line.split('=')[0])"
                ".filter(line, !(line in variables.allowed))",
            ),
        ),
    ),
    "workload_metadata": Enforced(
        tuple(
            f"workload_metadata.{side}_{sort}"
            for sort in ("labels", "annotations")
            for side in ("required", "forbidden")
        ),
        PODS,
        f"{_marks('labels')} + {_marks('annotations')}",
        "A label or annotation of pods",
        refused="variables.now",
        told=("Pods are not marked as they have to be here: ", "."),
    ),
    "replicas": Enforced(
        ("replicas.min", "replicas.max"),
        _REPLICATED,
        f"{_BY_THE_CLUSTER} ? [] : [string({{spec}}.?replicas.orValue(0))]",
        "The number of replicas",
        refused=_COUNTED,
        told=("The number of replicas is not allowed here: ", "."),
        more=(("most", cel.lines("replicas.max")),),
        scaled=_SCALED,
    ),
}
