"""What a cluster has to refuse before a row is Ready. Pure."""

from dataclasses import dataclass

from reconcile.values import JSON, Ref


@dataclass(frozen=True)
class Proof:
    """What a cluster has to refuse: `name` is the rule that forbids it, for people.

    `refused_by` is what the refusal has to name, so that no other refusal is taken for it.
    """

    name: str
    ref: Ref
    manifest: JSON
    refused_by: str
