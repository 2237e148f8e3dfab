"""What an exported folder says of itself: its yml, from the network's configuration and the settings.

Needs no Paddle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml

from sodslice.errors import ModelError
from sodslice.ppyoloe.config import KEPT, STRIDES, NetworkConfig
from sodslice.system.version import __version__

UPSAMPLES = ("safe", "official")

FACTS = ("gsd_m", "object_px", "licence")
"""What a checkpoint may say of its training, which the exported folder says too."""


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
        if self.upsample not in UPSAMPLES:
            raise ModelError(f"upsample is {' or '.join(UPSAMPLES)}, got {self.upsample!r}")
        if not 0 <= self.draw_threshold <= 1:
            raise ModelError(f"draw_threshold is a score from 0 to 1, got {self.draw_threshold}")
        for side in self.input_size or ():
            if side < STRIDES[0] or side % STRIDES[0]:
                raise ModelError(f"the input size must be a multiple of {STRIDES[0]} pixels, got {side}")


def settings_of(metadata: Mapping[str, Any], input_size: tuple[int, int] | None) -> ExportSettings:
    """Settings with what a checkpoint says of itself: `draw_threshold`, `model_name` and `FACTS`.

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
        facts={name: metadata[name] for name in FACTS if name in metadata},
    )


def folder_entries(config: NetworkConfig, settings: ExportSettings) -> dict[str, Any]:
    """What PaddleDetection and PaddleX read and, below `sodslice`, what they skip."""
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
    return {
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


def folder_yml(config: NetworkConfig, settings: ExportSettings) -> str:
    """The text of `inference.yml`."""
    text: str = yaml.safe_dump(folder_entries(config, settings), sort_keys=False, allow_unicode=True)
    return text
