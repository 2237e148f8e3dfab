# mypy: disallow-subclassing-any=False
# (paddle ships no types)
"""A network as an inference folder in the official layout, compared with the network before it appears.

The folder holds `inference.json`, `inference.pdiparams` and `inference.yml`. Pixels go in as RGB 0..255; the
division by 255, the decoding and, unless left out, the NMS are inside the graph.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import paddle
import paddle.nn.functional as F  # noqa: N812 - the field's own name for it
from paddle import Tensor, nn

from sodslice.errors import ModelError
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
from sodslice.ppyoloe.description import UPSAMPLES, ExportSettings, folder_yml
from sodslice.ppyoloe.network import Network, build_network
from sodslice.system.files import appearing_folder

_UPSAMPLE = dict(zip(UPSAMPLES, (repeat_twice, nearest_twice), strict=True))


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
    with appearing_folder(folder, overwrite=overwrite) as half:
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
        (half / "inference.yml").write_text(folder_yml(network.config, settings), encoding="utf-8")
    return Agreement(max(gap.box_px for gap in gaps), max(gap.score for gap in gaps))


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
    network.neck.upsample = _UPSAMPLE[settings.upsample]
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
