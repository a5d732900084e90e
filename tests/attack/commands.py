"""Table of every command of both programs in a tiny world: inputs, arguments and outputs.

The attacks on all commands use it: kills, signals, full disks, the recorder of network access. A command without an
entry fails `test_every_command_has_a_case`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

SET = "folder:set"
NETWORK = ("--model", "deep-emotion", "--image-size", "32", "--device", "cpu")
TRAIN = (*NETWORK, "--set", "precision=fp32", "--workers", "0")
STEPS = ("--set", "checkpoint_steps=1")
GENTLE = ("--min-height", "48", "--sleep", "0", "--pause", "0.01", "--backoff", "0.1", "--timeout", "5")
VIDEO = "<video>"


@dataclass(frozen=True)
class Case:
    """One command, run in its own folder."""

    words: tuple[str, ...]
    given: Mapping[str, str] = field(default_factory=dict)
    """name in the folder -> name in the world of what is copied there"""
    writes: bool = True
    """whether it leaves anything but talk"""
    grows: bool = False
    """whether its files are there before they are whole: those of a run that can be gone on with"""
    adds: bool = False
    """whether each run adds to what is there, so that a killed one counts too"""
    code: int = 0
    """how it ends"""
    spoilt: bool = False
    """whether the root it is given is damaged first"""
    cpu_s: int = 20
    """seconds of processor time that it may take"""
    far: bool = False
    """whether its job is to ask another machine"""

    @property
    def command(self) -> str:
        """Name of the command in the program."""
        return " ".join(self.words[: 3 if self.words[1] in ("layout", "datasets", "people") else 2])


def _rmset(*words: str, root: str = "", **more: Any) -> Case:
    given = {"root": root} if root else {}
    place = ("--root", "root") if root or more.pop("rooted", False) else ()
    return Case(("rmset", *words, *place, "--quiet"), given | more.pop("given", {}), **more)


def _fertrain(*words: str, given: str = "", **more: Any) -> Case:
    names = {name.partition("=")[0]: name.partition("=")[2] or name for name in given.split()}
    return Case(("fertrain", *words), names, **more)


CASES: dict[str, Case] = {
    "compose": _rmset("compose", "-o", "x.mp4", "--layout", "side", "--size", "320x180", "--seconds", "0.3"),
    "compose --clips": _rmset("compose", "--clips", "clips", "-o", "x.mp4", "--layout", "side", "--size", "320x180", "--seconds", "0.3",
                              given={"clips": "clips"}),
    "world": _rmset("world", "-o", "w", "--videos", "1", "--people", "2", "--seconds", "3", "--size", "32",
                    cpu_s=60),
    "add": _rmset("add", "mashup.mp4", rooted=True, given={"mashup.mp4": "mashup.mp4"}),
    "fetch": _rmset("fetch", "manifest.csv", "--jobs", "2", *GENTLE, rooted=True, given={"manifest.csv": "manifest.csv"}, far=True),
    "fetch --from": _rmset("fetch", "manifest.csv", "--from", "1", "--to", "2", *GENTLE, rooted=True, given={"manifest.csv": "manifest.csv"}, far=True),
    "search": _rmset("search", "sad reaction mashup", "--engine", "recsearch", "--sleep", "0", "-o", "x.csv", rooted=True, far=True),
    "layout propose": _rmset("layout", "propose", root="added"),
    "layout set": _rmset("layout", "set", VIDEO, "--trigger", "0,0,40,40", root="laid"),
    "layout show": _rmset("layout", "show", VIDEO, "-o", "x.png", root="laid"),
    "layout check": _rmset("layout", "check", root="laid", writes=False),
    "track": _rmset("track", root="laid"),
    "export": _rmset("export", "--size", "32", root="tracked"),
    "export again": _rmset("export", "--size", "48", root="finished"),
    "build": _rmset("build", "--size", "32", root="laid"),
    "build --jobs": _rmset("build", "--size", "32", "--jobs", "2", root="laid"),
    "build MANIFEST": _rmset("build", "mashup.csv", "--size", "32", "--sleep", "0", "--min-height", "48", rooted=True,
                             given={"mashup.csv": "mashup.csv"}, far=True),
    "audit": _rmset("audit", root="tracked"),
    "status": _rmset("status", root="finished", writes=False),
    "stats": _rmset("stats", "--plots", "plots.png", root="finished"),
    "verify": _rmset("verify", root="finished", writes=False),
    "remove --video": _rmset("remove", "--video", VIDEO, "--reason", "asked", root="finished"),
    "remove --person": _rmset("remove", "--person", f"{VIDEO}:1", "--reason", "asked", root="finished"),
    "remove --pixels": _rmset("remove", "--person", f"{VIDEO}:1", "--pixels", "--reason", "asked", root="finished"),
    "remove --crops": _rmset("remove", "--crops", "select * exclude (image) from crops where frame_idx < 5", "--reason", "asked",
                             root="finished"),
    "duplicates": _rmset("duplicates", root="finished"),
    "people link": _rmset("people", "link", "--embedder", "mean.onnx", root="finished", given={"mean.onnx": "mean.onnx"}),
    "people merge": _rmset("people", "merge", f"{VIDEO}:0", f"{VIDEO}:1", root="finished", writes=False, code=2),
    "people split": _rmset("people", "split", f"{VIDEO}:1", root="finished"),
    "people show": _rmset("people", "show", root="finished", writes=False),
    "publish": _rmset("publish", "-o", "release", root="finished"),
    "rebuild": _rmset("rebuild", "release", "--from", "videos", rooted=True, given={"release": "release", "videos": "videos"}),
    "pull-removals": _rmset("pull-removals", "removed.json", root="finished", given={"removed.json": "removed.json"}),
    "verify --removed": _rmset("verify", "--removed", root="finished", writes=False),
    "verify --repair": _rmset("verify", "--repair", root="finished", spoilt=True),
    "sql": _rmset("sql", "select * from faces", "-o", "x.parquet", root="finished"),
    "sql csv": _rmset("sql", "select * from crops", "-o", "x.csv", root="finished"),
    "pairs": _rmset("pairs", "--sample", "2", "--d-far", "3", root="finished"),
    "pairs --all": _rmset("pairs", "--all", "--d-far", "3", "-o", "x.parquet", root="finished"),
    "preview": _rmset("preview", VIDEO, "-o", "x.mp4", root="finished"),
    "sheet": _rmset("sheet", VIDEO, "-o", "x.png", root="finished"),
    "evaluate": _rmset("evaluate", "--truth", "mashup.truth.json", "--write-mot", "mot", root="finished", given={"mashup.truth.json": "mashup.truth.json"}),
    "doctor": _rmset("doctor", rooted=True, writes=False, code=1),
    "estimate": _rmset("estimate", "manifest.csv", root="finished", given={"manifest.csv": "manifest.csv"}, writes=False, cpu_s=180),
    "supervised": _fertrain("supervised", "--labeled", SET, "--epochs", "2", *TRAIN, *STEPS, "--out", "out", given="set", grows=True),
    "supervised --runs": _fertrain("supervised", "--labeled", SET, "--epochs", "1", "--runs", "2", *TRAIN, *STEPS, "--out", "out", given="set", grows=True),
    "supervised --overwrite": _fertrain("supervised", "--labeled", SET, "--epochs", "1", "--overwrite", "--seed", "5", *TRAIN, *STEPS, "--out", "run", given="set run", grows=True),
    "semi": _fertrain("semi", "--labeled", SET, "--unlabeled", "rest", "--labels", "14", "--method", "fixmatch", "--epochs", "1", "--batch-size", "8",
                      *TRAIN, *STEPS, "--out", "out", given="set", grows=True),
    "semi rmfer": _fertrain("semi", "--labeled", SET, "--unlabeled", "rmset", "--root", "root", "--method", "rmfer", "--epochs", "1", "--batch-size", "14",
                            "--d-far", "3", *TRAIN, *STEPS, "--out", "out", given="set root=crops", grows=True),
    "ablate": _fertrain("ablate", "grid.toml", "--labeled", SET, "--seeds", "1", *NETWORK, "--set", "precision=fp32", "--workers", "0", "--out", "out", given="set grid.toml", grows=True),
    "evaluate a run": _fertrain("evaluate", "run", "--on", f"{SET}:test", given="set run", adds=True),
    "evaluate --slices": _fertrain("evaluate", "run", "--on", f"{SET}:test", "--slices", "--corruptions", given="set run", adds=True, cpu_s=60),
    "probe": _fertrain("probe", "run", "--on", SET, given="set run"),
    "cross": _fertrain("cross", "run", "--on", f"{SET}:test", given="set run", adds=True),
    "reactions": _fertrain("reactions", "run", "--root", "root", "--shuffles", "10", "--moments", "1", "-o", "r", given="run root=finished"),
    "runs": _fertrain("runs", ".", "--affected-by", "root", given="run root=finished", writes=False),
    "compare": _fertrain("compare", "run", "-o", "x.html", given="run"),
    "votes": _fertrain("votes", "ferplus:ferplus", "--draws", "1", "--disputed", "2", "-o", "v", given="ferplus"),
    "predict": _fertrain("predict", "run", "set/test", "--no-detect", "-o", "x.csv", given="set run"),
    "predict a video": _fertrain("predict", "run", "mashup.mp4", "--stride", "4", "-o", "x.csv", given="run mashup.mp4"),
    "predict --overlay": _fertrain("predict", "run", "mashup.mp4", "--smooth", "0.2", "--overlay", "o.mp4", "-o", "x.parquet", given="run mashup.mp4"),
    "predict a root": _fertrain("predict", "run", "root", "-o", "x.json", given="run root=finished"),
    "export a run": _fertrain("export", "run", "--to", "onnx", "-o", "x.onnx", given="run", cpu_s=60),
    "export --int8": _fertrain("export", "run", "--to", "openvino", "--int8", "--on", f"{SET}:test", "-o", "x", given="set run", cpu_s=60),
    "explain": _fertrain("explain", "run", "--on", f"{SET}:test", "--occlusion", "--embedding", "--per-class", "2", "-o", "e", given="set run"),
    "explain --attention": _fertrain("explain", "rival", "--on", f"{SET}:test", "--attention", "--root", "root", "--per-class", "2", "-o", "e", given="set rival root=crops"),
    "pairs-quality": _fertrain("pairs-quality", "rival", "--root", "root", "--anchors", "4", "--d-far", "3", "-o", "q", given="rival root=crops"),
    "world of a set": _fertrain("world", "--labeled", SET, "--videos", "1", "--people", "2", "--seconds", "3", "-o", "w", given="set"),
    "convert": _fertrain("convert", "a.pt", "--trust", "-o", "x.safetensors", given="a.pt"),
    "recipes": _fertrain("recipes", writes=False),
    "datasets add": _fertrain("datasets", "add", "mine", "--kind", "folder", "--path", "set", "--here", given="set"),
    "datasets list": _fertrain("datasets", "list", writes=False),
    "datasets check": _fertrain("datasets", "check", SET, given="set", writes=False),
    "datasets show": _fertrain("datasets", "show", SET, "-o", "x.png", given="set"),
    "datasets pack": _fertrain("datasets", "pack", SET, "-o", "packed", given="set"),
    "datasets align": _fertrain("datasets", "align", SET, "-o", "aligned", given="set"),
}  # fmt: skip

LONG = ("rmset demo", "rmset layout review")
"""a story of minutes over the others, and a server: they are met in tests of their own"""


def commands() -> Iterator[str]:
    """Names of all commands of both programs, as their apps list them."""
    import importlib

    from typer.main import get_command

    def walk(found: Any, name: str) -> Iterator[str]:
        inner = getattr(found, "commands", None)
        if inner is None:
            yield name
            return
        for key, each in inner.items():
            yield from walk(each, f"{name} {key}")

    for program in ("rmset", "fertrain"):
        app = importlib.import_module(f"rmset_cli.{program}.app").app
        yield from walk(get_command(app), program)
