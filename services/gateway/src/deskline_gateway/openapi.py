"""The OpenAPI document, written by `python -m deskline_gateway.openapi` from the table of rules."""

import json
import sys
from pathlib import Path
from typing import Any, Final

from fastapi import Request, Response
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from deskline_chassis.runtime import Runtime
from deskline_gateway.api.contract import SHAPES
from deskline_gateway.api.contract.shared import Problem
from deskline_gateway.api.describing import REFERENCE, SECURITY_SCHEME
from deskline_gateway.api.routes import create_gateway
from deskline_gateway.domain.room import Room
from deskline_gateway.domain.rules import Rule

PATH: Final = Path("docs/openapi/gateway.json")


def document() -> dict[str, Any]:
    """The description of the door; the same code gives the same document."""
    found = create_gateway(Runtime("gateway"), _never, Room(1)).openapi()
    components = found.setdefault("components", {})
    # The door passes bodies on unread, so FastAPI does not know these.
    unseen: list[type[BaseModel]] = [Problem]
    unseen += [shape.body for shape in SHAPES.values() if shape.body is not None]
    unseen += [shape.answer for shape in SHAPES.values() if shape.told is not None]
    _, schemas = models_json_schema([(model, "validation") for model in unseen], ref_template=REFERENCE)
    components["schemas"] = components.get("schemas", {}) | schemas["$defs"]
    components["securitySchemes"] = {
        SECURITY_SCHEME: {
            "type": "http",
            "scheme": "bearer",
            "description": "An API token, made by `deskline-gateway token create`.",
        }
    }
    return found


def text() -> str:
    """The document as it is kept in the repository."""
    return json.dumps(document(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the document, to the path that is given or to where the repository keeps it."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else PATH
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text(), encoding="utf-8")


async def _never(rule: Rule, _request: Request) -> Response:
    raise NotImplementedError(f"{rule.name}: this application is for its description alone")


if __name__ == "__main__":
    main()
