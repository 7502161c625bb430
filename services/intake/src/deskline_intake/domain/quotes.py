"""The reply without what it quotes: the shapes in which Russian and English mail clients quote."""

import re
from collections.abc import Sequence

_LONGEST_ATTRIBUTION = 400
_LONGEST_MARK = 120
_LONGEST_SIGNATURE = 30
_WRAPPED_LINES = 3
_BLOCK_LINES = 8
_BLOCK_KEYS = 3
_FAR = 8

_SEPARATOR = re.compile(
    r"""(?:[-_=*>]{2,60}\s{0,5})?\*{0,2}
    (?:original\ message|original\ appointment|forwarded\ message|begin\ forwarded\ message|
       beginning\ of\ forwarded\ message|
       исходное\ сообщение|исходное\ письмо|первоначальное\ сообщение|оригинальное\ сообщение|
       (?:начало\ )?пересылаемое\ сообщение|(?:начало\ )?пересланное\ сообщение|
       (?:начало\ )?перенаправленное\ сообщение|пересылаемое\ письмо|пересланное\ письмо|
       начало\ (?:пересылаемого|переадресованного|переадресуемого|перенаправленного)\ сообщения)
    \s{0,5}\*{0,2}:?\s{0,5}[-_=*]{0,60}""",
    re.IGNORECASE | re.VERBOSE,
)
_KEY = re.compile(
    r"""[\s*>]{0,6}(?P<key>from|sent|date|to|cc|subject|reply-to|от|от\ кого|отправлено|дата|отправитель|
    кому|получатель|копия|тема)\s?\*{0,2}\s?:""",
    re.IGNORECASE | re.VERBOSE,
)
_BLOCK_STARTS = frozenset({"from", "от", "от кого", "отправитель", "subject", "тема", "date", "дата", "sent"})
_SENDERS = frozenset({"from", "от", "от кого", "отправитель"})

