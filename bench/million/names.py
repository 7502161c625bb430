"""What is different in each copy: ids, those that are derived from others as the product derives them, keys,
sealed values, days, numbers, and the words that stand for the marks.
"""

import base64
import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date, timedelta
from functools import partial
from typing import Final
from uuid import UUID

from aiokafka.partitioner import murmur2
from cryptography.hazmat.primitives.keywrap import aes_key_wrap

from bench.million import letters, sealing
from bench.million.sealing import SealedValue
from bench.million.template import ID, NUMBER, Table, Template
from deskline_events.envelope import EVENT_ID_NAMESPACE, event_id, source_of
from deskline_tickets.domain.ids import NAMESPACE as TICKETS_NAMESPACE
from deskline_tickets.domain.tokens import issue_reply_token

Names = dict[str, str]
"""What stands in the template → what stands in the copy."""

Maker = Callable[[Names, int], str]
"""(what the copy has so far, the copy's number) → one more name of it."""

TOKEN: Final = re.compile(rf"{ID.pattern}|20\d\d-\d\d-\d\d(?=[T ])|[A-Za-z0-9+/=_.@-]{{8,}}")
DAY: Final = re.compile(r"20\d\d-\d\d-\d\d\Z")
SCATTER: Final = 0x9E3779B1
TIMED: Final = "7"
DAY_MILLISECONDS: Final = 86_400_000
PARTITIONS: Final = 6


