"""Documents against their schemas: Kubernetes' own kinds strictly, the operators' by what their CRDs say."""

import json
from collections.abc import Iterator
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final

import jsonschema
from jsonschema.protocols import Validator
from referencing import Registry, Resource
from tests.delivery.manifests import Document, Manifest

# The oldest that the manifests are for, and the newest that was out when they were written.
OLDEST: Final = "1.30"
NEWEST: Final = "1.37"
SHAPES_FILE: Final = Path(__file__).parent / "operators.json"

CORE: Final = frozenset(
    {
        "v1",
        "apps/v1",
        "batch/v1",
        "policy/v1",
        "networking.k8s.io/v1",
        "rbac.authorization.k8s.io/v1",
        "autoscaling/v2",
        "storage.k8s.io/v1",
        "scheduling.k8s.io/v1",
    }
)


@cache
def shapes() -> dict[str, Any]:
    """`apiVersion kind` → where it was read and the part of its schema that the manifests use."""
    found: dict[str, Any] = json.loads(SHAPES_FILE.read_text())
    return found


def identity(document: Document) -> str:
    """`apps/v1 StatefulSet`."""
    return f"{document.get('apiVersion')} {document.get('kind')}"


def problems_of(manifest: Manifest, *, partial: bool = False) -> list[str]:
    """What the schemas find wrong; of a part, what it lacks is not asked."""
    document = _without_directives(manifest.document) if partial else manifest.document
    if document.get("apiVersion") not in CORE:
        return [f"{manifest}: {problem}" for problem in _custom_problems(document)]
    found = []
    for version in (OLDEST, NEWEST):
        try:
            validator = _validator(version, document["kind"], document["apiVersion"])
        except FileNotFoundError:
            return [f"{manifest}: Kubernetes {version} has no {identity(document)}"]
        found += [
            f"{manifest}: Kubernetes {version}: {problem}" for problem in _said(validator, document, partial)
        ]
    return found


def _custom_problems(document: Document) -> list[str]:
    shape = shapes().get(identity(document))
    if shape is None:
        return [f"no schema of {identity(document)} here: python -m tests.delivery.operators"]
    validator = jsonschema.Draft202012Validator(shape["spec"])
    return [
        f"{shape['from']}: spec{problem} (a field that is new here: python -m tests.delivery.operators)"
        for problem in _said(validator, document.get("spec", {}), partial=False)
    ]


def _said(validator: Validator, document: Document, partial: bool) -> Iterator[str]:
    for error in validator.iter_errors(document):
        if not (partial and error.validator == "required"):
            yield f"{error.json_path.removeprefix('$')}: {error.message[:200]}"


def _without_directives(value: Any) -> Any:
    # `$patch: delete` and nulls speak to kustomize and are in no schema.
    if isinstance(value, dict):
        return {
            key: _without_directives(inner)
            for key, inner in value.items()
            if inner is not None and not key.startswith("$")
        }
    return [_without_directives(inner) for inner in value] if isinstance(value, list) else value


@cache
def _validator(version: str, kind: str, api_version: str) -> Validator:
    # The package's own function reads all definitions again for each document.
    group, _, number = api_version.rpartition("/")
    file = f"{kind.lower()}-{group.split('.')[0]}-{number}" if group else f"{kind.lower()}-{number}"
    schema = json.loads(_folder(version).joinpath(f"{file}.json").read_text())
    resource: Resource[Any] = Resource.from_contents(schema)
    registry = _definitions(version).with_resource("", resource)
    return jsonschema.Draft202012Validator(schema, registry=registry)


@cache
def _definitions(version: str) -> Registry[Any]:
    contents = json.loads(_folder(version).joinpath("_definitions.json").read_text())
    resource: Resource[Any] = Resource.from_contents(contents)
    return resource @ Registry()


def _folder(version: str) -> Any:
    folder = f"v{version}.0-local-strict"
    return resources.files("kubernetes_validate").joinpath("kubernetes-json-schema").joinpath(folder)
