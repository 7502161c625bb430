"""Mistakes of readers: where a position is kept, who asks for it, and what becomes of a bad record."""

from tests.chaos.plants.editing import Edit, Plant

APPLYING = "deskline_chassis.applying"
READER = "deskline_chassis.reader"
SORTING = "deskline_chassis.sorting"

OFFSET_BEFORE_EFFECT = Plant(
    "a batch's offsets are committed when it came, and its effects after that",
    (
        Edit(
            APPLYING,
            "Applier._attempt",
            """
              records = self._fence(batch, positions, outcome)
            + if positions:
            +     inbox.write_positions(connection, self.spec.name, positions)
            +     connection.commit()
            """,
        ),
    ),
)

AUTO_COMMIT = Plant(
    "the consumer commits by itself what it fetched, and begins where the group's offsets say",
    (
        Edit(
            READER,
            "Reader._subscribe",
            """
            - ack_policy=AckPolicy.MANUAL,
            + ack_policy=AckPolicy.ACK_FIRST,
            + auto_commit_interval_ms=1_000,
            """,
        ),
        Edit(
            READER,
            "Reader.on_partitions_assigned",
            """
            - for place, offset in offsets.items():
            -     self._seek_to_last(consumer, place, offset)
            + log.info("the group knows where to begin", partitions=len(offsets))
            """,
        ),
        Edit(
            APPLYING,
            "Applier._fence",
            """
            - if following[0].offset != row.next_offset and not compacted:
            -     outcome.seeks[place] = row.next_offset
            -     continue
            """,
        ),
    ),
)

NO_POSITION_CHECK = Plant(
    "positions and sequences are kept, but nothing that comes is held against them",
    (
        Edit(
            APPLYING,
            "Applier._fence",
            """
            - if written is not None and (written.epoch, written.next_offset) != (row.epoch, row.next_offset):
            -     outcome.fenced.add(place)
            -     outcome.seeks[place] = row.next_offset
            -     continue

            - following = [record for record in records if record.offset >= row.next_offset]
            + following = records

            - if following[0].offset != row.next_offset and not compacted:
            -     outcome.seeks[place] = row.next_offset
            -     continue
            """,
        ),
        Edit(
            SORTING,
            "sort_streams",
            """
            - if incoming.sequence in sequences or incoming.sequence <= rows[incoming.stream].sequence:
            + if incoming.sequence in sequences:
            """,
        ),
        Edit(
            SORTING,
            "_place",
            """
            - elif sequence > row.sequence + 1:
            -     sorting.waiting.append(Kept(stream, sequence, incoming.record))
            -     return
            """,
        ),
    ),
)

POSITION_OUTSIDE_TRANSACTION = Plant(
    "effects are committed, and in a transaction of its own how far they go",
    (
        Edit(
            APPLYING,
            "Applier._attempt",
            """
            + connection.commit()
              sorting.write(connection, self.spec.name)
            """,
        ),
    ),
)

PARKED_SWALLOWED = Plant(
    "a record that can't be read is told to the log and passed over",
    (
        Edit(
            APPLYING,
            "Applier._attempt",
            """
            - inbox.park_loose(connection, self.spec.name, loose)
            + for _, cause in loose:
            +     log.error("a bad record", cause=cause)
            """,
        ),
        Edit(
            SORTING,
            "_place",
            """
            - row.parked = True
            - cause = incoming.condemned or cause_of(error)
            - sorting.parked.append(Kept(stream, sequence, incoming.record, cause))
            + row.sequence = sequence
            + sorting.ignored += 1
            + cause_of(error)
            """,
        ),
    ),
)
