"""Functions that run at the same time, each in a thread with a database connection of its own."""

import threading
from collections.abc import Callable

from django.db import connection


def in_threads(*functions: Callable[[], object]) -> list[BaseException]:
    """Run them all at once; return what they raised."""
    raised: list[BaseException] = []

    def run(function: Callable[[], object]) -> None:
        try:
            function()
        except Exception as error:
            raised.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[function]) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised
