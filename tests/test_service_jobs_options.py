"""Options of jobs: none that reads a file, and nothing that does not come back out of the list of jobs."""

from __future__ import annotations

import json
import math
import sys
import time
from contextlib import suppress

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sodslice.errors import OptionError
from sodslice.place.areas import WKT
from sodslice.service.jobs.options import (
    MOST_BYTES,
    MOST_WKT,
    NOT_FOR_JOBS,
    POLYGON,
    job_options,
    job_schema,
)
from sodslice.settings import Options, all_settings

BASE = Options.from_mapping({"model": "blobs", "tile": 512})
KNOWN = [name for name in all_settings() if name not in NOT_FOR_JOBS]


def refused(given) -> str:
    with pytest.raises(OptionError) as error:
        job_options(BASE, given)
    assert len(str(error.value)) < 1000
    return str(error.value)


def test_options_of_a_job_go_before_those_of_the_service():
    options = job_options(BASE, {"tile": 640, "threshold": 0.4})
    assert (options.coverage.tile, options.inference.model) == (640, "blobs")
    assert job_options(BASE, {}) == BASE


def test_options_that_say_nothing_are_as_by_default():
    assert job_options(BASE, {"tile": None}).coverage.tile is None


@pytest.mark.parametrize("name", NOT_FOR_JOBS)
def test_the_model_the_machine_and_files_are_the_operators(name):
    plain = BASE.as_dict()[name]
    assert "is no option of a job" in refused({name: plain})
    assert "is no option of a job" in refused({name.replace("_", "-").upper(): plain})
    assert name not in job_schema()["properties"]


def test_an_unknown_option_gets_a_hint():
    assert "did you mean 'tile'" in refused({"tiel": 3})
    assert "config" in refused({"config": "/etc/passwd"})
    assert "__class__" in refused({"__class__": "x"})


OPENED: list[str] = []
WATCHING = [False]


def _watch(event: str, arguments: tuple) -> None:
    if WATCHING[0] and event == "open":
        OPENED.append(str(arguments[0]))


sys.addaudithook(_watch)


@pytest.mark.parametrize("name", KNOWN)
def test_no_option_opens_a_file_that_it_names(tmp_path, name, monkeypatch):
    for file in ("secret.prj", "EPSG", "POLYGON"):
        (tmp_path / file).write_text("EPSG:32633")
    monkeypatch.chdir(tmp_path)
    path = str(tmp_path / "secret.prj")
    forms = [path, "secret.prj", "./secret.prj", f"@{path}", f"file://{path}", f"minmax:{path}", f"{path},2"]
    forms += [
        "POLYGON",
        "../secret.prj",
        "/vsicurl/http://127.0.0.1/a",
        "https://127.0.0.1/a.geojson",
        "EPSG",
    ]
    OPENED.clear()
    WATCHING[0] = True
    try:
        for form in forms:
            for given in (form, [form], {form: 0.5}, {"all": form}, [[form, form]]):
                with suppress(OptionError):
                    job_options(BASE, {name: given})
    finally:
        WATCHING[0] = False
    assert not [one for one in OPENED if "secret" in one or one in ("EPSG", "POLYGON") or "passwd" in one]


@pytest.mark.parametrize(
    "crs",
    ["/etc/passwd", "site.prj", "EPSG:32633\n", " EPSG:32633", "EPSG:", "EPSG:32633 +nadgrids=/etc/passwd",
     "+proj=longlat +nadgrids=/etc/passwd", 'GEOGCS["x"]', "EPSG:\u0663\u0662",
     "urn:ogc:def:crs:EPSG::4326", "http://www.opengis.net/def/crs/EPSG/0/4326", ["EPSG:32633"],
     {"EPSG": 1}, True, 32633, "A" * 5000, "EPSG:999999"],
)  # fmt: skip
def test_a_crs_is_a_code_and_nothing_else(crs):
    assert "crs" in refused({"crs": crs})


def test_a_crs_may_be_a_code():
    assert job_options(BASE, {"crs": "EPSG:32633"}).rendering.crs == "EPSG:32633"


