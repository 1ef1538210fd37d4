"""What each role for people may do in a namespace that it is bound in, as a table. Pure.

`docs/roles.md` is this table; a test compares the two, and another one asks a real API server.
"""

from collections.abc import Iterable, Mapping

from clusters.adapters.roles import cluster_roles
from clusters.intents import GRANTED_ROLES, READ_ONLY, TENANT_ADMIN, TENANT_DEV

ROLES = (READ_ONLY, TENANT_DEV, TENANT_ADMIN, *GRANTED_ROLES)
LETTERS: Mapping[str, str] = {
    "get": "g",
    "list": "l",
    "watch": "w",
    "create": "c",
    "update": "u",
    "patch": "p",
    "delete": "d",
    "deletecollection": "D",
}
NOBODY = "–"
# Shown although no role has any right there: what people ask about first.
_FORBIDDEN = (
    ("", "namespaces/finalize"),
    ("", "namespaces/status"),
    ("", "nodes"),
    ("", "nodes/proxy"),
    ("", "persistentvolumes"),
    ("", "pods/ephemeralcontainers"),
    ("", "pods/proxy"),
    ("", "replicationcontrollers"),
    ("", "serviceaccounts/token"),
    ("", "services/proxy"),
    ("", "services/status"),
    ("admissionregistration.k8s.io", "validatingadmissionpolicies"),
    ("admissionregistration.k8s.io", "validatingadmissionpolicybindings"),
    ("apiextensions.k8s.io", "customresourcedefinitions"),
    ("authentication.k8s.io", "tokenreviews"),
    ("certificates.k8s.io", "certificatesigningrequests"),
    ("core.oam.dev", "applications"),
    ("core.oam.dev", "workflowruns"),
    ("core.oam.dev", "workflowruns/status"),
    ("rbac.authorization.k8s.io", "clusterrolebindings"),
    ("rbac.authorization.k8s.io", "clusterroles"),
    ("storage.k8s.io", "storageclasses"),
)
_HEAD = """# What each role may do

Members of a tenant have one of the roles `read-only`, `tenant-dev` and `tenant-admin` in every
namespace of its projects, members of a project in that project's. What a grant of access consists
of (`view`, `edit`, `logs`, `exec`, `port-forward`, `secrets`), and what `role_bindings` of a tenant
bind, are roles of the same catalogue: the ClusterRole of each is `kubenova:<role>`.

The letters: `g` get, `l` list, `w` watch, `c` create, `u` update, `p` patch, `d` delete,
`D` deletecollection; `–` nothing. All of it holds in the namespaces that the role is bound in, and
nowhere else. No role may `bind`, `escalate` or `impersonate`, and none has a `*`.

Beside the roles stand admission policies: what KubeNova has put into a namespace (its quota,
limits, network policies, bindings and the ConfigMap `kubenova-rules`) is changed by KubeNova alone,
and so is the namespace itself.

Whoever may create pods in a namespace can read the Secrets of that namespace, by mounting them.

"""


def rights(role: str) -> dict[tuple[str, str], frozenset[str]]:
    """Return the verbs of a role by (API group, resource)."""
    found: dict[tuple[str, str], set[str]] = {}
    for rule in cluster_roles()[role]:
        for group in rule.get("apiGroups", ()):
            for resource in rule.get("resources", ()):
                found.setdefault((group, resource), set()).update(rule["verbs"])
    return {key: frozenset(verbs) for key, verbs in found.items()}


def page() -> str:
    """Return `docs/roles.md`: a line per resource, a column per role."""
    columns = {role: rights(role) for role in ROLES}
    resources = {key for found in columns.values() for key in found} | set(_FORBIDDEN)
    names = [role.removeprefix("kubenova:") for role in ROLES]
    lines = [_line(["Resource", *names]), _line(["---"] * (len(names) + 1))]
    for group, resource in sorted(resources):
        cells = (_letters(columns[role].get((group, resource), ())) for role in ROLES)
        lines.append(_line([f"`{resource}.{group}`" if group else f"`{resource}`", *cells]))
    return _HEAD + "\n".join(lines) + "\n"


def parsed(text: str) -> dict[tuple[str, str], dict[str, frozenset[str]]]:
    """Read a page back: the verbs by (group, resource) and role. Raises ValueError."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    if len(rows) < 3:
        raise ValueError("there is no table of roles")
    (_, *roles), found = rows[0], {}
    for name, *cells in rows[2:]:
        resource, _, group = name.strip("`").partition(".")
        found[group, resource] = {
            role: _verbs(cell) for role, cell in zip(roles, cells, strict=True)
        }
    return found


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _letters(verbs: Iterable[str]) -> str:
    given = set(verbs)
    if unknown := given - set(LETTERS):
        raise ValueError(f"the table knows no letter for {', '.join(sorted(unknown))}")
    return "".join(letter for verb, letter in LETTERS.items() if verb in given) or NOBODY


def _verbs(cell: str) -> frozenset[str]:
    known = {letter: verb for verb, letter in LETTERS.items()}
    return frozenset() if cell == NOBODY else frozenset(known[letter] for letter in cell)
