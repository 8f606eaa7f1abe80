"""The OpenAPI 3.1 document, generated from the calls and their models."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from federation import __version__
from federation.web.problems import PROBLEM_TYPE
from federation.web.routes import Call
from federation.web.schemas import Problem

_PARAMETER: Final = re.compile(r"\{(\w+)(?::[^}]*)?\}")


def describe(calls: Sequence[Call]) -> dict[str, Any]:
    """The document for these calls, as a JSON-ready map."""
    models: set[type[BaseModel]] = {Problem}
    for call in calls:
        models.update(model for model in (call.body, call.answer) if model is not None)
    ordered = sorted(models, key=lambda model: model.__name__)
    names, schemas = models_json_schema(
        [(model, "validation") for model in ordered],
        ref_template="#/components/schemas/{model}",
    )
    references = {model: names[(model, "validation")] for model in ordered}
    paths: dict[str, dict[str, Any]] = {}
    for call in calls:
        path = _PARAMETER.sub(r"{\1}", call.path)
        paths.setdefault(path, {})[call.method.lower()] = _operation(call, references)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "hash-federation local API",
            "version": __version__,
            "description": "For the company's own systems, on loopback. Batches are the fast path.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas.get("$defs", {}),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(call: Call, references: dict[type[BaseModel], Any]) -> dict[str, Any]:
    content: dict[str, Any] = {call.media_type: {}}
    if call.answer is not None:
        content = {"application/json": {"schema": references[call.answer]}}
    failure = {
        "description": "a problem (RFC 9457)",
        "content": {PROBLEM_TYPE: {"schema": references[Problem]}},
    }
    operation: dict[str, Any] = {
        "summary": call.summary,
        "responses": {"200": {"description": "done", "content": content}, "default": failure},
        "security": [] if call.is_open else [{"token": []}],
    }
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(call.path)
    ]
    if call.query is not None:
        parameters += _query_parameters(call.query)
    if parameters:
        operation["parameters"] = parameters
    if call.takes_file:
        operation["requestBody"] = {
            "required": True,
            "description": "the file itself; what it is, its first bytes say",
            "content": {"application/octet-stream": {}},
        }
    if call.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": references[call.body]}},
        }
    return operation


def _query_parameters(model: type[BaseModel]) -> list[dict[str, Any]]:
    """A query model, one parameter for each field; a list is a parameter given several times."""
    schema = model.model_json_schema()
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": field.get("description", ""),
            "schema": {key: value for key, value in field.items() if key != "description"},
        }
        for name, field in schema["properties"].items()
    ]
