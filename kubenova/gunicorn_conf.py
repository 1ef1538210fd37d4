"""How gunicorn serves the web role; read by `manage.py web`, or `gunicorn -c python:…`."""

import logging
import os
from pathlib import Path
from typing import Any

from gunicorn import glogging
from prometheus_client import multiprocess

from reconcile.heap import settle


class RootLogger(glogging.Logger):  # type: ignore[misc]
    """Hands gunicorn's lines to the root logger, so that they look like all others."""

    def setup(self, cfg: Any) -> None:
        """Set up nothing of its own."""
        super().setup(cfg)
        for log in (self.error_log, self.access_log):
            log.handlers.clear()
            log.propagate = True

    def access(self, *args: Any) -> None:
        """Say nothing: django-structlog writes the line of each request."""


bind = os.environ.get("KUBENOVA_BIND", "127.0.0.1:8000")
worker_class = "gthread"
workers = int(os.environ.get("KUBENOVA_WEB_WORKERS", "2"))
threads = int(os.environ.get("KUBENOVA_WEB_THREADS", "4"))
timeout = 60
graceful_timeout = 8
keepalive = 5
max_requests = 20_000
max_requests_jitter = 2_000
logger_class = RootLogger
accesslog = None
proc_name = "kubenova-web"
control_socket_disable = True
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None


def child_exit(_server: Any, worker: Any) -> None:
    """Forget the gauges of a dead worker; its counters stay in the sums."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def post_worker_init(_worker: Any) -> None:
    """Keep what was loaded out of collections: they would hold up requests for half a second."""
    settle()


def post_fork(_server: Any, worker: Any) -> None:
    """Say which process came up."""
    logging.getLogger("gunicorn.error").debug("web worker %s", worker.pid)
