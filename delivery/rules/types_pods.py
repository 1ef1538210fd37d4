"""Schemas of traits that concern a pod as a whole: identity, place, what its processes may do."""

from delivery.rules.shapes import (
    BOOLEAN,
    PAIRS,
    SECONDS,
    choice,
    exactly,
    listed,
    obj,
    text,
    whole,
)
from reconcile.values import JSON

_MOST = 20
_WORD = text(
    r"(?:[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?",
    "the key of a label",
    317,
)
_VALUES = listed(
    text(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?", "the value of a label", 63), 50
)


def _expressions(*operators: str) -> JSON:
    return listed(
        obj(("key", "operator"), key=_WORD, operator=choice(*operators), values=_VALUES), _MOST
    )


_SET = ("In", "NotIn", "Exists", "DoesNotExist")
_SELECTOR = obj(matchLabels=PAIRS, matchExpressions=_expressions(*_SET))
# Pods of other namespaces are none of an app's business: `namespaces` is left out.
_TERM = obj(("topologyKey",), labelSelector=_SELECTOR, topologyKey=_WORD)
_WEIGHT = whole(1, 100)
_NEAR = obj(
    required=listed(_TERM, _MOST),
    preferred=listed(
        obj(("weight", "podAffinityTerm"), weight=_WEIGHT, podAffinityTerm=_TERM), _MOST
    ),
)
_NODES = obj(
    ("matchExpressions",), matchExpressions=_expressions(*_SET, "Gt", "Lt") | {"minItems": 1}
)
AFFINITY = obj(
    podAffinity=_NEAR,
    podAntiAffinity=_NEAR,
    nodeAffinity=obj(
        required=obj(("nodeSelectorTerms",), nodeSelectorTerms=listed(_NODES, _MOST, least=1)),
        preferred=listed(obj(("weight", "preference"), weight=_WEIGHT, preference=_NODES), _MOST),
    ),
    tolerations=listed(
        obj(
            # Without a key it would be every taint, that of the control plane among them.
            ("key",),
            key=_WORD,
            operator=choice("Equal", "Exists"),
            value=text(r"[-._A-Za-z0-9]*", "the value of a taint", 63),
            effect=choice("NoSchedule", "PreferNoSchedule", "NoExecute"),
            tolerationSeconds=SECONDS,
        ),
        _MOST,
    ),
)
SERVICE_ACCOUNT = obj(
    ("name",),
    name=text(
        r"(?!kubenova)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?",
        "the name of an account of the project that is none of KubeNova's own",
        63,
    ),
    create=exactly(False, "false: accounts are made by tenant admins, not by apps"),
)
_ID = whole(1, 2_147_483_647)
_CAPABILITY = text(r"[A-Z][A-Z_]*", "the name of a capability such as NET_RAW", 63)
# The most that Kubernetes' restricted pod security lets a container have.
SECURITY_CONTEXT = obj(
    addCapabilities=listed(choice("NET_BIND_SERVICE"), 1),
    dropCapabilities=listed(_CAPABILITY, 50),
    allowPrivilegeEscalation=exactly(False, "false: no process may gain rights"),
    privileged=exactly(False, "false: no container is privileged"),
    readOnlyRootFilesystem=BOOLEAN,
    runAsNonRoot=exactly(True, "true: with this trait nothing runs as root"),
    runAsUser=_ID,
    runAsGroup=_ID,
)
