"""Email addresses: read from header fields, made comparable, and told apart by whose domain they have."""

import re
from dataclasses import dataclass

from deskline_intake.domain.headers import decode_words, single_line

_LOCAL_CHARS = 64
_DOMAIN_CHARS = 253
_LABEL_CHARS = 63
_NAME_CHARS = 200
_NAME_WORDS = 40
_VALUE_CHARS = 64 * 1024

# Each alternative starts with a character of its own and can't fail half way: linear on any input.
# Encoded words are tokens, since some mailers leave commas and colons in them.
_TOKEN = re.compile(
    r""""[^"\\]*(?:\\.[^"\\]*)*"?|<[^<>]*>?|[(),;:>]|=\?[^?\s]{1,64}\?[bBqQ]\?[^?]*\?=|
    (?:[^"<>(),;:=]+|=(?!\?))+|=""",
    re.DOTALL | re.VERBOSE,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_FORBIDDEN_LOCAL = re.compile(r'[\s\x00-\x20\x7f-\xa0<>()\[\],;:\\"@]')
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\Z")
_LITERAL = re.compile(r"\[[0-9a-f:.]{2,60}\]\Z")
_IDEOGRAPHIC_DOTS = str.maketrans("。．｡", "...")

_PUBLIC = """
mail.ru inbox.ru bk.ru list.ru internet.ru xmail.ru mail.ua vk.com yandex.ru yandex.com yandex.by
yandex.kz yandex.ua yandex.uz yandex.com.tr yandex.com.ge ya.ru narod.ru rambler.ru lenta.ru
autorambler.ru myrambler.ru ro.ru rambler.ua pochta.ru nm.ru nextmail.ru qip.ru hotbox.ru fromru.com
front.ru km.ru sibmail.com e1.ru ngs.ru mail15.com tut.by mail.kz ukr.net i.ua meta.ua bigmir.net
gmail.com googlemail.com outlook.com outlook.fr outlook.de outlook.es hotmail.com hotmail.co.uk
hotmail.fr hotmail.de hotmail.it hotmail.es hotmail.ru live.com live.ru live.co.uk live.fr msn.com
passport.com icloud.com me.com mac.com yahoo.com yahoo.co.uk yahoo.fr yahoo.de yahoo.it yahoo.es
yahoo.in yahoo.co.jp yahoo.com.br ymail.com rocketmail.com aol.com aim.com proton.me protonmail.com
protonmail.ch pm.me tutanota.com tutanota.de tuta.io tuta.com gmx.com gmx.de gmx.net gmx.at gmx.ch
web.de t-online.de freenet.de mail.com email.com usa.com zoho.com zohomail.com fastmail.com
fastmail.fm hey.com hushmail.com mailfence.com duck.com qq.com foxmail.com 163.com 126.com sina.com
naver.com daum.net hanmail.net orange.fr wanadoo.fr free.fr laposte.net sfr.fr libero.it virgilio.it
tiscali.it seznam.cz centrum.cz wp.pl o2.pl onet.pl interia.pl abv.bg mail.bg comcast.net
verizon.net att.net sbcglobal.net cox.net btinternet.com rediffmail.com inbox.lv inbox.lt mail.ee
"""
PUBLIC_DOMAINS = frozenset(_PUBLIC.split())


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One address of a header field; the name is for showing only, anybody may write anything there."""

    name: str
    address: str


def normalise_address(address: str) -> str | None:
    """The form in which equal addresses are equal: folded case, punycode domain; None if it is no address."""
    if len(address) > (_LOCAL_CHARS + _DOMAIN_CHARS) * 2:
        return None
    local, at, domain = address.strip().rpartition("@")
    if not at:
        return None
    local = local.strip()
    if local.startswith('"') and local.endswith('"'):
        local = local[1:-1]
    local = local.casefold()
    if not local or len(local) > _LOCAL_CHARS or _FORBIDDEN_LOCAL.search(local):
        return None
    host = normalise_domain(domain)
    return f"{local}@{host}" if host else None


def normalise_domain(domain: str) -> str | None:
    """A domain in lower case and punycode, or None."""
    host = domain.strip().translate(_IDEOGRAPHIC_DOTS).rstrip(".").lower()
    if not host or len(host) > _DOMAIN_CHARS:
        return None
    if _LITERAL.match(host):
        return host
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            return None
    sound = len(host) <= _DOMAIN_CHARS and all(
        len(label) <= _LABEL_CHARS and _LABEL.match(label) for label in host.split(".")
    )
    return host if sound else None


def domain_of(address: str) -> str:
    return address.rpartition("@")[2]


def company_domain(address: str) -> str | None:
    """The domain that tells the sender's company; None for public mail, single labels and IP literals."""
    normal = normalise_address(address)
    if normal is None:
        return None
    domain = domain_of(normal)
    if "." not in domain or domain.startswith("[") or domain in PUBLIC_DOMAINS:
        return None
    return domain


def split_plus_address(address: str) -> tuple[str, str | None]:
    """`support+TOKEN@example.ru` as (`support@example.ru`, `TOKEN`); the token's case is kept as given."""
    local, _, domain = address.strip().rpartition("@")
    base, plus, token = local.partition("+")
    if not (base and plus and token):
        return normalise_address(address) or address.strip().lower(), None
    plain = f"{base}@{domain}"
    return normalise_address(plain) or plain.lower(), token


def parse_mailboxes(value: str, limit: int) -> tuple[Mailbox, ...]:
    """The mailboxes of a From, To or Reply-To value whose encoded words are not decoded yet.

    Decoding comes after the structure is known, so an encoded name can't bring in an address.
    """
    reader = _ListReader()
    for match in _TOKEN.finditer(value[:_VALUE_CHARS]):
        reader.take(match[0])
        if len(reader.found) >= limit:
            break
    reader.finish()
    return tuple(reader.found[:limit])


class _ListReader:
    """A mailbox list in one pass: phrases, comments and angle addresses gather until a comma."""

    def __init__(self) -> None:
        self.found: list[Mailbox] = []
        self._words: list[str] = []
        self._comment: list[str] = []
        self._angle: str | None = None
        self._depth = 0

    def take(self, token: str) -> None:
        kind = token[0]
        if kind == "(":
            self._depth += 1
        elif self._depth:
            if kind == ")":
                self._depth -= 1
            else:
                self._comment.append(token)
        elif kind == "<":
            if not self._angle:
                inner = token.strip("<>")
                self._angle = inner if "[" in inner else inner.rpartition(":")[2]
        elif kind in ",;":
            self.finish(separator=token)
        elif kind == ":":
            self._words.clear()  # what came before was the name of a group
        elif kind == '"':
            content = token[1:-1] if len(token) > 1 and token.endswith('"') else token[1:]
            self._words.append(_ESCAPED.sub(r"\1", content))
        elif kind not in ")>":
            self._words.append(token)

    def finish(self, separator: str = "") -> None:
        phrase = " ".join(self._words)
        address = normalise_address(self._angle) if self._angle is not None else None
        if address is None and self._angle is None:
            candidates = [*phrase.split(), "".join(self._words)] if "@" in phrase else []
            address = next((a for a in map(normalise_address, candidates) if a), None)
            phrase = "" if address else phrase
        if address is None and self._angle is None and phrase.strip() and separator == ",":
            self._words.append(",")  # «Иванов, Иван <…>» without quotes is one name
            if len(self._words) <= _NAME_WORDS:
                return
        if address is not None:
            name = single_line(decode_words(phrase or " ".join(self._comment)), _NAME_CHARS)
            self.found.append(Mailbox(name.replace(" ,", ","), address))
        self._words, self._comment, self._angle = [], [], None
