"""`datasheet.md`: the questions of "Datasheets for Datasets" (Gebru et al., CACM 2021), answered by measured facts.

What the program cannot know is a marked gap for the publisher.
"""

from __future__ import annotations

from rmset.release.card import GAP
from rmset.release.facts import Facts


def datasheet(facts: Facts) -> str:
    """Return the datasheet of a release."""
    sections = {
        "Motivation": _motivation(),
        "Composition": _composition(facts),
        "Collection process": _collection(facts),
        "Preprocessing, cleaning, labeling": _preprocessing(facts),
        "Uses": _uses(),
        "Distribution": _distribution(facts),
        "Maintenance": _maintenance(facts),
    }
    source = 'After "Datasheets for Datasets" (Gebru et al., 2021). Numbers are measured by the program that wrote this'
    parts = [f"# Datasheet of {facts.name}, version {facts.version}", "", f"{source} release.", ""]
    for title, answers in sections.items():
        parts += [f"## {title}", ""]
        for question, answer in answers.items():
            parts += [f"**{question}** {answer}", ""]
    return "\n".join(parts)


def gaps(text: str) -> int:
    """Count the gaps that a datasheet still has."""
    return text.count(GAP)


def _motivation() -> dict[str, str]:
    return {
        "For what purpose was the data set created?": "Unlabeled faces of several people who react to the same film at "
        "the same moment, for semi-supervised facial expression recognition (RMFER, WACV 2024).",
        "Who created it, and on behalf of whom?": GAP,
        "Who funded it?": GAP,
    }


def _composition(f: Facts) -> dict[str, str]:
    several = "" if f.persons is None else f", {f.persons:,} different persons by `person_key`"
    sizes = ", ".join(f"{name} ({count})" for name, count in f.sizes.items())
    rates = ", ".join(f"{name} ({count})" for name, count in f.rates.items())
    heights = ", ".join(f"{p} %: {v:.0f}" for p, v in f.face_height.items())
    sources = ", ".join(f"{name} {count:,} ({count / max(f.faces, 1):.1%})" for name, count in f.sources.items())
    splits = ", ".join(f"{name} {row['people']:,} people and {row['faces']:,} faces" for name, row in f.splits.items())
    pictures = (
        "Crops of people whose consent the publisher holds; none of others."
        if "pixels" in f.asked
        else "No pixels, no embeddings, no names."
    )
    return {
        "What do the instances represent?": "A face of a person in a frame of a reaction mashup video: its box, "
        "landmarks, and the ids of video, person and frame.",
        "How many instances are there?": f"{f.videos:,} videos ({f.hours:,.2f} hours, {f.frames:,} frames), "
        f"{f.people:,} people of videos{several}, {f.faces:,} faces, of which {f.crops:,} are cut into crops.",
        "Is it a sample?": f"The videos were chosen by search or by hand: {GAP} (how). {f.left_out} videos of "
        "the publisher's data set are not finished and not in this release.",
        "What data does each instance consist of?": f"{pictures} Boxes (xyxy, px), five landmarks, detector score, "
        f"time. Frame sizes: {sizes}. Frames per second: {rates}. Heights of faces, percentiles in px: {heights}.",
        "Is there a label?": "No.",
        "Is information missing?": "Faces that the detector missed and the tracker did not bridge. How boxes came "
        f"about: {sources}.",
        "Are relationships between instances explicit?": "Yes: person, video, frame, time. "
        + ("Persons are linked over videos." if f.persons is not None else "Persons are not linked over videos."),
        "Are there recommended splits?": f"{splits}; by {f.split_by}, a function of the seed {f.seed} and the person.",
        "Are there errors or noise?": f"Layouts of {f.reviewed:,} of {f.videos:,} videos were confirmed by a person; "
        "those of the others are proposed by the program. Tracks were not checked by hand.",
        "Is it self-contained?": "No. It names videos of hosts, which may vanish or be encoded again; `rmset rebuild` "
        "reports which are left.",
        "Does it contain confidential data?": "No: the videos are public at their hosts. " + GAP + " (confirm)",
        "Might it be offensive or cause anxiety?": "The films that people react to are not part of it. "
        + GAP
        + " (faces may show distress)",
        "Does it relate to people, and identify subpopulations?": "People's faces. Age, gender and origin are neither "
        "labeled nor estimated.",
        "Can individuals be identified?": "With the videos, by their faces. The release names no person; titles and "
        f"uploaders are {'in it, as asked for' if 'titles' in f.asked else 'left out'}.",
        "Does it contain sensitive data?": "Facial expressions of emotion; faces are biometric data in many laws once "
        "they are processed to identify somebody, which this release does not do.",
    }


def _collection(f: Facts) -> dict[str, str]:
    return {
        "How was the data acquired?": "Videos were downloaded from their hosts or taken from files; faces were found "
        f"by a detector and followed by a tracker. Settings of tracking (JSON: videos): {_configs(f, 'track')}.",
        "Over what time frame?": GAP,
        "Were ethical reviews conducted?": GAP,
        "Were people notified, and did they consent?": GAP
        + (" Crops are in the release only for people in the consent file." if "pixels" in f.asked else ""),
        "Can they revoke their consent?": "Yes: see Maintenance.",
        "Was the impact on data subjects analyzed?": GAP,
    }


def _preprocessing(f: Facts) -> dict[str, str]:
    return {
        "Was the data preprocessed?": "The film's panel is masked before detection; each face keeps its height and is "
        f"widened, never beyond the person's panel. Settings of the crops (JSON: videos): {_configs(f, 'export')}. "
        f"Settings of the layout (JSON: videos): {_configs(f, 'layout')}.",
        "Was the raw data saved?": "The videos stay with their hosts.",
        "Is the software available?": "Yes: the Python package rmset (MIT).",
    }


def _uses() -> dict[str, str]:
    return {
        "Has it been used already?": GAP,
        "What could it be used for?": "Representation learning for facial expressions, face tracking, synchrony of "
        "reactions.",
        "What should it not be used for?": "Identifying or surveilling people; judging individuals by their "
        f"expressions. {GAP}",
    }


def _distribution(f: Facts) -> dict[str, str]:
    licenses = ", ".join(f"{name}: {row['videos']}" for name, row in f.licenses.items())
    return {
        "How will it be distributed?": GAP,
        "Under which license?": f"The tables: {GAP}. The videos: as their hosts state ({licenses}).",
        "Do third parties restrict it?": "The terms of the videos' hosts apply to every download.",
    }


def _maintenance(f: Facts) -> dict[str, str]:
    removed = ", ".join(f"{count} of a {what}" if what != "crops" else f"{count} of single faces"
                        for what, count in f.removed.items()) or "none"  # fmt: skip
    return {
        "Who maintains it, and how can they be contacted?": GAP,
        "Will it be updated?": "Removals are published as `removed.json`, and applied to rebuilt data sets by "
        "`rmset pull-removals`.",
        "How are removals handled?": f"Removals so far: {removed}. What is removed is in no table of the release; the "
        "list has ids and hashes only.",
        "Will older versions be kept?": GAP,
    }


def _configs(f: Facts, stage: str) -> str:
    return ", ".join(f"`{config}`: {count}" for config, count in f.configs[stage].items())
