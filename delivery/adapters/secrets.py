"""Secrets of a project on plain Kubernetes: one Secret of type Opaque each."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from clusters.kinds import SECRET
from reconcile.values import JSON, PROJECT, TENANT, Assessment, Health, Kind, Live, Ref

VERSION = "kubenova.io/secret-version"


@dataclass(frozen=True)
class SecretIntent:
    """A secret on a cluster: its values by key, which no text of this shows."""

    tenant: str
    project: str
    name: str
    namespace: str
    version: int
    values: Mapping[str, str] = field(repr=False)


class Secrets:
    """Of one namespace: KubeNova may list Secrets nowhere else."""

    name = "delivery.secrets"
    kinds: Sequence[Kind] = (SECRET,)

    def __init__(self, namespace: str) -> None:
        self.homes: Mapping[Kind, str] = {SECRET: namespace}

    def render(self, intent: SecretIntent) -> list[JSON]:
        """The Secret, its values in base64 as the API has them."""
        values = sorted(intent.values.items())
        return [
            {
                "apiVersion": SECRET.api_version,
                "kind": SECRET.name,
                "type": "Opaque",
                "metadata": {
                    "name": intent.name,
                    "namespace": intent.namespace,
                    "labels": {TENANT: intent.tenant, PROJECT: intent.project},
                    "annotations": {VERSION: str(intent.version)},
                },
                "data": {key: b64encode(value.encode()).decode() for key, value in values},
            }
        ]

    def assess(self, intent: SecretIntent, seen: Mapping[Ref, Live]) -> Assessment:
        """Ready when it is there: a Secret has no status."""
        if Ref(SECRET, intent.namespace, intent.name) in seen:
            return Assessment(Health.READY, "Written")
        return Assessment(Health.PROGRESSING, "Writing", "The Secret is being written.")
