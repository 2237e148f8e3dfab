"""`draw_as_delivered`: a scene to measure on."""

from __future__ import annotations

from pathlib import Path

from sodslice.errors import OutputError

LAID_OUT = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "jpeg", "photometric": "ycbcr"}
"""As orthophotos are delivered."""

QUALITY = 90


def draw_as_delivered(path: Path, side: int, *, seed: int = 0) -> Path:
    """A drawn town as a GeoTIFF of JPEG tiles.

    Args:
        path: to write to, `.tif`; its folder is there.
        side: in pixels.
        seed: which town.

    Returns:
        The path.

    Raises:
        OutputError: it cannot be written.
    """
    from rasterio.errors import RasterioError
    from rasterio.shutil import copy

    from sodslice.synthetic import SceneSpec, draw_scene

    lossless = path.with_name(f"{path.stem}.lossless.tif")
    draw_scene(lossless, SceneSpec(width=side, height=side, seed=seed, nodata=False))
    try:
        copy(lossless, path, driver="GTiff", jpeg_quality=QUALITY, **LAID_OUT)
    except RasterioError as error:
        raise OutputError(f"cannot write {path}: {error}") from None
    finally:
        lossless.unlink(missing_ok=True)
    return path
