"""Describe the API: FastAPI's paths with the shapes of our own contracts."""

import json
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from services.alerts.api import SCHEMAS

TITLE = "Churnwatch"
DESCRIPTION = "Health of accounts, alerts about them, and acknowledgements. Keys: `churnwatch key create`."


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of an app that includes the API's router."""
    document: dict[str, Any] = get_openapi(
        title=TITLE, version="1", description=DESCRIPTION, routes=app.routes, openapi_version="3.1.0"
    )
    _, shapes = msgspec.json.schema_components(SCHEMAS, ref_template="#/components/schemas/{name}")
    components = document.setdefault("components", {})
    own = {name: shape for name, shape in components.get("schemas", {}).items() if "ValidationError" not in name}
    components["schemas"] = dict(sorted({**own, **shapes}.items()))
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"key": []}]
    return document


def text(app: FastAPI) -> str:
    """Return the document as committed in docs/openapi.json."""
    return json.dumps(describe(app), indent=2, ensure_ascii=False) + "\n"
