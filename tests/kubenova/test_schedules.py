"""What the apps want to run by the clock is what the queue runs, once each."""

import pytest
from django.core.cache import cache
from django.utils.module_loading import import_string
from django_q.models import Schedule

from kubenova import schedules

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nobody_else():
    cache.clear()


def registered():
    return dict(Schedule.objects.values_list("func", "minutes"))


def test_every_schedule_names_a_function():
    wanted = schedules.wanted()
    assert "vault.tasks.rotate_if_due" in wanted
    for name, minutes in wanted.items():
        assert callable(import_string(name))
        assert minutes > 0


def test_it_registers_each_once():
    assert schedules.register() == schedules.register() == len(schedules.wanted())
    assert registered() == schedules.wanted()
    assert Schedule.objects.count() == len(schedules.wanted())


def test_it_keeps_the_time_of_the_next_run():
    schedules.register()
    before = dict(Schedule.objects.values_list("func", "next_run"))
    schedules.register()
    assert dict(Schedule.objects.values_list("func", "next_run")) == before


def test_it_follows_a_change_of_minutes():
    schedules.register()
    Schedule.objects.update(minutes=1)
    schedules.register()
    assert registered() == schedules.wanted()


def test_it_removes_what_no_app_wants_and_leaves_what_people_made():
    Schedule.objects.create(name="kubenova: gone.tasks.run", func="gone.tasks.run", minutes=5)
    Schedule.objects.create(name="mine", func="math.floor", minutes=5)
    schedules.register()
    names = set(Schedule.objects.values_list("name", flat=True))
    assert "mine" in names
    assert "kubenova: gone.tasks.run" not in names


def test_one_of_several_workers_registers():
    cache.add("kubenova:schedules", 1, 10)
    assert schedules.register() == len(schedules.wanted())
    assert registered() == {}
