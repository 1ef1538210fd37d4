"""Every page, for everybody: who sees what, and what nobody is offered in vain."""

import re
from html import unescape

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from portal.urls import urlpatterns
from tenancy.models import Project
from tests.portal.conftest import As

ACME = {"tenant": "acme"}
SHOP = {**ACME, "project": "shop"}
SITE = {**SHOP, "app": "site"}
TEAM = ("alice", "bob", "carol", "olga")

# Pages with their path, and who of acme's team may open them.
PAGES = {
    "home": ({}, TEAM),
    "home-state": ({}, TEAM),
    "activity": ({}, TEAM),
    "drift": ({}, TEAM),
    "drift-state": ({}, TEAM),
    "search": ({}, TEAM),
    "audit-log": ({}, TEAM),
    "grants": ({}, TEAM),
    "grants-list": ({}, TEAM),
    "tenants": ({}, TEAM),
    "tenants-list": ({}, TEAM),
    "apps": ({}, TEAM),
    "apps-list": ({}, TEAM),
    "definitions": ({}, TEAM),
    "published": ({}, ("olga",)),
    "published-new": ({}, ("olga",)),
    "clusters": ({}, ("olga",)),
    "clusters-list": ({}, ("olga",)),
    "policies": ({}, TEAM),
    "policies-list": ({}, TEAM),
    "findings": ({}, TEAM),
    "policy-catalogue": ({}, TEAM),
    "policy-new": ({}, ("olga",)),
    "celrules": ({}, ("olga",)),
    "celrule-new": ({}, ("olga",)),
    "tenant-new": ({}, ("olga",)),
    "tenant": (ACME, TEAM),
    "tenant-state": (ACME, TEAM),
    "tenant-activity": (ACME, TEAM),
    "tenant-members": (ACME, TEAM),
    "tenant-usage": (ACME, TEAM),
    "tenant-policies": (ACME, TEAM),
    "issue-tenant": (ACME, TEAM),
    "tenant-edit": (ACME, ("alice", "olga")),
    "tenant-delete": (ACME, ("olga",)),
    "project-new": (ACME, ("alice", "olga")),
    "project": (SHOP, TEAM),
    "project-state": (SHOP, TEAM),
    "project-members": (SHOP, TEAM),
    "project-policies": (SHOP, TEAM),
    "issue-project": (SHOP, TEAM),
    "project-edit": (SHOP, ("alice", "olga")),
    "project-delete": (SHOP, ("alice", "olga")),
    "app-new": (SHOP, ("alice", "bob", "olga")),
    "component-new": (SHOP, ("alice", "bob", "olga")),
    "secrets": (SHOP, TEAM),
    "secret-new": (SHOP, ("alice", "bob", "olga")),
    "workflows": (SHOP, TEAM),
    "workflow-new": (SHOP, ("alice", "bob", "olga")),
    "app": (SITE, TEAM),
    "app-state": (SITE, TEAM),
    "app-activity": (SITE, TEAM),
    "app-objects": (SITE, TEAM),
    "app-component": ({**SITE, "cluster": "prod-a", "component": "web"}, TEAM),
    "component-events": ({**SITE, "cluster": "prod-a", "component": "web"}, TEAM),
    "app-revisions": (SITE, TEAM),
    "app-revision": ({**SITE, "number": 1}, TEAM),
    "app-edit": (SITE, ("alice", "bob", "olga")),
    "app-pause": (SITE, ("alice", "bob", "olga")),
    "app-abort": (SITE, ("alice", "bob", "olga")),
    "app-delete": (SITE, ("alice", "bob", "olga")),
    "app-rollback": ({**SITE, "number": 1}, ("alice", "bob", "olga")),
}
# Those that are reached by what happened, or that only take a POST: they have tests of their own.
ELSEWHERE = {
    *("sign-in", "sign-out", "timeline", "object", "member-remove", "grant-revoke"),
    *("drift-repair", "drift-accept", "drift-ignore", "drift-rule", "decision-revoke"),
    *("app-resume", "app-promote", "app-break-glass"),
    *("published-one", "published-edit", "published-send", "published-delete"),
    *("app-block", "app-unblock", "cluster-confirm", "secret-edit", "secret-delete", "definition"),
    *("workflow", "workflow-edit", "workflow-delete", "workflow-version", "workflow-run-new"),
    *("workflow-run", "workflow-run-state", "workflow-run-verb"),
    *("member-invite", "member-withdraw", "member-accept", "member-decline"),
    *("project-member-invite", "project-member-remove"),
    *("policy", "policy-state", "policy-edit", "policy-delete", "policy-versions"),
    *("policy-version", "policy-attach", "policy-attachment-edit", "policy-promote"),
    *("policy-detach", "policy-exception", "policy-exception-end"),
    *("policy-simulations", "policy-simulation", "policy-simulation-state"),
    *("policy-findings", "celrule", "celrule-edit", "celrule-send", "celrule-delete"),
    *("cluster", "cluster-state", "cluster-accept", "cluster-revoke", "cluster-bootstrap"),
}
OWNED = [name for name, (key, _) in PAGES.items() if key]
INLINE = re.compile(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|javascript:|hx-on", re.I)


def names_of(patterns: list[URLPattern | URLResolver]) -> set[str]:
    """The names of all paths below."""
    found = set()
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            found |= names_of(pattern.url_patterns)
        else:
            found.add(str(pattern.name))
    return found


def path_of(name: str) -> str:
    return reverse(name, kwargs=PAGES[name][0])


def test_every_page_is_in_these_tests() -> None:
    assert names_of(urlpatterns) == {*PAGES, *ELSEWHERE}


@pytest.mark.parametrize("person", TEAM)
def test_they_open_for_whom_they_may(person: str, deployed, as_: As) -> None:
    client = as_(person)
    for name, (_, allowed) in PAGES.items():
        answer = client.get(path_of(name))
        assert answer.status_code == (200 if person in allowed else 403), name


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_stranger_sees_nothing(method: str, deployed, globex, as_: As) -> None:
    client = as_("charlie")
    for name in OWNED:
        answer = getattr(client, method)(path_of(name))
        assert answer.status_code in {404, 405}, name
        assert b"acme" not in answer.content, name


def test_nobody_enters_without_signing_in(db) -> None:
    for name in PAGES:
        answer = Client().get(path_of(name))
        assert answer.status_code == 302, name
        assert answer["Location"].startswith("/login?next=/"), name


def test_a_fragment_whose_session_ended_sends_the_page_to_the_sign_in(db) -> None:
    headers = {"HX-Request": "true", "HX-Current-URL": "http://testserver/tenants/acme"}
    for name in PAGES:
        answer = Client().get(path_of(name), headers=headers)
        assert answer["HX-Redirect"] == "/login?next=%2Ftenants%2Facme", name


def test_they_run_under_the_strict_policy(deployed, as_: As) -> None:
    client = as_("olga")
    for name in PAGES:
        answer = client.get(path_of(name))
        policy = answer["Content-Security-Policy"]
        assert policy.startswith("default-src 'self'; "), name
        assert "unsafe" not in policy, name
        assert not INLINE.findall(answer.content.decode()), name
        assert "no-store" in answer["Cache-Control"], name


@pytest.mark.parametrize("person", TEAM)
def test_no_link_or_button_is_dead(person: str, deployed, as_: As) -> None:
    """Whatever a page offers, its reader may open."""
    client = as_(person)
    tried: set[str] = set()
    for name in (name for name, (_, allowed) in PAGES.items() if person in allowed):
        text = client.get(path_of(name)).content.decode()
        offered = {unescape(path) for path in re.findall(r'(?:href|hx-get)="(/[^"]*)"', text)}
        for path in offered - tried:
            if not path.startswith(("/static/", "/admin/", "/api/")):
                answer = client.get(path, follow=True)
                assert answer.status_code in {200, 204}, (name, path)
        for path in {unescape(path) for path in re.findall(r'action="(/[^"]*)"', text)}:
            assert get_resolver().resolve(path), name
        tried |= offered


def test_admin_alone_may_evaluate_scripts(as_: As) -> None:
    client = as_("olga")
    assert "script-src 'self' 'unsafe-eval'" in client.get("/admin/")["Content-Security-Policy"]
    assert "unsafe-eval" not in client.get("/api/v1/docs")["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("person", "offered", "withheld"),
    [
        ("carol", ["Issue kubeconfig"], ["New project", "Settings", "Danger"]),
        ("bob", ["Issue kubeconfig"], ["New project", "Settings", "Danger"]),
        ("alice", ["Issue kubeconfig", "New project", "Settings"], ["Danger"]),
        ("olga", ["Issue kubeconfig", "New project", "Settings"], []),
    ],
    ids=["read-only", "developer", "admin", "operator"],
)
def test_a_tenant_offers_what_the_role_allows(
    person: str, offered: list[str], withheld: list[str], deployed, as_: As
) -> None:
    text = as_(person).get("/tenants/acme").content.decode()
    assert [word for word in offered if word not in text] == []
    assert [word for word in withheld if word in text] == []


def test_a_reader_is_offered_no_change_of_an_app(deployed, as_: As) -> None:
    text = as_("carol").get(path_of("app-revisions")).content.decode()
    assert "Roll back" not in text
    assert "/edit" not in text


@pytest.mark.parametrize("path", ["/nowhere", "/tenants/unknown", "/tenants/acme/projects/none"])
def test_what_is_not_there_has_a_page_of_its_own(path: str, deployed, as_: As) -> None:
    answer = as_("alice").get(path)
    assert answer.status_code == 404
    assert "Nothing is here" in answer.content.decode()


def test_what_one_may_not_do_has_a_page_of_its_own(deployed, as_: As) -> None:
    answer = as_("carol").get("/tenants/acme/edit")
    assert answer.status_code == 403
    assert "You may not do this" in answer.content.decode()


@pytest.mark.parametrize("path", ["tenant", "project", "app"])
def test_what_is_being_deleted_offers_no_change(path: str, deployed, as_: As) -> None:
    deployed.project.tenant.request_deletion(by="olga")
    text = as_("olga").get(path_of(path)).content.decode().split("<main")[1]
    assert "Deleting" in text
    for word in ("New ", "Edit", "Settings", "Issue kubeconfig", "Create the"):
        assert word not in text


def test_many_projects_are_shown_in_pages(acme, as_: As) -> None:
    for number in range(51):
        Project(tenant=acme, name=f"p{number:02}").declare(by="alice")
    client = as_("carol")
    assert "p50" not in client.get("/tenants/acme").content.decode()
    text = client.get("/tenants/acme?page=2").content.decode()
    assert "p50" in text
    assert "51–51 of 51" in text
