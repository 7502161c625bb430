"""HTML as text: readable, nothing fetched, nothing of scripts, and no input that takes long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deskline_intake.domain.html import html_to_text

pytestmark = pytest.mark.unit

LIMIT = 2_000_000


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("<p>Раз</p><p>Два</p>", "Раз\n\nДва"),
        ("<div>Раз</div><div>Два</div>", "Раз\nДва"),
        ("Раз<br>Два<br/><br />Три", "Раз\nДва\n\nТри"),
        ("<p class=MsoNormal>Раз</p><p class=MsoNormal>Два</p>", "Раз\nДва"),
        ("a \n\t  b&nbsp;&nbsp;c", "a b c"),
        ("Тариф&nbsp;&laquo;Про&raquo; &mdash; 5&#8381; &amp; &#x41;&lt;b&gt;", "Тариф «Про» — 5₽ & A<b>"),
        ("<ul><li>раз<li>два</ul>", "- раз\n- два"),
        ("<table><tr><td>Код</td><td>5</td></tr><tr><td>Цех</td><td>7</td></tr></table>", "Код\t5\nЦех\t7"),
        ("<b>жир</b><i>ный</i> <u>да</u>", "жирный да"),
        ('<a href="https://example.ru/a">отчёт</a>', "отчёт (https://example.ru/a)"),
        ('<a href="https://example.ru/">example.ru</a>', "example.ru"),
        ('<a href="mailto:a@b.ru">a@b.ru</a>', "a@b.ru"),
        ('<a href="javascript:alert(1)">x</a>', "x"),
        ("<pre>a\n  b\n</pre>c", "a\n  b\n\nc"),
        ("<head><title>T</title><style>p{}</style></head><body>x</body>", "x"),
        ("a<script>alert('</div>')</script>b<SCRIPT src=x></SCRIPT >c", "abc"),
        ("a<!-- <b>no</b> -->b<!DOCTYPE html><?xml?><![if !mso]>c", "abc"),
        ('<img src="https://track.example/x.gif" alt="Логотип компании">x', "x"),
        ('ok <img src="cid:1" alt="🙏">', "ok 🙏"),
        ("1 < 2 и a<5 <>", "1 < 2 и a<5 <>"),
        ("<div title='a > b'>x</div>", "x"),
        ("x<script>unclosed", "x"),
        ("x<style", "x<style"),
        ("", ""),
        ("<blockquote>a<blockquote>b</blockquote></blockquote>c", "> a\n>> b\nc"),
        ('<blockquote style="margin: 0 0 0 40px; border: none">indented</blockquote>', "indented"),
    ],
)
def test_html_reads_as_text(source: str, text: str) -> None:
    shown = html_to_text(source, LIMIT)

    assert [line for line in shown.split("\n") if line] == [line for line in text.split("\n") if line]


def test_paragraphs_are_parted_by_one_blank_line() -> None:
    assert html_to_text("<p>a</p>\n<p>b</p><p></p><p>&nbsp;</p><p>c</p>", LIMIT) == "a\n\nb\n\nc"


@pytest.mark.parametrize(
    ("unit", "count"),
    [
        ("<div>", 100_000),
        ("<div></div>", 100_000),
        ("<blockquote><div>", 100_000),
        ("</div>", 300_000),
        ("<a x", 400_000),
        ("<a '", 400_000),
        ('<a ">" ', 300_000),
        ("<!--", 400_000),
        ("<!", 800_000),
        ("<", 1_000_000),
        ("&", 1_000_000),
        ("<script>", 200_000),
        ("<svg>", 300_000),
        ("<title>x", 200_000),
        ("<table><tr><td>", 100_000),
        ("<pre>", 300_000),
        ("<a href=https://e.ru>x<br>", 70_000),
    ],
)
def test_hostile_markup_ends_with_its_last_words(unit: str, count: int) -> None:
    shown = html_to_text("начало " + unit * count, LIMIT)

    assert shown.lstrip("> ").startswith("начало")
    assert len(shown) <= LIMIT * 2


def test_deep_nesting_keeps_the_text_and_ends_with_its_containers() -> None:
    source = "<div>" * 100_000 + "глубоко" + "</div>" * 100_000 + "снаружи"

    assert html_to_text(source, LIMIT) == "глубоко\nснаружи"


def test_a_number_of_a_million_digits_is_no_character() -> None:
    assert html_to_text("a&#" + "1" * 1_000_000 + ";b", LIMIT).startswith("a")


@given(st.text(alphabet="<>/!-=\"'& abpdivscrtquoe#x;\n\t1ж", max_size=300))
def test_any_markup_gives_text_without_failing(source: str) -> None:
    shown = html_to_text(source, LIMIT)

    assert "\r" not in shown
    assert not shown.startswith("\n")
