"""The sandbox: templates are straight-line text with variables, conditions and a few filters.

No loop, assignment, call, attribute or arithmetic is taken, so that what a template costs grows with its
length alone, and it reaches nothing but the variables that it is given.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, nodes
from jinja2.sandbox import SandboxedEnvironment

from deskline_events.facts import Language
from deskline_events.notify import NotificationKind
from deskline_notify.domain.variables import VARIABLES, sample_of

MOST_SOURCE: Final = 20_000
MOST_RENDERED: Final = 256 * 1024
MOST_NODES: Final = 1_000

FILTERS: Final = ("capitalize", "default", "e", "escape", "lower", "title", "trim", "truncate", "upper")
_NODES: Final = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.Const,
    nodes.Filter,
    nodes.Keyword,
    nodes.If,
    nodes.CondExpr,
    nodes.Compare,
    nodes.Operand,
    nodes.Not,
    nodes.And,
    nodes.Or,
)
_EVERY_NAME: Final = frozenset(name for names in VARIABLES.values() for name in names)


class RenderError(Exception):
    """A template gave no mail: too long a text, or a variable that is not there."""

    safe_message = True


@dataclass(frozen=True, slots=True)
class Source:
    """A mail's template; without `html` the page is made of the text."""

    subject: str
    text: str
    html: str | None = None


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a template gave."""

    subject: str
    text: str
    html: str | None


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a template, and where."""

    field: str
    message: str
    line: int | None = None


def _environment(*, escaped: bool) -> SandboxedEnvironment:
    environment = SandboxedEnvironment(undefined=StrictUndefined, autoescape=escaped, extensions=[])
    environment.filters = {name: environment.filters[name] for name in FILTERS}
    environment.tests = {}
    environment.globals = {}
    return environment


_TEXT: Final = _environment(escaped=False)
_HTML: Final = _environment(escaped=True)


@lru_cache(maxsize=256)
def _compiled(source: str, escaped: bool) -> Template:  # noqa: FBT001 -- part of the cache's key
    # Checked again: what was saved may have been changed on another way than ours.
    if len(source) > MOST_SOURCE or not all(map(_is_harmless, _parts(_TEXT.parse(source)))):
        raise RenderError("The template holds what no template may hold.")
    return (_HTML if escaped else _TEXT).from_string(source)


def _is_harmless(node: nodes.Node) -> bool:
    return isinstance(node, _NODES) and (not isinstance(node, nodes.Name) or node.name in _EVERY_NAME)


def _parts(tree: nodes.Template) -> list[nodes.Node]:
    return [tree, *tree.find_all(nodes.Node)]


def faults_of(kind: NotificationKind, language: Language, source: Source) -> list[Fault]:
    """What keeps a template from being saved; empty where nothing does."""
    parts = {"subject": source.subject, "text": source.text, "html": source.html}
    faults = [
        fault
        for field, part in parts.items()
        if part is not None
        for fault in _faults_of_part(kind, field, part)
    ]
    return faults or _faults_of_mail(kind, language, source)


def _faults_of_part(kind: NotificationKind, field: str, part: str) -> list[Fault]:
    if len(part) > MOST_SOURCE:
        return [Fault(field, f"It is longer than {MOST_SOURCE} characters.")]
    try:
        tree = _TEXT.parse(part)
    except TemplateSyntaxError as error:
        return [Fault(field, f"It can't be read as a template: {error.message}", error.lineno)]
    except RecursionError:
        return [Fault(field, "It is nested too deeply.")]
    found = _parts(tree)
    if len(found) > MOST_NODES:
        return [Fault(field, f"It has more than {MOST_NODES} parts.")]
    return [Fault(field, problem, node.lineno) for node in found if (problem := _problem(kind, node))]


def _problem(kind: NotificationKind, node: nodes.Node) -> str | None:
    if not isinstance(node, _NODES):
        name = type(node).__name__
        return f"{name} can't be used here: a template is text, variables, conditions and filters."
    if isinstance(node, nodes.Name) and node.name not in VARIABLES[kind]:
        known = ", ".join(sorted(VARIABLES[kind]))
        return f"There is no variable {node.name!r} in a mail of kind {kind}; there are: {known}."
    if isinstance(node, nodes.Filter) and node.name not in FILTERS:
        return f"There is no filter {node.name!r}; there are: {', '.join(FILTERS)}."
    return None


def _faults_of_mail(kind: NotificationKind, language: Language, source: Source) -> list[Fault]:
    sample = sample_of(kind, language)
    try:
        rendered = render(source, sample)
    except RenderError as error:
        return [Fault("text", str(error))]
    faults = []
    if f"[#{sample['number']}]" not in rendered.subject:
        faults.append(Fault("subject", "It must hold [#{{ number }}], by which an answer finds its ticket."))
    if not rendered.text.strip():
        faults.append(Fault("text", "It says nothing."))
    if kind == "reply" and sample["text"] not in rendered.text:
        faults.append(
            Fault("text", "A reply must hold {{ text }}, unchanged: it is what the operator wrote.")
        )
    return faults


def render(source: Source, values: Mapping[str, str]) -> Rendered:
    """The mail's texts; raises RenderError."""
    return Rendered(
        subject=_render(_compiled_or_refused(source.subject, escaped=False), values),
        text=_render(_compiled_or_refused(source.text, escaped=False), values),
        html=None
        if source.html is None
        else _render(_compiled_or_refused(source.html, escaped=True), values),
    )


def _compiled_or_refused(source: str, *, escaped: bool) -> Template:
    try:
        return _compiled(source, escaped)
    except (TemplateError, RecursionError):
        raise RenderError("The template can't be read.") from None


def _render(template: Template, values: Mapping[str, Any]) -> str:
    pieces: list[str] = []
    length = 0
    try:
        for piece in template.generate(values):
            length += len(piece)
            if length > MOST_RENDERED:
                raise RenderError(f"The mail would be longer than {MOST_RENDERED} characters.")
            pieces.append(piece)
    except (TemplateError, TypeError, ValueError, AssertionError):
        # truncate asserts its arguments; the text of these errors may hold a person's words.
        raise RenderError("The template can't be filled in.") from None
    return "".join(pieces)
