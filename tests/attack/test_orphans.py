"""Workers end with their parent, also if it is killed, and release their video."""

from __future__ import annotations

from pathlib import Path

import pytest

from rmset.root import Root
from tests.attack.commands import CASES
from tests.attack.processes import Victims
from tests.attack.world import World


@pytest.mark.parametrize("sent", ["SIGKILL", pytest.param("SIGTERM", marks=pytest.mark.slow)])
def test_workers_end_with_their_parent(sent: str, world: World, victims: Victims, tmp_path: Path) -> None:
    case = CASES["build --jobs"]
    for share in (0.5, 0.25):
        world.prepare(case, tmp_path / "a")
        # Starting two workers takes most of the time of so small a build. The command checks that none is left.
        ended = victims.run(tmp_path / "a", world.words(case), delay=share * 4.0, signal=sent)
        if ended.hit:
            break
    else:
        pytest.skip("the build was done before it could be killed")
    assert ended.code == (-9 if sent == "SIGKILL" else 143), ended.said
    root = Root(tmp_path / "a" / "root")
    assert not root.files.is_locked(root.video_ids()[0])
