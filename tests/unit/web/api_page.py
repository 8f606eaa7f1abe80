"""docs/reference/api.md, written from the calls and their models: ``make docs``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from federation.daemon.node import Node
from federation.media.hasher import FileHasher
from federation.web.feed_api import FeedApi
from federation.web.file_api import FileApi
from federation.web.history_api import HistoryApi
from federation.web.live_api import LiveApi
from federation.web.local_api import LocalApi
from federation.web.match_api import MatchApi
from federation.web.openapi import describe
from federation.web.policy_api import PolicyApi
from federation.web.problems import STATUSES
from federation.web.proof_api import ProofApi
from federation.web.roster_api import RosterApi
from federation.web.trace_api import TraceApi
from federation.web.uploads_api import UploadsApi
from tests.architecture.sources import TREE

PAGE = Path("docs/reference/api.md")

INTRODUCTION = """\
# The local API

Written by `make docs` from the models that validate it; a test holds the two together. The OpenAPI
3.1 document at `/openapi.json` says the same to programs.

It listens on loopback (`api.listen` in `node.toml`) for the company's own systems. Every call but
the open ones needs `Authorization: Bearer` with the text of the node's `api.token`. Unknown fields
are refused. Nothing about a query is kept or logged.

```
curl -s http://127.0.0.1:8001/v1/match -H "Authorization: Bearer $(cat api.token)" \\
    -d '{"signals": [{"type": "sha256", "value": "9f86d081…"}]}'
```

An error is a problem document (RFC 9457, `application/problem+json`) with the stable `code` of
[errors](errors.md), and with `hint` where there is one. The status says whose fault it is:

"""


def render() -> str:
    """The page as it should be."""
    # Routing and describing ask nothing of the node behind it.
    node = cast("Node", None)
    files = FileApi(node, cast("FileHasher", None))
    apis = (
        MatchApi(node),
        LocalApi(node),
        ProofApi(node),
        TraceApi(node),
        files,
        PolicyApi(node),
        UploadsApi(node),
        FeedApi(node),
        LiveApi(node, files),
        RosterApi(node),
        HistoryApi(node),
    )
    document = describe([call for api in apis for call in api.calls()])
    statuses = "".join(f"| {error.code} | {status} |\n" for error, status in STATUSES.items())
    parts = [INTRODUCTION, "| error | status |\n|---|---|\n", statuses, "\n## Calls\n\n"]
    parts.append("| call | does | request | answer |\n|---|---|---|---|\n")
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            parts.append(_row(f"{method.upper()} {path}", operation))
    parts.append("\n## Requests and answers\n")
    for name, schema in document["components"]["schemas"].items():
        parts += _describe(name, schema)
    return "".join(parts)


def _row(call: str, operation: Mapping[str, Any]) -> str:
    asked = _model(operation.get("requestBody", {}))
    answered = _model(operation["responses"]["200"])
    summary = operation["summary"] + ("" if operation["security"] else "; open")
    return f"| `{call}` | {_cell(summary)} | {asked} | {answered or 'bytes'} |\n"


def _model(body: Mapping[str, Any]) -> str:
    schema = body.get("content", {}).get("application/json", {}).get("schema")
    return _type(schema) if schema else ""


def _describe(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield f"\n### {name}\n\n{schema.get('description', '')}\n\n"
    yield "| field | type | | default |\n|---|---|---|---|\n"
    required = set(schema.get("required", ()))
    for field, part in schema["properties"].items():
        default = "required" if field in required else f"`{json.dumps(part.get('default'))}`"
        meaning = _cell(part.get("description", ""))
        yield f"| `{field}` | {_type(part)} | {meaning} | {default} |\n"


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_type(part) for part in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(f"`{word}`" for word in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    return str(schema.get("type", "any"))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def write(root: Path) -> None:
    """Write the page below root."""
    (root / PAGE).parent.mkdir(parents=True, exist_ok=True)
    (root / PAGE).write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    write(TREE)
