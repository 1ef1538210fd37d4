"""What schemas of components and traits are made of: texts, numbers, objects and lists, bounded.

A `description` says what to use, after the word "Use".
"""

from reconcile.values import JSON

_QUANTITY = r"(?=.*[1-9])(?:[0-9]{1,15}|[0-9]{1,12}(?:\.[0-9]{1,3})?(?:[kMGTP]|[KMGTP]i))"


def text(pattern: str, description: str, longest: int = 253) -> JSON:
    """A text that matches the pattern as a whole, of at most `longest` characters."""
    return {
        "type": "string",
        "pattern": f"^{pattern}$",
        "maxLength": longest,
        "description": description,
    }


def whole(least: int, most: int) -> JSON:
    """A whole number, bounds included."""
    return {
        "type": "integer",
        "minimum": least,
        "maximum": most,
        "description": f"a whole number from {least} to {most}",
    }


def obj(required: tuple[str, ...] = (), /, **properties: JSON) -> JSON:
    """An object of these properties and no others."""
    return {
        "type": "object",
        "required": list(required),
        "properties": properties,
        "additionalProperties": False,
    }


def listed(items: JSON, most: int, least: int = 0) -> JSON:
    """A list of so many items."""
    return {"type": "array", "items": items, "minItems": least, "maxItems": most}


def choice(*values: str) -> JSON:
    """One of these texts."""
    return {"type": "string", "enum": list(values)}


def exactly(value: bool, why: str) -> JSON:
    """A property that is there for the sake of the platform: it has one value here."""
    return {"type": "boolean", "enum": [value], "description": why}


BOOLEAN: JSON = {"type": "boolean"}
STRING: JSON = {"type": "string", "maxLength": 32_768}
# What labels and annotations may hold is said by the grammar of them, not by a schema.
PAIRS: JSON = {"type": "object"}
PORT = whole(1, 65_535)
SECONDS = whole(1, 31_536_000)
# At least one letter, no two dashes in a row: the rule of IANA for names of services.
PORT_NAME = text(
    r"(?=.*[a-z])(?!.*--)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?",
    "a name of at most 15 lower-case letters, digits and '-', with a letter in it",
    15,
)
LABEL = text(
    r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?",
    "a name of at most 63 lower-case letters, digits and '-'",
    63,
)
OBJECT_NAME = text(
    r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*",
    "the name of an object: lower-case letters, digits, '-' and '.'",
)
KEY = text(r"[-._a-zA-Z0-9]+", "a key of letters, digits, '-', '_' and '.'")
ENV_NAME = text(
    r"[-._A-Za-z][-._A-Za-z0-9]*",
    "a name of letters, digits, '_', '-' and '.' that does not start with a digit",
)
CPU = text(
    r"(?=.*[1-9])(?:[0-9]{1,6}m|[0-9]{1,4}(?:\.[0-9]{1,3})?)",
    "a number of CPUs such as 500m, 0.5 or 2",
)
MEMORY = text(_QUANTITY, "an amount of memory such as 256Mi or 2Gi")
# What the traits' own pattern and the API server agree on.
TRAIT_MEMORY = text(r"[1-9][0-9]{0,14}(?:[MGTP]|[KMGTP]i)", MEMORY["description"])
STORAGE = text(r"[1-9][0-9]{0,14}(?:[MGTP]|[KMGTP]i)", "an amount of storage such as 8Gi")
TRAIT_CPU: JSON = {
    "anyOf": [CPU, {"type": "number", "minimum": 0.001, "maximum": 9_999}],
    "description": CPU["description"],
}
HTTP_PATH = text(r"/[^\s\x00-\x1f]*", "a path that starts with '/'", 2_048)
# No way out of the directory: Kubernetes refuses '..' as well.
MOUNT_PATH = text(
    r"(?!.*(?:^|/)\.\.(?:/|$))/[^:\x00-\x1f]+", "an absolute path without ':' and '..'", 1_024
)
SUB_PATH = text(
    r"(?!.*(?:^|/)\.\.(?:/|$))[^/\x00-\x1f][^\x00-\x1f]*", "a relative path without '..'", 1_024
)
