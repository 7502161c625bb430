"""Header fields of a mail: read within limits, unfolded, and decoded as tolerantly as a mail client does."""

import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from deskline_intake.domain.charsets import codec_of, decode
from deskline_intake.domain.limits import MailLimits

_NAME = re.compile(rb"([!-9;-~]{1,128})[ \t]*:")
_WORD = re.compile(r"=\?([A-Za-z0-9_.:\-*]{1,64})\?([bBqQ])\?([^?]*\??)\?=")
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]")
_PARAMETER = re.compile(r';\s*([^\s=;"]{1,64})\s*=\s*("[^"\\]*(?:\\.[^"\\]*)*"|[^;]*)', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")
_SEGMENT = re.compile(r"(.{1,60}?)(?:\*([0-9]{1,3}))?(\*)?\Z", re.DOTALL)
_LONGEST_STRUCTURED = 8 * 1024
_EXTENDED_PARTS = 3
_SHORT_BASE64 = 400


@dataclass(slots=True)
class Headers:
    """Raw unfolded values by lower-case field name, in their order; `end` is where the body begins."""

    fields: dict[str, list[bytes]] = field(default_factory=dict)
    end: int = 0
    truncated: bool = False

    def first(self, name: str) -> bytes:
        values = self.fields.get(name)
        return values[0] if values else b""

    def has(self, name: str) -> bool:
        return name in self.fields

    def text(self, name: str) -> str:
        """The first value, decoded."""
        return decode_words(raw_text(self.first(name)))


@dataclass(slots=True)
class _Reading:
    """The fields so far, and how much may still be kept."""

    limits: MailLimits
    fields: dict[str, list[list[bytes]]] = field(default_factory=dict)
    value: list[bytes] | None = None
    length: int = 0
    count: int = 0
    bytes_left: int = 0
    truncated: bool = False

    def start(self, name: bytes, rest: bytes) -> None:
        self.count += 1
        self.value, self.length = [], 0
        if self.count > self.limits.header_count or self.bytes_left <= 0:
            self.truncated = True
            return
        self.fields.setdefault(name.decode("ascii").lower(), []).append(self.value)
        self.bytes_left -= len(name)
        self.append(rest)

    def append(self, piece: bytes) -> None:
        room = min(self.bytes_left, self.limits.header_value_bytes - self.length)
        if len(piece) > room:
            self.truncated = True
            piece = piece[: max(room, 0)]
        if piece and self.value is not None:
            self.value.append(piece)
            self.length += len(piece)
            self.bytes_left -= len(piece)


def read_headers(raw: bytes, start: int, limits: MailLimits) -> Headers:
    """The header block at `start`; only LF ends a line, so a bare CR can't smuggle in a field."""
    reading = _Reading(limits, bytes_left=limits.header_bytes)
    position, size = start, len(raw)
    while position < size:
        newline = raw.find(b"\n", position)
        end = size if newline < 0 else newline
        line = raw[position : min(end, position + limits.header_value_bytes + 1)]
        if end - position <= limits.header_value_bytes:
            line = line.rstrip(b"\r")
        else:
            reading.truncated = True
        if not line:
            position = min(end + 1, size)
            break
        if line[0] in b" \t" and reading.value is not None:
            reading.append(line)
        elif line.startswith(b"--"):
            break
        elif match := _NAME.match(line):
            reading.start(match[1], line[match.end() :])
        elif line.startswith(b"=?") and reading.value is not None:
            reading.append(b" " + line)  # web forms fold a subject without the blank
        elif not (position == start and line.startswith((b"From ", b">From "))):
            break
        position = min(end + 1, size)
    fields = {
        name: [b"".join(value).strip(b" \t\r") for value in values] for name, values in reading.fields.items()
    }
    return Headers(fields, position, reading.truncated)


def raw_text(value: bytes) -> str:
    """A raw value as characters, 8-bit ones detected, encoded words untouched."""
    return value.decode("ascii") if value.isascii() else decode(value).text


def single_line(text: str, limit: int) -> str:
    """Text without line breaks, control and direction characters, at most `limit` characters long."""
    text = " ".join(_CONTROLS.sub(" ", text[: limit * 8]).split())
    return text if len(text) <= limit else text[:limit].rstrip()


def decode_words(text: str) -> str:
    """RFC 2047 words decoded: also inside quotes, with unknown character sets, or cut within a character."""
    if "=?" not in text:
        return text
    output: list[str] = []
    run: list[tuple[str, str, str]] = []
    position = 0
    for match in _WORD.finditer(text):
        gap = text[position : match.start()]
        if not run or gap.strip():
            output += [_decode_run(run), gap]
            run = []
        run.append((match[1].partition("*")[0].lower(), match[2].lower(), match[3]))
        position = match.end()
    output += [_decode_run(run), text[position:]]
    return "".join(output)


def _decode_run(run: list[tuple[str, str, str]]) -> str:
    """Adjacent words; those of one character set are joined as bytes: encoders cut inside characters."""
    texts: list[str] = []
    index = 0
    while index < len(run):
        charset, encoding, payload = run[index]
        payloads = [payload]
        index += 1
        while index < len(run) and run[index][:2] == (charset, encoding):
            payloads.append(run[index][2])
            index += 1
        data = b"".join(_decode_payloads(encoding, payloads))
        texts.append(decode(data, charset if codec_of(charset) else None).text)
    return "".join(texts)


def _decode_payloads(encoding: str, payloads: list[str]) -> list[bytes]:
    if encoding == "q":
        return [binascii.a2b_qp(payload.encode(), header=True) for payload in payloads]
    pieces: list[bytes] = []
    pending: list[str] = []
    length = 0
    for payload in payloads:
        pending.append(payload)
        length += len(payload)
        if payload.endswith("=") or length % 4 == 0:
            pieces.append(decode_base64("".join(pending).encode())[0])
            pending, length = [], 0
    pieces.append(decode_base64("".join(pending).encode())[0])
    return pieces


def decode_base64(data: bytes) -> tuple[bytes, bool]:
    """The bytes, and whether the encoding was sound; what can't be decoded is left out.

    Decoding ends at the first padding: what follows it is rather a list's footer than content.
    """
    try:
        decoded = binascii.a2b_base64(data)
        if len(data) >= _SHORT_BASE64:
            return decoded, len(decoded) * 2 >= len(data)
        # A footer may be longer than a short content, so only what stands before the padding is judged.
        written = b"".join(data.partition(b"=")[0].split())
        return decoded, bool(decoded or not data.strip()) and _NOT_BASE64.search(written) is None
    except binascii.Error:
        letters = _NOT_BASE64.sub(b"", data)
        letters = letters[: len(letters) - 1] if len(letters) % 4 == 1 else letters
        return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4)), False


