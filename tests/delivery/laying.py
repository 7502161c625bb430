"""Lays users, topics and rights on a broker, on whose loopback everybody is a superuser; run inside an image.

`python -c <this file> JSON`: Kafka's own tools take a start of Java for each user and each kind of right.
"""

import asyncio
import hashlib
import json
import secrets
import sys
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.protocol.admin import CreateAclsRequest
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    CompactArray,
    CompactBytes,
    CompactString,
    Int8,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

ALTER_USERS = 51
SCRAM_SHA_512 = 2
ITERATIONS = 4096

Name = CompactString("utf-8")


class AlterUsersResponse(Response):  # type: ignore[misc]
    API_KEY = ALTER_USERS
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "results",
            CompactArray(("user", Name), ("error", Int16), ("message", Name), ("tags", TaggedFields)),
        ),
        ("tags", TaggedFields),
    )


class AlterUsersStruct(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = ALTER_USERS
    API_VERSION = 0
    RESPONSE_TYPE = AlterUsersResponse
    SCHEMA = Schema(
        ("deletions", CompactArray(("name", Name), ("mechanism", Int8), ("tags", TaggedFields))),
        (
            "upsertions",
            CompactArray(
                ("name", Name),
                ("mechanism", Int8),
                ("iterations", Int32),
                ("salt", CompactBytes),
                ("salted_password", CompactBytes),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class AlterUsers(Request[AlterUsersStruct]):  # type: ignore[misc]
    """KIP-554; aiokafka has no such request."""

    API_KEY = ALTER_USERS

    def __init__(self, passwords: dict[str, str]) -> None:
        self._passwords = passwords

    def build(self, request_struct_class: type[AlterUsersStruct]) -> AlterUsersStruct:
        rows: list[tuple[Any, ...]] = []
        for user, password in self._passwords.items():
            salt = secrets.token_bytes(16)
            salted = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
            rows.append((user, SCRAM_SHA_512, ITERATIONS, salt, salted, {}))
        return request_struct_class([], rows, {})


async def lay(wanted: dict[str, Any]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers="127.0.0.1:19092")
    await admin.start()
    try:
        users = await admin._send_to_controller(AlterUsers(wanted["users"]))
        assert not [result for result in users.results if result[1]], users
        topics = await admin.create_topics(
            [
                NewTopic(one["name"], one["partitions"], 1, topic_configs=one["config"])
                for one in wanted["topics"]
            ]
        )
        assert not [error for error in topics.topic_errors if error[1]], topics
        for right in wanted["rights"]:
            created = await admin._send_to_controller(CreateAclsRequest(*right))
            assert not [result for result in created.creation_responses if result[0]], (right, created)
    finally:
        await admin.close()


if __name__ == "__main__":
    asyncio.run(lay(json.loads(sys.argv[1])))
