"""The queue's brokers: each worker role serves a queue of its own besides the shared one.

django-q2 reads a single queue. Drains belong to the role that asked for them, everything else to
whoever is free; with one queue alone the prefetch of one machine would hoard another's drains.
"""

import time

from django.conf import settings
from django.utils import timezone
from django_q.brokers.orm import ORM
from django_q.brokers.redis_broker import Redis
from django_q.conf import Conf
from django_q.models import OrmQ

Message = tuple[int | None, str | bytes]


class LocalORM(ORM):  # type: ignore[misc]
    """Messages in a table, acknowledged when done; the role's own queue and the shared one."""

    def dequeue(self) -> list[Message] | None:
        """Claim up to `bulk` messages by conditional UPDATE; None after an idle poll."""
        queues = [settings.LOCAL_QUEUE or self.list_key, self.list_key]
        waiting = self.get_connection().filter(key__in=queues, lock__lt=timezone.now())
        claimed: list[Message] = [
            (message.pk, message.payload)
            for message in waiting.order_by("lock")[: Conf.BULK]
            if self._claim(message)
        ]
        if not claimed:
            time.sleep(Conf.POLL)
        return claimed or None

    def _claim(self, message: OrmQ) -> bool:
        ours = self.get_connection().filter(pk=message.pk, lock=message.lock)
        return bool(ours.update(lock=self.timeout(message)))


class LocalRedis(Redis):  # type: ignore[misc]
    """Messages in lists of Redis; the role's own queue comes first."""

    def dequeue(self) -> list[Message] | None:
        """Pop one message, waiting up to a second; None when none came."""
        lists = [self.list_key]
        if settings.LOCAL_QUEUE:
            lists.insert(0, f"django_q:{settings.LOCAL_QUEUE}:q")
        popped = self.connection.blpop(lists, 1)
        return [(None, popped[1])] if popped else None
