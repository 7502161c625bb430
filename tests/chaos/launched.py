"""A service's command line with faults planted in it: `python -m tests.chaos.launched SERVICE serve …`.

The product has no switch for any of this: what is planted is put over its functions here, before it starts,
and this module is in no package that a deployment installs.
"""

import importlib
import os
import sys

CRASH_AT = "CHAOS_CRASH_AT"
PLANT = "CHAOS_PLANT"


def main() -> None:
    service, *arguments = sys.argv[1:]
    # Mistakes first: they edit the product's text, which a crash point would hide.
    if plant := os.environ.get(PLANT):
        importlib.import_module("tests.chaos.plants").plant(plant)
    if crash_at := os.environ.get(CRASH_AT):
        importlib.import_module("tests.chaos.faults.crash_points").arm(crash_at)
    sys.argv = [f"deskline-{service}", *arguments]
    importlib.import_module(f"deskline_{service}.main").main()


if __name__ == "__main__":
    main()
