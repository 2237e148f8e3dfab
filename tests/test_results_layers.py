"""GeoPackage and FlatGeobuf, read back by GDAL's users: the same boxes in the same places."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from dataclasses import replace

import geopandas
import numpy as np
import pyogrio
import pyproj
import pytest

from sodslice import GeoRef, load_result, write
from sodslice.errors import OptionError, OutputError, SodsliceError
from sodslice.jobs.combining import check_combined
from sodslice.metrics import read_results
from sodslice.results import COLUMNS, Writing, columns_of, is_own
from sodslice.results.layers import LAYER, combine_fgb, combine_gpkg
from tests.placed_results import CLASSES, MERIDIAN, POLAR, SCENES, UTM, nothing, placed_result

SUFFIXES = (".gpkg", ".fgb")


def columns_agree(table, result) -> None:
    """Whatever order a format has, rows are told by their ids."""
    table = table.sort_values("id")
    for name, column in columns_of(result).items():
        if column.dtype == object:
            assert table[name].tolist() == column.tolist()
        else:
            np.testing.assert_array_equal(table[name].to_numpy(column.dtype), column, err_msg=name)


def places_agree(table, result, tolerance_px=1e-3) -> None:
    """Corners lead back to the pixels that the columns say."""
    table = table.sort_values("id")
    way = pyproj.Transformer.from_crs(table.crs, "OGC:CRS84", always_xy=True)
    for shape, box in zip(table.geometry, table[["x0", "y0", "x1", "y1"]].to_numpy(), strict=True):
        rings = [part.exterior for part in getattr(shape, "geoms", [shape])]
        points = np.concatenate([np.array(ring.coords) for ring in rings])
        pixels = result.georef.from_lonlat(np.stack(way.transform(*points.T), axis=1))
        low, high = pixels.min(axis=0), pixels.max(axis=0)
        np.testing.assert_allclose([*low, *high], box, atol=tolerance_px)


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_layers_hold_the_same_boxes_in_the_same_places(tmp_path, suffix, scene):
    result = placed_result(SCENES[scene])
    table = geopandas.read_file(write(result, tmp_path / f"a{suffix}"))
    assert set(COLUMNS) | {"geometry"} == set(table.columns)
    assert table.crs == pyproj.CRS.from_epsg(4326)
    assert table.geometry.is_valid.all()
    columns_agree(table, result)
    if scene != "polar":  # a box over the pole is taken up to it
        places_agree(table, result)
    kinds = {"antimeridian": "MultiPolygon", "polar": "MultiPolygon"}
    assert set(table.geom_type) == {kinds.get(scene, "Polygon")}


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("crs", "scene"),
    [("native", "rotated"), ("native", "polar"), ("EPSG:3857", "UTM"), ("EPSG:4258", "rotated")],
)
def test_layers_come_in_the_crs_that_is_asked_for(tmp_path, suffix, crs, scene):
    result = placed_result(SCENES[scene])
    table = geopandas.read_file(write(result, tmp_path / f"a{suffix}", writing=Writing(output_crs=crs)))
    assert table.crs == pyproj.CRS.from_user_input(SCENES[scene].crs if crs == "native" else crs)
    columns_agree(table, result)
    places_agree(table, result)
    assert set(table.geom_type) == {"Polygon"}


def test_native_polygons_are_the_boxes_through_the_transform_to_the_last_bit(tmp_path):
    result = placed_result(SCENES["rotated"])
    table = geopandas.read_file(write(result, tmp_path / "a.gpkg", writing=Writing(output_crs="native")))
    corner = table.sort_values("id").geometry.iloc[0].exterior.coords
    x, y = columns_of(result)["x0"][0], columns_of(result)["y0"][0]
    expected = (500_000 + 0.1 * x + 0.05 * y, 5_300_000 + 0.05 * x - 0.1 * y)
    assert min(abs(np.array(corner) - expected).max(axis=1)) < 1e-9


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_points_are_the_middles(tmp_path, suffix):
    result = placed_result()
    writing = Writing(geometry="point", output_crs="native")
    table = geopandas.read_file(write(result, tmp_path / f"a{suffix}", writing=writing)).sort_values("id")
    assert set(table.geom_type) == {"Point"}
    columns = columns_of(result)
    middle = np.stack([columns["x0"] + columns["x1"], columns["y0"] + columns["y1"]], axis=1) / 2
    np.testing.assert_allclose(table.get_coordinates(), UTM.to_map(middle), atol=1e-9)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_no_objects_have_their_schema_and_crs(tmp_path, suffix):
    path = write(nothing(), tmp_path / f"a{suffix}")
    info = pyogrio.read_info(path, layer=LAYER, force_feature_count=True)
    assert list(info["fields"]) == list(COLUMNS)
    assert (info["crs"], info["features"], info["geometry_type"]) == ("EPSG:4326", 0, "Polygon")
    assert len(load_result(path)) == 0
    assert load_result(path).class_names == CLASSES


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_layer_can_be_read_back_as_a_result(tmp_path, suffix):
    result = placed_result()
    again = load_result(write(result, tmp_path / f"a{suffix}"))
    order = np.argsort(-again.detections.scores, kind="stable")
    np.testing.assert_allclose(again.detections.boxes[order], result.detections.boxes, atol=6e-4)
    np.testing.assert_array_equal(again.detections.labels[order], result.detections.labels)
    assert (again.georef, again.scene, again.class_names) == (result.georef, result.scene, CLASSES)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_only_our_own_files_are_taken_for_ours(tmp_path, suffix):
    path = write(placed_result(), tmp_path / f"a{suffix}")
    assert is_own(path)
    other = tmp_path / f"b{suffix}"
    geopandas.read_file(path)[["geometry"]].to_file(other, layer=LAYER)
    assert not is_own(other)
    other.write_bytes(b"nothing of the kind")
    assert not is_own(other)
    with pytest.raises(SodsliceError, match="cannot be read: "):
        load_result(other)


def test_a_geopackage_to_which_somebody_added_a_layer_is_no_longer_ours(tmp_path):
    path = write(placed_result(), tmp_path / "a.gpkg")
    geopandas.read_file(path).to_file(path, layer="corrected", mode="a")
    assert not is_own(path)


def test_many_results_are_one_layer_in_which_each_row_names_its_source(tmp_path):
    results = [placed_result(count=5), nothing(), placed_result(MERIDIAN, 7, path="b.tif")]
    for combine, name in ((combine_gpkg, "all.gpkg"), (combine_fgb, "all.fgb")):
        combine(results, tmp_path / name)
        table = geopandas.read_file(tmp_path / name).sort_values("id")
        assert table["id"].tolist() == list(range(1, 13))
        assert table["source"].tolist() == ["a.tif"] * 5 + ["b.tif"] * 7
        assert set(table.geom_type) == {"MultiPolygon"}
        assert is_own(tmp_path / name)
        with pytest.raises(SodsliceError, match="was not written by `sodslice run`"):
            load_result(tmp_path / name)


def test_results_in_several_crss_do_not_mix(tmp_path):
    results = [placed_result(output_crs="native"), placed_result(POLAR, path="p.tif", output_crs="native")]
    with pytest.raises(
        OutputError, match=r"a\.tif is written in .*UTM zone 16N and p\.tif in .*Antarctic Polar"
    ):
        combine_gpkg(results, tmp_path / "all.gpkg")
    mixed = [placed_result(), placed_result(geometry="point", path="p.tif")]
    with pytest.raises(OutputError, match=r"a\.tif and p\.tif differ in `geometry`; run them alike"):
        combine_gpkg(mixed, tmp_path / "all.gpkg")
    combine_gpkg([], tmp_path / "none.gpkg")
    assert pyogrio.read_info(tmp_path / "none.gpkg", layer=LAYER)["features"] == 0


def test_a_geopackage_has_a_style_that_qgis_takes_by_itself(tmp_path):
    path = write(placed_result(), tmp_path / "a.gpkg")
    with closing(sqlite3.connect(path)) as database:
        (row,) = database.execute(
            "SELECT f_table_name, f_geometry_column, useAsDefault, styleQML FROM layer_styles"
        )
    assert row[0] == LAYER
    assert row[1] == pyogrio.read_info(path, layer=LAYER)["geometry_name"]
    assert row[2] == 1
    assert "<c>" not in row[3]
    assert "a &quot;b&quot;, &lt;c>" in row[3].replace("&gt;", ">")


@pytest.mark.parametrize(
    ("georef", "writing", "words"),
    [
        (
            {},
            {},
            "GeoPackage needs longitude and latitude, and the scene has no CRS; write .json instead, or",
        ),
        ({}, {"output_crs": "native"}, "GeoPackage needs `output_crs=native`, and the scene has no CRS"),
    ],
)
def test_a_scene_without_a_place_is_refused(tmp_path, georef, writing, words):
    result = placed_result(type(UTM)(**georef))
    with pytest.raises(OutputError, match=words):
        write(result, tmp_path / "a.gpkg", writing=Writing(**writing))
    pixels = geopandas.read_file(write(result, tmp_path / "a.gpkg", writing=Writing(pixel_coords=True)))
    assert pixels.crs is None or pixels.crs.is_engineering
    np.testing.assert_allclose(
        pixels.sort_values("id").bounds.to_numpy(), np.round(result.detections.boxes, 3), atol=1e-9
    )


def test_a_crs_is_one_that_maps_have():
    with pytest.raises(OptionError, match=r"`output_crs` must be native, or a CRS that PROJ knows"):
        Writing(output_crs="EPSG:1")
    with pytest.raises(
        OptionError, match="`pixel_coords` writes pixels, and `output_crs=native` asks for a CRS"
    ):
        Writing(output_crs="native", pixel_coords=True)
    with pytest.raises(OutputError, match="counts from the middle of the Earth"):
        write(placed_result(), "never.gpkg", writing=Writing(output_crs="EPSG:4978"))


def test_a_flatgeobuf_is_read_back_in_the_order_of_its_rows(tmp_path):
    result = placed_result()
    again = load_result(write(result, tmp_path / "a.fgb"))
    np.testing.assert_array_equal(again.detections.boxes, np.round(result.detections.boxes, 3))


@pytest.mark.parametrize("crs", ["EPSG:4807", "EPSG:4813", "+proj=longlat +pm=180"])
@pytest.mark.parametrize("scene", ["antimeridian", "UTM"])
def test_degrees_of_other_meridians_and_grads_are_numbers_like_others(tmp_path, crs, scene):
    result = placed_result(SCENES[scene])
    table = geopandas.read_file(write(result, tmp_path / "a.gpkg", writing=Writing(output_crs=crs)))
    table = table.sort_values("id")
    middles = SCENES[scene].to_lonlat((result.detections.boxes[:, :2] + result.detections.boxes[:, 2:]) / 2)
    way = pyproj.Transformer.from_crs("OGC:CRS84", crs, always_xy=True)
    expected = np.stack(way.transform(*middles.T), axis=1)
    plain = (table.geom_type == "Polygon").to_numpy() | (np.arange(40) > 0)
    whole = plain & (np.abs(np.abs(middles[:, 0]) - 180) > 1e-3)
    centres = np.stack([table.geometry.centroid.x, table.geometry.centroid.y], axis=1)
    np.testing.assert_allclose(centres[whole], expected[whole], atol=1e-4)


def test_a_datum_that_proj_would_only_guess_goes_by_wgs_84_as_geojson_does(tmp_path):
    result = placed_result(GeoRef((0.2, 0, 835_000.0, 0, -0.2, 817_000.0), "EPSG:2326"))
    table = geopandas.read_file(write(result, tmp_path / "a.gpkg", writing=Writing(output_crs="EPSG:4547")))
    places_agree(table, result, tolerance_px=0.05)


@pytest.mark.parametrize("crs", ["EPSG:3857", "EPSG:3395", "ESRI:54009"])
def test_boxes_across_the_antimeridian_are_cut_in_projections_of_the_world_too(tmp_path, crs):
    result = placed_result(MERIDIAN)
    for suffix in SUFFIXES:
        table = geopandas.read_file(write(result, tmp_path / f"a{suffix}", writing=Writing(output_crs=crs)))
        first = table.sort_values("id").geometry.iloc[0]
        assert len(first.geoms) == 2
        assert first.area < 10_000
        assert max(part.bounds[2] - part.bounds[0] for part in first.geoms) < 100


@pytest.mark.parametrize("name", ["x#1.gpkg", "x?y.gpkg", "x%20y.gpkg"])
def test_names_of_files_may_hold_what_addresses_take_for_theirs(tmp_path, name):
    path = write(placed_result(count=2), tmp_path / name)
    assert is_own(path)
    assert [one.name for one in tmp_path.iterdir()] == [name]


def test_a_geopackage_with_a_project_or_a_style_of_somebodys_is_no_longer_ours(tmp_path):
    path = write(placed_result(), tmp_path / "a.gpkg")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE qgis_projects (name TEXT, content BLOB)")
    assert not is_own(path)
    path = write(placed_result(), tmp_path / "b.gpkg")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE layer_styles SET styleQML = '<qgis/>'")
    assert not is_own(path)


def test_what_a_flatgeobuf_cannot_hold_is_refused_and_an_interrupt_stays_one(tmp_path, monkeypatch):
    long = replace(placed_result(), scene=replace(placed_result().scene, notes=("x" * 100,) * 50_000))
    with pytest.raises(OutputError, match="too long for FlatGeobuf; write .gpkg or .parquet"):
        write(long, tmp_path / "a.fgb")

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sodslice.results.batches.batch_of", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(placed_result(), tmp_path / "a.gpkg")
    assert list(tmp_path.iterdir()) == []


def test_a_table_whose_package_is_missing_is_refused_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyogrio", None)
    with pytest.raises(
        OutputError, match=r"all\.gpkg: this format needs the package pyogrio; install sodslice"
    ):
        check_combined(tmp_path / "all.gpkg")


def test_a_geopackage_that_another_program_is_changing_is_not_replaced(tmp_path):
    """A new database beside the old one's log is a damaged one as soon as it is opened."""
    path = write(placed_result(), tmp_path / "a.gpkg")
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE mine (a)")
        database.commit()
        with pytest.raises(OutputError) as refused:
            write(nothing(), path)
        assert str(refused.value) == (
            f"another program is changing {path}, as a.gpkg-wal beside it says; close it there (in QGIS, "
            "remove its layers), or give another `output`"
        )
    write(nothing(), path)
    assert len(geopandas.read_file(path, layer=LAYER)) == 0


@pytest.mark.parametrize("suffix", [".gpkg", ".fgb", ".parquet"])
def test_a_layer_is_evaluated_as_its_json_is(tmp_path, suffix):
    result = placed_result()
    one, other = (read_results([write(result, tmp_path / f"a{end}")])[0] for end in (suffix, ".json"))
    np.testing.assert_array_equal(one.pixels, other.pixels)
    np.testing.assert_array_equal(one.scores, other.scores)
    assert (one.names, one.image, one.size) == (other.names, other.image, other.size)
