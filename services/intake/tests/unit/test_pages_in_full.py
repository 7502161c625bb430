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
