"""Scenes: images of any size, read window by window as uint8 RGB with a validity mask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sodslice.system.lazy import lazy_names

if TYPE_CHECKING:
    from sodslice.scene.array import ArrayScene
    from sodslice.scene.base import Scene, SceneBase
    from sodslice.scene.identity import scene_identity
    from sodslice.scene.opened import as_scene, open_scene
    from sodslice.scene.raster import RasterScene
    from sodslice.scene.rendering import Rendering
    from sodslice.scene.scaled import NO_WISH, ScaledScene, ScaleWish, seen_at, seen_size

__all__ = [
    "NO_WISH",
    "ArrayScene",
    "RasterScene",
    "Rendering",
    "ScaleWish",
    "ScaledScene",
    "Scene",
    "SceneBase",
    "as_scene",
    "open_scene",
    "scene_identity",
    "seen_at",
    "seen_size",
]

__getattr__ = lazy_names(
    __name__,
    {
        "array": "ArrayScene",
        "base": "Scene SceneBase",
        "identity": "scene_identity",
        "opened": "as_scene open_scene",
        "raster": "RasterScene",
        "rendering": "Rendering",
        "scaled": "NO_WISH ScaleWish ScaledScene seen_at seen_size",
    },
)
