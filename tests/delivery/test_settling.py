"""How few steps an app takes, and how seldom one looks that comes up slowly."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from clusters.models import WatchLease
from delivery.models import App
from reconcile.locks import has_one_writer
from reconcile.models import Work
from tests.clusters.steps import settle
from tests.delivery.controllers import roll_out
from tests.delivery.samples import component

WAVES = {"waves": [{"clusters": ["prod-a"], "approval": True}]}


def declared(shop, **columns) -> App:
    app = App(project=shop, name="site", components=[component()], **columns)
    app.declare(by="bob")
    return app


def due(app: App) -> bool:
    return app.work.get().due_at is not None


def test_a_plain_app_has_nothing_left_to_do_once_it_is_declared(shop):
    app = declared(shop)
    assert not due(app)
    assert app.phase == "Pending"
    assert [row.target for row in app.placements.all()] == [1]
    assert app.work.get().reads.exists(), "what chooses its clusters is watched"


@pytest.mark.parametrize(
    "columns",
    [
        pytest.param({"strategy": WAVES}, id="in waves"),
        pytest.param({"on_failure": "rollback"}, id="goes back by itself"),
    ],
)
def test_one_of_which_more_depends_on_its_clusters_takes_its_steps(shop, columns):
    assert due(declared(shop, **columns))


def test_its_placements_sum_it_up(shop, fleet):
    app = declared(shop)
    roll_out(fleet)
    app.refresh_from_db()
    assert app.phase == "Deployed"
    assert app.revisions.get().healthy
    if has_one_writer():  # else a step of its own does that
        assert app.work.get().marks == 0


def looks_in(app: App) -> float:
    work = Work.objects.get(kind="delivery.appplacement", object_id=app.placements.get().pk)
    return (work.due_at - timezone.now()).total_seconds()


def test_it_looks_more_and_more_seldom_how_an_app_comes_up(shop):
    app = declared(shop, health_deadline=3600)
    settle()
    assert looks_in(app) == pytest.approx(5, abs=1)
    for seconds, then in ((4, 5), (10, 10), (40, 40), (600, 60)):
        with time_machine.travel(timezone.now() + timedelta(seconds=seconds)):
            assert app.placements.get().progress_look() == pytest.approx(then, abs=1.5)


def test_where_somebody_watches_it_looks_seldom(shop):
    app = declared(shop, health_deadline=3600)
    until = timezone.now() + timedelta(minutes=5)
    WatchLease.objects.create(cluster=app.placements.get().cluster, until=until)
    settle()
    assert looks_in(app) == pytest.approx(20, abs=1)


def test_it_looks_in_time_for_the_health_deadline(shop):
    app = declared(shop, health_deadline=12)
    until = timezone.now() + timedelta(minutes=5)
    WatchLease.objects.create(cluster=app.placements.get().cluster, until=until)
    settle()
    assert 10 < looks_in(app) <= 12.5
