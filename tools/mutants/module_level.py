"""Mutants of what a module or a class says outside its functions: here, many rules are data.

mutmut mutates functions only, for it imports the code once and lets each mutant begin from there. These, and
functions that are called while a module is imported, begin with an import of their own.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import libcst as cst
from mutmut.mutation.file_mutation import Mutation, deep_replace

Short = dict[str, tuple[str, str]]
"""By the mutant's name: the code before and after."""

# What a type checker reads, and nothing at run time.
TYPES: Final = frozenset({"Literal", "Annotated", "TypeVar"})


def planted(module: cst.Module, mutations: Sequence[Mutation]) -> tuple[cst.Module, list[Mutation], Short]:
    """The module with the mutants outside its functions in it, and the mutations within them."""
    within = [one for one in mutations if isinstance(one.contained_by_top_level_function, cst.FunctionDef)]
    outside = {
        id(one.original_node): [other for other in mutations if other.original_node is one.original_node]
        for one in mutations
        if not isinstance(one.contained_by_top_level_function, cst.FunctionDef)
    }
    short: Short = {}
    body: list[Any] = []
    for statement in module.body:
        if isinstance(statement, cst.SimpleStatementLine):
            body += _with_mutants(module, statement, "x_", outside, short)
        elif isinstance(statement, cst.ClassDef) and isinstance(statement.body, cst.IndentedBlock):
            prefix = f"xǁ{statement.name.value}ǁ"
            kept: list[Any] = []
            for line in statement.body.body:
                if isinstance(line, cst.SimpleStatementLine):
                    kept += _with_mutants(module, line, prefix, outside, short)
                else:
                    kept.append(line)
            body.append(statement.with_changes(body=statement.body.with_changes(body=kept)))
        else:
            body.append(statement)
    return module.with_changes(body=body), within, short


def _with_mutants(
    module: cst.Module,
    line: cst.SimpleStatementLine,
    prefix: str,
    outside: dict[int, list[Mutation]],
    short: Short,
) -> list[Any]:
    """The line, and after it a condition for each of its mutants, which then says it again otherwise."""
    target = _target_of(line)
    found = [one for node in _walk(line) for one in outside.get(id(node), ())]
    if target is None or not found:
        return [line]
    lines: list[Any] = [line]
    for mutation in filter(_says_more, found):
        number = 1 + sum(name.startswith(f"{prefix}{target}__mutmut_") for name in short)
        name = f"{prefix}{target}__mutmut_{number}"
        mutated = deep_replace(line, mutation.original_node, mutation.mutated_node)
        if not isinstance(mutated, cst.SimpleStatementLine):
            raise TypeError(name)
        bare = mutated.with_changes(leading_lines=[])
        short[name] = (module.code_for_node(line.with_changes(leading_lines=[])), module.code_for_node(bare))
        condition = cst.parse_expression(
            f"__import__('os').environ.get('MUTANT_UNDER_TEST') == __name__ + '.{name}'"
        )
        lines.append(cst.If(test=condition, body=cst.IndentedBlock(body=[bare])))
    return lines


def _says_more(mutation: Mutation) -> bool:
    """A string in capitals is noticed where the same string between XX is: one of the three will do."""
    mutated = mutation.mutated_node
    return not isinstance(mutated, cst.SimpleString) or "XX" in mutated.value or mutated.value == '""'


def _target_of(line: cst.SimpleStatementLine) -> str | None:
    """What an assignment names; None for any other line, and where it says a type."""
    match line.body:
        case [cst.Assign(targets=[cst.AssignTarget(target=cst.Name(value=name))], value=value)]:
            pass
        case [cst.AnnAssign(target=cst.Name(value=name), value=value)] if value is not None:
            pass
        case _:
            return None
    return None if _is_type(value) else name


def _is_type(value: cst.BaseExpression) -> bool:
    """Whether it is an alias of a type: a generic, a union of classes, or made by typing's own words."""
    names = [node.value for node in _walk(value) if isinstance(node, cst.Name)]
    union = isinstance(value, cst.BinaryOperation) and isinstance(value.operator, cst.BitOr)
    classes = all(name[0].isupper() and not name.isupper() for name in names)
    return isinstance(value, cst.Subscript) or (union and classes) or not TYPES.isdisjoint(names)


def _walk(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    yield node
    for child in node.children:
        yield from _walk(child)
