"""Schemas of containers: image, command, variables, resources, probes, sidecars."""

from delivery.rules.shapes import (
    CPU,
    ENV_NAME,
    HTTP_PATH,
    KEY,
    LABEL,
    MEMORY,
    MOUNT_PATH,
    OBJECT_NAME,
    PORT,
    STRING,
    TRAIT_CPU,
    TRAIT_MEMORY,
    choice,
    listed,
    obj,
    text,
    whole,
)
from reconcile.values import JSON

MAX_ENV = 500

IMAGE = text(r"[A-Za-z0-9][-A-Za-z0-9._:/@+]*", "an image such as nginx:1.27", 512)
PULL_POLICY = choice("Always", "Never", "IfNotPresent")
WORDS = listed(STRING, 100)
_HEADER = obj(
    ("name", "value"), name=text(r"[-A-Za-z0-9]+", "the name of an HTTP header"), value=STRING
)
_REF = obj(("name", "key"), name=OBJECT_NAME, key=KEY)
_SOURCE = obj(secretKeyRef=_REF, configMapKeyRef=_REF)
_SOURCE["minProperties"] = _SOURCE["maxProperties"] = 1
_SOURCE["description"] = "exactly one of secretKeyRef and configMapKeyRef"
_VARIABLE = obj(("name",), name=ENV_NAME, value=STRING, valueFrom=_SOURCE)
_VARIABLE["not"] = {"required": ["value", "valueFrom"]}
_VARIABLE["description"] = "either value or valueFrom"
ENV = listed(_VARIABLE, MAX_ENV)


def _ways(probe: JSON, *ways: str) -> JSON:
    """Exactly one way to ask."""
    names = f"{', '.join(ways[:-1])} and {ways[-1]}"
    return probe | {
        "oneOf": [{"required": [way]} for way in ways],
        "description": f"exactly one of {names}",
    }


def _http(*, scheme: bool) -> dict[str, JSON]:
    """An HTTP request of a probe. `host` is not offered: it would make the node's agent call any
    address it reaches, which is why Kubernetes' baseline pod security refuses it.
    """
    http = {"path": HTTP_PATH, "port": PORT, "httpHeaders": listed(_HEADER, 20)}
    return http | ({"scheme": choice("HTTP", "HTTPS")} if scheme else {})


def _pace(successes: int = 1) -> dict[str, JSON]:
    return {
        "initialDelaySeconds": whole(0, 3_600),
        "periodSeconds": whole(1, 3_600),
        "timeoutSeconds": whole(1, 3_600),
        "successThreshold": whole(1, successes),
        "failureThreshold": whole(1, 1_000),
    }


def probe(*, ready: bool, scheme: bool) -> JSON:
    """A liveness or readiness probe; with the `scheme` of an HTTP request where it is known."""
    body = obj(
        exec=obj(("command",), command=listed(STRING, 100, least=1)),
        httpGet=obj(("path", "port"), **_http(scheme=scheme)),
        tcpSocket=obj(("port",), port=PORT),
        **_pace(10 if ready else 1),
    )
    return _ways(body, "exec", "httpGet", "tcpSocket")


def probes(*, scheme: bool) -> dict[str, JSON]:
    """The probes of a container."""
    return {
        "livenessProbe": probe(ready=False, scheme=scheme),
        "readinessProbe": probe(ready=True, scheme=scheme),
    }


def container() -> dict[str, JSON]:
    """What every component says of its container."""
    return {
        "image": IMAGE,
        "imagePullPolicy": PULL_POLICY,
        "imagePullSecrets": listed(OBJECT_NAME, 10),
        "cmd": WORDS,
        "env": ENV,
        "cpu": CPU,
        "memory": MEMORY,
    }


# A port to ask for is a text in KubeVela's trait and lost on its way: `tcpSocket` is left out.
STARTUP_PROBE = _ways(
    obj(
        exec=obj(("command",), command=listed(STRING, 100, least=1)),
        httpGet=obj(("port",), **_http(scheme=True)),
        grpc=obj(("port",), port=PORT, service=text(r"[-._/A-Za-z0-9]+", "the name of a service")),
        terminationGracePeriodSeconds=whole(1, 3_600),
        **_pace(),
    ),
    "exec",
    "httpGet",
    "grpc",
)
ENV_TRAIT = obj(
    ("env",),
    env={
        "type": "object",
        "propertyNames": ENV_NAME,
        "additionalProperties": STRING,
        "maxProperties": MAX_ENV,
    },
    unset=listed(ENV_NAME, MAX_ENV),
    replace={"type": "boolean"},
)
_AMOUNTS = obj(("cpu", "memory"), cpu=TRAIT_CPU, memory=TRAIT_MEMORY)
RESOURCE = obj(cpu=TRAIT_CPU, memory=TRAIT_MEMORY, requests=_AMOUNTS, limits=_AMOUNTS)
# Either both amounts for requests and limits alike, or each on its own: never a mixture.
RESOURCE["oneOf"] = [
    {"required": ["cpu", "memory"], "properties": {"requests": False, "limits": False}},
    {
        "anyOf": [{"required": ["requests"]}, {"required": ["limits"]}],
        "properties": {"cpu": False, "memory": False},
    },
]
RESOURCE["description"] = "cpu and memory together, or requests and limits instead"

SIDECAR = obj(
    ("name", "image"),
    name=LABEL,
    image=IMAGE,
    cmd=WORDS,
    args=WORDS,
    env=ENV,
    volumes=listed(obj(("name", "path"), name=LABEL, path=MOUNT_PATH), 20),
    **probes(scheme=False),
)
INIT_CONTAINER = obj(
    ("name", "image", "appMountPath", "initMountPath"),
    name=LABEL,
    image=IMAGE,
    imagePullPolicy=PULL_POLICY,
    cmd=WORDS,
    args=WORDS,
    env=ENV,
    mountName=LABEL,
    appMountPath=MOUNT_PATH,
    initMountPath=MOUNT_PATH,
    extraVolumeMounts=listed(obj(("name", "mountPath"), name=LABEL, mountPath=MOUNT_PATH), 20),
)
