"""Stands in for Kafka's kafka-topics.sh where there is none: --list and --delete, topics as a pattern."""

import argparse
import asyncio
import re
import sys

from aiokafka.admin import AIOKafkaAdminClient


async def main() -> int:
    known = argparse.ArgumentParser(allow_abbrev=False)
    known.add_argument("--bootstrap-server", required=True)
    known.add_argument("--topic", required=True)
    known.add_argument("--delete", action="store_true", required=True)
    asked = known.parse_args()
    admin = AIOKafkaAdminClient(bootstrap_servers=asked.bootstrap_server)
    await admin.start()
    try:
        found = [name for name in await admin.list_topics() if re.fullmatch(asked.topic, name)]
        if not found:
            sys.stderr.write(f"Topic '{asked.topic}' does not exist as expected\n")
            return 1
        await admin.delete_topics(found)
    finally:
        await admin.close()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
