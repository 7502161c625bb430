"""Which parts of a mail are its text and which its attachments, and what that text says."""

import hashlib
import re
from dataclasses import dataclass, field

from deskline_intake.domain.charsets import cut, decode
from deskline_intake.domain.filenames import safe_filename
from deskline_intake.domain.headers import parse_parameters, raw_text, single_line
from deskline_intake.domain.html import has_quote_marks, html_to_text
from deskline_intake.domain.limits import MailLimits
from deskline_intake.domain.mime import Part, decode_content
from deskline_intake.domain.problems import Problem
from deskline_intake.domain.quotes import strip_quotes

# PostgreSQL refuses NUL; the other controls and direction overrides only serve to deceive.
_UNWANTED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]"
)
_META_CHARSET = re.compile(
    rb"""<meta[^>]{0,200}?charset\s{0,9}=\s{0,9}["']?([A-Za-z0-9_:.-]{1,40})""", re.IGNORECASE
)
_META_WITHIN = 2_048
_TEXTS = frozenset({"text/plain", "text/html"})
_SHADOWS = frozenset({"text/x-amp-html", "text/watch-html", "text/enriched"})  # a third form of the same text
_WIDEST_CHAR = 4


@dataclass(frozen=True, slots=True)
class ParsedAttachment:
    """`filename` is for showing, never a path; `content_id` without angle brackets."""

    filename: str
    media_type: str
    content: bytes
    inline: bool
    content_id: str | None
    sha256: str


@dataclass(slots=True)
class Body:
    text: str = ""
    reply: str = ""
    from_html: bool = False
    html_source: str = ""
    attachments: list[ParsedAttachment] = field(default_factory=list)
    problems: set[Problem] = field(default_factory=set)


@dataclass(slots=True)
class _Text:
    """The texts of one multipart/alternative, or of one part that stands alone."""

    plain: list[str] = field(default_factory=list)
    html: list[str] = field(default_factory=list)


def read_body(raw: bytes, parts: list[Part], limits: MailLimits) -> Body:
    """Text and attachments of the leaves of a mail, in their order."""
    body = Body()
    groups: dict[int, _Text] = {}
    room = limits.attachments_bytes
    for index, part in enumerate(parts):
        disposition, parameters = parse_parameters(part.headers.first("content-disposition"))
        name = parameters.get("filename") or part.parameters.get("name") or ""
        if part.alternative is not None and part.media_type in _SHADOWS:
            continue
        if part.media_type in _TEXTS and disposition != "attachment" and (not name or len(parts) == 1):
            group = groups.setdefault(-index if part.alternative is None else part.alternative, _Text())
            text = _text_of(raw, part, limits, body.problems)
            (group.plain if part.media_type == "text/plain" else group.html).append(text)
        else:
            room -= _attach(body, raw, part, name, inline=disposition == "inline", room=room, limits=limits)
    _write_text(body, list(groups.values()), limits)
    return body


def content_of(raw: bytes, part: Part, limit: int) -> tuple[bytes, bool]:
    """About the first `limit` bytes of a part without transfer encoding, and whether all was well."""
    encoding = part.headers.first("content-transfer-encoding").partition(b";")[0].strip().lower()
    data = raw[part.start : min(part.end, part.start + limit * 4 + 1024)]
    return decode_content(data, raw_text(encoding))


def _text_of(raw: bytes, part: Part, limits: MailLimits, problems: set[Problem]) -> str:
    html = part.media_type == "text/html"
    limit = limits.html_chars if html else limits.text_chars
    data, sound = content_of(raw, part, limit * _WIDEST_CHAR)
    if not sound:
        problems.add(Problem.ENCODING_BROKEN)
    declared = part.parameters.get("charset")
    if html and not declared and (match := _META_CHARSET.search(data[:_META_WITHIN])):
        declared = match[1].decode("ascii")
    decoded = decode(cut(data, limit * _WIDEST_CHAR), declared)
    if decoded.replaced:
        problems.add(Problem.CHARSET_REPLACED)
    elif decoded.guessed:
        problems.add(Problem.CHARSET_GUESSED)
    text = decoded.text
    if len(text) > limit or len(data) > limit * _WIDEST_CHAR:
        problems.add(Problem.TEXT_TRUNCATED)
        text = text[:limit]
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    if not html and part.parameters.get("format", "").lower() == "flowed":
        text = unflow(text, delete_space=part.parameters.get("delsp", "").lower() == "yes")
    return _UNWANTED.sub("", text)


def unflow(text: str, *, delete_space: bool) -> str:
    """Lines that RFC 3676 broke softly, joined; quotes of different depth stay apart."""
    output: list[str] = []
    paragraph: list[str] = []
    depth = 0
    for line in text.split("\n"):
        content = line.lstrip(">")
        level = len(line) - len(content)
        content = content.removeprefix(" ")
        if paragraph and level != depth:
            output.append(_quoted(paragraph, depth))
            paragraph = []
        depth = level
        if content.endswith(" ") and content != "-- ":
            paragraph.append(content[:-1] if delete_space else content)
            continue
        paragraph.append(content)
        output.append(_quoted(paragraph, depth))
        paragraph = []
    if paragraph:
        output.append(_quoted(paragraph, depth))
    return "\n".join(output)


def _quoted(paragraph: list[str], depth: int) -> str:
    joined = "".join(paragraph)
    return f"{'>' * depth} {joined}" if depth else joined


def _attach(
    body: Body, raw: bytes, part: Part, name: str, *, inline: bool, room: int, limits: MailLimits
) -> int:
    """Adds an attachment if it fits; returns how many bytes it took."""
    if len(body.attachments) >= limits.attachments:
        body.problems.add(Problem.ATTACHMENT_DROPPED)
        return 0
    content, sound = content_of(raw, part, part.end - part.start)
    if not sound:
        body.problems.add(Problem.ENCODING_BROKEN)
    if not content and not name:
        return 0
    if len(content) > room:
        body.problems.add(Problem.ATTACHMENT_DROPPED)
        return 0
    content_id = single_line(part.headers.text("content-id"), 200).strip("<> ") or None
    media_type = part.media_type
    filename = safe_filename(name, media_type)
    inline = inline or (content_id is not None and part.related)
    digest = hashlib.sha256(content).hexdigest()
    body.attachments.append(ParsedAttachment(filename, media_type, content, inline, content_id, digest))
    return len(content)


def _write_text(body: Body, groups: list[_Text], limits: MailLimits) -> None:
    texts: list[str] = []
    for group in groups:
        plain = "\n".join(text for text in group.plain if text.strip())
        if not plain and group.html:
            plain = "\n".join(_UNWANTED.sub("", html_to_text(html, limits.html_chars)) for html in group.html)
            body.from_html = body.from_html or bool(plain)
        if plain:
            texts.append(plain)
    body.html_source = "\n".join(html for group in groups for html in group.html)[: limits.html_chars]
    text = "\n\n".join(texts)
    if len(text) > limits.text_chars:
        body.problems.add(Problem.TEXT_TRUNCATED)
        text = text[: limits.text_chars]
    body.text = text.strip("\n")
    body.reply = strip_quotes(body.text)
    unstripped = not body.from_html and body.html_source and body.reply == body.text.strip()
    if unstripped and has_quote_marks(body.html_source):
        shown = _UNWANTED.sub("", html_to_text(body.html_source, limits.html_chars))
        reply = strip_quotes(shown)
        if reply and len(reply) < len(body.reply) and reply != shown.strip():
            body.reply = reply
