"""What `up` keeps of itself in its folder."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from deskline_local import lasting


def test_state_told_by_servers_that_start_side_by_side_is_always_whole(tmp_path: Path) -> None:
    states = [{"pid": number, "steps": ["starting"] * number} for number in range(200)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda state: lasting._write(tmp_path, state), states))
    assert json.loads((tmp_path / "state.json").read_text()) in states
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]
