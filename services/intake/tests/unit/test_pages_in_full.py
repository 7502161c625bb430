"""Given odd markup, then exactly the text that is made of it."""

import pytest

from deskline_intake.domain.html import has_quote_marks, html_to_text

pytestmark = pytest.mark.unit

PAGES = [
    ("a < b", "a < b"),
    ("&amp;&lt;", "&<"),
    ("a <b> b </b> c", "a b c"),
    ("<p>a</p>b", "a\nb"),
    ("<p>a</p><p>b</p>", "a\n\nb"),
    ('<p class="MsoNormal">a</p><p class="MsoNormal">b</p>', "a\nb"),
    ('<p style="margin:0">a</p><p style="margin:0">b</p>', "a\nb"),
    ("<h1>a</h1>b", "a\n\nb"),
    ("<div>a</div><div>b</div>", "a\nb"),
    ("a<br><br>b", "a\n\nb"),
    ("<ul><li>a<li>b</ul>", "- a\n- b"),
    ("<table><tr><td>a<td>b</table>", "a\tb"),
    ("<pre>a  b</pre>c  d", "a  b\n\nc d"),
    ("<pre>a<pre>b  c</pre>d  e</pre>f  g", "a\n\nb  c\n\nd  e\n\nf g"),
    ("</pre><pre>a  b</pre>", "a  b"),
    # Quotes, and what only looks like one.
    ("<blockquote>a</blockquote>b", "> a\n\nb"),
    ("<blockquote style='border: none'>a</blockquote>b", "a\n\nb"),
    ('<div class="gmail_quote">a</div>b', "> a\nb"),
    ('<div id="appendonsend"></div>text', "> text"),
    # Links and pictures.
    ('<a href="http://x.y/z">z</a> tail', "z (http://x.y/z) tail"),
    ('<a href="http://x.y/">x.y</a>', "x.y"),
    ('<a href="mailto:a@b.c">a@b.c</a>', "a@b.c"),
    ('<a href="javascript:x">x</a>', "x"),
    ('<img alt="😀">', "😀"),
    ('<img alt="abc">', ""),
    # What says nothing, and what never ends.
    ("<script>x</script>y", "y"),
    ("<!-- a -->b<!doctype x>c", "bc"),
    ("<p title='>a</p>b", "a\nb"),
    ("a</ >b<!-->c<!>d>e", "abcd>e"),
    ("a<!-- b", "a"),
    ("a <b <i c", "a <b <i c"),
    ("<title>a<title>b", "ab"),
    ("<title>a<style>b</style>c", "ac"),
    ("a<style>b", "a"),
    ("<svg/>a</svg>b", "ab"),
    ('<p title="">a</p><p title="b">c', "a\n\nc"),
    ("a > b <i 'c>d", "a > b d"),
    ("a > b <i 'c>d'", "a > b d'"),
    # What is closed that was never opened.
    ("</div>a</blockquote>b", "a\n\nb"),
    ("<div>a</div></div>b", "a\nb"),
    # Rows, entries and empty lines.
    ("<tr><th>a<th>b", "a\tb"),
    ("<td>a<td><td>b", "a\tb"),
    ("<ul><li><li>a</ul>", "- a"),
    ("a<br><br><br><br>b", "a\n\nb"),
    ("<b>X</b> a", "X a"),
    ("<pre>  Xa X</pre>", "  Xa X"),
    ("<blockquote><pre>a\nb</pre></blockquote>", "> a\n> b"),
    ("<blockquote>a<br><br>b</blockquote>", "> a\n>\n> b"),
    ("<blockquote><div id=appendonsend></div>a", ">> a"),
    ('<img alt="❤️\u200d🔥">', "❤️\u200d🔥"),
    # A link is told where its text says another.
    ('<a href="http://x.y/a b">c</a>', "c (http://x.y/ab)"),
    ('<a href="http://x.y/zX">a</a>', "a (http://x.y/zX)"),
    ('<a href="http://x.y/z">a</div>b</a>', "a\nb (http://x.y/z)"),
    ('<a href="http://x.y/">x<b>.y</b></a>', "x.y"),
    ('<a href="http://x.y/">http://x.y</a>', "http://x.y"),
    ('<a href="http://x.y">x.y/</a>', "x.y/"),
    ('<a href="http://x.y/?u=http://z">x.y/?u=http://z</a>', "x.y/?u=http://z"),
    ('<a href="http://x.y/z">x.y/zX</a>', "x.y/zX (http://x.y/z)"),
    ('<a href="http://x.y/X">x.y/</a>', "x.y/ (http://x.y/X)"),
    ('<a href="http://x.y/X">http://x.y/</a>', "http://x.y/ (http://x.y/X)"),
]


@pytest.mark.parametrize(("page", "text"), PAGES)
def test_markup_as_text(page: str, text: str) -> None:
    assert html_to_text(page, 10_000) == text


@pytest.mark.parametrize(
    ("page", "marks"),
    [
        ("<BLOCKQUOTE>a", True),
        ('<div id="divRplyFwdMsg">', True),
        ('<div class="gmail_quote">', True),
        ("<p>quote</p>", False),
    ],
)
def test_a_page_marks_its_quotes_in_one_way_or_another(page: str, marks: bool) -> None:
    assert has_quote_marks(page) is marks


@pytest.mark.parametrize(
    "tag", ["p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "table", "pre", "blockquote"]
)
def test_an_empty_line_stands_before_what_is_a_paragraph(tag: str) -> None:
    assert html_to_text(f"a<{tag}>b</{tag}>", 100) in {"a\n\nb", "a\n\n> b"}


@pytest.mark.parametrize(
    "tag", ["script", "style", "title", "iframe", "template", "svg", "noframes", "noembed"]
)
def test_what_is_not_for_reading_is_left_out(tag: str) -> None:
    assert html_to_text(f"a<{tag}>b</{tag.upper()}>c", 100) == "ac"


@pytest.mark.parametrize("name", ["divRplyFwdMsg", "appendonsend", "x_divRplyFwdMsg", "x_appendonsend"])
def test_after_outlooks_mark_all_is_quoted(name: str) -> None:
    assert html_to_text(f'a<div id="{name}"></div>b', 100) == "a\n> b"


def test_a_link_that_nobody_could_read_is_left_out() -> None:
    longest = "http://x.y/" + "z" * 489
    assert html_to_text(f'<a href="{longest}">a</a>', 1_000) == f"a ({longest})"
    assert html_to_text(f'<a href="{longest}z">a</a>', 1_000) == "a"
