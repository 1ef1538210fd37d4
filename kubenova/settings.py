"""Settings, flat: the environment decides, sound values for one machine are the default.

Wrong combinations are refused by the system checks in `kubenova.checks`, by id.
"""

import os
import secrets
import sys
from datetime import timedelta
from pathlib import Path

import environ

from kubenova.api.settings import DRF_STANDARDIZED_ERRORS as DRF_STANDARDIZED_ERRORS
from kubenova.api.settings import rest_framework, simple_jwt, spectacular
from kubenova.logging import logging_config
from kubenova.queue import queue
from vault.files import read_or_make

env = environ.Env()
BASE_DIR = Path(__file__).resolve().parent.parent
TESTING = "pytest" in sys.modules
STATE_DIR = Path(env("KUBENOVA_STATE", default=str(BASE_DIR / ".run")))
DEBUG = env.bool("DEBUG", default=False)
PRODUCTION = env.bool("KUBENOVA_PRODUCTION", default=False)
VERSION = "0.1.0"
# What this process does; empty for commands.
ROLE = env("KUBENOVA_ROLE", default="".join({*sys.argv[1:2]} & {"web", "worker", "watch", "proxy"}))

SECRET_KEY = (
    env("SECRET_KEY", default="")
    or read_or_make(STATE_DIR / "secret-key", lambda: secrets.token_hex(32).encode()).decode()
)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
ROOT_URLCONF = "kubenova.urls"
WSGI_APPLICATION = "kubenova.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
APPEND_SLASH = False

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.forms",
    "django_prometheus",
    "django_structlog",
    "django_q",
    "django_filters",
    "django_htmx",
    "heroicons",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "drf_standardized_errors",
    "axes",
    "kubenova",
    "sandbox",
    "vault",
    "reconcile",
    "clusters",
    "tenancy",
    "delivery",
    *("access", "policies"),
    "portal",
]
INSTALLED_APPS += ["tests.reconcile", "tests.vault"] if TESTING else []

MIDDLEWARE = [
    "kubenova.health.ProbeMiddleware",
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "kubenova.middleware.CorrelationMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "portal.middleware.ContentSecurityPolicy",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "access.audit.AuditMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "portal.context.portal",
            ]
        },
    }
]

# --- Database: SQLite in WAL mode with immediate transactions, PostgreSQL by DATABASE_URL.
DATABASES = {
    "default": env.db("DATABASE_URL", default=f"sqlite:///{STATE_DIR / 'kubenova.sqlite3'}")
}
SQLITE = "sqlite" in DATABASES["default"]["ENGINE"]
DATABASES["default"]["ATOMIC_REQUESTS"] = False
if SQLITE:
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;"
        "PRAGMA cache_size=-20000;",
    }
else:
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
# Without it each request and each step would open the database anew, SQLite with three pragmas.
DATABASES["default"]["CONN_MAX_AGE"] = 60

# --- Queue: django-q2 starts and supervises the drains; the dirty set is a table of our own.
REDIS_URL = env("REDIS_URL", default="")
WORKERS = env.int("KUBENOVA_WORKERS", default=1 if SQLITE else 2)  # drains of one worker role
LOCAL_QUEUE = env("KUBENOVA_LOCAL_QUEUE", default="")  # a worker role's own queue
Q_CLUSTER = queue(WORKERS, REDIS_URL)
CACHES = {
    "default": (
        {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
        if REDIS_URL
        else {
            "BACKEND": "django.core.cache.backends.db.DatabaseCache",
            "LOCATION": "kubenova_cache",
        }
    ),
    # django-q2 writes its statistics twice a second: not into the database.
    "queue": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
}
if TESTING:
    CACHES["default"] = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}

# --- Reconciliation (seconds unless the name says otherwise).
LEASE_SECONDS = env.int("KUBENOVA_LEASE_SECONDS", default=15)
DRAIN_SECONDS = env.int("KUBENOVA_DRAIN_SECONDS", default=30)
DRAIN_THREADS = env.int("KUBENOVA_DRAIN_THREADS", default=24)
DRAIN_SLOTS_PER_CLUSTER = env.int("KUBENOVA_DRAIN_SLOTS_PER_CLUSTER", default=16)
UNREACHABLE_GRACE_SECONDS = env.int("KUBENOVA_UNREACHABLE_GRACE_SECONDS", default=30)
QUARANTINE_ATTEMPTS = 5
STOP_FILE = env("KUBENOVA_STOP_FILE", default="")  # a drain ends when this file appears
EVENT_DAYS = env.int("KUBENOVA_EVENT_DAYS", default=30)
DRIFT_DAYS = env.int("KUBENOVA_DRIFT_DAYS", default=90)
# So many revisions of an app are kept, and beyond those what runs, is blocked or was healthy last.
REVISION_HISTORY = env.int("KUBENOVA_REVISION_HISTORY", default=100)
WORKFLOW_RUN_HISTORY = env.int("KUBENOVA_WORKFLOW_RUN_HISTORY", default=50)  # runs that are over
EVENTS_PER_OBJECT = env.int("KUBENOVA_EVENTS_PER_OBJECT", default=500)

