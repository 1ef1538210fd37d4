"""`manage.py web`: the role that answers HTTP."""

from argparse import ArgumentParser
from typing import Any

from django.core.handlers.wsgi import WSGIHandler
from django.core.management.base import BaseCommand
from django.db import connections
from gunicorn.app.base import BaseApplication

from kubenova import gunicorn_conf


class Server(BaseApplication):  # type: ignore[misc]
    """gunicorn around our own WSGI application."""

    def __init__(self, bind: str) -> None:
        self._bind = bind
        super().__init__()

    def load_config(self) -> None:
        """Take every setting from `kubenova.gunicorn_conf`."""
        for name, value in vars(gunicorn_conf).items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)
        self.cfg.set("bind", self._bind)

    def load(self) -> WSGIHandler:
        """Return the application, in each worker process."""
        from kubenova.wsgi import application

        return application


class Command(BaseCommand):
    """Serve the API, the admin site and the pages until SIGTERM."""

    help = "Serve the API and the pages."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where to listen."""
        parser.add_argument("--bind", default=gunicorn_conf.bind, help="ADDRESS:PORT")

    def handle(self, *args: Any, bind: str, **options: Any) -> None:
        """Serve until asked to stop."""
        connections.close_all()  # none is shared with the processes forked from here
        Server(bind).run()
