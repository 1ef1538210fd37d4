"""Schemas of volumes: those of components, and the trait `storage`.

Nothing of a node is ever mounted: `hostPath` is in no schema. Secrets are mounted, never written
here, since everybody who may read the tenant sees what an app declares.
"""

from delivery.rules.shapes import (
    BOOLEAN,
    ENV_NAME,
    KEY,
    LABEL,
    MOUNT_PATH,
    OBJECT_NAME,
    STORAGE,
    SUB_PATH,
    choice,
    exactly,
    listed,
    obj,
    text,
    whole,
)
from reconcile.values import JSON

_MOST = 30
_MODE = whole(0, 0o777)
_MEDIUM = choice("", "Memory")
_ITEMS = listed(obj(("key", "path"), key=KEY, path=SUB_PATH, mode=_MODE), 100)
_FILES = {"defaultMode": _MODE, "items": _ITEMS}
# Together with what goes before it, the name of a volume: at most 63 characters.
_STORED = text(
    LABEL["pattern"][1:-1], "a name of at most 50 lower-case letters, digits and '-'", 50
)


def _mount(*required: str, **more: JSON) -> JSON:
    properties = {"name": LABEL, "mountPath": MOUNT_PATH, "subPath": SUB_PATH, **more}
    return listed(obj(("name", "mountPath", *required), **properties), _MOST)


VOLUME_MOUNTS = obj(
    pvc=_mount("claimName", claimName=OBJECT_NAME),
    configMap=_mount("cmName", cmName=OBJECT_NAME, **_FILES),
    secret=_mount("secretName", secretName=OBJECT_NAME, **_FILES),
    emptyDir=_mount(medium=_MEDIUM),
)


def _volume(type_: str, *required: str, **more: JSON) -> JSON:
    """One way to write an item of `volumes`, by its type."""
    properties: dict[str, JSON] = {"name": LABEL, "mountPath": MOUNT_PATH, "type": choice(type_)}
    return obj(("name", "mountPath", "type", *required), **properties, **more)


VOLUMES = listed(
    {
        "oneOf": [
            _volume("pvc", "claimName", claimName=OBJECT_NAME),
            _volume("configMap", "cmName", cmName=OBJECT_NAME, **_FILES),
            _volume("secret", "secretName", secretName=OBJECT_NAME, **_FILES),
            _volume("emptyDir", medium=_MEDIUM),
        ],
        "description": "name, mountPath and a type of pvc (with claimName), configMap (cmName), "
        "secret (secretName) or emptyDir",
    },
    _MOST,
)


def _variables(key: str) -> dict[str, JSON]:
    """Variables that take their value from the object."""
    variable = obj(("envName", key), envName=ENV_NAME, **{key: KEY})
    return {"mountToEnv": variable, "mountToEnvs": listed(variable, 100)}


_AMOUNT = obj(("storage",), storage=STORAGE)
_CLAIM = obj(
    ("name", "mountPath"),
    name=_STORED,
    mountOnly=BOOLEAN,
    mountPath=MOUNT_PATH,
    subPath=SUB_PATH,
    volumeMode=choice("Filesystem"),
    accessModes=listed(
        choice("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"), 4, least=1
    ),
    storageClassName=OBJECT_NAME,
    resources=obj(("requests",), requests=_AMOUNT, limits=_AMOUNT),
)
_PLACED = {
    "mountPath": MOUNT_PATH,
    "subPath": SUB_PATH,
    "readOnly": BOOLEAN,
    **_FILES,
}
_CONFIG = obj(
    ("name",),
    name=_STORED,
    mountOnly=BOOLEAN,
    **_variables("configMapKey"),
    **_PLACED,
    data={
        "type": "object",
        "propertyNames": KEY,
        "additionalProperties": {"type": "string", "maxLength": 200_000},
        "maxProperties": 100,
    },
)
_SECRET = obj(
    ("name", "mountOnly", "mountPath"),
    name=_STORED,
    mountOnly=exactly(True, "true, and a secret of the project: an app holds no secret values"),
    **_variables("secretKey"),
    **_PLACED,
)
_EMPTY = obj(
    ("name", "mountPath"), name=_STORED, mountPath=MOUNT_PATH, subPath=SUB_PATH, medium=_MEDIUM
)
STORAGE_TRAIT = obj(
    pvc=listed(_CLAIM, _MOST),
    configMap=listed(_CONFIG, _MOST),
    secret=listed(_SECRET, _MOST),
    emptyDir=listed(_EMPTY, _MOST),
)
