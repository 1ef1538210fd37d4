"""Pages of policies: whoever writes them attaches and promotes, members see what binds them."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from policies.models import Attachment, PolicySet
from tests.clusters.steps import hurry, settle
from tests.policies.conftest import attach, make_set

pytestmark = pytest.mark.django_db
STRICT = "/policies/strict"


@pytest.fixture
def browse(people):
    """The browser of somebody who has signed in."""

    def sign_in(name: str) -> Client:
        client = Client()
        client.force_login(people[name], backend="django.contrib.auth.backends.ModelBackend")
        return client

    return sign_in


def text_of(answer) -> str:
    return answer.content.decode()


@pytest.fixture
def bound(shop) -> Attachment:
    row = attach(make_set(), mode="audit")
    settle()
    hurry()
    return row


def test_an_operator_without_any_is_led_to_the_catalogue(browse):
    shown = text_of(browse("olga").get("/policies"))
    assert "No policy set yet" in shown and 'href="/policies-catalogue"' in shown
    catalogue = text_of(browse("olga").get("/policies-catalogue"))
    assert 'href="/new-policy?from=restricted"' in catalogue and "PCI-like" in catalogue


def test_one_of_the_catalogue_fills_the_form_and_is_created(browse):
    form = text_of(browse("olga").get("/new-policy?from=sandbox"))
    assert 'value="sandbox"' in form and 'value="*.sandbox.example.org"' in form
    sent = {"name": "sandbox", "rules-service_types": "ClusterIP", "rules-namespaces-count": "3"}
    answer = browse("olga").post("/new-policy?from=sandbox", sent)
    assert (answer.status_code, answer["Location"]) == (302, "/policies/sandbox")
    rules = {"service_types": ["ClusterIP"], "namespaces": {"count": 3}}
    assert PolicySet.objects.get().rules == rules


def test_what_is_wrong_is_told_beside_the_field(browse):
    answer = browse("olga").post("/new-policy", {"name": "x", "rules-service_types": "Local"})
    assert answer.status_code == 422
    assert "none of the values" in text_of(answer)


def test_another_rule_makes_a_version_and_shows_the_difference(browse, bound):
    sent = {"generation": 1, "rules-service_types": "NodePort"}
    assert browse("olga").post(f"{STRICT}/edit", sent).status_code == 302
    assert "Version 2" in text_of(browse("carol").get(f"{STRICT}/versions"))
    shown = text_of(browse("carol").get(f"{STRICT}/versions/2"))
    assert "- NodePort" in shown and "Changed since version 1" in shown
    assert browse("carol").get(f"{STRICT}/versions/3").status_code == 404


def test_it_is_attached_to_some_clusters_by_a_form_and_tells_where_it_holds(browse, shop):
    make_set()
    olga = browse("olga")
    form = text_of(olga.get(f"{STRICT}/attach"))
    assert "On which clusters" in form and "Clusters by their labels" in form
    sent = {"name": "eu", "mode": "enforce", "tenants": "acme", "clusters": "prod-a, nowhere"}
    refused = olga.post(f"{STRICT}/attach", sent)
    assert refused.status_code == 422 and "There is no cluster nowhere." in text_of(refused)
    sent |= {"clusters": "prod-a", "cluster_selector": "region=eu"}
    assert olga.post(f"{STRICT}/attach", sent).status_code == 302
    row = Attachment.objects.get()
    assert (row.clusters, row.cluster_selector) == (["prod-a"], "region=eu")
    assert "region=eu" in text_of(olga.get(STRICT))
    settle()
    for page in ("/tenants/acme/policies", "/tenants/acme/projects/shop/policies"):
        shown = text_of(browse("alice").get(page))
        assert "Nothing binds it on every cluster" in shown and "What binds it on" in shown
        assert "ClusterIP" in shown and "region=eu" not in shown


def test_it_is_attached_by_a_form(browse, shop):
    make_set()
    olga = browse("olga")
    assert "It binds nobody" in text_of(olga.get(STRICT))
    sent = {"name": "team", "mode": "warn", "version": "1", "tenants": "acme"}
    answer = olga.post(f"{STRICT}/attach", sent)
    assert (answer.status_code, answer["Location"]) == (302, STRICT)
    row = Attachment.objects.get()
    assert (row.mode, row.version, row.tenants) == ("warn", 1, ["acme"])
    wrong = olga.post(f"{STRICT}/attach", {**sent, "name": "b", "tenants": "nobody"})
    assert wrong.status_code == 422 and "There is no tenant nobody." in text_of(wrong)


def test_the_page_shows_mode_progress_and_whom(browse, bound):
    shown = text_of(browse("olga").get(STRICT))
    assert "1 of 1" in shown and "audit" in shown and "acme" in shown
    assert f'href="{STRICT}/attachments/everyone/promote"' in shown
    assert "hx-trigger" not in shown.partition('id="policy"')[2][:200], "it is settled"


def test_the_page_follows_until_all_have_settled(browse, shop):
    attach(make_set())
    answer = browse("olga").get(STRICT)
    assert 'hx-get="/policies/strict/state' in text_of(answer)
    path = text_of(answer).partition('hx-get="/policies')[2].partition('"')[0].replace("&amp;", "&")
    path = f"/policies{path}"
    assert browse("olga").get(path).status_code == 204
    settle()
    hurry()
    assert "1 of 1" in text_of(browse("olga").get(path))


def test_it_is_promoted_by_a_form_that_proposes_the_next_mode(browse, bound):
    where = f"{STRICT}/attachments/everyone/promote"
    assert '<option value="warn" selected>' in text_of(browse("olga").get(where))
    answer = browse("olga").post(where, {"generation": bound.generation, "mode": "enforce"})
    assert answer.status_code == 302
    bound.refresh_from_db()
    assert bound.mode == "enforce"


def test_a_contradiction_is_told_in_the_form(browse, acme):
    acme.restrictions = {"node_selector": {"pool": "acme"}}
    acme.declare(by="olga")
    make_set(node_selector={"pool": "all"})
    sent = {"name": "team", "mode": "enforce", "every_tenant": "on"}
    answer = browse("olga").post(f"{STRICT}/attach", sent)
    assert answer.status_code == 422
    assert "Tenant acme and policy set strict, version 1" in text_of(answer)


def test_whom_it_binds_is_edited(browse, bound, globex):
    where = f"{STRICT}/attachments/everyone/edit"
    assert "acme</textarea>" in text_of(browse("olga").get(where))
    sent = {"generation": bound.generation, "mode": "audit", "tenants": "acme, globex"}
    assert browse("olga").post(where, sent).status_code == 302
    bound.refresh_from_db()
    assert bound.tenants == ["acme", "globex"]


def test_an_exception_is_made_and_ended(browse, bound):
    olga, where = browse("olga"), f"{STRICT}/attachments/everyone"
    sent = {"subject": "acme/shop", "kind": "service_types", "reason": "Legacy.", "days": "7"}
    assert olga.post(f"{where}/exception", sent).status_code == 302
    found = bound.exceptions.get()
    assert (found.subject, found.author) == ("acme/shop", "olga")
    assert "Legacy." in text_of(olga.get(STRICT))
    wrong = olga.post(f"{where}/exception", {**sent, "subject": "nobody"})
    assert wrong.status_code == 422 and "There is no such tenant." in text_of(wrong)
    assert olga.post(f"{where}/exceptions/{found.uid}/end").status_code == 302
    assert not bound.exceptions.exists()


def test_it_is_detached_and_deleted_by_typing_its_name(browse, bound):
    olga = browse("olga")
    asked = text_of(olga.get(f"{STRICT}/attachments/everyone/detach"))
    assert "acme" in asked and "namespaces" not in asked
    assert olga.post(f"{STRICT}/attachments/everyone/detach", {"name": "no"}).status_code == 422
    assert (
        olga.post(f"{STRICT}/attachments/everyone/detach", {"name": "everyone"}).status_code == 302
    )
    assert "strict" in text_of(olga.get(f"{STRICT}/delete"))
    assert olga.post(f"{STRICT}/delete", {"name": "strict"}).status_code == 302
    hurry()
    hurry()
    assert not PolicySet.objects.exists()


def test_a_member_sees_what_binds_and_is_offered_nothing(browse, bound):
    for name in ("alice", "carol"):
        listed = text_of(browse(name).get("/policies"))
        assert 'href="/policies/strict"' in listed and "/new-policy" not in listed
        shown = text_of(browse(name).get(STRICT))
        assert "ClusterIP" in shown
        assert not any(word in shown for word in ("Promote", "/attach", "everyone", "/edit"))
        assert browse(name).get(f"{STRICT}/edit").status_code == 403
        assert browse(name).get(f"{STRICT}/attach").status_code == 403
        assert browse(name).get(f"{STRICT}/attachments/everyone/promote").status_code == 404
        assert browse(name).get("/new-policy").status_code == 403


def test_a_stranger_finds_nothing(browse, bound):
    charlie = browse("charlie")
    assert "No policy set binds a tenant of yours." in text_of(charlie.get("/policies"))
    for path in ("", "/state", "/versions", "/versions/1", "/edit", "/attach", "/delete"):
        assert charlie.get(f"{STRICT}{path}").status_code == 404
    assert charlie.get("/tenants/acme/policies").status_code == 404


def test_a_tenant_and_a_project_show_what_binds_them_and_from_where(browse, bound, shop):
    tenant = text_of(browse("carol").get("/tenants/acme/policies"))
    assert "policy set strict, version 1 (attachment everyone)" in tenant
    assert 'href="/policies/strict"' in tenant and "by name" in tenant
    assert 'href="/tenants/acme/policies"' in text_of(browse("carol").get("/tenants/acme"))
    project = text_of(browse("bob").get("/tenants/acme/projects/shop/policies"))
    assert "policy set strict, version 1" in project
    there = text_of(browse("bob").get("/tenants/acme/projects/shop"))
    assert 'href="/tenants/acme/projects/shop/policies"' in there


def test_who_is_bound_by_nothing_is_told_so(browse, shop):
    assert "Nothing binds it" in text_of(browse("alice").get("/tenants/acme/policies"))


def test_search_and_events_lead_to_it(browse, bound):
    olga = browse("olga")
    assert 'href="/policies/strict"' in text_of(olga.get("/search?q=stri"))
    for kind, row in (("policyset", bound.policy_set), ("attachment", bound)):
        assert olga.get(f"/objects/{kind}/{row.uid}")["Location"] == STRICT


@pytest.mark.parametrize("path", ["/policies", STRICT, "/tenants/acme/policies"])
def test_more_rows_cost_no_more_queries(browse, bound, path):
    client = browse("olga")
    few = queries_of(client, path)
    for number in range(4):
        attach(bound.policy_set, f"more-{number}")
        attach(make_set(f"set-{number}"), f"other-{number}")
    assert queries_of(client, path) == few


def queries_of(client: Client, path: str) -> int:
    client.get(path)
    with CaptureQueriesContext(connection) as captured:
        assert client.get(path).status_code == 200
    return len(captured)


def test_operators_see_everything_in_the_admin(admin_client, bound):
    for model in ("policyset", "attachment", "imposition", "policyexception"):
        assert admin_client.get(f"/admin/policies/{model}/").status_code == 200
    for row in (bound, bound.policy_set, bound.impositions.get()):
        path = f"/admin/policies/{row._meta.model_name}/{row.pk}/change/"
        assert admin_client.get(path).status_code == 200
