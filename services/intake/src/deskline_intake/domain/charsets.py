"""Bytes to characters: the declared character set, else the likeliest of three, else replacement."""

import re
from dataclasses import dataclass
from encodings.aliases import aliases

# An allow-list, since Python also knows codecs that are no character sets (idna, unicode_escape), and
# looking up a made-up name would be remembered by the codec registry for ever. No utf-7: it hides markup.
_CHARSETS = """
ascii utf_8 utf_16 utf_16_le utf_16_be utf_32 cp1250 cp1251 cp1252 cp1253 cp1254 cp1255 cp1256
cp1257 cp1258 koi8_r koi8_u koi8_t kz1048 ptcp154 cp866 cp855 cp437 cp850 cp852 mac_cyrillic
mac_roman latin_1 iso8859_2 iso8859_3 iso8859_4 iso8859_5 iso8859_6 iso8859_7 iso8859_8 iso8859_9
iso8859_10 iso8859_13 iso8859_14 iso8859_15 iso8859_16 gb2312 gbk gb18030 big5 big5hkscs shift_jis
cp932 euc_jp iso2022_jp euc_kr cp949 iso2022_kr johab tis_620
"""
_KNOWN = frozenset(_CHARSETS.split())
_NOT_ALNUM = re.compile(r"[^a-z0-9]+")
_LONGEST_NAME = 40


def _key(name: str) -> str:
    return _NOT_ALNUM.sub("", name.lower())


_CODECS = (
    {_key(alias): codec for alias, codec in aliases.items() if codec in _KNOWN}
    | {_key(codec): codec for codec in _KNOWN}
    | {
        "win1251": "cp1251",
        "xcp1251": "cp1251",
        "ansi1251": "cp1251",
        "koi8": "koi8_r",
        "xmaccyrillic": "mac_cyrillic",
        "unicode11utf8": "utf_8",
        "utf8mb4": "utf_8",
        "ksc56011987": "cp949",
        "xsjis": "shift_jis",
    }
)
_WESTERN = frozenset({"latin_1", "cp1252", "iso8859_15", "cp1250", "iso8859_2", "mac_roman"})
_WIDE = frozenset({"utf_8", "utf_16", "utf_16_le", "utf_16_be", "utf_32"})

# Letters of Russian text, per mille; the two single-byte sets differ in where they put them.
_FREQUENCIES = {
    **dict(
        zip("оеаинтсрвлкмдпу", (110, 85, 80, 74, 67, 63, 55, 47, 45, 44, 35, 32, 30, 28, 26), strict=True)
    ),
    **dict(
        zip(
            "яыьгзбчйхжшюцщэфъё", (20, 19, 17, 17, 16, 16, 14, 12, 10, 9, 7, 6, 5, 4, 3, 3, 1, 5), strict=True
        )
    ),
    **dict.fromkeys("іїєґў", 5),
}
_PUNCTUATION = frozenset("«»—–“”„’‘…№•°§\xa0")
_UPPER_SHARE = (
    0.6  # capitals are rarer, which tells the sets apart: each reads the other's letters in the other case
)
_UNLIKELY = -40.0
_SAMPLE = 4096
_LIKELY = 20.0
_FIRST_HIGH = 0x80


def _weights(codec: str) -> tuple[float, ...]:
    table = [0.0] * 256
    for byte in range(_FIRST_HIGH, 256):
        letter = bytes((byte,)).decode(codec, "replace")
        frequency = _FREQUENCIES.get(letter.lower())
        if frequency is not None:
            table[byte] = frequency * (_UPPER_SHARE if letter.isupper() else 1.0)
        else:
            table[byte] = 0.0 if letter in _PUNCTUATION else _UNLIKELY
    return tuple(table)


_CYRILLIC = {codec: _weights(codec) for codec in ("cp1251", "koi8_r")}
_ASCII = bytes(range(_FIRST_HIGH))
_NOT_LETTERS = bytes(b for b in range(256) if b < _FIRST_HIGH and not chr(b).isalpha())


@dataclass(frozen=True, slots=True)
class Decoded:
    text: str
    guessed: bool = False
    replaced: bool = False


def codec_of(name: str) -> str | None:
    """Python's name of a declared character set, or None for one that is not allowed."""
    return _CODECS.get(_key(name[:_LONGEST_NAME]))


def decode(data: bytes, declared: str | None = None) -> Decoded:
    """The text of `data`; it never fails, and says when the declaration was of no use."""
    codec = codec_of(declared) if declared else None
    if data.isascii() and codec not in {
        "utf_16",
        "utf_16_le",
        "utf_16_be",
        "utf_32",
        "iso2022_jp",
        "iso2022_kr",
    }:
        return Decoded(data.decode("ascii"))
    if codec is None or codec == "ascii":
        return _detect(data, guessed=True)
    try:
        text = data.decode(codec)
    except UnicodeDecodeError:
        return _detect(data, guessed=True)
    if codec not in _WIDE and _contradicts(data, codec):
        return _detect(data, guessed=True)
    return Decoded(text)


def _contradicts(data: bytes, codec: str) -> bool:
    """Whether the bytes speak against a single-byte declaration that can decode anything."""
    sample = data[:_SAMPLE]
    high = sample.translate(None, _ASCII)
    minimum = 4  # fewer high bytes may form valid UTF-8 by chance
    if len(high) >= minimum and codec in {"cp1251", "koi8_r", *_WESTERN} and _is_utf8(data):
        return True
    # Western text has few accented letters among plain ones; Cyrillic labelled as Western hardly any plain.
    return codec in _WESTERN and len(high) * 5 > len(sample.translate(None, _NOT_LETTERS)) * 3


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _detect(data: bytes, *, guessed: bool) -> Decoded:
    if _is_utf8(data):
        return Decoded(data.decode("utf-8"), guessed=guessed)
    patched = data.decode("utf-8", "replace")
    broken = patched.count("\ufffd")
    plain = len(data) - len(data.translate(None, _ASCII))
    if (len(patched) - plain - broken) > broken * 4:  # UTF-8 with a few damaged characters
        return Decoded(patched, guessed=guessed, replaced=True)
    high = data.translate(None, _ASCII)[:_SAMPLE]
    scores = {codec: sum(map(table.__getitem__, high)) for codec, table in _CYRILLIC.items()}
    best = max(scores, key=lambda codec: scores[codec])
    if scores[best] < _LIKELY * len(high):
        return Decoded(patched, guessed=guessed, replaced=True)
    text = data.decode(best, "replace")
    return Decoded(text, guessed=guessed, replaced="\ufffd" in text)


def cut(data: bytes, size: int) -> bytes:
    """At most `size` bytes, without half a UTF-8 character at the end."""
    if len(data) <= size:
        return data
    end = size
    while end > max(size - 3, 0) and data[end] & 0xC0 == _FIRST_HIGH:
        end -= 1
    return data[:end]
