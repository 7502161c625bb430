"""mutmut as this house needs it: rules in properties and in data are mutated too, and the outcome is JSON.

It runs within a working copy. mutmut has no settings for this: parts of it are replaced by name.
"""

import difflib
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import libcst as cst
from mutmut.mutation import file_mutation
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import walk_mutatable_files
from tools.mutants.module_level import Short, planted
from tools.mutants.trying import MUTMUT, function_of, is_decision, note_imports, put, run_quickly

PROPERTIES: Final = frozenset({"property", "cached_property"})
CAUGHT: Final = frozenset({"killed", "caught by type check"})


def is_property(node: cst.CSTNode) -> bool:
    """Whether the node is a function that only a property's decorator wraps."""
    if not isinstance(node, cst.FunctionDef) or len(node.decorators) != 1:
        return False
    name = node.decorators[0].decorator
    return isinstance(name, cst.Name) and name.value in PROPERTIES


def mutate_properties() -> None:
    """Mutmut passes over decorated functions; a property's rule is a rule."""
    skips = file_mutation.MutationVisitor._skip_node_and_children  # noqa: SLF001
    arranged = file_mutation.function_trampoline_arrangement

    def skip(visitor: file_mutation.MutationVisitor, node: cst.CSTNode) -> bool:
        return False if is_property(node) else skips(visitor, node)

    def arrange(function: cst.FunctionDef, mutants: Iterable[Any], class_name: str | None) -> Any:
        if not is_property(function):
            return arranged(function, mutants, class_name)
        # The copies are called by the trampoline, which alone stays a property.
        declared, methods, assigned, names = arranged(
            function.with_changes(decorators=[]), mutants, class_name
        )
        first = methods[0]
        if not isinstance(first, cst.FunctionDef):
            raise TypeError("mutmut's trampoline is no function")
        outer = first.with_changes(decorators=[*function.decorators, *first.decorators])
        return declared, [outer, *methods[1:]], assigned, names

    put(file_mutation.MutationVisitor, "_skip_node_and_children", skip)
    put(file_mutation, "function_trampoline_arrangement", arrange)


def mutate_data() -> None:
    """What stands outside functions is planted beside mutmut's own mutants, and noted in `<file>.data`."""
    combined, contents = file_mutation.combine_mutations_to_source, MUTMUT.mutate_file_contents
    noted: Short = {}

    def combine(module: cst.Module, mutations: Any, *ignored: Any) -> file_mutation.MutatedFile:
        module, within, short = planted(module, mutations)
        noted.clear()
        noted.update(short)
        made: file_mutation.MutatedFile = combined(module, within, *ignored)
        return replace(made, mutant_names=[*made.mutant_names, *short])

    def mutate(filename: str, *given: Any) -> file_mutation.MutatedFile:
        made: file_mutation.MutatedFile = contents(filename, *given)
        (Path("mutants") / f"{filename}.data").write_text(json.dumps(noted))
        return made

    put(file_mutation, "combine_mutations_to_source", combine)
    put(MUTMUT, "mutate_file_contents", mutate)


def _between(was: str, became: str) -> str:
    return "\n".join(difflib.unified_diff(was.splitlines(), became.splitlines(), lineterm=""))


def in_short(diff: str) -> str:
    """A mutation in a line: what was, and what it became."""
    lines = diff.splitlines()[2:]
    was, became = (
        " ⏎ ".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in ("-", "+")
    )
    return f"{was} → {became}"


def outcome() -> list[dict[str, str]]:
    """Each mutant: file, function or name, what became of it, and the mutation unless it was caught."""
    told = []
    for path in sorted(walk_mutatable_files()):
        data = SourceFileMutationData(path=path)
        data.load()
        short = json.loads((Path("mutants") / f"{path}.data").read_text())
        for name, exit_code in data.exit_code_by_key.items():
            if not is_decision(path, name):
                continue
            status = status_by_exit_code[exit_code]
            said = short.get(name.rpartition(".")[2])
            mutation = ""
            if status not in CAUGHT:
                mutation = in_short(_between(*said) if said else get_diff_for_mutant(name, path=path))
            told.append(
                {
                    "file": path.name,
                    "function": function_of(name),
                    "kind": "data" if said else "function",
                    "status": "killed" if status in CAUGHT else status,
                    "mutation": mutation,
                }
            )
    return told


def try_again(kept: Sequence[str] = ("killed",)) -> None:
    """Forgets what became of all mutants but those."""
    for path in walk_mutatable_files():
        data = SourceFileMutationData(path=path)
        data.load()
        for name, exit_code in data.exit_code_by_key.items():
            if status_by_exit_code[exit_code] not in kept:
                data.exit_code_by_key[name] = None
        if data.exit_code_by_key:
            data.save()


def main() -> None:
    mutate_properties()
    mutate_data()
    note_imports()
    run_quickly()
    match sys.argv[1]:
        case "outcome":
            sys.stdout.write(json.dumps(outcome()))
        case "try-again":
            try_again()
        case _:
            MUTMUT.cli()
