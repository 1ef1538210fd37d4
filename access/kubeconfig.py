"""Writes a kubeconfig: plain data through a YAML serializer, so that no value becomes syntax."""

import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field

import yaml

from reconcile.values import JSON

# What every YAML reader takes for the same string without quotes …
_PLAIN = re.compile(r"[A-Za-z](?:[A-Za-z0-9./:_-]*[A-Za-z0-9])?")
# … but for the words that some readers take for something else (YAML 1.1).
_WORDS = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null"))


@dataclass(frozen=True)
class Context:
    """One way in: the names are unique in the file, `server` and `ca_pem` those of the proxy."""

    name: str
    cluster: str
    user: str
    server: str
    ca_pem: str
    namespace: str = ""
    token: str = field(default="", repr=False)


def render(contexts: Sequence[Context]) -> str:
    """Return the text of a kubeconfig with these contexts; the first one is current.

    It holds a token and a CA per context: nothing to run, no file, TLS always verified.
    """
    current = contexts[0].name if contexts else ""
    config: JSON = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": current,
        "contexts": [{"name": each.name, "context": _context(each)} for each in contexts],
        "clusters": [{"name": each.cluster, "cluster": _cluster(each)} for each in contexts],
        "users": [{"name": each.user, "user": {"token": each.token}} for each in contexts],
    }
    return yaml.dump(config, Dumper=_Dumper, sort_keys=False, width=10**6, allow_unicode=False)


def _context(context: Context) -> JSON:
    named = {"cluster": context.cluster, "user": context.user}
    return named | ({"namespace": context.namespace} if context.namespace else {})


def _cluster(context: Context) -> JSON:
    bundle = b64encode(context.ca_pem.encode()).decode()
    return {"server": context.server, "certificate-authority-data": bundle}


class _Dumper(yaml.SafeDumper):
    """Quotes whatever two readers of YAML could take for different things; knows no anchors."""

    def ignore_aliases(self, data: object) -> bool:
        """Write equal values out each time."""
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS
    style = None if plain else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)