# --- Quotas.
QUOTA_REBALANCE_SECONDS = env.int("KUBENOVA_QUOTA_REBALANCE_SECONDS", default=180)
USAGE_SAMPLE_MINUTES = env.int("KUBENOVA_USAGE_SAMPLE_MINUTES", default=5)
USAGE_DAYS = env.int("KUBENOVA_USAGE_DAYS", default=14)

# --- Simulations of policy sets: limits on each cluster, and how long results are kept.
SIMULATION_OBJECTS = env.int("KUBENOVA_SIMULATION_OBJECTS", default=20000)
SIMULATION_SECONDS = env.int("KUBENOVA_SIMULATION_SECONDS", default=3600)
SIMULATION_DAYS = env.int("KUBENOVA_SIMULATION_DAYS", default=30)

# --- Clusters.
CLUSTER_ALLOW_LOOPBACK = env.bool("KUBENOVA_CLUSTER_ALLOW_LOOPBACK", default=DEBUG or TESTING)
CLUSTER_ALLOW_PRIVATE = env.bool("KUBENOVA_CLUSTER_ALLOW_PRIVATE", default=True)
CLUSTER_CONNECT_SECONDS = 5
CLUSTER_READ_SECONDS = 30
CLUSTER_WRITES_IN_FLIGHT = env.int("KUBENOVA_CLUSTER_WRITES_IN_FLIGHT", default=50)
CLUSTER_TOKEN_DAYS = env.int("KUBENOVA_CLUSTER_TOKEN_DAYS", default=30)
CLUSTER_ROTATE_SECONDS = env.int("KUBENOVA_CLUSTER_ROTATE_SECONDS", default=24 * 3600)
CLUSTER_PROBE_SECONDS = env.int("KUBENOVA_CLUSTER_PROBE_SECONDS", default=300)
CLUSTER_ROWS_PER_SECOND = env.int("KUBENOVA_CLUSTER_ROWS_PER_SECOND", default=100)  # on its return
CLUSTER_EPOCH_SECONDS = env.int("KUBENOVA_CLUSTER_EPOCH_SECONDS", default=300)
CLUSTER_CONNECT = "clusters.connect.open_api"

# --- The guard against deletions that nobody asked for by name, per cluster: the larger of both.
GUARD_DELETIONS = env.int("KUBENOVA_GUARD_DELETIONS", default=20)
GUARD_PERCENT = env.int("KUBENOVA_GUARD_PERCENT", default=10)
GUARD_WINDOW_SECONDS = env.int("KUBENOVA_GUARD_WINDOW_SECONDS", default=600)

# --- The watcher (seconds).
WATCH_LEASE_SECONDS = env.int("KUBENOVA_WATCH_LEASE_SECONDS", default=15)  # until others take over
WATCH_SILENCE_SECONDS = env.int("KUBENOVA_WATCH_SILENCE_SECONDS", default=90)
WATCH_RELIST_SECONDS = env.int("KUBENOVA_WATCH_RELIST_SECONDS", default=600)
WATCH_PROBE_SECONDS = env.int("KUBENOVA_WATCH_PROBE_SECONDS", default=300)

# --- Vault: the key-encryption keys live in files outside of the database.
VAULT_KEY_FILE = Path(env("KUBENOVA_VAULT_KEY_FILE", default=str(STATE_DIR / "vault-key.json")))
VAULT_ROTATE_DAYS = env.int("KUBENOVA_VAULT_ROTATE_DAYS", default=90)  # 0: by hand alone

# --- Sign-in and tokens.
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
    )
]
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
LOGIN_URL = "/login"
LOGIN_REDIRECT_URL = "/"
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_ON_SUCCESS = True
AXES_CLIENT_IP_CALLABLE = "access.peers.client_address"
AXES_LOCKOUT_CALLABLE = "access.lockout.locked_out"
TRUSTED_PROXIES = env.int("KUBENOVA_TRUSTED_PROXIES", default=0)  # appended to X-Forwarded-For
JWT_ALGORITHM = env("KUBENOVA_JWT_ALGORITHM", default="RS256")
JWT_KEY_FILE = Path(env("KUBENOVA_JWT_KEY_FILE", default=str(STATE_DIR / "jwt-keys.json")))
JWT_ROTATE_DAYS = env.int("KUBENOVA_JWT_ROTATE_DAYS", default=90)  # 0: by hand alone
JWT_ISSUER = env("KUBENOVA_JWT_ISSUER", default="kubenova")
JWT_AUDIENCE = env("KUBENOVA_JWT_AUDIENCE", default="kubenova-api")