def named(namespace: bytes, name: str) -> str:
    """As uuid5 does it, in a fifth of its time."""
    digest = bytearray(hashlib.sha1(namespace + name.encode(), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class NotAsKnownError(Exception):
    """The product derives something otherwise than it is derived here."""


class NameMaker:
    """Makes the names of copies; knows of each token of the template what it is."""

    def __init__(self, template: Template) -> None:
        self.template = template
        self._makers: dict[str, tuple[Maker, tuple[str, ...]]] = {}
        self._ids()
        self._events()
        self._tickets()
        self._notifications()
        self._people()
        self._words()

    def known(self, token: str) -> bool:
        """Whether it is another one in each copy."""
        return token in self._makers or DAY.match(token) is not None

    def first_behind(self, number: int, change: int) -> int:
        """The first copy whose tickets' numbers and changes of keys lie behind these."""
        changes = self._changes()
        return max(-(-number // self._highest()), 1 - (changes[-1] - change) // len(changes))

    def for_tokens(self, tokens: Iterable[str]) -> "Recipe":
        """What makes these, and what they are derived from, in an order that works."""
        steps: dict[str, Maker] = {}

        def need(token: str) -> None:
            if token not in steps and not DAY.match(token):
                maker, sources = self._makers[token]
                for source in sources:
                    need(source)
                steps[token] = maker

        wanted = set(tokens)
        for token in sorted(wanted):
            need(token)
        return Recipe(steps, sorted(token for token in wanted if DAY.match(token)))

    def _add(self, token: str, maker: Maker, *sources: str) -> None:
        self._makers[token] = (maker, sources)

    def _table(self, owner: str, name: str) -> Table:
        return self.template.tables[owner, name]

    def _column(self, owner: str, name: str, column: str) -> list[str]:
        table = self.template.tables.get((owner, name))
        return [] if table is None else table.column(column)

    def _ids(self) -> None:
        for one in self.template.own:
            make = _timed if one[14] == TIMED else _scattered
            self._add(one, partial(make, one))

    def _events(self) -> None:
        """Ids of events follow from owner, stream and sequence."""
        for (owner, name), table in self.template.tables.items():
            if name != "events":
                continue
            for stream, sequence, generation in zip(
                *(table.column(column) for column in ("stream", "sequence", "generation")), strict=True
            ):
                old = str(event_id(source_of(owner), UUID(stream), int(sequence), int(generation)))
                behind = f"|{sequence}|{generation}"
                self._add(old, partial(_event, f"{source_of(owner)}|", stream, behind), stream)

    def _tickets(self) -> None:
        """A ticket's id follows from its first message's key, its reply token from its id."""
        for token in self._column("tickets", "sources", "source_key"):
            self._add(token, partial(_hex, token))
        for key, stream in zip(
            self._column("tickets", "sources", "source_key"),
            self._column("tickets", "sources", "stream"),
            strict=True,
        ):
            if named(TICKETS_NAMESPACE.bytes, f"ticket|{key}") == stream:
                self._add(stream, partial(_ticket, key), key)
        secret = self.template.reply_token_key
        for stream, number in zip(
            self._column("tickets", "tickets_index", "ticket_id"),
            self._column("tickets", "tickets_index", "number"),
            strict=True,
        ):
            self._add(issue_reply_token(secret, UUID(stream)), partial(_reply_token, secret, stream), stream)
            self._add(f"partition{stream}", partial(_partition, stream), stream)
            self._add(numbered(number), partial(_number, int(number), self._highest()))
        for owner, name in (("intake", "sources"), ("tickets", "message_ids")):
            for token in self._column(owner, name, "message_id_hash"):
                self._add(token.removeprefix("\\\\"), partial(_bytea, token))

    def _highest(self) -> int:
        return max(int(number) for number in self._column("tickets", "tickets_index", "number"))

    def _changes(self) -> list[int]:
        return sorted(int(one) for one in self._column("intake", "person_keys", "change_id"))

    def _notifications(self) -> None:
        tokens = dict(
            zip(
                self._column("notify", "tickets", "ticket_id"),
                self._column("notify", "tickets", "reply_token"),
                strict=True,
            )
        )
        columns = ("notification_id", "event_id", "recipient_kind", "recipient_id", "channel", "ticket_id")
        rows = zip(
            *(self._column("notify", "notifications", column) for column in (*columns, "message_id")),
            strict=True,
        )
        for own, event, kind, recipient, channel, ticket, message_id in rows:
            local, _, domain = message_id.rpartition("@")
            sources = [event, *([recipient] if recipient in self._makers else [])]
            make = partial(_notification, event, kind, recipient, channel)
            if make({event: event}, 0) != own:
                raise NotAsKnownError(f"notification {own} has an id of another kind")
            self._add(own, make, *sources)
            token = tokens[ticket]
            if local.endswith(token):
                self._add(message_id, partial(_message_id, own, token, domain), own, token)

    def _people(self) -> None:
        """New keys for new people, and what is sealed under them."""
        template = self.template
        wrapped = zip(
            self._column("intake", "person_keys", "subject"),
            self._column("intake", "person_keys", "wrapped"),
            strict=True,
        )
        for subject, text in wrapped:
            make = partial(_wrapped, template.key_encryption_key, template.keys[subject])
            self._add(text.removeprefix("\\\\"), make)
        changes = self._changes()
        for change in changes:
            self._add(changed(change), partial(_change, change - changes[0], len(changes), changes[-1]))
        addresses = set(self._column("intake", "identities", "address"))
        for address in addresses:
            self._add(address, partial(_address, address))
        for value in self._sealed():
            key = template.keys[value.person]
            self._add(value.cipher, partial(_sealed, value, key, addresses), value.place)

    def _sealed(self) -> Iterable[SealedValue]:
        for (owner, name), table in self.template.tables.items():
            if name == "events":
                ids = [
                    str(event_id(source_of(owner), UUID(stream), int(sequence), int(generation)))
                    for stream, sequence, generation in zip(
                        *(table.column(one) for one in ("stream", "sequence", "generation")), strict=True
                    )
                ]
                yield from sealing.of_events(table, ids, self.template.keys)
            else:
                yield from sealing.of_rows(table, self.template.keys)

    def _words(self) -> None:
        for place, one in enumerate(self.template.marks):
            self._add(one, partial(_word, place))


class Recipe:
    """What makes the names that some rows need, for any copy."""

    def __init__(self, steps: Mapping[str, Maker], days: Iterable[str]) -> None:
        self._steps = list(steps.items())
        self._days = {day: date.fromisoformat(day) for day in days}

    def names(self, copy: int, days: int) -> Names:
        """All of them for a copy that lies so many days before the template."""
        made: Names = {"shift": str(-days * DAY_MILLISECONDS)}
        for token, make in self._steps:
            made[token] = make(made, copy)
        shift = timedelta(days=-days)
        made |= {text: (day + shift).isoformat() for text, day in self._days.items()}
        return made


def prepared(table: Table, numbers: Collection[str]) -> str:
    """The rows as one text in which everything that differs is a token; `numbers` are the tickets'."""
    rows = table.rows
    places = {name: table.columns.index(name) for name in ("number", "change_id") if name in table.columns}
    lines = []
    for row in rows:
        fields = row.split("\t")
        if "number" in places:
            fields[places["number"]] = numbered(fields[places["number"]])
        if "change_id" in places:
            fields[places["change_id"]] = changed(int(fields[places["change_id"]]))
        if (table.owner, table.name) == ("sla", "tickets"):
            ticket = fields[table.columns.index("ticket_id")]
            fields[table.columns.index("partition")] = f"partition{ticket}"
        lines.append("\t".join(fields))
    return NUMBER.sub(
        lambda found: numbered(found.group()) if found.group() in numbers else found.group(),
        "\n".join(lines) + "\n",
    )


def numbered(number: str) -> str:
    """The token for a ticket's number."""
    return f"number{int(number):012}"


def changed(number: int) -> str:
    """The token for a place among the changes of keys."""
    return f"change{number:012}"


def _timed(old: str, made: Names, copy: int) -> str:
    """Another moment, and another end: as ids that are given in the order of time."""
    moment = f"{int(old[:8] + old[9:13], 16) + int(made['shift']):012x}"
    return f"{moment[:8]}-{moment[8:]}{old[13:24]}{int(old[24:], 16) ^ copy:012x}"


def _scattered(old: str, _made: Names, copy: int) -> str:
    """Another beginning: as ids that are random."""
    return f"{int(old[:8], 16) ^ (copy * SCATTER & 0xFFFFFFFF):08x}{old[8:]}"


def _event(before: str, stream: str, behind: str, made: Names, _copy: int) -> str:
    return named(EVENT_ID_NAMESPACE.bytes, f"{before}{made.get(stream, stream)}{behind}")


def _ticket(key: str, made: Names, _copy: int) -> str:
    return named(TICKETS_NAMESPACE.bytes, f"ticket|{made[key]}")


def _hex(old: str, _made: Names, copy: int) -> str:
    return f"{int(old[:16], 16) ^ (copy * SCATTER & 0xFFFFFFFFFFFFFFFF):016x}{old[16:]}"


def _bytea(old: str, made: Names, copy: int) -> str:
    return f"x{_hex(old.removeprefix(_BYTEA), made, copy)}"


_BYTEA: Final = "\\\\x"


def _reply_token(secret: bytes, ticket: str, made: Names, _copy: int) -> str:
    return issue_reply_token(secret, UUID(made[ticket]))


def _partition(ticket: str, made: Names, _copy: int) -> str:
    return str((murmur2(made[ticket].encode()) & 0x7FFFFFFF) % PARTITIONS)


def _number(old: int, highest: int, _made: Names, copy: int) -> str:
    return str(old + highest * copy)


def _change(place: int, people: int, last: int, _made: Names, copy: int) -> str:
    return str(last + 1 + people * (copy - 1) + place)


_NOTIFY: Final = UUID("0d3f6f0e-6f0c-5a53-8f27-5b1f1b1c9a44")


def _notification(event: str, kind: str, recipient: str, channel: str, made: Names, _copy: int) -> str:
    person = made.get(recipient, recipient)
    return named(_NOTIFY.bytes, f"{made[event]}|{kind}|{person}|{channel}")


def _message_id(notification: str, token: str, domain: str, made: Names, _copy: int) -> str:
    raw = bytes.fromhex(made[notification].replace("-", ""))
    return f"{base64.b32encode(raw).decode().rstrip('=').lower()}.{made[token]}@{domain}"


def key_of(old: bytes, copy: int) -> bytes:
    """The key of a person's copy."""
    return hashlib.sha256(old + copy.to_bytes(8, "big")).digest()


def _wrapped(secret: bytes, key: bytes, _made: Names, copy: int) -> str:
    return f"x{aes_key_wrap(secret, key_of(key, copy)).hex()}"


def _address(old: str, _made: Names, copy: int) -> str:
    local, _, domain = old.rpartition("@")
    return f"{local}c{copy}@{domain}"


def _sealed(value: SealedValue, key: bytes, addresses: set[str], made: Names, copy: int) -> str:
    text = _address(value.text, made, copy) if value.text in addresses else value.text
    if "mkr" in text:
        text = _MARK.sub(lambda found: _word(int(found.group(1)), made, copy), text)
    nonce = hashlib.sha256(f"{value.cipher}{copy}".encode()).digest()[: sealing.NONCE]
    return value.sealed(text, nonce, key_of(key, copy), made.get(value.place, value.place))


_MARK: Final = re.compile(r"mkr(\d{5})")


def _word(place: int, _made: Names, copy: int) -> str:
    return letters.word((copy * SCATTER ^ place * 7919) >> 3)
