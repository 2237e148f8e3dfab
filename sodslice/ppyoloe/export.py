# mypy: disallow-subclassing-any=False
# (paddle ships no types)
"""A network as an inference folder in the official layout, compared with the network before it appears.

The folder holds `inference.json`, `inference.pdiparams` and `inference.yml`. Pixels go in as RGB 0..255; the
division by 255, the decoding and, unless left out, the NMS are inside the graph.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import paddle
import paddle.nn.functional as F  # noqa: N812 - the field's own name for it
import yaml
from paddle import Tensor, nn

from sodslice._version import __version__
from sodslice.errors import ModelError, OutputError, SodsliceError
from sodslice.ppyoloe.agreement import (
    CHECK_SCALE,
    Agreement,
    Answers,
    Floats,
    check_images,
    check_suppressed,
    compare,
    run_folder,
)
from sodslice.ppyoloe.blocks import nearest_twice, repeat_twice
from sodslice.ppyoloe.config import CANDIDATES, IOU, KEPT, SCORE_FLOOR, STRIDES
from sodslice.ppyoloe.network import Network, build_network

_UPSAMPLES = {"safe": repeat_twice, "official": nearest_twice}


@dataclass(frozen=True)
class ExportSettings:
    """How a network becomes a folder.

    Attributes:
        input_size: height and width in pixels that the graph takes, multiples of 32. None, for networks
            without a transformer: any, chosen anew at each run.
        nms: suppress overlapping boxes inside the graph, per tile, as upstream does; otherwise every anchor
            comes out.
        upsample: "safe" is what oneDNN of Paddle 3.3 can run, "official" what upstream writes.
        draw_threshold: score from which users are shown a box.
        model_name: what outputs call the model; the architecture's name when empty.
        facts: further own entries of the yml, such as `gsd_m` or `licence`.
    """

    input_size: tuple[int, int] | None
    nms: bool = True
    upsample: Literal["safe", "official"] = "safe"
    draw_threshold: float = 0.5
    model_name: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.upsample not in _UPSAMPLES:
            raise ModelError(f"upsample is {' or '.join(_UPSAMPLES)}, got {self.upsample!r}")
        if not 0 <= self.draw_threshold <= 1:
            raise ModelError(f"draw_threshold is a score from 0 to 1, got {self.draw_threshold}")
        for side in self.input_size or ():
            if side < STRIDES[0] or side % STRIDES[0]:
                raise ModelError(f"the input size must be a multiple of {STRIDES[0]} pixels, got {side}")


def settings_of(metadata: Mapping[str, Any], input_size: tuple[int, int] | None) -> ExportSettings:
    """Settings with what a checkpoint says of itself: `draw_threshold`, `model_name`, `gsd_m`, `licence`.

    Raises:
        ModelError: it says a threshold that is none.
    """
    threshold = metadata.get("draw_threshold", 0.5)
    if not isinstance(threshold, int | float):
        raise ModelError(f"the checkpoint's draw_threshold must be a number, got {threshold!r}")
    return ExportSettings(
        input_size,
        draw_threshold=float(threshold),
        model_name=str(metadata.get("model_name", "")),
        facts={name: metadata[name] for name in ("gsd_m", "licence") if name in metadata},
    )


class RawGraph(nn.Layer):
    """From pixels to every anchor's box and scores."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Image `(N, 3, H, W)` RGB 0..255 to boxes `(N, A, 4)` in its pixels and scores `(N, classes, A)`."""
        raw = self.network(image / 255.0)
        return self.network.decode(raw), F.sigmoid(raw.logits).transpose([0, 2, 1])


class SuppressedGraph(nn.Layer):
    """From pixels to the boxes that survive NMS."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.raw = RawGraph(network)

    def forward(self, image: Tensor, scale_factor: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes that survive, in pixels of the tile before it was resized.

        Args:
            image: `(N, 3, H, W)` float32 RGB 0..255.
            scale_factor: `(N, 2)` float32, the image's height and width over those of its tile.

        Returns:
            Rows `(M, 6)` float32 of class, score, x0, y0, x1, y1, and how many each image has, `(N,)` int32.
        """
        boxes, scores = self.raw(image)
        y, x = scale_factor.split(2, axis=1)
        return suppress(boxes / paddle.concat([x, y, x, y], axis=1).unsqueeze(1), scores)


