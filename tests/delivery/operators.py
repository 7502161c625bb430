"""The part of the operators' schemas that the manifests use, read from their CRDs and kept as one small file.

`python -m tests.delivery.operators FOLDER` reads every CRD in FOLDER/<project>-<version>/*.yaml: whoever uses
another field, or follows a newer operator, runs it once. A field that a CRD has not is refused here.
"""

import json
import sys
from pathlib import Path
from typing import Any, Final

import yaml
from tests.delivery.manifests import Document, sources
from tests.delivery.schemas import CORE, SHAPES_FILE, identity

# What says what a value may be; descriptions and rules in other languages are left with their owners.
_KEPT: Final = (
    "type",
    "enum",
    "pattern",
    "format",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "minLength",
    "maxLength",
    "anyOf",
)


class UnknownFieldError(Exception):
    """A manifest uses what the operator's CRD has not."""


def read_crds(folder: Path) -> dict[str, tuple[str, Document]]:
    """`apiVersion kind` → the project with its version, and the schema of `spec`."""
    found = {}
    for path in sorted(folder.glob("*/*.yaml")):
        crd = yaml.safe_load(path.read_text())["spec"]
        for version in crd["versions"]:
            schema = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
            found[f"{crd['group']}/{version['name']} {crd['names']['kind']}"] = (path.parent.name, schema)
    return found


def used(schema: Document, value: Any, place: str) -> Document:
    """What of a schema speaks of this value; raises UnknownFieldError."""
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    if schema.get("x-kubernetes-preserve-unknown-fields") and "properties" not in schema:
        return {}
    kept: Document = {key: schema[key] for key in _KEPT if key in schema}
    if isinstance(value, dict):
        return kept | _used_fields(schema, value, place)
    if isinstance(value, list) and "items" in schema:
        items: Document = {}
        for at, inner in enumerate(value):
            items = merged(items, used(schema["items"], inner, f"{place}[{at}]"))
        return kept | {"items": items}
    return kept


def _used_fields(schema: Document, value: Document, place: str) -> Document:
    if "additionalProperties" in schema:
        values: Document = {}
        for key, inner in value.items():
            values = merged(values, used(schema["additionalProperties"], inner, f"{place}.{key}"))
        return {"additionalProperties": values}
    fields = schema.get("properties", {})
    if unknown := sorted(set(value) - set(fields)):
        raise UnknownFieldError(f"{place} has no {', '.join(unknown)}")
    return {
        "properties": {key: used(fields[key], inner, f"{place}.{key}") for key, inner in value.items()},
        "required": sorted(schema.get("required", [])),
        "additionalProperties": False,
    }


def merged(one: Document, other: Document) -> Document:
    """Both at once: what one manifest uses and what another does."""
    both = dict(one)
    for key, value in other.items():
        both[key] = (
            merged(both[key], value) if isinstance(value, dict) and isinstance(both.get(key), dict) else value
        )
    return both


def shapes_of(crds: dict[str, tuple[str, Document]]) -> Document:
    """All that the manifests under `deploy/kubernetes` use."""
    found: dict[str, Document] = {}
    for manifest in sources():
        if manifest.document.get("apiVersion") in CORE:
            continue
        name = identity(manifest.document)
        if name not in crds:
            raise UnknownFieldError(f"{manifest}: no CRD of {name} in this folder")
        project, schema = crds[name]
        shape = used(schema, manifest.spec, f"{manifest}: spec")
        found[name] = {"from": project, "spec": merged(found.get(name, {}).get("spec", {}), shape)}
    return dict(sorted(found.items()))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(f"which folder holds <project>-<version>/*.yaml of the CRDs?\n\n{__doc__}")
    SHAPES_FILE.write_text(json.dumps(shapes_of(read_crds(Path(sys.argv[1]))), indent=1) + "\n")
