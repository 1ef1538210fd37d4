"""How django-q2 is run: it supervises the drains, the dirty set is a table of our own."""

from reconcile.values import JSON


def queue(workers: int, redis_url: str) -> JSON:
    """Return Q_CLUSTER for so many resident drains, on Redis where there is a URL of one."""
    base: JSON = {
        "name": "kubenova",
        "workers": workers + 1,  # one more for tasks by the clock and for a drain's successor
        "timeout": 60,
        "retry": 300,  # more than twice the longest task: a prefetched one has waited already
        "bulk": 1,
        "queue_limit": workers + 1,
        "cache": "queue",
        "save_limit": -1,
        "max_attempts": 1,
        "ack_failures": True,
        "catch_up": False,
        "poll": 0.5,
        "label": "Queue",
    }
    if redis_url:
        return base | {"redis": redis_url, "broker_class": "kubenova.brokers.LocalRedis"}
    return base | {"orm": "default", "broker_class": "kubenova.brokers.LocalORM"}
