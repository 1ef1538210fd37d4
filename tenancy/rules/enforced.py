"""How a kind of restrictions is enforced by an admission policy. Pure."""

from dataclasses import dataclass

Resources = tuple[tuple[str, tuple[str, ...]], ...]  # (group, plurals)

PODS: Resources = (
    ("", ("pods",)),
    ("apps", ("daemonsets", "deployments", "replicasets", "statefulsets")),
    ("batch", ("cronjobs", "jobs")),
)
EVERYTHING: Resources = (("*", ("*",)),)


@dataclass(frozen=True)
class Enforced:
    """How a kind is enforced.

    `governed` and `refused` are CEL: the values that it governs in `{spec}` (of a pod) or `{name}`
    (the object), and those of `variables.now` that it refuses, texts both. `keys` are its keys in
    the ConfigMap; `noun` and `missing` are how a value and the lack of one are called, or else
    `told` what goes before and after the first text that is refused. `more` are variables that
    both may use; `scaled` are subresources whose changes are governed as well.
    """

    keys: tuple[str, ...]
    resources: Resources
    governed: str
    noun: str
    missing: str = ""
    refused: str = "variables.now.filter(value, !(value in variables.allowed))"
    told: tuple[str, str] | None = None
    more: tuple[tuple[str, str], ...] = ()
    scaled: Resources = ()

    @property
    def of_pods(self) -> bool:
        """Whether it governs what pods are made by."""
        return self.resources == PODS

    @property
    def everything(self) -> bool:
        """Whether it governs what is made, of whichever kind."""
        return self.resources == EVERYTHING
