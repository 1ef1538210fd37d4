"""The database from asyncio: one thread for all of it, so that one connection is enough."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.db import DatabaseError, connections

P = ParamSpec("P")
T = TypeVar("T")


async def in_database(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `function` in the database's thread and return what it returns.

    Raises DatabaseError; the connection is opened anew afterwards.
    """
    return await sync_to_async(_guarded, thread_sensitive=True)(function, *args, **kwargs)


def _guarded(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return function(*args, **kwargs)
    except DatabaseError:
        connections.close_all()
        raise
