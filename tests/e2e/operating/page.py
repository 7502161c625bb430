"""The page for who is on call: its blocks of commands, by the name that each carries."""

import re
from pathlib import Path
from textwrap import dedent

PAGE = Path(__file__).parents[3] / "docs/guides/operate.md"
FENCE = re.compile(r"^( *)```(\S+)?[ \t]*([^\n]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"id=([a-z-]+)")


def blocks() -> dict[str, str]:
    """Name → commands; every block of the page is shell and has a name of its own."""
    found: dict[str, str] = {}
    for _indent, language, rest, commands in FENCE.findall(PAGE.read_text(encoding="utf-8")):
        named = NAMED.fullmatch(rest.strip())
        assert language == "sh", f"a block that no test could run: {language} {commands}"
        assert named, f"a block without a name: {commands}"
        assert named[1] not in found, f"two blocks are named {named[1]}"
        found[named[1]] = dedent(commands)
    return found
