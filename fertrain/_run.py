"""A finished run as one object: scores, settings, predictions, features, exports, figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from rmset._dataset import AnyRoot, Dataset, root_of
from rmset.errors import IncompleteError, RmsetError
from rmset.geometry import Box
from rmset.progress import Progress, bars
from rmset.root import Root

from .config.run import RunConfig
from .datasets.images import Images
from .evaluation import evaluate, plots
from .evaluation.faces import FaceConfig, predict_faces
from .evaluation.features import Extracted, OpenedRun, extract, on_root, open_run
from .evaluation.metrics import scores_from
from .run_folder import RunFolder
from .training.data import split_of
from .unlabeled.crops import CropDataset

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .analysis.reactions.report import Reactions
    from .deploy.export import Exported, To

__all__ = ["Face", "Run", "load_run"]


@dataclass(frozen=True)
class Face:
    """One face in a picture or a video frame, with a run's prediction."""

    file: str
    """The path as given."""
    frame: int
    """Frame of a video, from 0; 0 for a picture."""
    time_ms: float
    """Time since the start of the video; 0 for a picture."""
    box: Box
    """xyxy, px."""
    score: float
    """Confidence of the detector, 0 to 1; 1 where the whole image was used."""
    label: str
    """The most probable class."""
    probabilities: dict[str, float]
    """Probability of each class, in the run's order; they sum to 1."""
    entropy: float = 0.0
    """Entropy of the probabilities, nats."""
    person: int | None = None
    """Number of the person within a video, if people were followed; of a root its person_id."""


