"""Previews: a form shows what it would do before it does it, and then does exactly that."""

import re

import pytest

from clusters.kinds import DEPLOYMENT
from delivery.models import App, AppPlacement
from reconcile.models import Event, PlanRecord
from reconcile.values import Ref
from tenancy.models import Project, Tenant
from tests.clusters.steps import settle
from tests.portal.conftest import As
from tests.portal.test_app_forms import FORM, NEW, SITE, edited

HTMX = {"HTTP_HX_REQUEST": "true"}
WEB = Ref(DEPLOYMENT, "acme--shop", "web")


def preview(browser, path: str, form: dict, **extra: str):
    """Ask for a preview, as the button does."""
    return browser.post(path, {**form, "preview": "yes"}, **extra)


def text_of(answer) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())


def hash_in(answer) -> str:
    (found,) = re.findall(r'name="plan" value="([0-9a-f]{32})"', answer.content.decode())
    return found


def test_a_new_app_is_shown_before_it_is_made(shop, as_: As) -> None:
    answer = preview(as_("bob"), NEW, FORM, **HTMX)
    assert answer.status_code == 200
    assert answer.content.decode().lstrip().startswith('<section id="plan"')
    text = text_of(answer)
    assert "It creates 2, changes 0 and deletes 0 objects." in text
    assert "Deployment acme--shop/front" in text and "image: nginx:1.27" in text
    assert not App.objects.filter(name="shopfront").exists()
    assert not Event.objects.filter(reason="Created", name__contains="shopfront").exists()


def test_what_was_seen_is_what_is_applied(shop, fleet, as_: As) -> None:
    browser = as_("bob")
    seen = hash_in(preview(browser, NEW, FORM, **HTMX))
    answer = browser.post(NEW, {**FORM, "plan": seen})
    assert answer["Location"] == "/tenants/acme/projects/shop/apps/shopfront"
    placement = AppPlacement.objects.get(app__name="shopfront")
    assert placement.pinned_plan["hash"] == seen
    settle()
    assert fleet["prod-a"].exists(Ref(DEPLOYMENT, "acme--shop", "front"))


def test_a_change_shows_its_fields(deployed, fleet, as_: As) -> None:
    form = edited(deployed, **{"component-0-image": "nginx:1.28"})
    text = text_of(preview(as_("bob"), f"{SITE}/edit", form, **HTMX))
    assert ".spec.template.spec.containers[name=web].image now nginx:1.27 → then nginx:1.28" in text


def test_what_moved_after_the_preview_is_not_overwritten(deployed, fleet, as_: As) -> None:
    browser = as_("bob")
    form = edited(deployed, **{"component-0-image": "nginx:1.28"})
    seen = hash_in(preview(browser, f"{SITE}/edit", form, **HTMX))
    fleet["prod-a"].edit(WEB, "kubectl-edit", lambda body: body["spec"].update(replicas=7))
    answer = browser.post(f"{SITE}/edit", {**form, "plan": seen})
    assert answer.status_code == 422
    assert "Deployment acme--shop/web was changed on" in text_of(answer)
    deployed.refresh_from_db()
    assert deployed.generation == 1


def test_a_form_that_was_edited_after_its_preview_is_refused(deployed, as_: As) -> None:
    """Scripts take the preview away; without them the server notices."""
    browser = as_("bob")
    seen = hash_in(preview(browser, f"{SITE}/edit", edited(deployed), **HTMX))
    form = edited(deployed, **{"component-0-image": "evil:1"})
    answer = browser.post(f"{SITE}/edit", {**form, "plan": seen})
    assert answer.status_code == 422 and "Plan anew" in text_of(answer)


def test_what_changes_nothing_says_so(deployed, as_: As) -> None:
    answer = preview(as_("bob"), f"{SITE}/edit", edited(deployed, description="x"), **HTMX)
    assert "Nothing changes on any cluster." in text_of(answer)


def test_without_scripts_the_page_shows_it(deployed, as_: As) -> None:
    form = edited(deployed, **{"component-0-image": "nginx:1.28"})
    answer = preview(as_("bob"), f"{SITE}/edit", form)
    assert answer.status_code == 200 and "<html" in answer.content.decode()
    assert hash_in(answer) == PlanRecord.objects.get().hash
    assert answer.context["form"]["description"].value() in (None, "")


def test_a_form_with_faults_comes_back_with_them(shop, as_: As) -> None:
    wrong = {**FORM, "component-0-name": "Front"}
    answer = preview(as_("bob"), NEW, wrong, **HTMX)
    assert (answer.status_code, answer["HX-Retarget"], answer["HX-Reselect"]) == (
        200,
        "#main",
        "#main",
    )
    assert answer.context["form"].components[0].errors["name"]
    assert preview(as_("bob"), NEW, wrong).status_code == 422
    assert not PlanRecord.objects.exists()


def test_a_tenant_is_previewed_with_its_admins(people, as_: As) -> None:
    form = {"name": "initech", "owners": "bob", "isolation": "isolated"}
    answer = preview(as_("olga"), "/new-tenant", form, **HTMX)
    assert answer.status_code == 200 and not Tenant.objects.filter(name="initech").exists()
    created = as_("olga").post("/new-tenant", {**form, "plan": hash_in(answer)})
    assert created["Location"] == "/tenants/initech"
    assert Tenant.objects.get(name="initech").owners == ["bob"]


@pytest.mark.parametrize("name", ["alice", "olga"])
def test_a_tenant_admin_previews_what_is_theirs(shop, as_: As, name: str) -> None:
    settle()
    tenant = Tenant.objects.get(name="acme")
    form = {"generation": tenant.generation, "isolation": "none", "placement-clusters": ["prod-a"]}
    answer = preview(as_(name), "/tenants/acme/edit", form, **HTMX)
    assert "NetworkPolicy acme--shop/kubenova-isolation" in text_of(answer)
    tenant.refresh_from_db()
    assert tenant.isolation == "isolated"


def test_a_project_is_previewed(shop, as_: As) -> None:
    answer = preview(as_("alice"), "/tenants/acme/new-project", {"name": "blog"}, **HTMX)
    assert "Namespace acme--blog" in text_of(answer)
    assert not Project.objects.filter(name="blog").exists()
    done = as_("alice").post("/tenants/acme/new-project", {"name": "blog", "plan": hash_in(answer)})
    assert done["Location"] == "/tenants/acme/projects/blog"


@pytest.mark.parametrize("path", [NEW, f"{SITE}/edit", "/tenants/acme/edit", "/new-tenant"])
def test_every_form_has_the_button(deployed, as_: As, path: str) -> None:
    page = as_("olga").get(path).content.decode()
    assert f'hx-post="{path}"' in page and 'name="preview"' in page
    assert page.count('id="plan"') == 1
