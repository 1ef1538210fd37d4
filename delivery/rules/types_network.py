"""Schemas of what makes a component reachable, and of how many pods it has."""

from delivery.rules.shapes import (
    BOOLEAN,
    HTTP_PATH,
    OBJECT_NAME,
    PAIRS,
    PORT,
    PORT_NAME,
    choice,
    listed,
    obj,
    text,
    whole,
)
from reconcile.values import JSON

_PROTOCOL = choice("TCP", "UDP", "SCTP")
_NODE_PORT = whole(1, 65_535)
# Another Service's name in DNS is none of the ways to reach a component: ExternalName is left out.
SERVICE_TYPE = choice("ClusterIP", "NodePort", "LoadBalancer")


def ports(**more: JSON) -> JSON:
    """The ports of a container, as far as its Service may show them."""
    port = obj(("port",), port=PORT, name=PORT_NAME, protocol=_PROTOCOL, expose=BOOLEAN, **more)
    return listed(port, 50)


PORTS = ports()
INNER_PORTS = ports(containerPort=PORT)
NODE_PORTS = ports(containerPort=PORT, nodePort=_NODE_PORT)

EXPOSE = obj(
    ("ports",),
    ports=listed(
        obj(("port",), port=PORT, name=PORT_NAME, protocol=_PROTOCOL, nodePort=_NODE_PORT),
        50,
        least=1,
    ),
    annotations=PAIRS,
    type=SERVICE_TYPE,
)
_DOMAIN = text(
    r"(?:\*\.)?[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*",
    "a domain such as shop.example.org",
)
GATEWAY = obj(
    ("domain", "http"),
    domain=_DOMAIN,
    http={
        "type": "object",
        "propertyNames": HTTP_PATH,
        "additionalProperties": PORT,
        "minProperties": 1,
        "maxProperties": 50,
    },
    **{"class": OBJECT_NAME},
    classInSpec=BOOLEAN,
    secretName=OBJECT_NAME,
    pathType=choice("ImplementationSpecific", "Prefix", "Exact"),
    labels=PAIRS,
    annotations=PAIRS,
)

SCALER = obj(replicas=whole(0, 1_000))
_TARGET = obj(type=choice("Utilization", "AverageValue"), value=whole(1, 1_000_000_000_000))
_METRIC = obj(
    ("name", "value"),
    name=text(r"[-._/a-zA-Z0-9]+", "the name of a metric"),
    value=text(r"[1-9][0-9]{0,14}(?:m|k|[MGT])?", "an amount such as 100 or 500m"),
)
HPA = obj(
    min=whole(1, 1_000),
    max=whole(1, 1_000),
    targetAPIVersion=choice("apps/v1"),
    targetKind=choice("Deployment", "StatefulSet"),
    cpu=_TARGET,
    mem=_TARGET,
    podCustomMetrics=listed(_METRIC, 10),
)
