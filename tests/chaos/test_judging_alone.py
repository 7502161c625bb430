"""Who judges imports nothing of what is judged, so that a mistake there can't hide itself here."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
JUDGES = sorted(f"tests.judging.{file.stem}" for file in (ROOT / "tests" / "judging").glob("*.py"))


def test_judges_import_nothing_of_the_product() -> None:
    assert len(JUDGES) > 10
    loading = "\n".join(f"import {name}" for name in JUDGES)
    asking = "print([name for name in sys.modules if name.startswith('deskline')])"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{loading}\n{asking}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
