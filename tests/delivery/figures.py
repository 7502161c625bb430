"""Names of metrics: those that an expression asks for, and those that the processes have."""

import importlib
import re
from collections.abc import Iterator
from typing import Any, Final

from tests.delivery.manifests import ROOT

from deskline_chassis.metrics import REGISTRY

# Of Prometheus itself and of the exporters that every cluster of its operator has.
_ELSEWHERE: Final = re.compile(r"^(up|ALERTS|kube_\w+|kubelet_\w+|container_\w+|node_\w+)$")
_WORDS: Final = frozenset(
    {"and", "or", "unless", "by", "without", "on", "ignoring", "group_left"}
    | {"group_right", "bool", "offset", "atan2", "inf", "nan"}
)
_STRING: Final = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|`[^`]*`")
_BRACES: Final = re.compile(r"\{[^}]*\}")
_RANGE: Final = re.compile(r"\[[^\]]*\]")
_LABELS: Final = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
_NAME: Final = re.compile(r"(?<![\w.])([a-zA-Z_:][\w:]*)(?!\w*\s*\()")


def asked_by(expression: str) -> set[str]:
    """The metrics that a PromQL expression reads."""
    text = _STRING.sub("''", expression)
    for part in (_BRACES, _RANGE, _LABELS):
        text = part.sub(" ", text)
    text = re.sub(r"\boffset\s+-?\w+", " ", text)
    return {name for name in _NAME.findall(text) if name.lower() not in _WORDS}


def declared() -> set[str]:
    """Every series that a process of ours can have."""
    for room in ROOT.glob("services/*/src/*/figures.py"):
        importlib.import_module(f"{room.parent.name}.figures")
    found: set[str] = set()
    for family in REGISTRY.collect():
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(
            family.type, ("",)
        )
        found |= {f"{family.name}{suffix}" for suffix in suffixes}
    return found


def expressions_in(value: Any) -> Iterator[str]:
    """Every `expr` of rules and dashboards, at any depth."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "expr" and isinstance(inner, str):
                yield inner
            else:
                yield from expressions_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from expressions_in(inner)


def recorded_in(value: Any) -> set[str]:
    """Series that rules make themselves."""
    if isinstance(value, dict):
        own = {value["record"]} if isinstance(value.get("record"), str) else set()
        return own.union(*(recorded_in(inner) for inner in value.values()))
    return set[str]().union(*(recorded_in(inner) for inner in value)) if isinstance(value, list) else set()


def unknown_in(document: Any, known: set[str]) -> list[str]:
    """Metrics that a document asks for and nobody has."""
    known = known | recorded_in(document)
    return [
        f"{name} in: {expression}"
        for expression in expressions_in(document)
        for name in sorted(asked_by(expression) - known)
        if not _ELSEWHERE.match(name)
    ]
