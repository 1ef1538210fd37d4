"""Where the app of the tests of the API is, and what is sent there."""

from tests.delivery.samples import component

APPS = "/api/v1/apps"
SITE = "/api/v1/tenants/acme/projects/shop/apps/site"
BODY = {"name": "site", "tenant": "acme", "project": "shop", "components": [component()]}


def pointers(answer) -> dict[str, str]:
    """The code of each error by where it points."""
    return {error["pointer"]: error["code"] for error in answer.json()["errors"]}
