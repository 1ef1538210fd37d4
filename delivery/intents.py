"""What an app shall be on one cluster: frozen and complete."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from clusters.adapters.kubevela import COMPONENT_TYPES, TRAIT_TYPES
from reconcile.values import JSON

HEALTH_DEADLINE = 300
_AMOUNTS = ("cpu", "memory")


@dataclass(frozen=True)
class Port:
    """A port of a component; `exposed` ones are reachable through its Service.

    `number` is the Service's, `target` the container's; `node_port` is 0 for one of the cluster's
    choice.
    """

    number: int
    name: str
    protocol: str
    exposed: bool
    target: int
    node_port: int = 0

    @classmethod
    def of(cls, declared: JSON) -> "Port":
        """Read one item of `ports`; a name is made from the number where none is given.

        The name is the one that KubeVela's definitions make.
        """
        number, protocol = int(declared["port"]), str(declared.get("protocol", "TCP"))
        target = int(declared.get("containerPort", number))
        suffix = "" if protocol == "TCP" else f"-{protocol.lower()}"
        name = declared.get("name") or f"port-{target}{suffix}"
        exposed = bool(declared.get("expose"))
        return cls(number, name, protocol, exposed, target, int(declared.get("nodePort", 0)))


@dataclass(frozen=True)
class Component:
    """One workload of an app, as it was declared and found valid.

    `properties` are those of `type`; `traits` hold the properties of each trait by its type.
    `depends_on` names the components that have to be ready before this one is brought up.
    """

    name: str
    type: str
    properties: JSON = field(default_factory=dict)
    traits: Mapping[str, JSON] = field(default_factory=dict)
    depends_on: tuple[str, ...] = ()

    @property
    def foreign(self) -> dict[str, str]:
        """The published types that it uses: the kind of each (`component` or `trait`) by name."""
        own = {self.type: "component"} if self.published else {}
        return own | {name: "trait" for name in self.traits if name not in TRAIT_TYPES}

    @classmethod
    def of(cls, declared: JSON) -> "Component":
        """Read one item of an app's `components`."""
        traits = {item["type"]: item.get("properties", {}) for item in declared.get("traits", [])}
        properties, before = declared.get("properties", {}), tuple(declared.get("dependsOn", ()))
        return cls(declared["name"], declared["type"], properties, traits, before)

    @property
    def published(self) -> bool:
        """Whether its type is one that operators publish: its properties mean what that says."""
        return self.type not in COMPONENT_TYPES

    @property
    def replicas(self) -> int:
        """How many pods it wants; 0 where its type, the schedule or the number of nodes decides."""
        if self.published:
            return 0
        if self.type in ("cron-task", "daemon"):
            return 0
        if self.type == "task":
            return int(self.properties.get("count", 1))
        if "hpa" in self.traits:
            return int(self.traits["hpa"].get("min", 1))
        return int(self.traits.get("scaler", {}).get("replicas", 1))

    @property
    def ports(self) -> tuple[Port, ...]:
        """The ports it listens on."""
        if self.published:
            return ()
        return tuple(Port.of(port) for port in self.properties.get("ports", []))

    @property
    def env(self) -> list[JSON]:
        """Its variables in order of declaration, then those that its traits add, by name.

        Each has a `name` with a `value` or a `valueFrom`. The trait `env` overrides values, leaves
        out what it unsets, and replaces all on demand; `storage` adds what objects hold.
        """
        trait = self.traits.get("env", {})
        own = {item["name"]: _variable(item) for item in self.properties.get("env", [])}
        added = {
            name: {"name": name, "value": value}
            for name, value in sorted(trait.get("env", {}).items())
        }
        found = added if trait.get("replace") else own | added
        unset = set(trait.get("unset", ()))
        kept = {name: item for name, item in found.items() if name not in unset}
        return list((kept | {item["name"]: item for item in self._stored_env}).values())

    @property
    def _stored_env(self) -> list[JSON]:
        """The variables that the trait `storage` takes from ConfigMaps and Secrets."""
        storage = self.traits.get("storage", {})
        return [
            {
                "name": each["envName"],
                "valueFrom": {source: {"name": item["name"], "key": each[key]}},
            }
            for kind, source, key in (
                ("configMap", "configMapKeyRef", "configMapKey"),
                ("secret", "secretKeyRef", "secretKey"),
            )
            for item in storage.get(kind, ())
            for each in (*filter(None, [item.get("mountToEnv")]), *item.get("mountToEnvs", ()))
        ]

    @property
    def resources(self) -> dict[str, dict[str, str]]:
        """Its `requests` and `limits`, each with `cpu` and `memory` as Kubernetes quantities.

        Properties ask for as much as they limit to; the trait may set each side on its own.
        """
        trait = self.traits.get("resource", {})
        own = {key: self.properties[key] for key in _AMOUNTS if key in self.properties}
        found: dict[str, dict[str, str]] = {"requests": own, "limits": own} if own else {}
        if "cpu" in trait:
            trait = {"requests": trait, "limits": trait}
        for side in ("requests", "limits"):
            if side in trait:
                found[side] = {key: _quantity(trait[side][key]) for key in _AMOUNTS}
        return found


def _variable(declared: JSON) -> JSON:
    """A variable as a container has it; without a value it is empty."""
    if "valueFrom" in declared:
        return {"name": declared["name"], "valueFrom": declared["valueFrom"]}
    return {"name": declared["name"], "value": declared.get("value", "")}


def _quantity(amount: str | float) -> str:
    """A number of CPUs is exact to a thousandth; other quantities are texts already."""
    return amount if isinstance(amount, str) else f"{round(amount * 1000)}m"


@dataclass(frozen=True)
class AppIntent:
    """An app on a cluster. `health_deadline` is in seconds; `revision` is the number to run.

    `node_selector` holds the labels of the nodes that its tenant's pods may run on, `secrets` the
    version that is there of each secret that components refer to. `overdue` names the components
    that have not come any further for as long as the deadline allows. `publication` is what a
    platform tells this from all that it was given before by; empty where it need not.
    """

    tenant: str
    project: str
    name: str
    namespace: str
    revision: int
    components: tuple[Component, ...]
    labels: Mapping[str, str] = field(default_factory=dict)
    health_deadline: int = HEALTH_DEADLINE
    node_selector: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, int] = field(default_factory=dict)
    overdue: frozenset[str] = frozenset()
    publication: str = ""