# --- Grants (seconds): bounds of a kubeconfig's life, and how long issuing may take.
GRANT_MIN_SECONDS = max(600, env.int("KUBENOVA_GRANT_MIN_SECONDS", default=600))
GRANT_DEFAULT_SECONDS = env.int("KUBENOVA_GRANT_DEFAULT_SECONDS", default=3600)
GRANT_MAX_SECONDS = env.int("KUBENOVA_GRANT_MAX_SECONDS", default=86400)
LOG_FOLLOW_SECONDS = env.int("KUBENOVA_LOG_FOLLOW_SECONDS", default=60)
GRANT_ISSUE_SECONDS = env.int("KUBENOVA_GRANT_ISSUE_SECONDS", default=10)
GRANTS_PER_USER = env.int("KUBENOVA_GRANTS_PER_USER", default=50)  # alive at once
GRANT_HISTORY_DAYS = env.int("KUBENOVA_GRANT_HISTORY_DAYS", default=90)
AUDIT_DAYS = env.int("KUBENOVA_AUDIT_DAYS", default=90)
INVITATION_DAYS = env.int("KUBENOVA_INVITATION_DAYS", default=14)  # open for so long
SIMPLE_JWT = simple_jwt(
    access_minutes=env.int("KUBENOVA_ACCESS_TOKEN_MINUTES", default=15),
    refresh_days=env.int("KUBENOVA_REFRESH_TOKEN_DAYS", default=7),
)

# --- The access proxy. Without a certificate of yours it makes a CA of its own (PROXY_DIR).
PROXY_HOST = env("KUBENOVA_PROXY_HOST", default="127.0.0.1")
PROXY_PORT = env.int("KUBENOVA_PROXY_PORT", default=8443)
PROXY_URL = env("KUBENOVA_PROXY_URL", default=f"https://127.0.0.1:{PROXY_PORT}")  # in kubeconfigs
PROXY_DIR = Path(env("KUBENOVA_PROXY_DIR", default=str(STATE_DIR / "proxy")))
PROXY_CERT_FILE = env("KUBENOVA_PROXY_CERT_FILE", default="")  # PEM, with its chain
PROXY_KEY_FILE = env("KUBENOVA_PROXY_KEY_FILE", default="")
PROXY_CA_FILE = env("KUBENOVA_PROXY_CA_FILE", default="")  # what kubeconfigs trust
PROXY_STREAMS_PER_GRANT = env.int("KUBENOVA_PROXY_STREAMS_PER_GRANT", default=256)

# --- The API.
REST_FRAMEWORK = rest_framework(
    peer_rate=env("KUBENOVA_SIGN_IN_RATE_PEER", default="9999/min" if TESTING else "120/min"),
    account_rate=env("KUBENOVA_SIGN_IN_RATE_ACCOUNT", default="9999/min" if TESTING else "30/min"),
    plan_rate=env("KUBENOVA_PLAN_RATE", default="9999/min" if TESTING else "60/min"),  # by user
    trusted_proxies=TRUSTED_PROXIES,
)
SPECTACULAR_SETTINGS = spectacular(VERSION)
CSRF_FAILURE_VIEW = "kubenova.api.errors.csrf_failure"

# --- The rest of Django.
SECURE_REFERRER_POLICY = "same-origin"
SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=PRODUCTION)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PRODUCTION
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
TIME_ZONE = "UTC"
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
# Where nothing is deployed files are served from where they are, without `collectstatic`.
WHITENOISE_USE_FINDERS = env.bool("KUBENOVA_STATIC_IN_PLACE", default=DEBUG or TESTING)
STATIC_FOLDER = env("KUBENOVA_STATIC_ROOT", default=str(BASE_DIR / "staticfiles"))
STATIC_ROOT = None if WHITENOISE_USE_FINDERS else STATIC_FOLDER
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if WHITENOISE_USE_FINDERS
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

# --- What the outside may see of how it runs.
LOGGING = logging_config(
    env("KUBENOVA_LOG_FORMAT", default="json"), env("KUBENOVA_LOG_LEVEL", default="INFO"), ROLE
)
DJANGO_STRUCTLOG_TRUST_UPSTREAM_REQUEST_ID = True  # CorrelationMiddleware has written it
DJANGO_STRUCTLOG_STATUS_START_LOG_LEVEL = 10
DJANGO_STRUCTLOG_USER_ID_FIELD = "username"
DJANGO_STRUCTLOG_IP_LOGGING_ENABLED = False
PROMETHEUS_DIR = Path(env("PROMETHEUS_MULTIPROC_DIR", default=str(STATE_DIR / "metrics")))
if not TESTING:  # shared by all roles of this machine; decided before prometheus_client is imported
    PROMETHEUS_DIR.mkdir(parents=True, exist_ok=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(PROMETHEUS_DIR)
METRICS_TOKEN = env("KUBENOVA_METRICS_TOKEN", default="")  # empty: loopback only
METRICS_BIND = env("KUBENOVA_METRICS_BIND", default="")  # address:port of a role without pages
READY_QUEUE_SECONDS = env.int("KUBENOVA_READY_QUEUE_SECONDS", default=120)
