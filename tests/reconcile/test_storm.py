"""People, drains and clusters, all at once: in the end every cluster is as declared."""

import random
import threading
import time
from collections import Counter

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from clusters.kinds import CONFIG_MAP, NAMESPACE
from reconcile.drain import Drain
from reconcile.models import Work
from reconcile.refusals import Refusal
from reconcile.values import OWNER, Ref
from tests.memory_cluster import MemoryCluster
from tests.reconcile.models import CLUSTERS, Shelf, Toy, ToyPlacement
from tests.threads import in_threads

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]

SHELVES = ("a", "b", "c")
TOYS = ("train", "robot", "doll", "kite")
SECONDS = 3.0


@pytest.fixture
def stop(settings, tmp_path):
    settings.STOP_FILE = str(tmp_path / "stop")
    return tmp_path / "stop"


@pytest.fixture
def shelves(db) -> None:
    for name in SHELVES:
        Shelf.objects.create(name=name)
        CLUSTERS[name] = MemoryCluster(finishes=True)


class Person:
    """Declares, changes and deletes at random, with a seed of her own."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)

    def work(self) -> None:
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            try:
                self._act()
            except (Refusal, ValidationError, IntegrityError):
                continue  # somebody was faster
            time.sleep(self._dice.uniform(0, 0.03))

    def _act(self) -> None:
        name = self._dice.choice(TOYS)
        toy = Toy.objects.filter(name=name).first()
        if toy is None or self._dice.random() > 0.15:
            toy = toy or Toy(name=name)
            toy.maps = {"rules": {"speed": str(self._dice.randrange(100))}}
            toy.shelves = self._dice.sample(SHELVES, self._dice.randrange(1, 4))
            toy.declare(by="alice")
        else:
            toy.request_deletion(by="alice")


def vandal(seed: int) -> None:
    """Edits and deletes on the clusters what is KubeNova's, and tells as the watcher would."""
    dice = random.Random(seed)
    strikes: Counter[tuple[str, Ref]] = Counter()
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        name = dice.choice(SHELVES)
        ref = Ref(CONFIG_MAP, dice.choice(TOYS), "rules")
        if strikes[name, ref] == 4:  # from the fifth on it would be a fight, and left alone
            time.sleep(0.01)
            continue
        try:
            if dice.random() < 0.5:
                CLUSTERS[name].edit(ref, "vim", lambda body: body.update(data={"speed": "x"}))
            else:
                CLUSTERS[name].remove(ref)
        except Exception:  # it is not there, or going
            continue
        strikes[name, ref] += 1
        for row in ToyPlacement.objects.filter(toy__name=ref.namespace, cluster__name=name):
            row.mark()
        time.sleep(dice.uniform(0, 0.02))


def settled() -> bool:
    return not Work.objects.exclude(lease_token=None).exists() and not Work.objects.due().exists()


def wait_for_rest(seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    calm = 0
    while calm < 3:
        assert time.monotonic() < until, list(Work.objects.values())
        calm = calm + 1 if settled() and not pending() else 0
        time.sleep(0.05)


def pending() -> bool:
    going = Toy.objects.exclude(deletion_requested_at=None).exists()
    return going or Toy.objects.exclude(phase="Deployed").exists()


def assert_every_cluster_is_as_declared() -> None:
    for name, cluster in CLUSTERS.items():
        wanted = {toy.name: toy for toy in Toy.objects.all() if name in toy.shelves}
        found = {ref.name for ref in cluster.refs(NAMESPACE) if OWNER in labels(cluster, ref)}
        assert found == set(wanted), name
        for toy in wanted.values():
            body = cluster.body(Ref(CONFIG_MAP, toy.name, "rules"))
            assert body["data"] == toy.maps["rules"], (name, toy)


def labels(cluster: MemoryCluster, ref: Ref) -> dict[str, str]:
    return cluster.body(ref)["metadata"].get("labels") or {}


@pytest.mark.parametrize("seed", range(3))
def test_in_the_end_every_cluster_is_as_declared_f5(shelves, stop, seed):
    raised: list[BaseException] = []

    def drains() -> None:
        raised.extend(in_threads(*(lambda: Drain(4, 4).run(90) for _ in range(2))))

    serving = threading.Thread(target=drains)
    serving.start()
    people = [Person(seed * 100 + number).work for number in range(3)]
    raised += in_threads(*people, lambda: vandal(seed))
    try:
        wait_for_rest()
    finally:
        stop.touch()
        serving.join(30)

    assert raised == []
    assert_every_cluster_is_as_declared()
    assert not Work.objects.exclude(traceback="").exists()
    assert set(Toy.objects.values_list("phase", flat=True)) <= {"Deployed"}
