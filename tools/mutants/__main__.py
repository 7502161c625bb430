"""`python -m tools.mutants [PART…]`: mutates parts, judges the survivors, and writes docs/mutants.md."""

import json
import os
import sys
from argparse import ArgumentParser
from collections.abc import Iterable
from itertools import groupby

from tools.mutants.page import renew
from tools.mutants.parts import PARTS
from tools.mutants.verdicts import GOAL, Survivor, Verdict, judge, read_reasons, stale, unexplained
from tools.mutants.working_copy import WorkingCopy

NICENESS = 19


def main() -> int:
    parser = ArgumentParser(prog="mutants", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all where none is named"
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--sample", type=int, default=100, metavar="N", help="of a hundred mutants try N, always the same"
    )
    parser.add_argument("--anew", action="store_true", help="forget what earlier runs found out")
    told = parser.parse_args()
    unknown = set(told.parts) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    os.nice(NICENESS - os.nice(0))
    verdicts: dict[str, Verdict] = {}
    for name in told.parts or PARTS:
        _say(f"== {name}")
        copy = WorkingCopy.of(PARTS[name])
        if told.anew:
            copy.forget()
        copy.refresh()
        copy.run(told.processes, told.sample)
        verdicts[name] = judge(copy.outcome())
    return _tell(verdicts)


def _tell(verdicts: dict[str, Verdict]) -> int:
    reasons, failed = read_reasons(), False
    for name, verdict in verdicts.items():
        given = reasons.get(name, ())
        _say(f"{name}: {verdict.percent:.1f} % of {verdict.tried} caught")
        if verdict.percent < GOAL:
            failed = True
            _say(f"  fewer than {GOAL:.0f} %")
        bare = unexplained(verdict, given)
        if bare:
            failed = True
            _say(f"  {len(bare)} survivors without a reason in tools/mutants_survivors.toml:")
            _say(_draft(name, bare))
        for one in stale(verdict, given):
            _say(f"  a reason that nothing needs any more: {one.where}: {one.mutation}")
    renew(verdicts, reasons, GOAL)
    return int(failed)


def _draft(part: str, survivors: Iterable[Survivor]) -> str:
    """What to fill in."""
    entries = []
    for where, alive in groupby(survivors, key=lambda one: one.where):
        # A string of JSON is one of TOML too.
        mutations = "".join(f"  {json.dumps(one.mutation, ensure_ascii=False)},\n" for one in alive)
        entries.append(f'[[{part}]]\nwhere = "{where}"\nreason = ""\nmutations = [\n{mutations}]\n')
    return "\n".join(entries)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
