"""The Python that does what a command does: shown below each command of docs/cli.md.

A value is (code, anchor on docs/python.md). Without an anchor the code is the full name of the library function that
the command calls; tests import it. Commands that only group or print others have no twin.
"""

from __future__ import annotations

DATA, BUILD, TRAIN, RUN = "a-data-set", "building-one", "training", "a-finished-run"

TWINS: dict[str, tuple[str, str | None]] = {
    "rmset compose": ("rmset.synth.compose.compose", None),
    "rmset world": ("rmset.synth.world.write_world", None),
    "rmset doctor": ("rmset.inspect.doctor.examine", None),
    "rmset estimate": ("rmset.inspect.estimate.estimate", None),
    "rmset search": ("rmset.stages.fetch.search.search", None),
    "rmset add": ("rmset.add", BUILD),
    "rmset fetch": ("rmset.stages.fetch.run.fetch", None),
    "rmset track": ("rmset.track", BUILD),
    "rmset export": ("rmset.export", BUILD),
    "rmset build": ("rmset.build", BUILD),
    "rmset audit": ("rmset.stages.audit.run.run", None),
    "rmset status": ("rmset.root.Root.stage_record", None),
    "rmset sql": ("rmset.open(root).sql", DATA),
    "rmset pairs": ("rmset.open(root).pairs", DATA),
    "rmset preview": ("rmset.inspect.preview.write", None),
    "rmset sheet": ("rmset.inspect.sheet.write", None),
    "rmset stats": ("rmset.open(root).stats", DATA),
    "rmset verify": ("rmset.inspect.verify.verify", None),
    "rmset remove": ("rmset.removal.remove_person", None),
    "rmset duplicates": ("rmset.duplicates.find_videos", None),
    "rmset people link": ("rmset.people.link", None),
    "rmset people merge": ("rmset.people.merge", None),
    "rmset people split": ("rmset.people.split", None),
    "rmset people show": ("rmset.read.persons.read_persons", None),
    "rmset publish": ("rmset.release.publish", None),
    "rmset rebuild": ("rmset.release.rebuild", None),
    "rmset pull-removals": ("rmset.release.pull_removals", None),
    "rmset evaluate": ("rmset.inspect.evaluate.video", None),
    "rmset layout propose": ("rmset.propose", BUILD),
    "rmset layout set": ("rmset.stages.layout.edit.edit", None),
    "rmset layout show": ("rmset.open(root).layout", DATA),
    "rmset layout check": ("rmset.stages.layout.check.check", None),
    "rmset layout review": ("rmset.review.serve.serve", None),
    "fertrain supervised": ("fertrain.train", TRAIN),
    "fertrain semi": ("fertrain.train", TRAIN),
    "fertrain ablate": ("fertrain.analysis.compare.ablation.ablate", None),
    "fertrain evaluate": ("fertrain.load_run(path).evaluate", RUN),
    "fertrain probe": ("fertrain.evaluation.probe.probe", None),
    "fertrain cross": ("fertrain.analysis.compare.cross_dataset.cross", None),
    "fertrain compare": ("fertrain.analysis.compare.significance.table", None),
    "fertrain votes": ("fertrain.analysis.annotators.study", None),
    "fertrain predict": ("fertrain.load_run(path).predict", RUN),
    "fertrain export": ("fertrain.load_run(path).export", RUN),
    "fertrain explain": ("fertrain.analysis.explain.saliency.explain_run", None),
    "fertrain pairs-quality": ("fertrain.analysis.pairs.quality.pairs_quality", None),
    "fertrain reactions": ("fertrain.load_run(path).reactions", RUN),
    "fertrain runs": ("fertrain.analysis.affected.affected", None),
    "fertrain world": ("fertrain.unlabeled.scripted_mashup.write_scripted", None),
    "fertrain convert": ("fertrain.models.convert.convert", None),
    "fertrain recipes": ("fertrain.config.recipes.recipe", None),
    "fertrain datasets add": ("fertrain.datasets.registry.add", None),
    "fertrain datasets list": ("fertrain.datasets.registry.entries", None),
    "fertrain datasets check": ("fertrain.datasets.check.check", None),
    "fertrain datasets show": ("fertrain.datasets.sheet.draw", None),
    "fertrain datasets pack": ("fertrain.datasets.packed.pack", None),
    "fertrain datasets align": ("fertrain.datasets.align.align", None),
}


def line(command: str) -> str:
    """Render the line below a command's help; empty without a twin."""
    if command not in TWINS:
        return ""
    code, anchor = TWINS[command]
    return f"\nIn Python: [`{code}`](python.md#{anchor})\n" if anchor else f"\nIn Python: `{code}`\n"