@pytest.mark.parametrize(
    "aoi",
    ["/etc/passwd", "area.geojson", "GEOMETRYCOLLECTION (POLYGON ((0 0, 1 0, 1 1, 0 0)))", "POINT (0 0)",
     "POLYGONS ((", "POLYGON_x", "POLYGON", "POLYGON\u00aa((", "POLYGON\u00a0/etc",
     "{\"type\": \"Polygon\"}", {"type": "Polygon"}, ["POLYGON ((0 0, 1 0, 1 1, 0 0))"], 5, "",
     "SRID=\u0661;POLYGON ((0 0))", "../POLYGON ((0 0", "/vsicurl/POLYGON ((0 0, 1 0, 1 1, 0 0))"],
)  # fmt: skip
def test_an_area_is_a_polygon_in_wkt_and_nothing_else(aoi):
    assert "aoi" in refused({"aoi": aoi})


@settings(max_examples=300, deadline=None)
@given(
    st.from_regex(POLYGON)
    | st.text("POLYGNMUTI() ;=SRD123\t", max_size=30)
    | st.text(max_size=20).map(lambda rest: f"POLYGON{rest}")
)
def test_what_passes_for_a_polygon_is_never_taken_for_the_name_of_a_file(text):
    if POLYGON.match(text):
        assert WKT.match(text)


@pytest.mark.parametrize(
    "text", ["POLYGON ((0 0, 1 0, 1 1, 0 0))", " srid = 4326 ;multipolygon(((", "POLYGON Z (("]
)
def test_an_area_may_be_a_polygon(text):
    assert job_options(BASE, {"aoi": text}).coverage.aoi == text


def nested(depth: int) -> object:
    found: object = 0.5
    for _ in range(depth):
        found = [found]
    return found


@pytest.mark.parametrize(
    "bad",
    [math.nan, math.inf, -math.inf, 10**30, -(10**400), "\ud800", ["\udcff"], {"\ud800": 0.5}, nested(300),
     {1: 2}, {"a": {"b": {"c": math.nan}}}, {"vehicle": math.inf}],
)  # fmt: skip
def test_what_is_no_plain_json_is_refused_by_every_option(bad):
    for name in KNOWN:
        assert "plain JSON" in refused({name: bad})


@pytest.mark.parametrize(
    "bad",
    [{}, {"a": {}}, [[]], [[[]]], nested(100), "a" * 2000, "\x00", "\n", "-1", -1, 0, 1e300, True, "NaN",
     "inf", "1e999", ["a"] * 500, {"a" * 500: "b"}, 2**63, "9" * 5000, "1_0", "\u0661"],
)  # fmt: skip
def test_any_other_json_is_an_option_or_refused_in_a_line(bad):
    for name in KNOWN:
        said = ""
        try:
            json.dumps(job_options(BASE, {name: bad}).as_dict())
        except OptionError as error:
            said = str(error)
        assert len(said) < 1000


def test_options_of_a_job_are_few_and_short():
    assert f"{MOST_BYTES} bytes" in refused({"classes": ["a"] * 200_000})
    assert f"{MOST_BYTES} bytes" in refused({"class_group": [["a", "b"]] * 90_000})
    assert f"{MOST_BYTES} bytes" in refused({"threshold": {f"a{n}": 0.5 for n in range(70_000)}})
    points = ",".join(f"{n} {n}" for n in range(20_000))
    assert f"{MOST_WKT} letters" in refused({"aoi": f"POLYGON (({points}))"})
    began = time.monotonic()
    assert "is no option" in refused({f"k{n}": 1 for n in range(1_000_000)})
    assert "is no option" in refused({"t" * 10_000_000: 1})
    assert time.monotonic() - began < 20


def test_what_is_kept_of_a_job_is_what_was_given():
    given = {"threshold": {"vehicle": 0.25}, "tile": "640x512", "classes": ["vehicle"], "nodata": "nan"}
    assert job_options(BASE, orjson.loads(orjson.dumps(given))) == job_options(BASE, given)


def test_the_schema_says_what_jobs_may_set():
    schema = job_schema()
    assert set(schema["properties"]) == set(KNOWN)
    assert schema["additionalProperties"] is False
    words = json.dumps(schema)
    assert "file" not in schema["properties"]["aoi"]["description"]
    assert "a file" not in schema["properties"]["crs"]["description"]
    assert "site.prj" not in words
