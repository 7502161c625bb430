"""How each rule is described: what FastAPI needs to write its operation into the OpenAPI document."""

from typing import Any, Final

from pydantic import BaseModel

from deskline_gateway.api.contract import SHAPES
from deskline_gateway.api.contract.shared import Problem, Shape
from deskline_gateway.api.outward import REQUEST_ID
from deskline_gateway.domain.rules import Rule

REFERENCE: Final = "#/components/schemas/{model}"
SECURITY_SCHEME: Final = "token"

_PATH_SCHEMAS: Final[dict[str, dict[str, Any]]] = {
    "number": {"type": "integer", "minimum": 1},
    "kind": {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,39}$"},
    "language": {"type": "string", "enum": ["ru", "en"]},
}
_ID: Final = {"type": "string", "format": "uuid"}

_REFUSALS: Final = {
    400: "a header or the query string can't be used",
    401: "no token that is known, not expired and not revoked",
    403: "the token's roles don't include this route, or its scope this thing",
    422: "a value is not as this route takes it",
    429: "too many requests; see Retry-After",
    500: "the owner failed",
    502: "the owner's answer can't be passed on",
    503: "nothing was done: the gateway or the owner can't work now; see Retry-After",
}
_BODY_REFUSALS: Final = {
    408: "the body did not come in time",
    413: "the body is too large",
}
_UNKNOWN_OUTCOME: Final = {
    True: {504: "the outcome is unknown: send it again with the same Idempotency-Key"},
    False: {504: "the outcome is unknown: read what is there now"},
}
_VERSION_REFUSALS: Final = {
    412: "there is another version by now; the answer has its state",
    428: "If-Match is missing",
}
_WAIT: Final = frozenset({429, 503, 504})
_OF_TOKENS: Final = frozenset({401, 403})


def describe(rule: Rule) -> dict[str, Any]:
    """The arguments of `add_api_route` that describe the rule's route."""
    shape = SHAPES[rule.name]
    refusals = _refusals(rule, shape)
    extra: dict[str, Any] = {
        "parameters": _parameters(rule, shape.query),
        "security": [] if rule.public else [{SECURITY_SCHEME: []}],
        "x-deskline-owner": rule.owner,
        "x-deskline-roles": sorted(rule.roles),
    }
    if shape.body is not None:
        extra["requestBody"] = {"required": True, "content": {"application/json": _schema(shape.body)}}
    answer: dict[str, Any] = {"description": "Done", "headers": _answer_headers(shape)}
    if shape.told is not None:
        answer["content"] = {"text/event-stream": _schema(shape.answer)}
    return {
        "operation_id": rule.name,
        "summary": shape.summary,
        "description": _for_whom(rule) + ("" if shape.told is None else _stream(shape.told)),
        "tags": [rule.owner],
        "status_code": shape.status,
        "response_model": None if shape.told is not None else shape.answer,
        "responses": {shape.status: answer}
        | {status: _refusal(status, refusals[status]) for status in sorted(refusals)},
        "openapi_extra": extra,
    }


def _refusals(rule: Rule, shape: Shape) -> dict[int, str]:
    # Who needs no token is not refused for one; the owner may still refuse, and its shape says so.
    found = {status: why for status, why in _REFUSALS.items() if not (rule.public and status in _OF_TOKENS)}
    found |= _BODY_REFUSALS if rule.has_body else {}
    found |= _UNKNOWN_OUTCOME[rule.keyed] if rule.changes else {}
    found |= _VERSION_REFUSALS if rule.version is not None else {}
    return found | dict(shape.refusals)


def _for_whom(rule: Rule) -> str:
    if rule.public:
        return "For anybody, without a token; pages of any origin may send it, without credentials."
    return f"For: {', '.join(sorted(rule.roles))}, each within the token's scope."


def _stream(told: str) -> str:
    return (
        f"\n\nServer-sent events about {told}, for as long as the caller may see it; the reader then asks"
        " again what is there. The first event is `ready`, or `resync` where Last-Event-ID is sent. `resync`"
        " says that something may have been missed: read anew. `overflow` says that the reader was too slow,"
        " and ends the stream. A comment comes every 15 seconds."
    )


def _parameters(rule: Rule, query: type[BaseModel] | None) -> list[dict[str, Any]]:
    found = [
        {"name": name, "in": "path", "required": True, "schema": _PATH_SCHEMAS.get(name, _ID)}
        for name in rule.parameters
    ]
    if query is not None:
        schema = query.model_json_schema(ref_template=REFERENCE)
        needed = schema.get("required", [])
        found += [
            {"name": name, "in": "query", "required": name in needed, "schema": wanted}
            for name, wanted in schema["properties"].items()
        ]
    if rule.keyed:
        found.append(
            _header("Idempotency-Key", "same key and body, same answer; same key and another body, 422")
        )
    if rule.version == "always":
        found.append(_header("If-Match", "the ETag of the card that the decision rests on"))
    if rule.version == "where_it_exists":
        found.append(_header("If-Match", "the ETag that was read; none for what is new", required=False))
    if rule.watches is not None:
        found.append(_header("Last-Event-ID", "of the last event that was read", required=False))
    return found


def _header(name: str, description: str, *, required: bool = True) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": required,
        "description": description,
        "schema": {"type": "string"},
    }


def _answer_headers(shape: Shape) -> dict[str, Any]:
    etag = {"ETag": _header_of_answer("the version, for If-Match")} if shape.versioned else {}
    return etag | {REQUEST_ID: _header_of_answer("the trace's id")}


def _refusal(status: int, description: str) -> dict[str, Any]:
    headers = {REQUEST_ID: _header_of_answer("the trace's id")}
    if status == 401:  # noqa: PLR2004 -- the status itself says it best
        headers["WWW-Authenticate"] = _header_of_answer("Bearer")
    if status in _WAIT:
        headers["Retry-After"] = _header_of_answer("seconds")
    return {
        "description": description,
        "headers": headers,
        "content": {"application/problem+json": _schema(Problem)},
    }


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return {"schema": {"$ref": REFERENCE.format(model=model.__name__)}}


def _header_of_answer(description: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}}
