"""`manage.py watch`: the role that notices what changes on clusters."""

import asyncio
import gc
import signal

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand

from clusters.transport import Limits, load
from clusters.watch.follower import Rhythm
from clusters.watch.role import Role
from clusters.watch.shares import Share
from reconcile.heap import settle

log = structlog.get_logger(__name__)


class Command(BaseCommand):
    """Watch this process's share of the registered clusters until SIGTERM."""

    help = "Notice changes on the clusters and mark what they concern; sweep the dirty set."

    def handle(self, *args: object, **options: object) -> None:
        """Run until asked to stop."""
        load()
        settle()
        asyncio.run(_watch())
        gc.freeze()  # collecting what the system takes back anyway would take a second


async def _watch() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    limits = Limits(connect=settings.CLUSTER_CONNECT_SECONDS, read=settings.CLUSTER_READ_SECONDS)
    rhythm = Rhythm(
        silence=settings.WATCH_SILENCE_SECONDS,
        relist=settings.WATCH_RELIST_SECONDS,
        probe=settings.WATCH_PROBE_SECONDS,
    )
    share = Share(settings.WATCH_LEASE_SECONDS)
    log.info("watch_started", holder=share.holder)
    await Role(limits, rhythm, share).run(stop)
    log.info("watch_stopped", holder=share.holder)
