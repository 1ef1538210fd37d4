"""Signing in, signing out, being locked out."""

import pytest
from django.core.cache import cache
from django.test import Client

from tests.people import PASSWORD
from tests.portal.conftest import As

WRONG = "The user name or the password is wrong."


@pytest.fixture(autouse=True)
def no_failures_before(db) -> None:
    cache.clear()


def sign_in(client: Client, name: str, password: str, **query: str):
    return client.post("/login", {"username": name, "password": password, **query})


def test_it_leads_to_where_one_wanted_to_go(people) -> None:
    answer = sign_in(Client(), "alice", PASSWORD, next="/drift?tenant=acme")
    assert (answer.status_code, answer["Location"]) == (302, "/drift?tenant=acme")


def test_it_leads_home_by_default(people) -> None:
    assert sign_in(Client(), "alice", PASSWORD)["Location"] == "/"


@pytest.mark.parametrize("away", ["https://evil.example", "//evil.example", "javascript:alert(1)"])
def test_it_leads_nowhere_else(away: str, people) -> None:
    assert sign_in(Client(), "alice", PASSWORD, next=away)["Location"] == "/"


@pytest.mark.parametrize(
    ("name", "password"), [("alice", "wrong"), ("nobody", PASSWORD)], ids=["password", "name"]
)
def test_it_does_not_say_which_part_was_wrong(name: str, password: str, people) -> None:
    answer = sign_in(Client(), name, password)
    assert answer.status_code == 422
    assert WRONG in answer.content.decode()


def test_it_lets_nobody_in_who_was_disabled(people) -> None:
    people["alice"].is_active = False
    people["alice"].save()
    assert WRONG in sign_in(Client(), "alice", PASSWORD).content.decode()


def test_it_tells_who_tried_too_often_to_wait(people) -> None:
    client = Client()
    answers = [sign_in(client, "alice", "wrong") for _ in range(11)]
    assert answers[-1].status_code == 429
    assert int(answers[-1]["Retry-After"]) > 0
    assert "Too many attempts" in answers[-1].content.decode()


def test_a_disabled_account_ends_its_session(people, as_: As) -> None:
    client = as_("alice")
    people["alice"].is_active = False
    people["alice"].save()
    assert client.get("/").status_code == 302


def test_it_signs_out_by_a_form_alone(as_: As) -> None:
    client = as_("alice")
    assert client.get("/logout").status_code == 405
    assert client.get("/").status_code == 200
    assert client.post("/logout")["Location"] == "/login"
    assert client.get("/").status_code == 302


def test_a_form_of_another_site_changes_nothing(people, acme) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(people["olga"], backend="django.contrib.auth.backends.ModelBackend")
    answer = client.post("/tenants/acme/delete", {"name": "acme"})
    acme.refresh_from_db()
    assert (answer.status_code, acme.deleting) == (403, False)
    assert "The form was too old" in answer.content.decode()