class Run:
    """A finished run.

    >>> run = fertrain.load_run("runs/cel")
    >>> run.metrics["n"], run.config.data.scheme, run.labels[:2]
    (15, 'cel', ('neutral', 'happiness'))
    """

    def __init__(self, path: Path) -> None:
        self.folder = RunFolder.open(path)

    @property
    def path(self) -> Path:
        """The run folder."""
        return self.folder.path

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """Scores as in metrics.json, with the split and rule that they were computed on."""
        return self.folder.metrics()

    @cached_property
    def config(self) -> RunConfig:
        """All settings."""
        return self.folder.config()

    @property
    def history(self) -> list[dict[str, str]]:
        """One row an epoch, as in history.csv."""
        return self.folder.history()

    @cached_property
    def opened(self) -> OpenedRun:
        """Network, projection, labels and input spec."""
        return open_run(self.path)

    @property
    def model(self) -> Any:
        """The network, a `torch.nn.Module` in eval mode: prepared images -> logits; `opened.spec.prepare` prepares.

        Its `test_logits` are what the run predicts: the mean over flips and test scales if it has them.
        """
        return self.opened.model.eval()

    @property
    def labels(self) -> tuple[str, ...]:
        """Class of each output."""
        return self.opened.labels

    @property
    def temperature(self) -> float:
        """Temperature fitted on the held-out part; softmax(logits / temperature) is calibrated. 1 if none was fitted.

        >>> fertrain.load_run("runs/cel").temperature > 0
        True
        """
        return self.folder.temperature()

    def predict(
        self,
        target: Path | str,
        *,
        detect: bool = True,
        detector: str = "mtcnn",
        min_face: float = 40,
        widen: float | None = None,
        stride: int = 1,
        follow: bool = True,
        smooth: float = 0.0,
        calibrated: bool = False,
        progress: Progress | bool | None = None,
    ) -> list[Face]:
        """Predict every face in a picture, in a video, in a folder of both, or in a root.

        Args:
            target: the file or folder; of a root the crops are predicted.
            detect: find faces; False uses each picture whole, for sets that are already cropped.
            detector: `mtcnn` or `yunet`.
            min_face: smallest face to look for, px.
            widen: margin added to a crop, as a share of the face's width; None: as in the run's training data, else
                0.31.
            stride: of videos, in frames.
            follow: follow the people of videos (`mtcnn` only); False searches every frame by itself.
            smooth: seconds over which each person's probabilities are averaged; 0 for none.
            calibrated: divide the logits by the run's temperature.
            progress: None for a bar in a terminal or notebook, False for none, or a callback.

        Raises:
            UsageError: there is nothing at `target`, or a value is out of range.
            IncompleteError: a file of a folder cannot be read, or a video ends early; `done` has the other faces.

        >>> faces = fertrain.load_run("runs/cel").predict("photo.jpg")
        >>> faces[0].label in faces[0].probabilities, round(sum(faces[0].probabilities.values()), 6)
        (True, 1.0)
        """
        temperature = self.temperature if calibrated else 1.0
        config = FaceConfig(detect, detector, min_face, widen, stride, follow, smooth, temperature)
        run, faults, faces = self.opened, list[RmsetError](), list[Face]()
        with bars(progress) as report:
            for p in predict_faces(run, Path(target), config, progress=report, tell=faults.append):
                shares = dict(zip(run.labels, p.probabilities, strict=True))
                label = max(shares, key=lambda name: shares[name])
                place = p.frame
                faces.append(
                    Face(place.file, place.frame, place.time_ms, p.box, p.score, label, shares, p.entropy, p.person)
                )
        if faults:
            more = f"; {len(faults) - 1} more" if len(faults) > 1 else ""
            raise IncompleteError(f"{faults[0]}{more}", faces)
        return faces

    def extract(
        self, images: CropDataset | Images | AnyRoot, *, workers: int = 0, progress: Progress | bool | None = None
    ) -> Extracted:
        """Features f, projected features z, and probabilities of images, independent of batching.

        Args:
            images: crops of a root (resized to the run's input size, normalized by their own mean and std), or
                any `Images` of the run's size.
            workers: processes that decode.
            progress: None for a bar where it can be seen, False for none, or a callback.

        >>> seen = fertrain.load_run("runs/cel").extract("data/rmset")
        >>> seen.probabilities.shape[1], len(seen.features) == len(seen.projected)
        (8, True)
        """
        run, spec = self.opened, self.opened.spec
        if images is None or isinstance(images, (Dataset, Root, Path, str)):
            images = CropDataset(images)
        if isinstance(images, CropDataset):
            crops = images.crops
            images, spec = on_root(run, lambda own: CropDataset.for_spec(crops, own))
        with bars(progress) as report:
            return extract(
                run.model, run.projection, images, spec, range(len(images)), workers=workers, progress=report
            )

    def features(
        self, images: CropDataset | Images | AnyRoot, *, workers: int = 0, progress: Progress | bool | None = None
    ) -> Tensor:
        """Features f (N, D), float32, of images; see `extract`.

        >>> ds = fertrain.CropDataset("data/rmset", image_size=48)
        >>> features = fertrain.load_run("runs/cel").features(ds)
        >>> len(features) == len(ds), features.dtype
        (True, torch.float32)
        """
        return self.extract(images, workers=workers, progress=progress).features

    def reactions(
        self,
        root: AnyRoot = None,
        out: Path | str | None = None,
        *,
        name: str | None = None,
        progress: Progress | bool | None = None,
        **settings: Any,
    ) -> Reactions:
        """Describe a root's expressions over time; its table `predictions` gets the probabilities of every crop.

        Args:
            root: a data set, or its folder; None: `$RMSET_ROOT`, else `data/rmset`.
            out: folder of tables, pictures and page; None: `reactions` in the run folder.
            name: name of the run in the root; None: that of its folder.
            progress: None for a bar where it can be seen, False for none, or a callback.
            settings: of `fertrain.analysis.reactions.report.ReactionConfig`: shuffles, moments, window, seed, workers.

        Raises:
            RootError: the root has no crops.
            UsageError: a value is out of range.

        >>> found = fertrain.load_run("runs/cel").reactions("data/rmset", "reactions", shuffles=50, moments=1)
        >>> found.synchrony[0]["video_id"], len(found.people)
        ('all', 3)
        >>> rmset.open("data/rmset").sql("select count(*) as n from predictions").rows()[0]["n"] > 0
        True
        """
        from .analysis.reactions.report import ReactionConfig, reactions

        place = self.path / "reactions" if out is None else Path(out)
        with bars(progress) as report:
            return reactions(self.path, root_of(root), place, ReactionConfig(**settings), name=name, progress=report)

    def evaluate(
        self,
        on: str,
        *,
        eval_rule: str = "majority",
        slices: bool = False,
        corruptions: bool = False,
        flip_test: bool | None = None,
        test_scales: Sequence[float] | None = None,
        progress: Progress | bool | None = None,
    ) -> dict[str, Any]:
        """Scores on another split, as `fertrain evaluate` computes them; the run logs every evaluation.

        Args:
            on: a name of `fertrain datasets list`, or KIND:PATH; either may end in `:SPLIT`. Or `held-out`: what
                the run held out of its training images.
            eval_rule: rule that selects images, for sets with votes.
            slices: also count parts of the split: by light, sharpness, size, pose, subject.
            corruptions: also count corrupted images.
            flip_test: average an image and its horizontal flip; None: as the run.
            test_scales: average an image resized to each of these shares of its side; None: as the run.
            progress: None for a bar where it can be seen, False for none, or a callback.

        >>> fertrain.load_run("runs/cel").evaluate("ferplus:valid")["n"]
        15
        """
        with bars(progress) as report:
            split = split_of(self.folder, on, eval_rule, report)
            _, _, values = evaluate.evaluate_run(
                self.path, split, report, slices=slices, corruptions=corruptions, flip_test=flip_test,
                test_scales=test_scales,
            )  # fmt: skip
        return values

    def export(
        self,
        to: To = "onnx",
        out: Path | str | None = None,
        *,
        int8: bool = False,
        on: str | None = None,
        progress: Progress | bool | None = None,
    ) -> Exported:
        """Write the run as a file for onnxruntime or OpenVINO; needs the extra `onnx`.

        Args:
            to: `onnx`, or `openvino`.
            out: the file, or for OpenVINO the folder; None: in the run folder.
            int8: quantize, and measure what it costs.
            on: `NAME[:SPLIT]` of the images for the comparison and for int8; None: the held-out part for int8, else
                made pictures.
            progress: None for a bar where it can be seen, False for none, or a callback.

        Raises:
            UsageError: a package is missing, or there is no such data set.
            FertrainError: ONNX cannot express the network, or the file's outputs differ from torch's.

        >>> made = fertrain.load_run("runs/cel").export("onnx", "cel.onnx")
        >>> max(made.differences.values()) <= 1e-4, made.metadata["model"]
        (True, 'resnet10t')
        """
        from .deploy.export import export

        with bars(progress) as report:
            return export(self.path, to, None if out is None else Path(out), int8=int8, on=on, progress=report)

    def figures(self) -> dict[str, Figure]:
        """Figures of the report: confusion matrix, reliability, and learning curves if an epoch was run.

        >>> sorted(fertrain.load_run("runs/cel").figures())
        ['confusion', 'curves', 'reliability']
        """
        found = {"confusion": plots.confusion(scores_from(self.metrics))}
        if "calibration" in self.metrics:
            found["reliability"] = plots.reliability(self.metrics["calibration"])
        if history := self.history:
            found["curves"] = plots.curves(history)
        return found

    def __repr__(self) -> str:
        return f"fertrain.load_run({str(self.path)!r})"


def load_run(path: Path | str) -> Run:
    """Load a finished run.

    Raises:
        UsageError: there is no run at `path`.

    >>> fertrain.load_run("runs/cel").metrics["rule"]
    'majority'
    """
    return Run(Path(path))
