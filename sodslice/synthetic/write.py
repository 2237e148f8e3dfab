"""`draw_scene`: a scene as a GeoTIFF, block by block, with its truth as COCO JSON and GeoJSON."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from sodslice.errors import GeoRefError, OptionError, OutputError
from sodslice.synthetic.render import BLOCK, block_window, render_block
from sodslice.synthetic.spec import NODATA, SceneSpec
from sodslice.synthetic.truth import DrawnTruth, truth
from sodslice.system.files import appearing, write_atomically
from sodslice.tables.coco import BOX_DECIMALS, ClassRow, ImageRow, coco_document

CLASS_NAME = "vehicle"
CACHE_MB = 64
DEGREE_DECIMALS = 8

Progress = Callable[[int, int], None]


def draw_scene(
    path: str | Path,
    spec: SceneSpec,
    *,
    coco: str | Path | None = None,
    geojson: str | Path | None = None,
    progress: Progress | None = None,
) -> DrawnTruth:
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
        _write_json(Path(coco), coco_truth(found, spec, path.name))
    if geojson is not None:
        _write_json(Path(geojson), geojson_truth(found, spec, path.name))
    return found


def coco_truth(found: DrawnTruth, spec: SceneSpec, file_name: str) -> dict[str, Any]:
    """The truth as a COCO set of one image and one class; boxes are x, y, width, height in scene pixels.

    Beyond COCO's keys each annotation carries `kind`, `visible` and `corners`, the file `info` the spec.
    """
    columns: dict[str, Sequence[Any]] = {
        "kind": found.kind_names,
        "visible": _shares(found),
        "corners": np.round(found.corners, BOX_DECIMALS).reshape(-1, 8).tolist(),
    }
    image = ImageRow(1, file_name, spec.width, spec.height)
    info = {"description": "drawn by sodslice.synthetic", "spec": asdict(spec)}
    return {"info": info, **coco_document([image], [ClassRow(1, CLASS_NAME)], found.boxes, columns=columns)}


def geojson_truth(found: DrawnTruth, spec: SceneSpec, file_name: str) -> dict[str, Any]:
    """The truth as a FeatureCollection (RFC 7946): the four corners of each box in WGS 84, counter-clockwise.

    Raises:
        GeoRefError: the scene has no CRS, or its CRS has no longitude and latitude there.
    """
    import orjson

    from sodslice.place.footprints import footprints_of
    from sodslice.place.geojson import COLLECTION
    from sodslice.place.georef import GeoRef
    from sodslice.place.polygons import polygon_texts

    georef = GeoRef(spec.affine, spec.crs)
    boxes = np.round(found.boxes, BOX_DECIMALS)
    places = footprints_of(georef, boxes)
    properties = [
        {"id": row, "label": CLASS_NAME, "kind": kind, "visible": share, "bbox_px": box}
        for row, (kind, share, box) in enumerate(
            zip(found.kind_names, _shares(found), boxes.tolist(), strict=True), start=1
        )
    ]
    texts = polygon_texts(places, DEGREE_DECIMALS)
    features = [
        {"type": "Feature", "geometry": orjson.loads(text), "properties": values}
        for text, values in zip(texts, properties, strict=True)
    ]
    scene = {"path": file_name, "width": spec.width, "height": spec.height, "gsd_m": spec.gsd_m}
    return {"type": COLLECTION, "features": features, "scene": scene, "georef": georef.as_dict()}


def _shares(found: DrawnTruth) -> list[float]:
    return [round(share, 4) for share in found.visible.tolist()]


def _write_pixels(path: Path, spec: SceneSpec, progress: Progress | None) -> None:
    """The GeoTIFF, tile by tile in the order of the file."""
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioError
    from rasterio.windows import Window

    profile = _profile(spec)
    columns, rows = -(-spec.width // BLOCK), -(-spec.height // BLOCK)
    with appearing(path) as temporary, rasterio.Env(GDAL_CACHEMAX=CACHE_MB), warnings.catch_warnings():
        # A scene without georeference was asked for.
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            with rasterio.open(temporary, "w", **profile) as dataset:
                for number in range(columns * rows):
                    row, column = divmod(number, columns)
                    window = Window(*block_window(spec, column, row))
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

    write_atomically(path, orjson.dumps(document))
