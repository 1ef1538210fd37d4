"""The worker role: supervises one django-q2 cluster and keeps its drains running."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import FrameType

import psutil
import structlog
from django.conf import settings
from django.db import Error as DatabaseFailed
from django.db import close_old_connections
from django.utils import timezone
from django_q.brokers import get_broker
from django_q.models import OrmQ
from redis.exceptions import RedisError as BrokerFailed

from kubenova import schedules
from kubenova.drains import Keeper, Slot
from kubenova.lifeline import following

QUEUE_PREFIX = "kubenova@"
STOP_SECONDS = 8.0  # then the queue is killed: a role stops within 10 s (its leases run out)
_LOOK_SECONDS = 0.25
_ABANDONED_AFTER = timedelta(hours=1)
_OWNED = re.compile(r"worker-(\d{1,9})")  # by the process of that id

log = structlog.get_logger(__name__)


@dataclass
class Worker:
    """One worker role on this machine: `count` drains in a folder of its own."""

    count: int
    folder: Path = field(default_factory=lambda: settings.STATE_DIR / f"worker-{os.getpid()}")
    queue: str = field(
        default_factory=lambda: f"{QUEUE_PREFIX}{socket.gethostname()}:{os.getpid()}"
    )

    @property
    def stop_file(self) -> Path:
        """The marker that tells drains to end; django-q2 tells running tasks nothing."""
        return self.folder / "stop"

    def run(self) -> int:
        """Work until SIGTERM or SIGINT; return the exit status (1: the queue died by itself)."""
        stop = _on_signals()
        self.prepare()
        log.info("worker_started", schedules=schedules.register(), drains=self.count)
        slots = [Slot(self.folder / f"slot-{number}") for number in range(self.count)]
        process = self._start_queue()
        keeper = Keeper(slots, self.queue)
        try:
            while not stop.is_set() and process.poll() is None:
                _bearing(keeper.look)
                stop.wait(_LOOK_SECONDS)
            return self._stop(process) if stop.is_set() else self._report(process)
        finally:
            process.kill()
            _bearing(get_broker(self.queue).purge_queue)
            shutil.rmtree(self.folder, ignore_errors=True)

    def prepare(self) -> None:
        """Make the folder; clear what earlier workers left behind when they were killed."""
        for folder in self.folder.parent.glob("worker-*"):
            owner = _OWNED.fullmatch(folder.name)  # what is named otherwise is not of a worker
            if owner and (folder == self.folder or not psutil.pid_exists(int(owner[1]))):
                shutil.rmtree(folder, ignore_errors=True)
        self.folder.mkdir(mode=0o700, parents=True)
        abandoned = timezone.now() - _ABANDONED_AFTER
        OrmQ.objects.filter(key__startswith=QUEUE_PREFIX, lock__lt=abandoned).delete()
        get_broker(self.queue).purge_queue()

    def _start_queue(self) -> subprocess.Popen[bytes]:
        """Start qcluster in a session of its own: a signal to its group would hang it for ever."""
        environment = {
            **os.environ,
            "KUBENOVA_ROLE": "worker",
            "KUBENOVA_WORKERS": str(self.count),
            "KUBENOVA_STOP_FILE": str(self.stop_file),
            "KUBENOVA_LOCAL_QUEUE": self.queue,
        }
        return subprocess.Popen(
            # The role itself has run the checks.
            [sys.executable, "-m", "django", "qcluster", "--skip-checks"],
            env=following(environment),
            cwd=settings.BASE_DIR,
            start_new_session=True,
        )

    def _stop(self, process: subprocess.Popen[bytes]) -> int:
        """Let the drains finish their steps, then the queue; kill it after STOP_SECONDS."""
        log.info("worker_stopping")
        self.stop_file.touch()
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            log.warning("worker_stopped_by_force", seconds=STOP_SECONDS)
        return 0

    def _report(self, process: subprocess.Popen[bytes]) -> int:
        log.error("queue_died", status=process.returncode)
        return 1


def _on_signals() -> threading.Event:
    stop = threading.Event()

    def ask(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGINT, ask)
    return stop


def _bearing(act: Callable[[], object]) -> None:
    """Act; a database or broker that is away for a while does not end the role."""
    try:
        close_old_connections()
        act()
    except DatabaseFailed as error:
        log.warning("database_failed", error=str(error))
    except BrokerFailed as error:
        log.warning("broker_failed", error=str(error))