def suppress(boxes: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
    """Upstream's NMS, class by class: boxes `(N, A, 4)`, scores `(N, classes, A)` to rows and counts."""
    rows, _, counts = paddle._C_ops.multiclass_nms3(
        boxes, scores, None, SCORE_FLOOR, CANDIDATES, KEPT, IOU, *(True, 1.0, -1)
    )
    return rows, counts


def export_folder(
    network: Network, folder: Path, settings: ExportSettings, *, overwrite: bool = False
) -> Agreement:
    """Write a network as an inference folder, after the written graph gave the network's own answers.

    Args:
        network: is left as it is.
        folder: appears whole or not at all.
        settings: how.
        overwrite: replace what the folder holds now.

    Returns:
        How well the graph, without the NMS, agrees with the network.

    Raises:
        ModelError: the settings do not fit the network, or the written graph answers otherwise by more than
            0.01 px or 0.0001 score.
        OutputError: the folder holds something already or cannot be written.
    """
    if settings.input_size is None and network.config.transformer is not None:
        raise ModelError(
            f"{network.config.name} has a transformer, whose position code fixes the input size; name one "
            "(a multiple of 32)"
        )
    with new_folder(folder, overwrite=overwrite) as half:
        copy = copied(network)
        images = check_images(settings.input_size)
        expected = [answers(copy, image) for image in images]
        _prepare(copy, settings)
        raw = half if not settings.nms else half / "raw"
        _save(RawGraph(copy), raw, settings.input_size)
        found = run_folder(raw, [{"image": image} for image in images])
        gaps = [compare(answer, wanted) for answer, wanted in zip(found, expected, strict=True)]
        if settings.nms:
            shutil.rmtree(raw)
            _save(SuppressedGraph(copy), half, settings.input_size)
            feeds = [{"image": image, "scale_factor": CHECK_SCALE} for image in images]
            for rows, (boxes, scores) in zip(run_folder(half, feeds), expected, strict=True):
                check_suppressed(rows, boxes, scores)
        (half / "inference.yml").write_text(_yml(network, settings), encoding="utf-8")
    return Agreement(max(gap.box_px for gap in gaps), max(gap.score for gap in gaps))


@contextmanager
def new_folder(folder: Path, *, overwrite: bool) -> Iterator[Path]:
    """A folder to fill beside the wanted one, which takes its place when all went well.

    Raises:
        OutputError: the wanted folder holds something and `overwrite` is off, or is no folder.
    """
    if folder.is_file() or (folder.is_dir() and not overwrite and any(folder.iterdir())):
        raise OutputError(f"{folder} exists already; name another folder, or ask to replace it (--overwrite)")
    half = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    try:
        half.mkdir(parents=True)
        yield half
        if overwrite and folder.is_dir():
            folder.rename(old)
        half.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    except SodsliceError:
        raise
    except OSError as error:
        if old.is_dir():
            old.rename(folder)
        raise OutputError(f"{folder} cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(half, ignore_errors=True)


def copied(network: Network) -> Network:
    """A second network with the same weights, in evaluation mode."""
    copy = build_network(network.config)
    copy.set_state_dict(network.state_dict())
    copy.eval()
    return copy


def answers(network: Network, image: Floats) -> Answers:
    """Boxes `(N, A, 4)` and scores `(N, classes, A)` of the network itself for an image 0..255."""
    with paddle.no_grad():
        boxes, scores = RawGraph(network)(paddle.to_tensor(image))
    return [boxes.numpy(), scores.numpy()]


def _prepare(network: Network, settings: ExportSettings) -> None:
    """Turn a copy into what is exported: RepVGG fused, upsampling chosen, position code fixed."""
    network.fuse()
    network.neck.upsample = _UPSAMPLES[settings.upsample]
    if settings.input_size is not None and network.neck.encoder is not None:
        height, width = (side // STRIDES[0] for side in settings.input_size)
        network.neck.encoder.fix_size(height, width, network.config.backbone_channels[-1])


def _save(graph: RawGraph | SuppressedGraph, folder: Path, input_size: tuple[int, int] | None) -> None:
    height, width = input_size or (None, None)
    inputs = [paddle.static.InputSpec([None, 3, height, width], "float32", "image")]
    if isinstance(graph, SuppressedGraph):
        inputs.append(paddle.static.InputSpec([None, 2], "float32", "scale_factor"))
    graph.eval()
    # Traced as it runs: rewriting its source first, as paddle would, takes most of the time of an export.
    paddle.jit.not_to_static(type(graph).forward)
    static = paddle.jit.to_static(graph, input_spec=inputs, full_graph=True)
    paddle.jit.save(static, str(folder / "inference"))


def _yml(network: Network, settings: ExportSettings) -> str:
    """What PaddleDetection and PaddleX read and, below `sodslice`, what they skip."""
    config = network.config
    size = list(settings.input_size or ())
    resize = {"type": "Resize", "target_size": size, "keep_ratio": False, "interp": 2}
    own = {
        "version": __version__,
        "architecture": config.name,
        "reg_range": list(config.reg_range),
        "upsample": settings.upsample,
        "nms": settings.nms,
    }
    if settings.nms:
        own["keep_top_k"] = KEPT
    entries = {
        "mode": "paddle",
        "draw_threshold": settings.draw_threshold,
        "metric": "COCO",
        "use_dynamic_shape": settings.input_size is None,
        "Global": {"model_name": settings.model_name or config.name},
        "arch": "YOLO",
        "min_subgraph_size": 3,
        "Preprocess": [*([resize] if size else []), {"type": "Permute"}],
        "label_list": list(config.class_names),
        "sodslice": own | dict(settings.facts),
    }
    text: str = yaml.safe_dump(entries, sort_keys=False, allow_unicode=True)
    return text