def parse_parameters(value: bytes) -> tuple[str, dict[str, str]]:
    """The lower-case main value of a structured field and its parameters, RFC 2231 joined and decoded."""
    text = raw_text(value[:_LONGEST_STRUCTURED])
    main = text.partition(";")[0].strip().lower()
    plain: dict[str, str] = {}
    segments: dict[str, dict[int, tuple[str, bool]]] = {}
    for match in _PARAMETER.finditer(text):
        name, content = match[1].lower(), match[2].strip()
        if content.startswith('"'):
            content = content[1:-1] if len(content) > 1 and content.endswith('"') else content[1:]
            content = _ESCAPED.sub(_unescape, content)
        shape = _SEGMENT.match(name) if "*" in name else None
        if shape:
            number, extended = int(shape[2] or 0), bool(shape[3])
            segments.setdefault(shape[1], {}).setdefault(number, (content, extended))
        else:
            plain.setdefault(name, content)
    return main, {name: decode_words(text) for name, text in plain.items()} | _join_segments(segments)


def _unescape(match: re.Match[str]) -> str:
    """Quoted pairs; but an unescaped Windows path keeps the backslashes that separate its folders."""
    return match[1] if match[1] in '"\\' else match[0]


def _join_segments(segments: Mapping[str, Mapping[int, tuple[str, bool]]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, numbered in segments.items():
        charset: str | None = None
        data: list[bytes] = []
        for number in sorted(numbered):
            content, extended = numbered[number]
            if extended and charset is None:
                pieces = content.split("'", 2)
                if len(pieces) == _EXTENDED_PARTS:
                    charset, _, content = pieces
            data.append(unquote_to_bytes(content) if extended else content.encode())
        joined[name] = decode_words(decode(b"".join(data), charset or None).text)
    return joined
