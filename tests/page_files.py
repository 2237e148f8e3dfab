"""The files that pages of the documentation speak of."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import rasterio
from PIL import Image

from sodslice import BlobDetector, GeoRef, run_many
from sodslice.jobs.quantising import export_openvino
from sodslice.models import checkpoint_of
from sodslice.models.store import files_of
from sodslice.synthetic import SceneSpec, draw_scene, render, truth
from sodslice.synthetic.write import coco_truth, geojson_truth
from tests.onnx_detectors import write_detector
from tests.pages import ROOT
from tests.tars import tar_of_folder

SCENE = SceneSpec(width=256, height=256, seed=3, vehicles=2.0, nodata=False)
SIZE, PLACE = (12_440, 8_120), (8_396, 4_302)
"""Of the large scene, and where in it there are pixels: in few tiles of the sides that pages name,
and in one of those that fit the scene, which are as small as they can be for such a scene."""


def prepare(folder: Path) -> None:
    """Draw and write all files that pages name: small, and such that every command on them works."""
    town = folder / "demo-out" / "town-0.tif"
    draw_scene(town, replace(SCENE, width=720), coco=town.with_suffix(".truth.json"))
    for name in ("ortho.tif", "other.tif"):
        shutil.copyfile(town, folder / name)
    _large_scene(folder)
    _bands(folder / "multispectral.tif", 6)
    _coco_set(folder, "val", vehicles=1.0)
    _coco_set(folder, "negatives", vehicles=0.0)
    for name in ("flights", "scenes"):
        shutil.copytree(folder / "val", folder / name)
    (folder / "token.txt").write_text("0123456789abcdef")
    bright = BlobDetector()
    bright.info = replace(bright.info, class_names=("vehicle",))
    assert all(done.done for done in run_many(folder / "val", model=bright, output=folder / "results"))
    for path in (*(folder / "results").glob(".sodslice*"), folder / "results" / "manifest.jsonl"):
        path.unlink()  # which says that the results are those of `val`
    (folder / "images.csv").write_text("path\nflights/val-1.tif\nflights/val-2.tif\n")
    shutil.copyfile(ROOT / "configs" / "train-example.yaml", folder / "my.yaml")
    shutil.copyfile(checkpoint_of("vehicle-t"), folder / "weights.safetensors")
    _mirror(folder / "mirror")
    write_detector(folder / "yolo11n.onnx", "v8")
    own = shutil.ignore_patterns("translation", "*.safetensors")
    shutil.copytree(files_of("vehicle-t"), folder / "PP-YOLOE_plus_SOD-L", ignore=own)
    Image.fromarray(render(SCENE)).save(folder / "small_object_detection.jpg")


def _mirror(folder: Path) -> None:
    """Archives under the names of official models, with a model in them that runs without a translation."""
    model = folder / "model"
    export_openvino("vehicle-t", model)
    for size in ("S", "L"):
        name = f"PP-YOLOE_plus_SOD-{size}_infer"
        tar_of_folder(folder / f"{name}.tar", model, name=name)


def _large_scene(folder: Path) -> None:
    """`scene.tif`, all but a corner of it never written; its truth, a street and a field in it."""
    whole = GeoRef(SCENE.affine, SCENE.crs)
    with rasterio.open(
        folder / "scene.tif", "w", driver="GTiff", width=SIZE[0], height=SIZE[1], count=3, dtype="uint8",
        nodata=0, crs=SCENE.crs, transform=rasterio.Affine(*SCENE.affine), tiled=True, SPARSE_OK=True,
    ) as dataset:  # fmt: skip
        window = rasterio.windows.Window(*PLACE, SCENE.width, SCENE.height)
        dataset.write(render(SCENE).transpose(2, 0, 1), window=window)
    _large_truth(folder, whole)
    corners = np.array([[0, 0], [0, 1], [1, 1], [1, 0], [0, 0]]) * SCENE.width + PLACE
    ring = whole.to_lonlat(corners.astype(float)).tolist()
    street = {"type": "Polygon", "coordinates": [ring]}
    (folder / "street.geojson").write_text(json.dumps(street))
    _geopackage(folder / "field.gpkg", ring)


def _large_truth(folder: Path, whole: GeoRef) -> None:
    """`truth.json` and `truth.geojson`: what is drawn in the corner, in pixels and places of the whole."""
    left, top = PLACE
    sides = {"width": SIZE[0], "height": SIZE[1]}
    spec = replace(SCENE, origin=tuple(whole.to_map(np.array([PLACE], float))[0].tolist()))
    found = truth(spec)
    boxes = coco_truth(found, spec, "scene.tif")
    boxes["images"][0] |= sides
    for row in boxes["annotations"]:
        row["bbox"] = [row["bbox"][0] + left, row["bbox"][1] + top, *row["bbox"][2:]]
    (folder / "truth.json").write_text(json.dumps(boxes))
    places = geojson_truth(found, spec, "scene.tif")
    places["scene"] |= sides
    places["georef"] = whole.as_dict()
    for feature in places["features"]:
        x0, y0, x1, y1 = feature["properties"]["bbox_px"]
        feature["properties"]["bbox_px"] = [x0 + left, y0 + top, x1 + left, y1 + top]
    (folder / "truth.geojson").write_text(json.dumps(places))


def _geopackage(path: Path, ring: list[list[float]]) -> None:
    from pyogrio.raw import write
    from shapely import Polygon

    shapes = np.array([Polygon(ring).wkb], dtype=object)
    names = [np.array(["field"], dtype=object)]
    write(path, shapes, names, fields=["name"], geometry_type="Polygon", crs="EPSG:4326")


def _bands(path: Path, count: int) -> None:
    pixels = np.random.default_rng(0).integers(200, 3000, (count, 256, 256)).astype(np.uint16)
    with rasterio.open(
        path, "w", driver="GTiff", width=256, height=256, count=count, dtype="uint16", crs=SCENE.crs,
        transform=rasterio.Affine(*SCENE.affine),
    ) as dataset:  # fmt: skip
        dataset.write(pixels)


def _coco_set(folder: Path, name: str, *, vehicles: float) -> None:
    """A folder of two drawn images and, beside it, its COCO file."""
    rows: dict[str, list] = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "vehicle"}]}
    for number in (1, 2):
        spec = replace(SCENE, seed=number, vehicles=vehicles)
        file = f"{name}-{number}.tif"
        found = draw_scene(folder / name / file, spec)
        document = coco_truth(found, spec, file)
        rows["images"] += [{**row, "id": number} for row in document["images"]]
        known = len(rows["annotations"])
        rows["annotations"] += [
            {**row, "id": known + row["id"], "image_id": number} for row in document["annotations"]
        ]
    (folder / f"{name}.json").write_text(json.dumps(rows))
