"""docker-compose.yml as it is written, with its variables filled in, read without an engine."""

import re
import runpy
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[2]
FILE: Final = ROOT / "docker-compose.yml"
SECRETS: Final = ROOT / "deploy" / "compose" / "new_secrets.py"

# ${NAME}, ${NAME:-default}, ${NAME:?message}
VARIABLE: Final = re.compile(r"\$\{(?P<name>[A-Z0-9_]+)(?:(?P<how>:[-?])(?P<text>[^}]*))?\}")


@cache
def written() -> dict[str, Any]:
    """The file with its anchors resolved and its variables as they stand."""
    document: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return document


def services() -> dict[str, dict[str, Any]]:
    """Every process by its name."""
    found: dict[str, dict[str, Any]] = written()["services"]
    return found


@cache
def made_secrets() -> Mapping[str, str]:
    """What `make compose-secrets` would write into an empty file."""
    made: dict[str, str] = runpy.run_path(str(SECRETS))["missing"]("")
    return made


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text as compose gives it to a container; KeyError where a required value is missing."""

    def value(match: re.Match[str]) -> str:
        given = values.get(match["name"], "")
        if given or match["how"] == ":-":
            return given or match["text"]
        raise KeyError(match["name"])

    return VARIABLE.sub(value, text)


def environment_of(service: str) -> dict[str, str]:
    """A container's environment with new secrets and all else by default."""
    given = services()[service].get("environment", {})
    return {name: filled(str(text), made_secrets()) for name, text in given.items()}
