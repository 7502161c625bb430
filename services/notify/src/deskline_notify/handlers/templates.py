"""Templates: shown, saved where nothing is wrong with them, and tried out with made-up values."""

from collections.abc import Sequence
from uuid import UUID

from deskline_chassis.postgres import Database
from deskline_events.facts import Language
from deskline_events.notify import NotificationKind
from deskline_notify.adapters.template_store import Saved, lock_template, save_template, saved_templates
from deskline_notify.answers import Preview, TemplateList, TemplateShown
from deskline_notify.domain.cleaning import one_line
from deskline_notify.domain.mails import MOST_SUBJECT, page_of
from deskline_notify.domain.variables import KINDS, LANGUAGES, VARIABLES, sample_of
from deskline_notify.templates.defaults import default_of
from deskline_notify.templates.sandbox import Fault, Source, faults_of, render


class TemplateRefusedError(Exception):
    """A template is not saved; `faults` say what is wrong with it."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("the template is wrong")
        self.faults = faults


class StaleTemplateError(Exception):
    """The change rests on another version than the one that is saved; `version` is the one that is."""

    def __init__(self, version: int) -> None:
        super().__init__(f"the template is at version {version}")
        self.version = version


def list_templates(database: Database) -> TemplateList:
    """Every kind in every language."""
    with database.transaction() as connection:
        saved = saved_templates(connection)
    return TemplateList(
        items=[
            _shown(kind, language, saved.get((kind, language))) for kind in KINDS for language in LANGUAGES
        ]
    )


def read_template(database: Database, kind: NotificationKind, language: Language) -> TemplateShown:
    """The one that is used."""
    with database.transaction() as connection:
        saved = saved_templates(connection)
    return _shown(kind, language, saved.get((kind, language)))


def save(
    database: Database,
    kind: NotificationKind,
    language: Language,
    source: Source,
    *,
    actor_id: UUID,
    expected: int | None,
) -> TemplateShown:
    """Save the next version; `expected` is the one that the caller read, None where they name none.

    Raises TemplateRefusedError, StaleTemplateError.
    """
    faults = faults_of(kind, language, source)
    if faults:
        raise TemplateRefusedError(faults)
    with database.transaction() as connection:
        version = lock_template(connection, kind, language)
        if version != (expected or 0):
            raise StaleTemplateError(version)
        saved = save_template(connection, kind, language, source, actor_id)
    return _shown(kind, language, saved)


def preview(kind: NotificationKind, language: Language, source: Source) -> Preview:
    """The mail with made-up values; raises TemplateRefusedError."""
    faults = faults_of(kind, language, source)
    if faults:
        raise TemplateRefusedError(faults)
    rendered = render(source, sample_of(kind, language))
    page = page_of(rendered.text, language) if rendered.html is None else rendered.html
    return Preview(subject=one_line(rendered.subject, MOST_SUBJECT), text=rendered.text, html=page)


def _shown(kind: NotificationKind, language: Language, saved: Saved | None) -> TemplateShown:
    source = default_of(kind, language) if saved is None else saved.source
    return TemplateShown(
        kind=kind,
        language=language,
        version=0 if saved is None else saved.version,
        subject=source.subject,
        text=source.text,
        html=source.html,
        variables=list(VARIABLES[kind]),
        changed_at=None if saved is None else saved.changed_at,
        changed_by=None if saved is None else saved.changed_by,
    )
