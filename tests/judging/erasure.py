"""I14: after an erasure a person's words are readable nowhere: databases, topics, objects, logs, traces.

Sealed words stay where they are, and are unreadable because their key is gone. What is judged of that: the
newest record of the person on the keys topic, what every database knows of their key, and that no key that is
left anywhere opens what was sealed under it. Earlier records of the person stay on the keys topic until it is
compacted; that it is, and how soon, is judged by its configuration.
"""

import asyncio
import base64
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap
from psycopg import sql
from tests.judging.records import Findings, Json
from tests.witness import Record

COMPACTED_WITHIN = timedelta(hours=1)
SHORTEST = 7  # characters of base64; fewer stand in what has nothing to do with it


def readable_in_database(url: str, words: Iterable[str]) -> list[str]:
    """Tables in which one of the words stands, in any column, as text or as bytes."""
    return standing_in_database(url, [word.encode() for word in words])


def standing_in_database(url: str, wanted: Iterable[bytes]) -> list[str]:
    """Tables in which one of these stands, in any column: as it is, in base64, and either in bytes."""
    said = [form for word in wanted for form in forms_of(word)]
    forms = [*said, *(form.hex().encode() for form in said)]
    found: list[str] = []
    with psycopg.connect(url) as connection:
        for schema, table in _tables(connection):
            copied = sql.SQL("COPY (SELECT t.* FROM {} t) TO STDOUT").format(sql.Identifier(schema, table))
            with connection.cursor().copy(copied) as rows:
                # Read to the end, since what is cut off would be an error.
                standing = [any(form in bytes(row) for form in forms) for row in rows]
            if any(standing):
                found.append(f"{schema}.{table}")
    return found


def readable_in_files(files: Iterable[Path], words: Iterable[str]) -> list[str]:
    """Files in which one of the words stands."""
    forms = [form for word in words for form in forms_of(word.encode())]
    return [str(file) for file in files if file.is_file() and any(map(file.read_bytes().__contains__, forms))]


