"""`/metrics`: the numbers of every process of this machine, whatever its role.

Each process writes its numbers into files below PROMETHEUS_MULTIPROC_DIR; whoever is asked adds
them up. What is counted is defined beside what it counts (`reconcile.metrics`, …).
"""

import hmac
import os
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import psutil
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import REGISTRY, Collector

_FORWARDED = ("HTTP_FORWARDED", "HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP")


class Build(Collector):
    """Which version answers."""

    def collect(self) -> Iterator[Metric]:
        """Yield `kubenova_info{version}`."""
        yield InfoMetricFamily("kubenova", "What runs here.", {"version": settings.VERSION})


def export(request: HttpRequest) -> HttpResponse:
    """Return the metrics in the format that the scraper asks for; 404 for whoever may not see them.

    With KUBENOVA_METRICS_TOKEN set: to whoever sends it as a bearer token. Without: to this machine
    alone, and to nobody behind a proxy.
    """
    if not _may_see(request):
        return HttpResponseNotFound()
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return HttpResponse(encode(registry()), content_type=content_type)


def registry() -> CollectorRegistry:
    """Collect what all processes have written; in a process on its own, what it counted itself."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    collected = CollectorRegistry()
    MultiProcessCollector(collected)  # type: ignore[no-untyped-call]
    collected.register(Build())
    return collected


def forget_dead(folder: Path) -> int:
    """Delete the files of processes that are gone; return how many.

    Only for a role that starts: a counter that falls is a restart to Prometheus.
    """
    gone = [path for path in folder.glob("*_*.db") if not _lives(path.stem.rpartition("_")[2])]
    for path in gone:
        path.unlink(missing_ok=True)
    return len(gone)


def _lives(pid: str) -> bool:
    return pid.isdigit() and psutil.pid_exists(int(pid))


def _may_see(request: HttpRequest) -> bool:
    if settings.METRICS_TOKEN:
        wanted = f"Bearer {settings.METRICS_TOKEN}"
        given = request.headers.get("Authorization", "")
        return hmac.compare_digest(given.encode(), wanted.encode())
    if any(name in request.META for name in _FORWARDED):
        return False
    return _is_loopback(request.META.get("REMOTE_ADDR", ""))


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
