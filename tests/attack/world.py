"""Tiny world of inputs for commands; each input is made on first use."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from rmset.manifest import Entry, write
from rmset.root import Root
from rmset.truth import Truth
from tests.attack.commands import SET, TRAIN, VIDEO, Case
from tests.attack.processes import Victims
from tests.collect.clips import small
from tests.collect.host import Host
from tests.conftest import true_layout
from tests.networks import mean_color

GRID = '[settings]\noptim.epochs = [1]\n[variants.one]\naugment = "flip"\n[variants.two]\naugment = "none"\n'
SMALL = ("--layout", "side", "--size", "320x180", "--quiet")


class World:
    """Inputs by name, and the folders in which commands run."""

    def __init__(self, folder: Path, victims: Victims, host: Host) -> None:
        self.folder, self.victims, self.host = folder, victims, host

    def source(self, name: str) -> Path:
        """Return an input, made now if it does not exist yet."""
        path = self.folder / name
        if not path.exists():
            MAKERS[name](self)
        return path

    def do(self, *words: object) -> None:
        """Run a command in the world's folder."""
        ended = self.victims.run(self.folder, words, learn=True, cpu_s=180)
        assert ended.code == 0, ended.said

    def words(self, case: Case) -> list[str]:
        """Return the arguments of the command."""
        if not any(VIDEO in word for word in case.words):
            return list(case.words)
        (video_id,) = Root(self.source("added")).video_ids()
        return [word.replace(VIDEO, video_id) for word in case.words]

    def prepare(self, case: Case, place: Path) -> None:
        """Reset the folder in which a command runs; the folder itself stays."""
        place.mkdir(parents=True, exist_ok=True)
        for old in place.iterdir():
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        for name, source in case.given.items():
            _copy(self.source(source), place / name)
        if case.spoilt:
            damage(place / "root")

    def root_after(self, name: str, before: str, *words: str) -> None:
        """Make a root from another by one command."""
        _copy(self.source(before), self.folder / name)
        self.do("rmset", *words, "--root", name, "--quiet")


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True)
    else:
        shutil.copy2(source, target)


def damage(root: Path) -> None:
    """Change a byte of a shard, and cut off the end of tracks."""
    (shard,), (tracks,) = root.glob("crops/*/part-000.parquet"), root.glob("tracks/*.parquet")
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 0x40
    shard.write_bytes(data)
    tracks.write_bytes(tracks.read_bytes()[:-40])


def _mashup(world: World) -> None:
    world.do("rmset", "compose", "-o", "mashup.mp4", *SMALL, "--seconds", "0.4", "--people", "2")


def _laid(world: World) -> None:
    _copy(world.source("added"), world.folder / "laid")
    root = Root(world.folder / "laid")
    root.write_layout(true_layout(root.video_ids()[0], Truth.read(world.source("mashup.truth.json"))))


def _added(world: World) -> None:
    world.source("mashup.mp4")
    world.do("rmset", "add", "mashup.mp4", "--root", "added", "--quiet")


def _clips(world: World) -> None:
    (world.folder / "clips").mkdir()
    world.do("rmset", "compose", "-o", "clips/a.mp4", *SMALL, "--seconds", "0.2", "--people", "1")
    (world.folder / "clips" / "a.truth.json").unlink()


def _set(world: World) -> None:
    from tests.fertrain import fer_worlds

    fer_worlds.class_folders(world.folder / "set", per_class=4, test=2)


def _ferplus(world: World) -> None:
    from tests.fertrain import fer_worlds

    fer_worlds.ferplus(world.folder / "ferplus", train=16, valid=8)


def _crops(world: World) -> None:
    from tests.fertrain import fer_worlds

    fer_worlds.rmset_root(world.folder / "crops", people=3, frames=20)


def _run(world: World) -> None:
    world.source("set")
    world.do("fertrain", "supervised", "--labeled", SET, "--epochs", "1", *TRAIN, "--quiet", "--out", "run")


def _rival(world: World) -> None:
    world.source("set"), world.source("crops")
    world.do(
        "fertrain", "semi", "--labeled", SET, "--epochs", "1", *TRAIN, "--quiet", "--unlabeled", "rmset", "--root",
        "crops", "--method", "rmfer", "--d-far", "3", "--batch-size", "14", "--out", "rival",
    )  # fmt: skip


def _manifest(world: World) -> None:
    urls = [world.host.put(f"/{n}.mp4", small(world.folder, seconds=3.0, seed=n)) for n in range(2)]
    write(world.folder / "manifest.csv", [Entry(url) for url in urls])


def _mashups(world: World) -> None:
    url = world.host.put("/mashup.mp4", world.source("mashup.mp4").read_bytes())
    write(world.folder / "mashup.csv", [Entry(url)])


def _pickle(world: World) -> None:
    import torch

    torch.save({"a": torch.zeros(2)}, world.folder / "a.pt")


def _release(world: World) -> None:
    world.source("finished")
    world.do("rmset", "publish", "-o", "release", "--root", "finished", "--quiet")


def _videos(world: World) -> None:
    (world.folder / "videos").mkdir()
    shutil.copy2(world.source("mashup.mp4"), world.folder / "videos")


def _removed(world: World) -> None:
    removals = [{"what": "video", "video_id": "gone-1a2b3c4d"}, {"what": "person", "video_id": "b", "person_id": 1}]
    (world.folder / "removed.json").write_text(json.dumps({"schema": 1, "removed": removals}))


MAKERS: dict[str, Callable[[World], object]] = {
    "mashup.mp4": _mashup, "mashup.truth.json": _mashup, "added": _added, "laid": _laid, "clips": _clips, "set": _set,
    "tracked": lambda world: world.root_after("tracked", "laid", "track"),
    "finished": lambda world: world.root_after("finished", "tracked", "export", "--size", "48"),
    "ferplus": _ferplus, "crops": _crops, "run": _run, "rival": _rival, "manifest.csv": _manifest,
    "mashup.csv": _mashups, "a.pt": _pickle, "grid.toml": lambda world: (world.folder / "grid.toml").write_text(GRID),
    "release": _release, "videos": _videos, "removed.json": _removed,
    "mean.onnx": lambda world: mean_color(world.folder / "mean.onnx"),
}  # fmt: skip
