"""Everything that a new team needs, declared together: all of it or nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError as ModelError
from django.db import transaction

from reconcile.api.problems import model_faults
from reconcile.refusals import Conflicting, Fault, Invalid
from reconcile.values import JSON
from tenancy.intents import Role
from tenancy.models import Invitation, Onboarding, Project, Tenant
from tenancy.models.peopled import Peopled


@transaction.atomic
def onboard(tenant: Tenant, asked: Mapping[str, Sequence[JSON]], by: User) -> Onboarding:
    """Declare what was asked for together with a tenant; the same once more changes nothing.

    `asked` holds projects, members, invitations and what other parts contribute. Raises Invalid
    pointing at the part, Conflicting where another call asked for something else, and what the
    declarations raise: then nothing was done.
    """
    found = Onboarding.objects.select_for_update().filter(tenant=tenant).first()
    if found is not None:
        _refuse_other(found, asked)
        return found
    author = by.get_username()
    projects: dict[str, Project] = {}
    for index, each in enumerate(asked.get("projects", [])):
        projects[each["name"]] = _project(tenant, each, index, author)
    _admit(tenant, asked.get("members", []), "/members", author)
    for index, each in enumerate(asked.get("invitations", [])):
        _invite(tenant, projects, each, index, author)
    return Onboarding.objects.create(tenant=tenant, asked=asked, asked_by=author)


def _refuse_other(found: Onboarding, asked: Mapping[str, Sequence[JSON]]) -> None:
    names = {*found.asked, *asked}
    differing = sorted(name for name in names if found.asked.get(name) != asked.get(name))
    if differing:
        text = f"{found.tenant} was asked for with something else. Change that by itself."
        faults = [Fault("differs", "It differs.", f"/{name}") for name in differing]
        raise Conflicting(text, errors=faults)


def _project(tenant: Tenant, asked: JSON, index: int, by: str) -> Project:
    where = f"/projects/{index}"
    spec = {name: value for name, value in asked.items() if name != "members"}
    row = Project.objects.filter(tenant=tenant, name=spec["name"]).first()
    row = row or Project(tenant=tenant)
    for name, value in spec.items():
        setattr(row, name, value)
    try:
        row.declare(by=by)
    except ModelError as error:
        faults = [
            replace(fault, pointer=f"{where}{fault.pointer}") for fault in model_faults(error)
        ]
        raise Invalid("Parts of the request are wrong.", errors=faults) from None
    _admit(row, asked.get("members", []), f"{where}/members", by)
    return row


def _admit(team: Peopled, members: Sequence[JSON], where: str, by: str) -> None:
    names = [each["username"] for each in members]
    users = {row.username: row for row in User.objects.filter(username__in=names, is_active=True)}
    for index, each in enumerate(members):
        user = users.get(each["username"])
        if user is None:
            text = "There is no active user of this name. Invite it instead."
            raise _wrong("unknown", text, f"{where}/{index}/username")
        team.admit(user, Role(each["role"]), by=by)


def _invite(
    tenant: Tenant, projects: Mapping[str, Project], asked: JSON, index: int, by: str
) -> None:
    where, team = f"/invitations/{index}", projects.get(asked.get("project", ""), tenant)
    if "project" in asked and team is tenant:
        raise _wrong("unknown", "No project of this name is asked for.", f"{where}/project")
    try:
        Invitation.invite(team, asked["username"], Role(asked["role"]), by=by)
    except ModelError as error:
        raise _wrong("username", " ".join(error.messages), f"{where}/username") from None


def _wrong(code: str, text: str, pointer: str) -> Invalid:
    return Invalid("Parts of the request are wrong.", errors=[Fault(code, text, pointer)])


def checklist_of(tenant: Any) -> list[Any]:
    """Tell how far the onboarding of a tenant has come; nothing where there was none."""
    found: Onboarding | None = getattr(tenant, "onboarding", None)
    return found.checklist() if found is not None and found.done_at is None else []
