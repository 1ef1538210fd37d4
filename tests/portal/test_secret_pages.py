"""Secrets on pages: which there are is seen by the team, new values go in, none comes out."""

import pytest

from delivery.models import ProjectSecret
from tests.clusters.steps import settle

CANARY = "canary-90ab"
LIST = "/tenants/acme/projects/shop/secrets"
NEW = "/tenants/acme/projects/shop/new-secret"
DB = f"{LIST}/db"


@pytest.fixture
def kept(shop) -> ProjectSecret:
    """The secret `db` of acme/shop, on its cluster."""
    secret = ProjectSecret(project=shop, name="db")
    secret.assign({"password": CANARY, "user": "shop"})
    secret.declare(by="bob")
    settle()
    return secret


def text_of(answer) -> str:
    return answer.content.decode()


def values() -> dict[str, str]:
    return ProjectSecret.objects.get().reveal()


def test_a_project_leads_to_its_secrets(shop, as_):
    assert f'href="{LIST}"' in text_of(as_("carol").get("/tenants/acme/projects/shop"))
    assert "No secret yet" in text_of(as_("carol").get(LIST))


def test_it_is_made_by_typing_keys_and_values(shop, as_):
    sent = {"name": "db", "key-new-0": "password", "value-new-0": CANARY}
    sent |= {"key-new-2": "tls.key", "value-new-2": "-----BEGIN\r\nx\r\n"}
    answer = as_("bob").post(NEW, sent)

    assert (answer.status_code, answer["Location"]) == (302, LIST)
    assert values() == {"password": CANARY, "tls.key": "-----BEGIN\nx\n"}


def test_the_list_shows_keys_version_and_who(kept, as_):
    shown = text_of(as_("carol").get(LIST))
    assert all(each in shown for each in ("password", "user", "by bob", "Deployed"))
    assert CANARY not in shown and DB not in shown, "carol is offered no form"
    assert f'href="{DB}"' in text_of(as_("bob").get(LIST))


def test_a_form_shows_no_value_and_keeps_what_is_left_blank(kept, as_):
    assert CANARY not in text_of(as_("bob").get(DB))
    sent = {"generation": 1, "value-1": "other", "key-new-0": "token", "value-new-0": "t"}
    assert as_("bob").post(DB, sent).status_code == 302
    assert values() == {"password": CANARY, "user": "other", "token": "t"}


def test_a_key_is_removed_by_its_check_box(kept, as_):
    as_("bob").post(DB, {"generation": 1, "remove-0": "on"})
    assert values() == {"user": "shop"}


def test_what_was_changed_meanwhile_is_not_overwritten(kept, as_):
    assert as_("alice").post(DB, {"generation": 1, "value-1": "first"}).status_code == 302
    answer = as_("bob").post(DB, {"generation": 1, "value-1": "second"})
    assert answer.status_code == 200 or answer.status_code == 422
    assert "changed meanwhile" in text_of(answer) and values()["user"] == "first"


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        pytest.param({"value-new-0": CANARY}, "Give the value a key.", id="no key"),
        pytest.param({"key-new-0": "user", "value-new-0": CANARY}, "already", id="a known key"),
        pytest.param({"key-new-0": "a/b", "value-new-0": CANARY}, "Use a key", id="a bad key"),
        pytest.param({"value-0": "••••••••"}, "not a secret", id="the mask"),
        pytest.param({"remove-0": "on", "remove-1": "on"}, "at least one key", id="nothing left"),
    ],
)
def test_a_form_says_what_is_wrong_and_repeats_no_value(kept, as_, sent, told):
    answer = as_("bob").post(DB, {"generation": 1, **sent})
    assert answer.status_code == 422 and told in text_of(answer)
    assert CANARY not in text_of(answer)
    assert values() == {"password": CANARY, "user": "shop"}


@pytest.mark.parametrize(
    ("person", "status"), [("carol", 403), ("charlie", 404), ("bob", 200), ("olga", 200)]
)
def test_who_delivers_sets_values(kept, as_, person, status):
    for path in (DB, f"{DB}/delete"):
        assert as_(person).get(path).status_code == status


def test_it_is_deleted_by_typing_its_name(kept, as_):
    assert as_("bob").post(f"{DB}/delete", {"name": "other"}).status_code == 422
    assert as_("bob").post(f"{DB}/delete", {"name": "db"})["Location"] == LIST
    settle()
    assert not ProjectSecret.objects.exists()


def test_its_form_works_without_a_script_and_names_each_field(kept, as_):
    shown = text_of(as_("bob").get(DB))
    assert "hx-" not in shown.partition('<form class="card"')[2].partition("</form>")[0]
    for field in ("value-0", "remove-0", "value-new-0", "key-new-0"):
        assert f'for="id_{field}"' in shown or f'id="id_{field}"' in shown
    assert shown.count('autocomplete="off"') >= 4
