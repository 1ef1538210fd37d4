"""Settings of the API's frameworks, built from those of `kubenova.settings`."""

import secrets
from datetime import timedelta
from typing import Any

from reconcile.values import Phase

VERSION_1 = "/api/v1"


def rest_framework(
    *, peer_rate: str, account_rate: str, plan_rate: str, trusted_proxies: int
) -> dict[str, Any]:
    """Return REST_FRAMEWORK: JSON alone, signed in by default, problems for errors."""
    return {
        "DEFAULT_AUTHENTICATION_CLASSES": [
            "access.authentication.TokenAuthentication",
            "access.authentication.SessionAuthentication",
        ],
        "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "DEFAULT_PARSER_CLASSES": ["reconcile.api.bodies.JSONBodyParser"],
        "DEFAULT_CONTENT_NEGOTIATION_CLASS": "kubenova.api.negotiation.JSONAlone",
        "DEFAULT_METADATA_CLASS": None,
        "DEFAULT_PAGINATION_CLASS": "reconcile.api.pagination.ItemsPagination",
        "DEFAULT_SCHEMA_CLASS": "kubenova.api.schema.Schema",
        "DEFAULT_THROTTLE_RATES": {"peer": peer_rate, "account": account_rate, "plan": plan_rate},
        "NUM_PROXIES": trusted_proxies,
        "EXCEPTION_HANDLER": "drf_standardized_errors.handler.exception_handler",
        "URL_FORMAT_OVERRIDE": None,
        "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
        "TEST_REQUEST_DEFAULT_FORMAT": "json",
    }


DRF_STANDARDIZED_ERRORS = {
    "EXCEPTION_HANDLER_CLASS": "kubenova.api.errors.ProblemHandler",
    "EXCEPTION_FORMATTER_CLASS": "kubenova.api.errors.ProblemFormatter",
    "ENABLE_IN_DEBUG_FOR_UNHANDLED_EXCEPTIONS": True,
}


def simple_jwt(*, access_minutes: int, refresh_days: int) -> dict[str, Any]:
    """Return SIMPLE_JWT. Signing is `access.backend`'s: the keys come from the key ring alone."""
    return {
        "ACCESS_TOKEN_LIFETIME": timedelta(minutes=access_minutes),
        "REFRESH_TOKEN_LIFETIME": timedelta(days=refresh_days),
        "AUTH_HEADER_TYPES": ("Bearer", "bearer"),
        "AUTH_TOKEN_CLASSES": ["access.tokens.AccessToken"],
        "USER_ID_CLAIM": "sub",
        # The default is SECRET_KEY. Nothing is signed with this one, and nothing ever verifies.
        "SIGNING_KEY": secrets.token_hex(32),
    }


def spectacular(version: str) -> dict[str, Any]:
    """Return SPECTACULAR_SETTINGS: OpenAPI 3.1, its pages served from here without a network."""
    return {
        "TITLE": "KubeNova",
        "DESCRIPTION": DESCRIPTION,
        "VERSION": version,
        "OAS_VERSION": "3.1.0",
        "SERVE_INCLUDE_SCHEMA": False,
        "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
        "SERVE_AUTHENTICATION": [],
        "SWAGGER_UI_DIST": "SIDECAR",
        "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
        "SCHEMA_PATH_PREFIX": VERSION_1,
        "COMPONENT_SPLIT_REQUEST": True,
        "ENUM_NAME_OVERRIDES": {
            "Phase": [phase.value for phase in Phase],
            "StepPhase": "delivery.rules.running.STEP_PHASES",
            "SimulationState": ["running", "done", "failed"],
            "PolicyMode": ["enforce", "warn", "audit"],
            "WorkflowMode": ["StepByStep", "DAG"],
            "EventType": ["Normal", "Warning"],
            "StepType": "delivery.rules.workflow_types.STEP_TYPES",
            "MemberRole": ["tenant-admin", "tenant-dev", "read-only"],
            "BindableRole": "tenancy.rules.subjects.BINDABLE_ROLES",
        },
        "POSTPROCESSING_HOOKS": [
            "drf_spectacular.hooks.postprocess_schema_enums",
            "kubenova.api.schema.add_problem",
        ],
    }


DESCRIPTION = """\
One control plane in front of many Kubernetes clusters.

Get a token from `POST /api/v1/token`, send it as `Authorization: Bearer …`. Writes are accepted at
once and carried out by the reconcilers: an object has been acted upon when
`status.observed_generation` has reached `generation`. Errors are `application/problem+json`
(RFC 9457); their `code` is stable.
"""
