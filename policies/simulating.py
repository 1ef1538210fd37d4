"""What somebody asks to be simulated: a version, and whom it would bind."""

from collections.abc import Iterable
from dataclasses import replace

from policies.models import PolicySet, Simulation
from policies.models.fitting import refuse_above
from policies.rules.binding import Attached
from reconcile.refusals import Fault, Invalid
from reconcile.selectors import Selector
from tenancy.rules.modes import Mode


def simulate(
    policy_set: PolicySet,
    by: str,
    *,
    version: int | None = None,
    attachment: str = "",
    every_tenant: bool = False,
    tenants: Iterable[str] = (),
    tenant_selector: str = "",
) -> Simulation:
    """Have a version, by default the newest, tried on whom an attachment binds or on those named.

    Raises Invalid for what there is not, and where nobody is meant.
    """
    names = frozenset(tenants)
    number = version or policy_set.version
    found = policy_set.versions.filter(number=number).first()
    if found is None:
        raise _invalid("unknown", "There is no such version.", "/version")
    if bool(attachment) == bool(every_tenant or names or tenant_selector):
        raise _invalid(
            "whom", "Name an attachment, or tenants, a selector or every tenant.", "/attachment"
        )
    if attachment:
        attached = _attached(policy_set, attachment)
    else:
        selector = Selector.parse(tenant_selector) if tenant_selector else None
        attached = Attached(
            policy_set.name,
            number,
            "",
            Mode.ENFORCE,
            found.rules,
            every_tenant=every_tenant,
            tenants=names,
            selector=selector,
        )
    attached = replace(attached, version=number, rules=found.rules)
    refuse_above([attached], "/attachment")
    return Simulation.begin(policy_set, attached, by)


def _attached(policy_set: PolicySet, name: str) -> Attached:
    row = policy_set.attachments.filter(name=name).first()
    if row is None:
        raise _invalid("unknown", "The set has no attachment of this name.", "/attachment")
    return row.attached


def _invalid(code: str, text: str, pointer: str) -> Invalid:
    return Invalid("Parts of the request are wrong.", errors=[Fault(code, text, pointer)])
