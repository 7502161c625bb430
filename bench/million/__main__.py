"""`python -m bench.million`: load TICKETS=10000 tickets into BENCH_FOLDER and judge what came of it.

With JUDGE=0 it only loads; what is there already is not loaded again, so that it can be judged another time.
"""

import os
import sys

from bench.company import running
from bench.million.judging import judge, judge_in_memory
from bench.million.world import World

IN_MEMORY = 5_000


def say(text: str) -> None:
    """A line for whoever waits."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    """Load, and exit with 1 where a judge finds something."""
    tickets = int(os.environ.get("TICKETS", "10000"))
    with running(say) as company:
        World(company, say).grow(tickets)
        if os.environ.get("JUDGE") == "0":
            return
        findings = judge(company.system, say)
        if tickets <= IN_MEMORY:
            findings += judge_in_memory(company, say)
    if findings:
        say("\n".join(findings))
        raise SystemExit(1)


if __name__ == "__main__":
    main()
