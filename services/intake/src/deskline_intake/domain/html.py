"""Readable text from the HTML of a mail: quotes marked with `>`, links as text, nothing fetched.

A tokenizer of its own: the standard one takes quadratic time on unclosed constructs, and a mail's HTML
comes from anybody. Here every character is passed a bounded number of times, and nesting costs no recursion.
"""

import html
import re
from dataclasses import dataclass

_ENTITY = re.compile(r"&(?:#[0-9]{1,7};?|#[xX][0-9a-fA-F]{1,6};?|[A-Za-z][A-Za-z0-9]{1,31};?)")
_SPACES = re.compile(r"[ \t\r\n\f\v\xa0]+")
_TAG_NAME = re.compile(r"/?[A-Za-z][A-Za-z0-9:_-]{0,40}")
_TAG_PLAIN = re.compile(r"""[^>"']*""")
_ATTRIBUTE = re.compile(r"""([A-Za-z][A-Za-z0-9_:-]{0,40})\s*=\s*("[^"]*"|'[^']*'|[^\s"'>]+)""")
_BLANK_LINES = re.compile(r"\n{3,}")

_DROPPED = frozenset({"script", "style", "title", "iframe", "template", "svg", "noframes", "noembed"})
_DROPPED_TO_THE_END = frozenset({"script", "style"})
_LINE_TAGS = """
div br li tr dt dd address article aside section header footer main nav figure figcaption center
form fieldset option hr body html caption legend
"""
_LINES = frozenset(_LINE_TAGS.split())
_PARAGRAPHS = frozenset(
    {"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "table", "pre", "blockquote"}
)
_CONTAINERS = frozenset({"div", "blockquote"})
_QUOTE_CLASSES = re.compile(
    r"""gmail_quote|yahoo_quoted|protonmail_quote|moz-cite-prefix|moz-forward-container|mail-quote|
    yandex_quote|ya-quote|zmail_extra|tutanota_quote|OutlookMessageHeader|mailru-quote""",
    re.IGNORECASE | re.VERBOSE,
)
_REST_IS_QUOTE = frozenset({"divrplyfwdmsg", "appendonsend", "x_divrplyfwdmsg", "x_appendonsend"})
_LINK_SCHEMES = ("http://", "https://")
_LONGEST_LINK = 500
_LONGEST_EMOJI = 4
_LONGEST_ATTRIBUTES = 16_384
_DEEPEST_MARK = 5


def has_quote_marks(source: str) -> bool:
    """Whether HTML marks quotes in a way that its text alternative may have lost."""
    lowered = source.lower()
    return "<blockquote" in lowered or "divrplyfwdmsg" in lowered or _QUOTE_CLASSES.search(source) is not None


def html_to_text(source: str, limit: int) -> str:
    """The text of at most `limit` characters of HTML; quoted lines start with `>`."""
    writer = _Writer()
    _Tokenizer(source[:limit], writer).run()
    return writer.result()


@dataclass(slots=True)
class _Container:
    tag: str
    quote: bool


class _Writer:
    """Text so far: lines with their depth of quoting."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._line: list[str] = []
        self._blank_wanted = False
        self._space_wanted = False
        self._open: list[_Container] = []
        self._open_count = dict.fromkeys(_CONTAINERS, 0)
        self._depth = 0
        self._preformatted = 0
        self._link: tuple[str, int] | None = None

    def text(self, text: str) -> None:
        if "&" in text:
            text = _ENTITY.sub(lambda match: html.unescape(match[0]), text)
        if self._preformatted:
            first, *others = text.split("\n")
            self._line.append(first)
            for other in others:
                self._break()
                self._line.append(other)
            return
        collapsed = _SPACES.sub(" ", text)
        if collapsed in {"", " "}:
            self._space_wanted = self._space_wanted or bool(collapsed)
            return
        if self._line and (self._space_wanted or collapsed[0] == " "):
            self._line.append(" ")
        self._line.append(collapsed.strip(" "))
        self._space_wanted = collapsed[-1] == " "

    def start(self, tag: str, attributes: str) -> None:
        if tag in _LINES or tag in _PARAGRAPHS:
            self._start_block(tag, attributes)
        elif tag in {"td", "th"}:
            if self._line and self._line[-1] != "\t":
                self._line.append("\t")
                self._space_wanted = False
        elif tag == "a":
            self._finish_link()
            target = _attribute(attributes, "href")
            if target.lower().startswith(_LINK_SCHEMES) and len(target) <= _LONGEST_LINK:
                self._link = ("".join(target.split()), len(self._line))
        elif tag == "img":
            picture = _attribute(attributes, "alt")
            if 0 < len(picture) <= _LONGEST_EMOJI and not picture.isascii():
                self.text(picture)

    def end(self, tag: str) -> None:
        if tag == "a":
            self._finish_link()
        elif tag in _LINES or tag in _PARAGRAPHS:
            self._break(blank=tag in _PARAGRAPHS and tag != "p")
            if tag == "pre":
                self._preformatted = max(self._preformatted - 1, 0)
            elif tag in _CONTAINERS:
                self._close(tag)

    def result(self) -> str:
        self._finish_link()
        self._break()
        return _BLANK_LINES.sub("\n\n", "\n".join(self._lines)).strip("\n")

    def _start_block(self, tag: str, attributes: str) -> None:
        self._finish_link()
        # Outlook writes each line as a paragraph without margins.
        spaced = tag in _PARAGRAPHS and not (tag == "p" and ("Mso" in attributes or "margin:0" in attributes))
        if tag == "br" and not self._line:
            self._lines.append(self._prefix().rstrip())
        else:
            self._break(blank=spaced)
        if tag == "li":
            self._line.append("-")
            self._space_wanted = True
        elif tag == "pre":
            self._preformatted += 1
        elif tag in _CONTAINERS:
            self._open_container(tag, attributes)

    def _open_container(self, tag: str, attributes: str) -> None:
        if tag == "blockquote":
            quote = "border:none" not in attributes.replace(" ", "")  # Gmail indents with a blockquote
        else:
            name = _attribute(attributes, "id").lower()
            if name in _REST_IS_QUOTE:
                self._depth += 1
            quote = bool(_QUOTE_CLASSES.search(attributes))
        self._open.append(_Container(tag, quote))
        self._open_count[tag] += 1
        self._depth += quote

    def _close(self, tag: str) -> None:
        if not self._open_count[tag]:
            return
        while True:
            container = self._open.pop()
            self._open_count[container.tag] -= 1
            self._depth -= container.quote
            if container.tag == tag:
                return

    def _finish_link(self) -> None:
        if self._link is None:
            return
        target, start = self._link
        self._link = None
        shown = "".join(self._line[start:]).strip()
        if shown and shown.rstrip("/") not in {target.rstrip("/"), target.partition("://")[2].rstrip("/")}:
            self._line.append(f" ({target})")

    def _prefix(self) -> str:
        return ">" * min(self._depth, _DEEPEST_MARK) + " " if self._depth else ""

    def _break(self, *, blank: bool = False) -> None:
        line = "".join(self._line)
        line = line.rstrip() if self._preformatted else line.strip()
        if line and line != "-":
            if self._blank_wanted and self._lines and self._lines[-1]:
                self._lines.append("")
            self._blank_wanted = False
            self._lines.append(self._prefix() + line)
        elif self._preformatted:
            self._lines.append("")
        self._line = []
        self._link = (self._link[0], 0) if self._link else None
        self._space_wanted = False
        self._blank_wanted = self._blank_wanted or blank


def _attribute(attributes: str, name: str) -> str:
    for match in _ATTRIBUTE.finditer(attributes):
        if match[1].lower() == name:
            value = match[2].strip("\"'") if match[2][0] in "\"'" else match[2]
            return html.unescape(value).strip() if len(value) <= _LONGEST_LINK * 2 else ""
    return ""


class _Tokenizer:
    """Cuts HTML into text and tags; what was looked for once in vain isn't looked for again."""

    def __init__(self, source: str, writer: _Writer) -> None:
        self._source = source
        self._writer = writer
        self._missing: set[str] = set()
        self._quotes_matter = True

    def run(self) -> None:
        source, position, size = self._source, 0, len(self._source)
        while position < size:
            opening = source.find("<", position)
            if opening < 0:
                self._writer.text(source[position:])
                return
            if opening > position:
                self._writer.text(source[position:opening])
            position = self._markup(opening)

    def _markup(self, opening: int) -> int:
        """The position after the construct at `opening`."""
        name = _TAG_NAME.match(self._source, opening + 1)
        if name is None:
            return self._skip_declaration(opening)
        end = self._tag_end(name.end())
        if end < 0:
            self._writer.text("<")
            return opening + 1
        tag = name[0].lower()
        if tag[0] == "/":
            self._writer.end(tag[1:])
        elif tag in _DROPPED:
            return self._after_dropped(tag, end + 1)
        else:
            attributes = self._source[name.end() : min(end, name.end() + _LONGEST_ATTRIBUTES)]
            self._writer.start(tag, attributes)
        return end + 1

    def _skip_declaration(self, opening: int) -> int:
        """Comments, doctypes and the like say nothing; any other `<` is itself."""
        if self._source.startswith("<!--", opening):
            closing = "-->"
        elif self._source.startswith(("<!", "<?", "</"), opening):
            closing = ">"
        else:
            self._writer.text("<")
            return opening + 1
        end = self._find(closing, opening + 2)
        return end + len(closing) if end >= 0 else len(self._source)

    def _after_dropped(self, tag: str, position: int) -> int:
        closing = f"</{tag}"
        if closing in self._missing or self._source[position - 2] == "/":
            return position
        match = _CLOSINGS[tag].search(self._source, position)
        if match:
            return match.start()
        self._missing.add(closing)
        return len(self._source) if tag in _DROPPED_TO_THE_END else position

    def _tag_end(self, position: int) -> int:
        """Where `>` ends a tag; a quote that never closes is a character like others."""
        source, start, size = self._source, position, len(self._source)
        while self._quotes_matter:
            plain = _TAG_PLAIN.match(source, position)
            position = plain.end() if plain else position
            if position >= size:
                self._quotes_matter = False  # for the rest of this document, or the next tag would look again
                break
            if source[position] == ">":
                return position
            closing = self._find(source[position], position + 1)
            position = closing + 1 if closing >= 0 else position + 1
        return self._find(">", start)

    def _find(self, what: str, position: int) -> int:
        if what in self._missing:
            return -1
        found = self._source.find(what, position)
        if found < 0:
            self._missing.add(what)
        return found


_CLOSINGS = {tag: re.compile(f"</{tag}\\b", re.IGNORECASE) for tag in _DROPPED}
