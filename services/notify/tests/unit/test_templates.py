"""Templates: the defaults are whole in both languages, and an admin's own can do no harm."""

import time
from dataclasses import replace
from typing import Any

import pytest

from deskline_notify.domain.variables import KINDS, LANGUAGES, VARIABLES, moment_in, sample_of
from deskline_notify.templates.defaults import default_of
from deskline_notify.templates.sandbox import MOST_SOURCE, RenderError, Source, faults_of, render

pytestmark = pytest.mark.unit

GOOD = Source("Re: {{ subject }} [#{{ number }}]", "{{ text }}\n{{ line_name }}")
EVERY = [(kind, language) for kind in KINDS for language in LANGUAGES]


def messages(source: Source, kind: Any = "reply") -> str:
    return " ".join(fault.message for fault in faults_of(kind, "en", source))


@pytest.mark.parametrize(("kind", "language"), EVERY)
def test_every_kind_has_a_default_in_every_language(kind: Any, language: Any) -> None:
    source, sample = default_of(kind, language), sample_of(kind, language)
    assert faults_of(kind, language, source) == []
    rendered = render(source, sample)
    assert "[#1042]" in rendered.subject
    # Where a default leaves a variable out, it has nothing to say there; what is empty leaves no gap.
    without = render(source, sample | {"recipient_name": "", "operator_name": "", "forecast_at": ""})
    assert "{{" not in rendered.text + without.text
    assert "\n\n\n" not in without.text


def test_the_languages_differ() -> None:
    for kind in KINDS:
        if kind != "reply":
            assert default_of(kind, "ru") != default_of(kind, "en")


def test_an_unknown_variable_is_named_with_those_that_there_are() -> None:
    (fault,) = faults_of("reply", "en", replace(GOOD, text="{{ text }}\n{{ nmae }}"))
    assert (fault.field, fault.line) == ("text", 2)
    assert "'nmae'" in fault.message
    assert ", ".join(sorted(VARIABLES["reply"])) in fault.message


def test_a_variable_of_another_kind_is_unknown() -> None:
    assert "'text'" in messages(GOOD, "acknowledgement")


def test_a_syntax_error_is_told_with_its_line() -> None:
    (fault,) = faults_of("reply", "en", replace(GOOD, text="{{ text }}\n\n{% if %}"))
    assert (fault.field, fault.line) == ("text", 3)


@pytest.mark.parametrize(
    "attack",
    [
        "{{ text.__class__ }}",
        "{{ text['__class__'] }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ text|attr('__class__') }}",
        "{{ self }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ lipsum() }}",
        "{{ text.format(text) }}",
        "{% include 'x' %}",
        "{% import 'x' as y %}",
        "{% extends 'x' %}",
        "{% macro a() %}{% endmacro %}",
        "{% call a() %}{% endcall %}",
        "{% filter upper %}{% endfilter %}",
        "{% block a %}{% endblock %}",
        "{{ text|safe }}",
        "{{ text is callable }}",
    ],
)
def test_template_injection_is_refused(attack: str) -> None:
    assert faults_of("reply", "en", replace(GOOD, text="{{ text }}" + attack)) != []
    with pytest.raises(RenderError):
        render(Source("x", attack * 2), {})


@pytest.mark.parametrize(
    "bomb",
    [
        "{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}",
        "{{ 'x' * 1000000000 }}",
        "{{ 9 ** 9 ** 9 }}",
        "{% set a = text %}" + "{% set a = a ~ a %}" * 60 + "{{ a }}",
        "{{ text ~ text }}",
        "{{ [text, text]|join }}",
        "{{ text|center(1000000000) }}",
        "{{ text|replace('a', text) }}",
        "{{ '%1000000000d'|format(1) }}",
        "{{" + "(" * 5000 + "1" + ")" * 5000 + "}}",
        "{{ text }}" * 1500,
        "x" * (MOST_SOURCE + 1),
    ],
)
def test_template_bomb_is_refused_at_once(bomb: str) -> None:
    begun = time.process_time()
    assert faults_of("reply", "en", replace(GOOD, text="{{ text }}" + bomb)) != []
    assert time.process_time() - begun < 2


def test_template_bomb_by_a_long_text_is_cut_off() -> None:
    source = Source("[#{{ number }}]", "{{ text }}" * 400)
    assert faults_of("reply", "en", source) == []
    begun = time.process_time()
    with pytest.raises(RenderError, match="longer"):
        render(source, sample_of("reply", "en") | {"text": "x" * 65_536})
    assert time.process_time() - begun < 2


def test_a_page_of_an_admins_own_escapes_what_people_wrote() -> None:
    source = replace(GOOD, html="<b>{{ text }}</b>{{ text|upper }}")
    rendered = render(source, sample_of("reply", "en") | {"text": "<script>"})
    assert rendered.html == "<b>&lt;script&gt;</b>&lt;SCRIPT&gt;"
    assert rendered.text.startswith("<script>")


def test_a_template_that_loses_the_thread_or_the_answer_is_refused() -> None:
    assert "[#{{ number }}]" in messages(replace(GOOD, subject="{{ subject }}"))
    assert "{{ text }}" in messages(replace(GOOD, text="{{ text|truncate(12) }}"))
    assert "says nothing" in messages(
        Source("[#{{ number }}]", "{% if subject == 'x' %}a{% endif %}"), "apology"
    )


def test_conditions_and_filters_work() -> None:
    source = replace(
        GOOD,
        text="{{ text }}{% if operator_name and not subject == 'x' %} {{ operator_name|upper }}{% endif %}",
    )
    assert faults_of("reply", "en", source) == []
    assert render(source, sample_of("reply", "en")).text.endswith("ANN SMITH")


def test_moments_are_told_in_the_zone_and_the_languages_form() -> None:
    from datetime import UTC, datetime
    from zoneinfo import ZoneInfo

    at = datetime(2026, 11, 24, 9, 5, tzinfo=UTC)
    assert moment_in("ru", at, ZoneInfo("Europe/Moscow")) == "24.11.2026 12:05 (Europe/Moscow)"
    assert moment_in("en", at, ZoneInfo("UTC")) == "2026-11-24 09:05 (UTC)"
