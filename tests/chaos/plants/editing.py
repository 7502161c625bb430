"""A plant is an edit of the product's own text: lines of a function, written as one gets them wrong.

Whatever else the function does stays as it is. Where the lines are not there exactly once, or the function
itself is not, nothing is planted and the process ends: a plant that does nothing would seem to be harmless.
"""

import importlib
import inspect
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import FunctionType, ModuleType
from typing import Any


class PlantWitheredError(Exception):
    """The product was changed where something is planted: look at both, and write the plant anew."""


@dataclass(frozen=True)
class Edit:
    """A change of a function or method of a module, as a patch has it: lines with `-`, with `+`, and others.

    The lines stand together somewhere in the function, indented as they are; an empty one separates changes.
    `words` are names of ours that the new lines use.
    """

    module: str
    name: str
    patch: str
    words: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"

    def put(self) -> None:
        """From now on this process runs the wrong text."""
        made = self.made()
        module, owner, name = self._found()
        right = vars(owner)[name]
        vars(module).update(self.words)
        setattr(owner, name, made)
        # Modules that took the function by its name have it under a name of their own.
        for other in [one for called, one in sys.modules.items() if called.startswith("deskline_")]:
            for known in [known for known, meant in vars(other).items() if meant is right]:
                setattr(other, known, made)

    def made(self) -> Any:
        """The function or static method with the wrong lines, put nowhere; raises PlantWitheredError."""
        module, owner, name = self._found()
        function = plain(vars(owner)[name])
        if function is None or function.__closure__:
            raise PlantWitheredError(f"{self} is no plain function")
        for word, meant in self.words.items():
            if vars(module).get(word, meant) is not meant:
                raise PlantWitheredError(f"{self.module} has a {word} of its own")
        text = textwrap.dedent(inspect.getsource(function)).splitlines()
        for change in textwrap.dedent(self.patch).strip("\n").split("\n\n"):
            text = self._changed(text, change.splitlines())
        scope: dict[str, Any] = {}
        exec(compile("\n".join(text), f"<planted in {self}>", "exec"), vars(module), scope)
        return scope[name]

    def _changed(self, text: list[str], change: list[str]) -> list[str]:
        old = [line[2:] for line in change if not line.startswith("+")]
        new = [line[2:] for line in change if not line.startswith("-")]
        places = [
            (at, indent)
            for at, line in enumerate(text)
            for indent in [line[: len(line) - len(line.lstrip())]]
            if text[at : at + len(old)] == [indent + one for one in old]
        ]
        if len(places) != 1:
            raise PlantWitheredError(f"{self} has {len(places)} times: {old}")
        ((at, indent),) = places
        return [*text[:at], *(indent + line for line in new), *text[at + len(old) :]]

    def _found(self) -> tuple[ModuleType, Any, str]:
        *owners, name = self.name.split(".")
        try:
            module = importlib.import_module(self.module)
            owner: Any = module
            for one in owners:
                owner = getattr(owner, one)
            vars(owner)[name]
        except (ImportError, AttributeError, KeyError) as missing:
            raise PlantWitheredError(f"{self} is not there: {missing}") from None
        return module, owner, name


def plain(found: object) -> FunctionType | None:
    """The function itself, where it is one or a static method."""
    found = found.__func__ if isinstance(found, staticmethod) else found
    return found if isinstance(found, FunctionType) else None


@dataclass(frozen=True)
class Plant:
    """A mistake that engineers make, in a sentence, and the edits that make it."""

    mistake: str
    edits: tuple[Edit, ...]
