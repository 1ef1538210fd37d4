"""Rules in CEL are compiled by the cluster that they go to, before they are on their way."""

from collections.abc import Iterator

from clusters.models.bundling import plan_bundle
from clusters.models.carrying import Carrying
from clusters.rule_names import rule_of
from policies.models.celrule import CelRule
from policies.rules.celrules import refused
from reconcile.planning.values import PlannedObject
from reconcile.refusals import Fault, Invalid


def refuse_uncompiled(carrying: Carrying) -> None:
    """Have the API server try the policies by dry run.

    Raises Invalid with its reason where people wrote what it refuses, and Unavailable where it does
    not answer.
    """
    rules = {row.name: row for row in carrying.rows if isinstance(row, CelRule)}
    planned = plan_bundle(carrying.asked).objects
    faults = [
        fault
        for each in planned
        if each.trial.denial
        for fault in _faults(rules.get(rule_of(each.ref.name)), each)
    ]
    if faults:
        raise Invalid("The cluster refuses the rules.", errors=faults)


def _faults(row: CelRule | None, planned: PlannedObject) -> Iterator[Fault]:
    found = refused(row.rule, planned.trial.denial) if row else []
    for problem in found:
        pointer = "/".join(("", *map(str, problem.path)))
        yield Fault(problem.code, f"{row}: {problem.text}", pointer)
    if not found:
        yield Fault("refused", planned.trial.denial, "/rules")
