"""The readable catalogue: every type with its fields as a page, made of the AsyncAPI document."""

from pathlib import Path
from typing import Any, Final

Json = dict[str, Any]

PATH: Final = Path("docs/guides/events.md")
PREFIX: Final = "#/components/schemas/"
MARK: Final = "x-deskline-personal"

OPENING: Final = """\
# Events

Every type that Deskline announces, written by `make docs` from the code. How to subscribe:
[subscribe.md](subscribe.md). The same for machines: [deskline.json](../asyncapi/deskline.json); a schema and
a sample of each: [contracts](../../shared/events/contracts).

A field in *italics* may be absent, which is as good as null, an empty list or its default. 🔒 marks text of
a person: it is [sealed](subscribe.md#personal-fields) under the key of the person in the field named there.
"""


def text(document: Json) -> str:
    """The page."""
    schemas = document["components"]["schemas"]
    events = {kind: one for kind, one in document["components"]["messages"].items() if kind.count(".") > 1}
    lines = [OPENING]
    shown: dict[str, None] = {}
    for tag in document["info"]["tags"]:
        owner = tag["name"]
        lines += [f"## {owner}", "", f"{tag['description'].capitalize()}.", ""]
        for kind, message in events.items():
            if kind.split(".")[1] == owner:
                name = _named(message["payload"])
                lines += [f"### {message['title']}", "", f"`{kind}`. {message['summary']}", ""]
                lines += [*([message["description"], ""] if "description" in message else [])]
                lines += [*_table(schemas[name]), ""]
                shown |= dict.fromkeys(_values_in(schemas[name], schemas))
    lines += ["## Values", "", "Parts of several events.", ""]
    for name in sorted(shown):
        lines += [f"### {name}", "", " ".join(schemas[name]["description"].split()), ""]
        lines += [*_table(schemas[name]), ""]
    return "\n".join(lines).rstrip() + "\n"


def _table(schema: Json) -> list[str]:
    rows = ["| field | type | meaning |", "|---|---|---|"]
    required = set(schema.get("required", ()))
    for name, field in schema["properties"].items():
        shown = f"`{name}`" if name in required else f"*`{name}`*"
        person = _person_of(field)
        meaning = f"🔒 `{person}` · {field['description']}" if person else field["description"]
        rows.append(f"| {shown} | {'text' if person else _type(field)} | {meaning.replace('|', '∣')} |")
    return rows


def _person_of(field: Json) -> str | None:
    found = [one[MARK] for one in (field, *field.get("anyOf", ())) if MARK in one]
    return found[0] if found else None


def _type(field: Json) -> str:
    if "anyOf" in field:
        return next(_type(one) for one in field["anyOf"] if one.get("type") != "null")
    found = [_named(one) for one in (field, *field.get("allOf", ())) if "$ref" in one]
    if found:
        return f"[{found[0]}](#{found[0].lower()})"
    if words := field.get("enum", [field["const"]] if "const" in field else []):
        return ", ".join(f"`{word}`" for word in words)
    kind = str(field["type"])
    if kind == "array":
        return f"list of {_type(field['items'])}"
    if kind == "object":
        return f"map to {_type(field['additionalProperties'])}"
    return str(field.get("format", "text")) if kind == "string" else kind


def _named(reference: Json) -> str:
    return str(reference["$ref"]).removeprefix(PREFIX)


def _values_in(node: Any, schemas: Json) -> list[str]:
    """The values that a schema refers to, and those that they refer to."""
    if isinstance(node, list):
        return [name for one in node for name in _values_in(one, schemas)]
    if not isinstance(node, dict):
        return []
    found = [name for value in node.values() for name in _values_in(value, schemas)]
    if "$ref" in node and (name := _named(node)) != "Sealed":
        found += [name, *_values_in(schemas[name], schemas)]
    return found
