"""Grants that were prepared for somebody: what one click will ask for. No token is made."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.contrib.auth.models import User

from access.intents import VERBS_OF_ROLE
from access.models.grant import verbs_of
from reconcile.values import JSON
from tenancy.models import Onboarding, Project, Tenant
from tenancy.models.onboarding import Item, State, contribute

NAME = "grants"
_STEP = "grant"


class PreparedGrants:
    """The part of an onboarding that is about kubeconfigs."""

    name = NAME

    def items(self, tenant: Tenant, asked: Sequence[JSON]) -> Iterator[Item]:
        """Done as soon as the person may take it."""
        for each in asked:
            yield _item(tenant, each)


def _item(tenant: Tenant, asked: JSON) -> Item:
    username, project = asked["username"], asked.get("project", "")
    subject = f"{username} in {tenant.name}{'/' * bool(project)}{project}"
    above: Tenant | Project | None = tenant
    if project:
        above = tenant.projects.filter(name=project).first()
    if above is None:
        return Item(_STEP, subject, State.FAILED, "There is no such project.")
    user = User.objects.filter(username=username, is_active=True).first()
    held = verbs_of(user, above) if user else frozenset()
    if not held:
        return Item(_STEP, subject, State.PENDING, f"{username} has no role there yet.")
    wanted = VERBS_OF_ROLE.get(asked.get("role", ""), frozenset()) | set(asked.get("verbs", []))
    if beyond := sorted(set(wanted) - held):
        return Item(_STEP, subject, State.FAILED, f"The role does not allow {', '.join(beyond)}.")
    return Item(_STEP, subject, State.DONE)


def prepared_for(user: User, above: Tenant | Project) -> JSON:
    """Return what was prepared for a user there, as the form of kubeconfigs takes it."""
    tenant = above.tenant if isinstance(above, Project) else above
    project = above.name if isinstance(above, Project) else ""
    found = Onboarding.objects.filter(tenant=tenant).first()
    for asked in found.asked.get(NAME, []) if found else ():
        if asked["username"] == user.get_username() and asked.get("project", "") == project:
            return _initial(asked)
    return {}


def _initial(asked: JSON) -> JSON:
    verbs: Any = asked.get("verbs") or sorted(VERBS_OF_ROLE.get(asked.get("role", ""), ()))
    values = {"verbs": verbs, "ttl_seconds": asked.get("ttl_seconds")}
    values["description"] = asked.get("description", "")
    return {name: value for name, value in values.items() if value}


def connect() -> None:
    """Let a new tenant be asked for with grants."""
    contribute(PreparedGrants())
