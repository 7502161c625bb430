"""Personal data: which fields of an event carry it, under whose key, and how they look on the wire."""

import functools
from collections.abc import Callable
from typing import Annotated, Any, Final, get_args

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler
from pydantic_core import CoreSchema

ERASED: Final = "erased"
"""What a personal field reads as once its person was erased."""

MARK: Final = "x-deskline-personal"
"""In a JSON Schema: a personal field, with the name of the event's field that holds its person."""


class Sealed(BaseModel):
    """A personal field as stored and published: AES-256-GCM under the key of `k`."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    k: Annotated[str, Field(description="subject: the person under whose key the text is")]
    v: Annotated[int, Field(ge=1, description="version of that key")]
    c: Annotated[str, Field(description="base64 of nonce (12 bytes) and ciphertext with its tag")]


class Personal:
    """Marks a text field as personal; `of` names the event's field that holds the person's id."""

    __slots__ = ("of",)

    def __init__(self, of: str) -> None:
        self.of = of

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        clear = handler(schema)
        sealed = Sealed.model_json_schema() | {
            "title": "Sealed",
            "description": f"personal data, under the key of `{self.of}`",
            MARK: self.of,
        }
        if any(part.get("type") == "null" for part in clear.get("anyOf", ())):
            return {"anyOf": [sealed, {"type": "null"}]}
        return sealed


Path = tuple[str, ...]
"""Names from the event down to a field; `*` stands for every item of a list."""

Visit = Callable[[str, str, Any], Any]
"""(subject, dotted path, value) → the value to put in its place."""


@functools.cache
def personal_paths(model: type[BaseModel]) -> tuple[tuple[Path, str], ...]:
    """Every personal field of a model, with the name of the root field that holds its person."""
    found: list[tuple[Path, str]] = []
    for name, field in model.model_fields.items():
        mark = next((m for m in field.metadata if isinstance(m, Personal)), None)
        if mark is not None:
            found.append(((name,), mark.of))
            continue
        for inner, listed in _models_in(field.annotation):
            step = (name, "*") if listed else (name,)
            found.extend((step + path, of) for path, of in personal_paths(inner))
    return tuple(found)


def _models_in(annotation: Any) -> list[tuple[type[BaseModel], bool]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [(annotation, False)]
    listed = getattr(annotation, "__origin__", None) in (tuple, list)
    return [(model, listed or deep) for arg in get_args(annotation) for model, deep in _models_in(arg)]


def visit_personal(model: type[BaseModel], data: dict[str, Any], visit: Visit) -> None:
    """Replace each personal value of an event's data (JSON types) in place; null stays null."""
    for path, of in personal_paths(model):
        _visit(data, path, str(data.get(of)), "", visit)


def _visit(node: Any, path: Path, subject: str, trail: str, visit: Visit) -> None:
    name, rest = path[0], path[1:]
    if name == "*":
        for index, item in enumerate(node):
            _visit(item, rest, subject, f"{trail}{index}.", visit)
        return
    value = node.get(name)
    if value is None:
        return
    if rest:
        _visit(value, rest, subject, f"{trail}{name}.", visit)
        return
    node[name] = visit(subject, f"{trail}{name}", value)


def persons_in(model: type[BaseModel], data: dict[str, Any]) -> set[str]:
    """The subjects whose keys are needed to read an event's data."""
    needed: set[str] = set()

    def note(_subject: str, _path: str, value: Any) -> Any:
        if isinstance(value, dict):
            needed.add(str(value.get("k")))
        return value

    visit_personal(model, data, note)
    return needed