def forms_of(word: bytes) -> list[bytes]:
    """The word, and what of it is the same in base64 whatever stands around it."""
    forms = [word]
    for before in range(3):
        end = (before + len(word)) * 4 // 3
        form = base64.b64encode(bytes(before) + word)[-(-before * 4 // 3) : end]
        if len(form) >= SHORTEST:
            forms.append(form)
    return forms


def _tables(connection: psycopg.Connection[Any]) -> list[Any]:
    return connection.execute(
        "SELECT schemaname, tablename FROM pg_tables"
        " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    ).fetchall()


@dataclass(frozen=True)
class KnownKey:
    """What a database knows of a person's key."""

    service: str
    table: str
    subject: str
    wrapped: bytes | None
    is_erased: bool


def known_keys(service: str, url: str) -> list[KnownKey]:
    """Of every person, own and others'."""
    with psycopg.connect(url) as connection:
        return [
            KnownKey(service, table, subject, wrapped, erased_at is not None)
            for table in ("person_keys", "known_keys")
            for subject, wrapped, erased_at in connection.execute(
                f"SELECT subject::text, wrapped, erased_at FROM {table}"
            ).fetchall()
        ]


def check_key_gone(
    findings: Findings,
    person: str,
    announced: Iterable[Record],
    known: Iterable[KnownKey],
    readers: Iterable[str],
) -> None:
    """The newest record says that the person was erased and has no key, and so does every database.

    `announced` is the keys topic of the person's owner, `readers` the services that must know it.
    """
    records = [json.loads(one.value or b"null") for one in announced if one.key == person.encode()]
    newest = records[-1] if records else {}
    gone = bool(newest.get("erased_at")) and not newest.get("keys")
    findings.check("I14 announced", gone, f"the newest record of {person} has {sorted(newest)}")
    theirs = [one for one in known if one.subject == person]
    for one in theirs:
        gone = one.wrapped is None and one.is_erased
        findings.check("I14 key", gone, f"{one.service}.{one.table} has the key of {person}")
    for reader in readers:
        knows = any(one.service == reader for one in theirs)
        findings.check("I14 key", knows, f"{reader} knows nothing of the key of {person}")


def wrapped_before(announced: Iterable[Record], person: str) -> list[bytes]:
    """The person's wrapped keys, as they were announced before the erasure."""
    records = [json.loads(one.value or b"null") for one in announced if one.key == person.encode()]
    return [base64.b64decode(key) for record in records for key in record.get("keys", {}).values()]


@dataclass(frozen=True)
class Sealed:
    """A sealed value: where it stands, under whose key, and its box."""

    place: str
    subject: str
    box: bytes


def sealed_in(place: str, value: Any) -> Iterator[Sealed]:
    """Every sealed value inside a JSON value, or inside bytes that are JSON."""
    if isinstance(value, bytes | memoryview):
        try:
            value = json.loads(bytes(value))
        except ValueError:
            return
    if isinstance(value, dict):
        if {"k", "c"} <= value.keys():
            yield Sealed(place, str(value["k"]), base64.b64decode(value["c"]))
        for inner in value.values():
            yield from sealed_in(place, inner)
    elif isinstance(value, list):
        for inner in value:
            yield from sealed_in(place, inner)


def sealed_in_database(service: str, url: str, people: Collection[str]) -> list[Sealed]:
    """Every value of a database that is sealed under the keys of these people."""
    wanted = "|".join((*people, *(person.encode().hex() for person in people)))
    found: list[Sealed] = []
    with psycopg.connect(url) as connection:
        for schema, table in _tables(connection):
            asked = sql.SQL("SELECT t.* FROM {} t WHERE t::text ~ %s").format(sql.Identifier(schema, table))
            for row in connection.execute(asked, (wanted,)):
                for value in row:
                    if isinstance(value, dict | list | bytes | memoryview):
                        found += sealed_in(f"{service}:{schema}.{table}", value)
    return [one for one in found if one.subject in people]


def check_nothing_opens(
    findings: Findings,
    key_encryption_key: bytes,
    known: Iterable[KnownKey],
    sealed: Iterable[Sealed],
    people: Mapping[str, str],
) -> None:
    """`people`: the erased person and a word of theirs, and others with a word of theirs, as a control.

    No key that is left opens anything of the erased one (the first); one that is left opens the others'.
    """
    keys = {key for one in known if one.wrapped and (key := _unwrapped(key_encryption_key, one.wrapped))}
    found = list(sealed)
    erased, *others = people
    for person in others:
        theirs = [one for one in found if one.subject == person]
        opens = any(people[person].encode() in _opened(one.box, key) for one in theirs for key in keys)
        findings.check("I14 control", opens, f"not even what {person} wrote could be opened")
    theirs = [one for one in found if one.subject == erased]
    findings.check("I14 sealed", bool(theirs), f"nothing is sealed under the key of {erased}")
    for one in theirs:
        opens = any(people[erased].encode() in _opened(one.box, key) for key in keys)
        findings.check("I14 sealed", not opens, f"{one.place} can be opened")


def _unwrapped(key_encryption_key: bytes, wrapped: bytes) -> bytes | None:
    try:
        return aes_key_unwrap(key_encryption_key, wrapped)
    except InvalidUnwrap:
        return None


def _opened(box: bytes, key: bytes) -> bytes:
    # AES-GCM is counter mode from 2 on; without its tag, nothing depends on our knowing the place rightly.
    counter = box[:12] + (2).to_bytes(4, "big")
    return Cipher(algorithms.AES(key), modes.CTR(counter)).decryptor().update(box[12:-16])


def check_compacted(findings: Findings, configured: Mapping[str, str]) -> None:
    """The keys topic forgets what came before the newest record of a person, and soon."""
    findings.check("I14 compaction", configured.get("cleanup.policy") == "compact", f"{configured}"[:200])
    most = COMPACTED_WITHIN / timedelta(milliseconds=1)
    for name in ("max.compaction.lag.ms", "segment.ms"):
        findings.check(
            "I14 compaction", int(configured.get(name, "9" * 18)) <= most, f"{name} is over an hour"
        )


def configuration_of(bootstrap: str, topic: str) -> dict[str, str]:
    """A topic's configuration, as the broker has it."""

    async def ask() -> Json:
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        try:
            (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
            ((*_, entries),) = answer.resources
            return {entry[0]: entry[1] for entry in entries}
        finally:
            await admin.close()

    return asyncio.run(ask())
