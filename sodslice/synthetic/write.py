"""`draw_scene`: a scene as a GeoTIFF, block by block, with its truth as COCO JSON and GeoJSON."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from sodslice.errors import GeoRefError, OptionError, OutputError
from sodslice.synthetic.render import BLOCK, block_region, render_block
from sodslice.synthetic.spec import NODATA, SceneSpec
from sodslice.synthetic.truth import Truth, truth

CLASS_NAME = "vehicle"
CACHE_MB = 64
BOX_DECIMALS = 3
DEGREE_DECIMALS = 8

Progress = Callable[[int, int], None]


def draw_scene(
    path: str | Path,
    spec: SceneSpec,
    *,
    coco: str | Path | None = None,
    geojson: str | Path | None = None,
    progress: Progress | None = None,
) -> Truth:
    """Draw a scene into a tiled GeoTIFF and return its truth.

    Written row of blocks by row of blocks, in memory that does not grow with the scene; every file appears
    whole or not at all. Lossless (DEFLATE), tiles of 512, no-data 0.

    Args:
        path: the GeoTIFF, `.tif` or `.tiff`; its folder is made.
        spec: the scene.
        coco: also write the truth here as COCO JSON, in scene pixels.
        geojson: also write the truth here as GeoJSON, in WGS 84 longitude and latitude.
        progress: called with the number of blocks drawn and their total after each block.

    Raises:
        OptionError: the path has another suffix, or the spec's CRS is unknown.
        GeoRefError: GeoJSON is asked for and the scene has no CRS.
        OutputError: a file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in (".tif", ".tiff"):
        raise OptionError(f"a drawn scene is a GeoTIFF: its name must end in .tif, got {path.name}")
    if geojson is not None and spec.crs is None:
        raise GeoRefError(
            "GeoJSON needs longitude and latitude, and the scene has crs=None; ask for COCO instead"
        )
    _write_pixels(path, spec, progress)
    found = truth(spec)
    if coco is not None:
        _write_json(Path(coco), coco_document(found, spec, path.name))
    if geojson is not None:
        _write_json(Path(geojson), geojson_document(found, spec, path.name))
    return found


def coco_document(found: Truth, spec: SceneSpec, file_name: str) -> dict[str, Any]:
    """The truth as a COCO set of one image and one class; boxes are x, y, width, height in scene pixels.

    Beyond COCO's keys each annotation carries `kind`, `visible` and `corners`, the file `info` the spec.
    """
    x, y, right, bottom = np.round(found.boxes, BOX_DECIMALS).T
    sizes = np.round(np.stack([x, y, right - x, bottom - y], axis=1), BOX_DECIMALS)
    corners = np.round(found.corners, BOX_DECIMALS).reshape(-1, 8)
    annotations = [
        {
            "id": row + 1,
            "image_id": 1,
            "category_id": 1,
            "bbox": box,
            "area": round(box[2] * box[3], BOX_DECIMALS),
            "iscrowd": 0,
            "kind": kind,
            "visible": round(visible, 4),
            "corners": corner,
        }
        for row, (box, corner, kind, visible) in enumerate(
            zip(sizes.tolist(), corners.tolist(), found.kind_names, found.visible.tolist(), strict=True)
        )
    ]
    return {
        "info": {"description": "drawn by sodslice.synthetic", "spec": asdict(spec)},
        "images": [{"id": 1, "file_name": file_name, "width": spec.width, "height": spec.height}],
        "categories": [{"id": 1, "name": CLASS_NAME}],
        "annotations": annotations,
    }


def geojson_document(found: Truth, spec: SceneSpec, file_name: str) -> dict[str, Any]:
    """The truth as a FeatureCollection (RFC 7946): the four corners of each box in WGS 84, counter-clockwise.

    Raises:
        GeoRefError: the scene has no CRS, or its CRS has no longitude and latitude there.
    """
    from sodslice.georef import GeoRef, corners

    georef = GeoRef(spec.affine, spec.crs)
    boxes = np.round(found.boxes, BOX_DECIMALS)
    rings = georef.to_lonlat(corners(boxes).reshape(-1, 2)).reshape(-1, 4, 2)
    closed = np.round(np.concatenate([rings, rings[:, :1]], axis=1), DEGREE_DECIMALS)
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [ring]},
            "properties": {
                "id": row + 1,
                "label": CLASS_NAME,
                "kind": kind,
                "visible": round(visible, 4),
                "bbox_px": box,
            },
        }
        for row, (ring, box, kind, visible) in enumerate(
            zip(closed.tolist(), boxes.tolist(), found.kind_names, found.visible.tolist(), strict=True)
        )
    ]
    scene = {"path": file_name, "width": spec.width, "height": spec.height, "gsd_m": spec.gsd_m}
    return {"type": "FeatureCollection", "features": features, "scene": scene, "georef": georef.as_dict()}


def _write_pixels(path: Path, spec: SceneSpec, progress: Progress | None) -> None:
    """The GeoTIFF, tile by tile in the order of the file."""
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioError
    from rasterio.windows import Window

    profile = _profile(spec)
    columns, rows = -(-spec.width // BLOCK), -(-spec.height // BLOCK)
    with _whole(path) as temporary, rasterio.Env(GDAL_CACHEMAX=CACHE_MB), warnings.catch_warnings():
        # A scene without georeference was asked for.
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            with rasterio.open(temporary, "w", **profile) as dataset:
                for number in range(columns * rows):
                    row, column = divmod(number, columns)
                    window = Window(*block_region(spec, column, row))
                    dataset.write(render_block(spec, column, row).transpose(2, 0, 1), window=window)
                    if progress is not None:
                        progress(number + 1, columns * rows)
        except RasterioError as error:
            raise OutputError(f"cannot write {path}: {error}") from None


def _profile(spec: SceneSpec) -> dict[str, Any]:
    """How the GeoTIFF is laid out, and where it lies."""
    import rasterio
    from rasterio.errors import CRSError
    from rasterio.transform import Affine

    profile: dict[str, Any] = {
        "driver": "GTiff", "width": spec.width, "height": spec.height, "count": 3, "dtype": "uint8",
        "nodata": NODATA if spec.nodata else None, "photometric": "RGB", "interleave": "pixel",
        "tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK, "BIGTIFF": "IF_SAFER",
        "compress": "DEFLATE", "predictor": 2, "zlevel": 1,
    }  # fmt: skip
    if spec.crs is None:
        return profile
    try:
        crs = rasterio.CRS.from_user_input(spec.crs)
    except CRSError:
        raise OptionError(
            f"unknown CRS {spec.crs!r}; give a projected one in metres, as EPSG:32632"
        ) from None
    if not (crs.is_projected and crs.linear_units_factor[1] == 1.0):
        raise OptionError(
            f"a scene is drawn in metres, and {spec.crs} counts otherwise; give one as EPSG:32632"
        )
    return {**profile, "crs": crs, "transform": Affine(*spec.affine)}


def _write_json(path: Path, document: dict[str, Any]) -> None:
    import orjson

    with _whole(path) as temporary:
        temporary.write_bytes(orjson.dumps(document))


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A name to write under; what was written takes its place under `path` when nothing went wrong."""
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
