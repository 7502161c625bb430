"""Keeps Deskline's facts and people's keys in an SQLite file: each fact once, in its stream's order."""

import asyncio
import json
import os
import sqlite3

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

TOPICS = [f"deskline.{owner}.events" for owner in ("intake", "tickets", "routing", "sla", "notify")]
TOPICS += ["deskline.intake.keys", "deskline.routing.keys"]
TABLES = """PRAGMA secure_delete = ON;
CREATE TABLE IF NOT EXISTS positions (topic, part, generation, epoch, next, PRIMARY KEY (topic, part));
CREATE TABLE IF NOT EXISTS facts (source, subject, sequence, generation, id, type, time, data);
CREATE INDEX IF NOT EXISTS streams ON facts (source, subject, sequence);
CREATE TABLE IF NOT EXISTS keys (person PRIMARY KEY, keys)"""
POSITION = "SELECT generation, epoch, next FROM positions WHERE topic = ? AND part = ?"
LAST = "SELECT coalesce(max(sequence), 0) FROM facts WHERE source = ? AND subject = ?"
KEY = "INSERT INTO keys VALUES (?, ?) ON CONFLICT DO UPDATE SET keys = excluded.keys WHERE keys.keys != ''"


def keep(db: sqlite3.Connection, place: TopicPartition, record: ConsumerRecord) -> bool:
    """Keep what a record says; False: its partition has to be read from the beginning."""
    head = {name: value.decode() for name, value in record.headers}
    era = tuple(int(head[f"deskline-{number}"]) for number in ("generation", "epoch"))
    known = (db.execute(POSITION, place).fetchone() or era)[:2]
    following = record.offset + 1 if era <= known else 0
    db.execute("REPLACE INTO positions VALUES (?, ?, ?, ?, ?)", (*place, *max(era, known), following))
    if era > known:  # all is announced anew, and where the generation rose, with another history
        db.execute("DELETE FROM facts WHERE source = ? AND generation < ?", (head.get("ce_source"), era[0]))
    elif place.topic.endswith(".keys"):
        keys = json.loads(record.value).get("keys")  # none: erased, which nothing takes back
        db.execute(KEY, (record.key.decode(), json.dumps(keys) if keys else ""))
    elif era[0] == known[0]:
        stream, sequence = (head["ce_source"], head["ce_subject"]), int(head["ce_sequence"])
        if sequence == db.execute(LAST, stream).fetchone()[0] + 1:  # less: a repeat; more: it comes again
            fact = (*stream, sequence, era[0], head["ce_id"], head["ce_type"], head["ce_time"], record.value)
            db.execute("INSERT INTO facts VALUES (?, ?, ?, ?, ?, ?, ?, CAST(? AS TEXT))", fact)
    return era <= known


async def follow(db: sqlite3.Connection) -> None:
    broker = {"bootstrap_servers": os.environ["DESKLINE_KAFKA"], "metadata_max_age_ms": 2000}
    consumer = AIOKafkaConsumer(*TOPICS, **broker, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    back, batches = 1, dict[TopicPartition, list[ConsumerRecord]]()
    while True:
        with db:  # one transaction: what a batch says, and how far it was read
            whole = all(keep(db, place, record) for place, batch in batches.items() for record in batch)
        if not batches or not whole:  # its last record again, for its epoch; by turns the one before, since
            back = 3 - back  # a topic that came back exactly that long has nothing to show at its end
            for place in consumer.assignment():
                consumer.seek(place, max(0, (db.execute(POSITION, place).fetchone() or [0])[-1] - back))
        batches = await consumer.getmany(timeout_ms=5000, max_records=500)


if __name__ == "__main__":
    with sqlite3.connect(os.environ["SUBSCRIBER_STATE"]) as state:
        state.executescript(TABLES)
    asyncio.run(follow(state))
