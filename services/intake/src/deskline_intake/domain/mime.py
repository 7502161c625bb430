"""The MIME structure of a mail as a flat list of parts, in one pass and without recursion.

The standard parser builds its tree by generators that call themselves, which a few hundred nested
multiparts bring down, and it matches every line against every open boundary.
"""

import binascii
import re
from dataclasses import dataclass, field

from deskline_intake.domain.headers import Headers, decode_base64, parse_parameters, read_headers
from deskline_intake.domain.limits import MailLimits
from deskline_intake.domain.problems import Problem

_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,64}/[a-z0-9!#$&^_.+-]{1,100}\Z")
_LONGEST_BOUNDARY = 200
_TEXT = "text/plain"


@dataclass(frozen=True, slots=True)
class Part:
    """A leaf: its content is `raw[start:end]`, still in its transfer encoding."""

    headers: Headers
    media_type: str
    parameters: dict[str, str]
    start: int
    end: int
    alternative: int | None = None  # parts of one multipart/alternative share this number
    related: bool = False


@dataclass(slots=True)
class Structure:
    """What a mail consists of."""

    headers: Headers
    media_type: str
    parameters: dict[str, str]
    parts: list[Part] = field(default_factory=list)
    problems: set[Problem] = field(default_factory=set)


@dataclass(slots=True)
class _Frame:
    """An open multipart."""

    boundary: bytes
    start: int
    alternative: int | None
    related: bool
    digest: bool
    filled: bool = False


def media_type_of(headers: Headers, default: str) -> tuple[str, dict[str, str]]:
    value = headers.first("content-type")
    if not value:
        return default, {}
    media_type, parameters = parse_parameters(value)
    if media_type == "text":
        return _TEXT, parameters
    return (media_type if _MEDIA_TYPE.match(media_type) else default), parameters


def read_structure(raw: bytes, limits: MailLimits) -> Structure:
    """The headers and leaves of a mail; parts over a limit are left out and named among the problems."""
    headers = read_headers(raw, 0, limits)
    media_type, parameters = media_type_of(headers, _TEXT)
    structure = Structure(headers, media_type, parameters)
    _Splitter(raw, limits, structure).run()
    if headers.truncated or any(part.headers.truncated for part in structure.parts):
        structure.problems.add(Problem.HEADERS_TRUNCATED)
    return structure


class _Splitter:
    """Finds delimiter lines and keeps the stack of open multiparts."""

    def __init__(self, raw: bytes, limits: MailLimits, structure: Structure) -> None:
        self._raw = raw
        self._limits = limits
        self._structure = structure
        self._frames: list[_Frame] = []
        self._levels: dict[bytes, int] = {}
        self._leaf: tuple[Headers, str, dict[str, str]] | None = None
        self._leaf_start = 0
        self._opened = 0

    def run(self) -> None:
        raw, size = self._raw, len(self._raw)
        root = self._structure.headers
        self._open(root, self._structure.media_type, self._structure.parameters)
        position = max(root.end - 1, 0)
        while self._frames:
            hit = raw.find(b"\n--", position)
            if hit < 0:
                break
            line_end = raw.find(b"\n", hit + 1)
            line_end = size if line_end < 0 else line_end
            position = line_end
            if line_end - hit > _LONGEST_BOUNDARY + 8:
                continue
            level, closing = self._level_of(raw[hit + 3 : line_end].rstrip())
            if level is None:
                continue
            self._close_leaf(hit)
            self._close_frames(level if closing else level + 1, hit)
            if closing:
                continue
            if self._opened >= self._limits.parts:
                self._structure.problems.add(Problem.TOO_MANY_PARTS)
                return
            headers = read_headers(raw, min(line_end + 1, size), self._limits)
            position = headers.end - 1
            frame = self._frames[-1]
            frame.filled = True
            self._open(headers, *media_type_of(headers, "message/rfc822" if frame.digest else _TEXT))
        self._close_leaf(size)
        self._close_frames(0, size)

    def _level_of(self, line: bytes) -> tuple[int | None, bool]:
        level = self._levels.get(line)
        if level is None and line.endswith(b"--"):
            return self._levels.get(line[:-2].rstrip()), True
        return level, False

    def _open(self, headers: Headers, media_type: str, parameters: dict[str, str]) -> None:
        self._opened += 1
        self._leaf_start = headers.end
        self._leaf = (headers, media_type, parameters)
        if not media_type.startswith("multipart/"):
            return
        boundary = parameters.get("boundary", "").encode().rstrip()
        if not 0 < len(boundary) <= _LONGEST_BOUNDARY or boundary in self._levels:
            self._structure.problems.add(Problem.MALFORMED_STRUCTURE)
            self._leaf = (headers, _TEXT, {})
            return
        self._leaf = None
        if len(self._frames) >= self._limits.depth:
            self._structure.problems.add(Problem.TOO_DEEP)
            return
        outer = self._frames[-1] if self._frames else None
        alternative = outer.alternative if outer else None
        if alternative is None and media_type == "multipart/alternative":
            alternative = self._opened
        self._levels[boundary] = len(self._frames)
        self._frames.append(
            _Frame(
                boundary,
                headers.end,
                alternative,
                related=media_type == "multipart/related",
                digest=media_type == "multipart/digest",
            )
        )

    def _close_leaf(self, end: int) -> None:
        if self._leaf is None:
            return
        headers, media_type, parameters = self._leaf
        self._leaf = None
        if end and self._raw[end - 1 : end] == b"\r" and end < len(self._raw):
            end -= 1
        frame = self._frames[-1] if self._frames else None
        self._structure.parts.append(
            Part(
                headers,
                media_type,
                parameters,
                self._leaf_start,
                max(end, self._leaf_start),
                alternative=frame.alternative if frame else None,
                related=frame.related if frame else False,
            )
        )

    def _close_frames(self, level: int, end: int) -> None:
        while len(self._frames) > level:
            frame = self._frames.pop()
            del self._levels[frame.boundary]
            if not frame.filled:  # the boundary never came: what is there is text
                self._structure.problems.add(Problem.MALFORMED_STRUCTURE)
                headers = Headers() if self._frames else self._structure.headers
                self._structure.parts.append(Part(headers, _TEXT, {}, frame.start, max(end, frame.start)))


def decode_content(data: bytes, encoding: str) -> tuple[bytes, bool]:
    """Content without its transfer encoding, and whether that was sound."""
    if encoding == "base64":
        return decode_base64(data)
    if encoding == "quoted-printable":
        return binascii.a2b_qp(data), True
    if encoding in {"x-uuencode", "uuencode", "uue", "x-uue"}:
        return _decode_uu(data)
    return data, encoding in {"", "7bit", "8bit", "binary"}


def _decode_uu(data: bytes) -> tuple[bytes, bool]:
    begin = data.find(b"begin ")
    position = data.find(b"\n", begin) + 1
    if begin < 0 or not position:
        return data, False
    decoded = bytearray()
    sound = True
    while 0 < position < len(data):
        following = data.find(b"\n", position)
        line = data[position : following if following >= 0 else len(data)].rstrip(b"\r")
        position = following + 1
        if line == b"end":
            break
        try:
            decoded += binascii.a2b_uu(line)
        except binascii.Error:
            sound = False
    return bytes(decoded), sound