_VERB = re.compile(
    r"""(?:\bwrote|\bwrites|\bsaid|пишет|пишете|писал|писала|писали|писал\(а\)|писал\(-а\)|писал/а|
    написал|написала|написали|написал\(а\)|написал\(-а\)|сообщил|сообщила|сообщил\(а\))
    (?:\s(?:on|в|к|следующее|the\ following)\b.{0,80})?\s?:\Z""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
_TIME = re.compile(r"\b[0-2]?[0-9][:.][0-5][0-9]\b")
_ADDRESS = re.compile(r"[^\s<>@,:;\"]{1,64}@[^\s<>@,:;\"]{1,100}")
_DATE = re.compile(
    r"""\b(?:19|20)[0-9]{2}\b|\b[0-3]?[0-9][./-][01]?[0-9][./-](?:[0-9]{4}|[0-9]{2})\b""", re.VERBOSE
)
_ATTRIBUTION_START = re.compile(
    r"""[\s*]{0,4}(?:on\s|am\s|[0-9]{1,4}[\s./-]|(?:пн|вт|ср|чт|пт|сб|вс|mon|tue|wed|thu|fri|sat|sun)\b|
    (?:понедельник|вторник|среда|среду|четверг|пятница|пятницу|суббота|субботу|воскресенье)\b|
    (?:monday|tuesday|wednesday|thursday|friday|saturday|sunday)\b|вы\ писали|вы\ написали|you\ wrote|в\s)""",
    re.IGNORECASE | re.VERBOSE,
)
_YOU_WROTE = re.compile(r"(?:вы писали|вы написали|you wrote)\b", re.IGNORECASE)
_QUOTED = re.compile(r"[ \t\xa0]{0,4}(?:>|[A-ZА-ЯЁ]{1,3}>(?:[> ]|\Z))")  # The Bat! puts initials first
_DEVICE = re.compile(
    r"""(?:sent\ (?:from|via|with)\ (?:my\ )?(?:iphone|ipad|ipod|android|samsung|galaxy|huawei|honor|xiaomi|
        redmi|blackberry|nokia|windows|mobile|phone|device|mail|outlook|yahoo|proton|tutanota|gmail|yandex|bluemail)|
    get\ outlook\ for\b|
    отправлено\ (?:с|со|через|при\ помощи)\ (?:моего\ |мобильного\ )?(?:iphone|ipad|android|samsung|huawei|
        honor|xiaomi|redmi|телефона|смартфона|планшета|мобильного|мобильной|мобильных|устройства|galaxy|windows)|
    отправлено\ (?:из|через)\ (?:мобильной|мобильного|mail|почты|яндекс|приложения|outlook|mymail|
        gmail|вк|vk)|
    пересылка\ из\ приложения|скачать\ outlook\ для|получить\ outlook\ для)""",
    re.IGNORECASE | re.VERBOSE,
)


def strip_quotes(text: str) -> str:
    """The reply alone; the whole text where nothing would be left, as in a message that was only forwarded.

    Answers between quoted lines are kept.
    """
    lines = text.split("\n")
    keep = _Stripper(lines).kept()
    reply = _tidy([lines[number] for number in keep]) if len(keep) < len(lines) else text.strip()
    return reply or text.strip()


class _Stripper:
    """One pass over the lines; only a bounded number of neighbours is looked at from each."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines
        self._kept: list[int] = []
        self._signature: int | None = None  # how many lines were kept before a signature

    def kept(self) -> list[int]:
        """The numbers of the lines that are the sender's own."""
        for number, line in enumerate(self._lines):
            if _is_quoted(line):
                self._end_signature()
                continue
            bare = line.strip()
            if bare:
                wrapped = self._attribution(number, bare) if bare[-1] == ":" else None
                if wrapped is not None:
                    self._kept = self._kept[:-wrapped] if wrapped else self._kept
                    self._end_signature()
                    if self._is_quoted_below(number):
                        continue
                    break
                if self._opens_quote(number, bare):
                    break
                if bare == "--" and self._signature is None:
                    self._signature = len(self._kept)
                elif len(bare) <= _LONGEST_MARK and _DEVICE.match(bare):
                    continue
            self._kept.append(number)
        self._end_signature()
        return self._kept

    def _end_signature(self) -> None:
        start = self._signature
        self._signature = None
        if start is not None and len(self._kept) - start <= _LONGEST_SIGNATURE:
            del self._kept[start:]

    def _opens_quote(self, number: int, bare: str) -> bool:
        """Whether everything from here is another message."""
        if len(bare) > _LONGEST_MARK and ":" not in bare[:20]:
            return False
        first = bare[0]
        if first in "-_=*" or first in "OoFfBbMmИиПпНн":
            if len(bare) <= _LONGEST_MARK and _SEPARATOR.fullmatch(bare):
                return self._stands_as_separator(number, bare)
            if first == "_" and len(bare) >= _LONGEST_SIGNATURE and not bare.strip("_"):
                following = self._next_line(number)
                return following is not None and self._is_header_block(following)
        return ":" in bare[:20] and self._is_header_block(number)

    def _stands_as_separator(self, number: int, bare: str) -> bool:
        if bare[0] in "-_=*" or bare[-1] == ":":
            return True
        following = self._next_line(number)
        return following is not None and self._is_header_block(following)

    def _next_line(self, number: int) -> int | None:
        for candidate in range(number + 1, min(number + _FAR, len(self._lines))):
            if self._lines[candidate].strip():
                return candidate
        return None

    def _is_header_block(self, number: int) -> bool:
        """From, Sent, To, Subject in either language: three of them close together, a sender among them."""
        keys: set[str] = set()
        for line in self._lines[number : number + _BLOCK_LINES]:
            match = _KEY.match(line)
            if match:
                keys.add(match["key"].lower())
            elif not keys:
                return False
            if len(keys) == 1 and not keys & _BLOCK_STARTS:
                return False
        return len(keys) >= _BLOCK_KEYS and not keys.isdisjoint(_SENDERS)

    def _attribution(self, number: int, bare: str) -> int | None:
        """How many lines before this one belong to the same «… wrote:», or None if it is none."""
        if len(bare) > _LONGEST_ATTRIBUTION:
            return None
        found = 0 if _is_attribution(bare) else None
        joined = bare
        wrapped = 0
        while (found is None or not _ATTRIBUTION_START.match(joined)) and wrapped < _WRAPPED_LINES - 1:
            wrapped += 1
            if len(self._kept) < wrapped or self._kept[-wrapped] != number - wrapped:
                break
            before = self._lines[number - wrapped].strip()
            if not before or len(joined) + len(before) > _LONGEST_ATTRIBUTION:
                break
            longer = f"{before} {joined}"
            if _ATTRIBUTION_START.match(before) and _is_attribution(longer) and _is_dated(longer):
                found, joined = wrapped, longer
                break
            joined = longer
        if found is None:
            return None
        whole = joined if found else bare
        # Without a quote below, only a line that names a moment and an address is beyond doubt.
        certain = _ADDRESS.search(whole) is not None and _is_dated(whole)
        return found if certain or self._is_quoted_below(number) else None

    def _is_quoted_below(self, number: int) -> bool:
        following = self._next_line(number)
        return following is None or _is_quoted(self._lines[following])


def _is_quoted(line: str) -> bool:
    if line[:1] == ">":
        return True
    if ">" not in line[:12]:
        return False
    return _QUOTED.match(line) is not None


def _is_dated(text: str) -> bool:
    return _TIME.search(text) is not None or _DATE.search(text) is not None


def _is_attribution(text: str) -> bool:
    if _VERB.search(text) or _YOU_WROTE.match(text):
        return True
    return _ADDRESS.search(text) is not None and _is_dated(text)


def _tidy(lines: list[str]) -> str:
    """Lines without the holes that dropped quotes left."""
    tidy: list[str] = []
    for line in lines:
        bare = line.rstrip()
        if bare or (tidy and tidy[-1]):
            tidy.append(bare)
    return "\n".join(tidy).strip()
