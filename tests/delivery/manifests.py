"""The manifests of `deploy/kubernetes` as documents, as they are written and as kubectl renders them."""

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[2]
KUBERNETES: Final = ROOT / "deploy" / "kubernetes"
OVERLAYS: Final = ("small", "high-availability")

# YAML that is no manifest: what promtool tries the alarms with.
OTHERS: Final = frozenset({KUBERNETES / "monitoring" / "cases.yaml"})

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Manifest:
    """One document, and where it stands."""

    place: str
    document: Document

    @property
    def kind(self) -> str:
        """`StatefulSet`."""
        return str(self.document.get("kind"))

    @property
    def name(self) -> str:
        """The resource's own name."""
        return str(self.document.get("metadata", {}).get("name"))

    @property
    def spec(self) -> Document:
        """What is wanted; empty where a kind has none."""
        found = self.document.get("spec")
        return found if isinstance(found, dict) else {}

    def __str__(self) -> str:
        return f"{self.place}: {self.kind} {self.name}"


class KubectlMissingError(Exception):
    """There is no kubectl, or one whose kustomize is too old for these overlays."""


def source_files() -> list[Path]:
    """Every YAML file under `deploy/kubernetes`."""
    return sorted(path for path in KUBERNETES.rglob("*") if path.suffix in {".yaml", ".yml"})


@cache
def sources() -> tuple[Manifest, ...]:
    """Every document as it is written, kustomizations left out."""
    return tuple(
        Manifest(f"{path.relative_to(ROOT)}[{at}]", document)
        for path in source_files()
        if path.name != "kustomization.yaml" and path not in OTHERS
        for at, document in enumerate(yaml.safe_load_all(path.read_text()))
    )


@cache
def kustomizations() -> dict[Path, Document]:
    """Each folder that has one, and what it says."""
    return {
        path.parent: yaml.safe_load(path.read_text())
        for path in source_files()
        if path.name == "kustomization.yaml"
    }


@cache
def patch_files() -> frozenset[Path]:
    """Files that hold a part of a document, which a kustomization lays over another."""
    return frozenset(
        (folder / patch["path"]).resolve()
        for folder, said in kustomizations().items()
        for patch in said.get("patches", [])
        if "path" in patch
    )


def resource_files() -> frozenset[Path]:
    """Files that a kustomization names as a whole."""
    return frozenset(
        (folder / resource).resolve()
        for folder, said in kustomizations().items()
        for resource in said.get("resources", [])
    )


def is_patch(manifest: Manifest) -> bool:
    """Whether the document is a part of one."""
    return (ROOT / manifest.place.rpartition("[")[0]).resolve() in patch_files()


@cache
def rendered(folder: str) -> tuple[Manifest, ...]:
    """What kubectl would apply; raises KubectlMissingError and CalledProcessError."""
    _require_kubectl()
    done = subprocess.run(
        ["kubectl", "kustomize", str(KUBERNETES / folder)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise AssertionError(f"kubectl kustomize {folder}:\n{done.stderr}")
    # It says so where a field that the files use is going away.
    assert not done.stderr, done.stderr
    return tuple(Manifest(folder, document) for document in yaml.safe_load_all(done.stdout))


@cache
def _require_kubectl() -> None:
    try:
        answer = subprocess.run(
            ["kubectl", "version", "--client", "--output=json"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise KubectlMissingError(f"kubectl is needed, 1.27 or newer: {error}") from error
    version = re.match(r"v(\d+)", str(json.loads(answer.stdout).get("kustomizeVersion", "")))
    if version is None or int(version.group(1)) < 5:
        raise KubectlMissingError("this kubectl brings no kustomize 5: 1.27 or newer is needed")


def pod_template(manifest: Manifest) -> Document | None:
    """The Pod template of a workload, else None."""
    if manifest.kind in {"StatefulSet", "Deployment", "Job", "DaemonSet"}:
        template: Document = manifest.spec.get("template", {})
        return template
    return None


def workloads(manifests: tuple[Manifest, ...]) -> list[Manifest]:
    """Those that run Pods."""
    return [one for one in manifests if pod_template(one) is not None]


def containers(template: Document) -> list[Document]:
    """Containers of a Pod template, those that run before included."""
    spec = template.get("spec", {})
    return [*spec.get("initContainers", []), *spec.get("containers", [])]


def labels_of(template: Document) -> dict[str, str]:
    """Labels that the template's Pods get."""
    return dict(template.get("metadata", {}).get("labels", {}))


def selects(selector: Document | None, labels: dict[str, str]) -> bool:
    """Whether a label selector takes what has these labels; an empty one takes all, none takes nothing."""
    if selector is None:
        return False
    wanted: dict[str, str] = selector.get("matchLabels", {})
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return all(_holds(one, labels) for one in selector.get("matchExpressions", []))


def _holds(expression: Document, labels: dict[str, str]) -> bool:
    key, operator = expression["key"], expression["operator"]
    if operator == "Exists":
        return key in labels
    if operator == "DoesNotExist":
        return key not in labels
    among = labels.get(key) in expression["values"]
    return among if operator == "In" else not among


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that holds no others, with its path."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from leaves(inner, f"{path}[{at}]")
    else:
        yield path, value
