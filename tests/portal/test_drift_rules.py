"""The form for rules up front: fields of an object that others own from the start."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from reconcile.models import Decision
from tests.portal.conftest import As
from tests.portal.test_drift_page import SITE, text_of

RULE = {"pointer": "/spec/replicas", "reason": "KEDA scales it."}


def path_of(row, kind: str = "app") -> str:
    return f"/objects/{kind}/{row.uid}/leave"


@pytest.mark.parametrize(
    ("given", "columns"),
    [
        (RULE, {"pointer": "/spec/replicas"}),
        ({"manager": "keda-operator", "reason": "x"}, {"manager": "keda-operator"}),
        (
            {**RULE, "kind": "Deployment", "name": "web", "manager": "keda"},
            {"object_kind": "Deployment", "object_name": "web", "manager": "keda"},
        ),
    ],
    ids=["a field", "a manager", "a field of one object while a manager owns it"],
)
def test_a_rule_is_made_and_shown(given, columns, deployed, as_: As) -> None:
    answer = as_("bob").post(path_of(deployed), given, follow=True)
    assert answer.redirect_chain == [(SITE, 302)]
    made = Decision.objects.get(verb="ignore", **columns)
    assert (made.parent_uid, made.author, made.reason) == (deployed.uid, "bob", given["reason"])
    text = text_of(answer)
    assert "left to others" in text and given["reason"] in text and "until revoked" in text


def test_it_ends_with_its_day(deployed, as_: As) -> None:
    day = (timezone.now() + timedelta(days=3)).date()
    as_("bob").post(path_of(deployed), {**RULE, "until": day.isoformat()})
    assert Decision.objects.get().expires_at.date() == day


def test_the_same_rule_again_is_no_second_one(deployed, as_: As) -> None:
    for words in ("left to others", "was so already"):
        assert words in text_of(as_("bob").post(path_of(deployed), RULE, follow=True))
    assert Decision.objects.count() == 1


WRONG = {
    "neither field nor manager": ({"reason": "x"}, "Name the field here"),
    "no reason": ({"pointer": "/spec/replicas"}, "This field is required"),
    "no pointer": ({**RULE, "pointer": "spec.replicas"}, "Begin it with `/`"),
    "what is ours": ({**RULE, "pointer": "/metadata/labels"}, "finds its objects by this"),
    "ourselves": ({"manager": "kubenova", "reason": "x"}, "This is KubeNova itself"),
    "a name alone": ({**RULE, "name": "web"}, "required"),
    "a day that is over": ({**RULE, "until": "2020-01-01"}, "This day is over"),
}


@pytest.mark.parametrize(("given", "said"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_said_at_its_field(given, said, deployed, as_: As) -> None:
    answer = as_("bob").post(path_of(deployed), given)
    assert answer.status_code == 422
    assert said in text_of(answer)
    assert not Decision.objects.exists()


def test_what_bounds_a_tenant_is_the_operators(acme, shop, as_: As) -> None:
    answer = as_("alice").post(path_of(acme, "tenant"), RULE)
    assert answer.status_code == 422 and "operators decide about" in text_of(answer)
    quota = {"kind": "ResourceQuota", "pointer": "/spec/hard", "reason": "x"}
    assert "operators decide about" in text_of(as_("alice").post(path_of(acme, "tenant"), quota))
    assert not Decision.objects.exists()
    assert as_("olga").post(path_of(acme, "tenant"), quota).status_code == 302
    own = {**RULE, "kind": "Deployment"}
    assert as_("alice").post(path_of(shop, "project"), own).status_code == 302


def test_it_is_offered_to_whom_it_is_for(deployed, globex, as_: As) -> None:
    path = path_of(deployed)
    for person in ("bob", "alice", "olga"):
        assert path in as_(person).get(SITE).content.decode()
        assert as_(person).get(path).status_code == 200
    assert path not in as_("carol").get(SITE).content.decode()
    for method in ("get", "post"):
        assert getattr(as_("carol"), method)(path).status_code == 403
        assert getattr(as_("charlie"), method)(path).status_code == 404
    for kind in ("cluster", "grant", "nonsense"):
        assert as_("olga").get(path_of(deployed, kind)).status_code == 404
    assert as_("olga").get(f"/objects/app/{uuid4()}/leave").status_code == 404


def test_nothing_is_ruled_on_what_goes(deployed, as_: As) -> None:
    deployed.request_deletion(by="olga")
    assert "drift-rule" not in as_("bob").get(SITE).content.decode()
    assert "is being deleted" in text_of(as_("bob").post(path_of(deployed), RULE))
    assert not Decision.objects.exists()
