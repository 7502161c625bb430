"""A writer or a follower with a plant in it: `python -m tests.chaos.backbone.launched writer serve`."""

import importlib
import os
import sys

from tests.chaos.launched import PLANT
from tests.chaos.plants import plant

from deskline_chassis.service import command_line


def main() -> None:
    name, *arguments = sys.argv[1:]
    plant(os.environ[PLANT])
    service = importlib.import_module(f"tests.chaos.backbone.{name}").SERVICE
    sys.argv = [name, *arguments]
    command_line(service)()


if __name__ == "__main__":
    main()
