"""What operators set by the environment: how often findings are looked for, how long kept."""

from environ import Env

_env = Env()
FINDING_MINUTES = _env.int("KUBENOVA_FINDING_MINUTES", default=60)
FINDING_DAYS = _env.int("KUBENOVA_FINDING_DAYS", default=90)  # after they were resolved
