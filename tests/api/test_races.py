"""Two at once: the database decides, and the loser is told what the winner made."""

import pytest
from django.db import connection

from tenancy.models import Project
from tests.api.conftest import pointers, problem

pytestmark = pytest.mark.django_db
URL = "/api/v1/tenants/acme/projects"


class Rival:
    """Declares the same project right after the n-th look at its name: as another process would."""

    def __init__(self, tenant, after: int, **spec: object) -> None:
        self.looks, self.project = after, Project(tenant=tenant, name="shop", **spec)

    def __call__(self, execute, sql, params, many, context):
        found = execute(sql, params, many, context)
        if sql.startswith("SELECT") and "shop" in (params or ()):
            self.looks -= 1
            if self.looks == 0:
                self.project.declare(by="rival")
        return found


@pytest.mark.parametrize("after", [pytest.param(1, id="look-up"), pytest.param(2, id="validation")])
def test_the_loser_of_a_race_gets_what_the_winner_made(as_alice, acme, after):
    with connection.execute_wrapper(Rival(acme, after, labels={"team": "a"})):
        answer = as_alice.post(URL, {"name": "shop", "labels": {"team": "a"}})
    assert answer.status_code == 200
    assert Project.objects.get().declared_by == "rival"


@pytest.mark.parametrize("after", [1, 2])
def test_the_loser_of_a_race_is_told_what_differs(as_alice, acme, after):
    with connection.execute_wrapper(Rival(acme, after, labels={"team": "b"})):
        answer = as_alice.post(URL, {"name": "shop", "labels": {"team": "a"}})
    assert pointers(problem(answer, 409, "KN-CONFLICT")) == ["/labels"]


def test_a_put_that_loses_the_race_to_create_does_not_write_over_the_winner(as_alice, acme):
    with connection.execute_wrapper(Rival(acme, 2, labels={"team": "b"})):
        answer = as_alice.put(f"{URL}/shop", {"labels": {"team": "a"}})
    problem(answer, 409, "KN-CONFLICT")
    assert Project.objects.get().labels == {"team": "b"}
