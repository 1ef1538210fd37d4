"""Pages of simulations: begun by a form, followed until over, told to who promotes."""

import pytest

from policies.models import Simulation
from tests.policies.conftest import attach, make_set
from tests.policies.simulated import HUB, deployment
from tests.policies.test_pages import STRICT, browse, text_of
from tests.policies.test_simulating import rest

__all__ = ["browse"]

pytestmark = pytest.mark.django_db
ALL = f"{STRICT}/simulations"


@pytest.fixture
def bound(fleet, shop):
    deployment(fleet, "bad", "nginx")
    row = attach(make_set(**HUB), mode="audit")
    rest()
    return row


def begun(browse) -> str:
    answer = browse("olga").post(ALL, {"version": "1", "attachment": "everyone"})
    assert answer.status_code == 302
    return answer["Location"]


def test_it_is_begun_by_a_form_that_is_reached_from_the_page_of_the_set(browse, bound):
    assert f'href="{ALL}"' in text_of(browse("olga").get(STRICT))
    empty = text_of(browse("olga").get(ALL))
    assert "Nothing simulated yet" in empty and "everyone" in empty
    where = begun(browse)
    assert where == f"{ALL}/{Simulation.objects.get().uid}"
    assert f'href="{where}"' in text_of(browse("olga").get(ALL))


def test_it_is_followed_until_it_is_over(browse, bound):
    where = begun(browse)
    moving = text_of(browse("olga").get(where))
    assert "Updating" in moving and f"{where}/state" in moving and "Nothing found by now" in moving
    rest()
    shown = text_of(browse("olga").get(f"{where}/state"))
    assert "Updating" not in shown
    assert "1 of 1" in shown and "The image nginx is not allowed here." in shown
    assert "<strong>1</strong> would be denied" in shown


def test_one_without_findings_says_so(browse, bound, fleet):
    fleet["prod-a"].remove(deployment(fleet, "bad", "nginx"))
    where = begun(browse)
    rest()
    assert "Nothing would be refused" in text_of(browse("olga").get(where))


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({"version": "1"}, "Name an attachment, or tenants"),
        ({"version": "1", "tenants": "unknown"}, "No tenant with projects is meant by this."),
        ({"version": "7", "tenants": "acme"}, "Select a valid choice"),
    ],
)
def test_what_is_wrong_is_told_in_the_form(browse, bound, sent, told):
    answer = browse("olga").post(ALL, sent)
    assert answer.status_code == 422 and told in text_of(answer)


def test_who_promotes_sees_the_last_one_of_the_version(browse, bound):
    promote = f"{STRICT}/attachments/everyone/promote"
    before = text_of(browse("olga").get(promote))
    assert "has not been simulated" in before and f'href="{ALL}?attachment=everyone"' in before
    where = begun(browse)
    rest()
    after = text_of(browse("olga").get(promote))
    assert f'href="{where}"' in after and "<strong>1</strong> that would be denied" in after


def test_members_are_offered_none_and_strangers_find_nothing(browse, bound):
    where = begun(browse)
    rest()
    assert f'href="{ALL}"' not in text_of(browse("alice").get(STRICT))
    for name, status in (("alice", 403), ("charlie", 404)):
        for path in (ALL, where, f"{where}/state"):
            assert browse(name).get(path).status_code == status
