"""The world without any fault: what the cases start from."""

import pytest

from tests.faults.sites import Site
from tests.faults.web import NEWER
from tests.faults.world import World

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]


def test_without_a_fault_all_that_is_asked_for_is_there_once(world: World, one: Site):
    app = world.shop("calm")
    world.settle()
    assert world.phase(app.path) == "Deployed"
    world.change(app, NEWER)
    world.settle()
    assert one.image(app.namespace) == NEWER
    assert world.audit().clean
    world.remove(app)
    world.settle()
    world.remove_tenant("calm")
    world.settle()
    assert one.of("calm") == []
    assert world.audit().clean
