"""Reports in a real browser: no network is asked, and filter, click, keys and export do what they say."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from sodslice import Detections, GeoRef, RunResult, SodsliceError, load_result, run, run_many, write
from sodslice.cli import group
from sodslice.errors import OutputError
from sodslice.report.page import write_report
from sodslice.report.page.base import base_of, crops_of
from sodslice.report.page.data import FALSE_ALARM, FOUND, IGNORED, Judged, data_of, embedded
from sodslice.report.page.folder import JobScene, write_job_report
from sodslice.report.page.judging import judged_by
from sodslice.results import FailedTile, Provenance, SceneFacts
from sodslice.scene import ArrayScene
from tests.browser import browser
from tests.placed_results import CLASSES, MERIDIAN, UTM, placed_result
from tests.rasters import scene_with_blobs, write_raster

HOSTILE = ("car", "<script>alert(1)</script>", "</script><img src=x onerror=alert(2)>")


def scene_of(folder: Path, result: RunResult) -> RunResult:
    """The result of a scene that is there."""
    rng = np.random.default_rng(1)
    pixels = rng.integers(60, 200, (3, result.scene.height, result.scene.width), dtype=np.uint8)
    path = write_raster(folder / "a.tif", pixels, crs="EPSG:32616", transform=UTM.transform)
    return replace(result, scene=replace(result.scene, path=str(path)))


@pytest.fixture(scope="module")
def page():
    with browser() as opened:
        yield opened


@pytest.fixture
def shown(page, tmp_path):
    """A report of forty boxes, opened."""
    result = replace(scene_of(tmp_path, placed_result()), class_names=HOSTILE)
    page.errors.clear()
    page.requests.clear()
    page.dialogs.clear()
    page.open(write_report(result, tmp_path / "a.html"))
    page.wait("shown.count === 40")
    return page, result


def place_of(page, row: int) -> tuple[float, float]:
    """Where the middle of a box is on the page."""
    x, y = (f"toScreen{a.upper()}((boxes.{a}0[{row}] + boxes.{a}1[{row}]) / 2)" for a in "xy")
    return tuple(
        page.js(
            f"(() => {{ const b = canvas.getBoundingClientRect(); return [b.left + {x}, b.top + {y}]; }})()"
        )
    )


def test_a_report_asks_nothing_of_a_network_and_logs_no_error(shown):
    page, _ = shown
    page.click(*place_of(page, 0))
    page.wait("!document.getElementById('selected').hidden")
    assert page.errors == []
    assert {address.partition(":")[0] for address in page.requests} <= {"file", "data", "blob"}
    text = (Path(page.requests[0].removeprefix("file://"))).read_text()
    assert not re.search(r"""(src|href)=["']?https?:""", text)


def test_names_of_classes_do_nothing(shown):
    page, _ = shown
    time.sleep(0.2)
    assert page.dialogs == []
    names = page.js("[...document.querySelectorAll('#classes .name')].map((one) => one.textContent)")
    assert names == list(HOSTILE)
    assert page.js("document.querySelectorAll('img').length") == 0


def test_the_slider_changes_the_count_and_classes_can_be_switched(shown):
    page, result = shown
    page.js("(() => { const s = byId('score'); s.value = 600; s.dispatchEvent(new Event('input')); })()")
    expected = int((result.detections.scores >= 0.6).sum())
    assert page.js("shown.count") == expected
    assert page.js("byId('summary').textContent") == f"{expected} of 40 detections"
    page.js("document.querySelector('#classes input').click()")
    left = int(((result.detections.scores >= 0.6) & (result.detections.labels != 0)).sum())
    assert page.js("shown.count") == left
    counts = page.js("[...document.querySelectorAll('#classes .count')].map((one) => one.textContent)")
    assert counts == ["14", "13", "13"]


def test_a_click_opens_the_right_crop(shown):
    page, result = shown
    row = 7
    page.click(*place_of(page, row))
    page.wait("!byId('selected').hidden")
    assert page.js("byId('chosen-id').textContent") == str(row + 1)
    terms = "[...document.querySelectorAll('#facts-of-one dt')]"
    facts = dict(page.js(f"{terms}.map((one) => [one.textContent, one.nextSibling.textContent])"))
    assert facts["class"] == HOSTILE[result.detections.labels[row]]
    lon, lat = map(float, facts["lon, lat"].split(", "))
    x0, y0, x1, y1 = result.detections.boxes[row]
    np.testing.assert_allclose(
        UTM.from_lonlat(np.array([[lon, lat]]))[0], [(x0 + x1) / 2, (y0 + y1) / 2], atol=0.05
    )
    page.wait("DATA.base.levels[0].pictures.some((one) => one && one.complete)")
    page.js("drawCrop(view.chosen)")
    middle = "c.width / 2 - 20, c.height / 2 - 20, 40, 40"
    look = (
        f"(() => {{ const c = byId('crop'); return [...c.getContext('2d').getImageData({middle}).data]; }})()"
    )
    crop = page.js(look)
    seen = np.array(crop).reshape(40, 40, 4)[..., :3].mean(axis=(0, 1))
    with Image.open(result.scene.path) as picture:
        around = np.array(picture)[int(y0) : int(y1), int(x0) : int(x1)].mean(axis=(0, 1))
    np.testing.assert_allclose(seen, around, atol=20)
    page.key("Escape")


def test_keys_move_zoom_and_go_from_one_to_the_next(shown):
    page, _ = shown
    page.js("canvas.focus()")
    zoom, x = page.js("[view.zoom, view.x]")
    page.key("+")
    page.key("ArrowRight")
    assert page.js("view.zoom") > zoom
    assert page.js("view.x") > x
    page.key("n")
    assert page.js("[view.chosen, byId('selected').hidden]") == [0, False]
    page.key("n")
    page.key("p")
    assert page.js("view.chosen") == 0
    page.key("Escape")
    assert page.js("[view.chosen, byId('selected').hidden]") == [-1, True]
    page.key("0")
    assert page.js("view.zoom") == pytest.approx(zoom)


def test_two_fingers_zoom(shown):
    page, _ = shown
    zoom = page.js("view.zoom")
    page.call("Emulation.setTouchEmulationEnabled", enabled=True, maxTouchPoints=2)
    for kind, reach in (("touchStart", 40), ("touchMove", 80), ("touchMove", 120)):
        points = [{"x": 400 - reach, "y": 400, "id": 0}, {"x": 400 + reach, "y": 400, "id": 1}]
        page.call("Input.dispatchTouchEvent", type=kind, touchPoints=points)
    page.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
    page.call("Emulation.setTouchEmulationEnabled", enabled=False)
    assert page.js("view.zoom") == pytest.approx(3 * zoom, rel=0.2)


def test_exports_are_what_the_filter_leaves_and_what_our_own_files_say(shown, tmp_path):
    page, result = shown
    page.js("(() => { const s = byId('score'); s.value = 600; s.dispatchEvent(new Event('input')); })()")
    kept = result[result.detections.scores >= 0.6]
    exported = json.loads(page.js("asGeojson()"))["features"]
    own = json.loads(write(kept, tmp_path / "own.geojson").read_text())["features"]
    assert len(exported) == len(own) == len(kept)
    for ours, theirs in zip(own, exported, strict=True):
        mine, his = ours["properties"], theirs["properties"]
        assert list(mine) == list(his)
        for name, value in mine.items():
            assert his[name] == (pytest.approx(value, rel=1e-6) if isinstance(value, float) else value)
        ring, other = ours["geometry"]["coordinates"][0], theirs["geometry"]["coordinates"][0]
        np.testing.assert_allclose(ring, other, atol=1.1e-7)
    table, mine = page.js("asCsv()").splitlines(), write(kept, tmp_path / "own.csv").read_text().splitlines()
    assert table[0] == mine[0]
    assert len(table) == len(mine)
    folder = tmp_path / "down"
    folder.mkdir()
    page.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
    page.js("byId('export-geojson').click()")
    end = time.monotonic() + 10
    while not (folder / "a-filtered.geojson").is_file() and time.monotonic() < end:
        time.sleep(0.05)
    assert json.loads((folder / "a-filtered.geojson").read_text())["features"] == exported


def test_boxes_that_are_cut_keep_their_geometry(page, tmp_path):
    result = scene_of(tmp_path, placed_result(MERIDIAN))
    page.open(write_report(result, tmp_path / "a.html"))
    page.wait("shown.count === 40")
    exported = json.loads(page.js("asGeojson()"))["features"]
    own = json.loads(write(result, tmp_path / "own.geojson").read_text())["features"]
    assert exported[0]["geometry"] == own[0]["geometry"]
    assert exported[0]["geometry"]["type"] == "MultiPolygon"
    for ours, theirs in zip(own[1:], exported[1:], strict=True):
        if ours["geometry"]["type"] == "Polygon":
            np.testing.assert_allclose(
                ours["geometry"]["coordinates"], theirs["geometry"]["coordinates"], atol=1.1e-7
            )


@pytest.mark.parametrize(("width", "dark"), [(360, False), (360, True), (1280, True)])
def test_a_report_fits_narrow_and_dark_screens(shown, width, dark):
    page, _ = shown
    page.open(Path(page.requests[0].removeprefix("file://")), width=width, height=740, dark=dark)
    page.wait("shown.count === 40")
    assert page.js("document.documentElement.scrollWidth") <= width
    light = page.js("getComputedStyle(document.body).backgroundColor")
    assert (light == "rgb(23, 23, 22)") == dark
    assert page.js("canvas.getBoundingClientRect().width") >= min(width, 360)


def test_a_truth_gives_found_missed_and_false_their_own_colours(page, tmp_path):
    result = scene_of(tmp_path, placed_result())
    kinds = np.array([FOUND, FALSE_ALARM, IGNORED] + [FOUND] * 37, np.uint8)
    judged = Judged(kinds, np.array([[1.0, 2, 30, 40]]), ("lorry",))
    page.open(write_report(result, tmp_path / "a.html", judged=judged))
    page.wait("shown.count === 40")
    rows = page.js("[...document.querySelectorAll('#judged .toggle')].map((one) => one.textContent)")
    assert rows == ["found38", "false alarm1", "in an ignored area1", "missed1"]
    assert page.js("DATA.classes") == [*CLASSES, "lorry"]
    page.js("document.querySelectorAll('#judged input')[0].click()")
    assert page.js("shown.count") == 2
    assert page.js("[colourOf(1), missed.x1[0]]") == ["#d62728", 30]


def test_failed_tiles_are_hatched_and_facts_are_told(page, tmp_path):
    made = Provenance(failed_tiles=(FailedTile(3, (100, 50, 200, 200), "broken"),), options={"tile": 640})
    result = replace(scene_of(tmp_path, placed_result()), provenance=made)
    page.open(write_report(result, tmp_path / "a.html"))
    page.wait("shown.count === 40")
    assert page.js("DATA.hatched") == [{"window": [100, 50, 200, 200], "why": "broken"}]
    facts = dict(page.js("DATA.facts"))
    assert (facts["tile"], facts["scene"]) == ("640", "1000 x 800 px")


@pytest.mark.slow
def test_a_hundred_thousand_boxes_move_in_time(page, tmp_path):
    rng = np.random.default_rng(3)
    count = 100_000
    low = rng.uniform((0, 0), (960, 760), (count, 2))
    boxes = np.concatenate([low, low + rng.uniform(3, 20, (count, 2))], axis=1)
    found = Detections(
        boxes, np.sort(rng.uniform(0.3, 1, count))[::-1], rng.integers(0, 3, count), np.full(count, -1)
    )
    result = scene_of(tmp_path, RunResult(found, CLASSES, UTM, SceneFacts("a.tif", 1000, 800, 0.12)))
    page.open(write_report(result, tmp_path / "a.html"))
    page.wait(f"shown.count === {count}")
    assert page.js("view.dense")
    page.js("(() => { zoomAt(400, 400, 4); draw(); })()")
    assert page.js("view.inView") > 0
    assert page.js("shown.count") == count


def test_a_scene_without_a_place_is_shown_in_pixels(page, tmp_path):
    result = scene_of(tmp_path, placed_result(GeoRef()))
    page.open(write_report(result, tmp_path / "a.html"))
    page.wait("shown.count === 40")
    assert page.js("byId('export-geojson').disabled")
    line = page.js("asCsv()").splitlines()[1]
    assert line.startswith(",,0.95,")
    nothing = replace(result, detections=Detections.empty())
    page.errors.clear()
    page.open(write_report(nothing, tmp_path / "b.html"))
    page.wait("byId('summary').textContent === '0 of 0 detections'")
    assert page.errors == []


def test_a_job_is_a_table_with_thumbnails_and_a_page_for_each_scene(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for name in ("a", "b c"):
        write_raster(tmp_path / "in" / f"{name}.tif", scene_with_blobs(300, 200, [(40, 40)]))
    (tmp_path / "in" / "broken.tif").write_bytes(b"II*\0nothing")
    list(run_many("in", model="blobs", output="out"))
    done = CliRunner().invoke(group, ["report", "out", "-o", "pages"])
    assert done.output == f"3 scenes -> {Path('pages') / 'index.html'}\n"
    page.errors.clear()
    page.open(tmp_path / "pages" / "index.html", width=360)
    assert (
        page.js("[...document.querySelectorAll('tbody tr')].map((one) => one.className)").count("failed") == 1
    )
    page.wait("[...document.images].every((one) => one.complete && one.naturalWidth > 0)")
    assert page.js("document.images.length") == 2
    page.js("document.querySelectorAll('tbody a')[0].click()")
    page.wait("typeof shown !== 'undefined' && shown.count === 1")
    assert page.errors == []
    again = CliRunner().invoke(group, ["report", "out", "-o", "pages", "--truth", "in/a.tif"])
    assert again.exit_code == 2


# Without a browser.


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append(tag)


def test_data_cannot_end_its_script(tmp_path):
    result = replace(scene_of(tmp_path, placed_result()), class_names=HOSTILE)
    text = write_report(result, tmp_path / "a.html").read_text()
    assert Tags(text).found.count("script") == 2
    assert embedded("</script>&") == '"\\u003c/script\\u003e\\u0026"'
    assert json.loads(embedded({"a": "</script>&"})) == {"a": "</script>&"}


def test_the_pyramid_is_bounded_and_coarser_level_by_level(monkeypatch):
    monkeypatch.setattr("sodslice.report.page.base.MOST_PX", 1_000_000)
    scene = ArrayScene(np.full((1500, 3000, 3), 80, np.uint8))
    levels = base_of(scene)["levels"]
    assert [level["scale"] for level in levels] == pytest.approx([2.12, 4.24, 8.49], rel=0.01)
    assert levels[0]["columns"] * levels[0]["rows"] == len(levels[0]["images"])
    assert levels[-1]["columns"] == levels[-1]["rows"] == 1
    crops = crops_of(scene, np.array([[10.0, 10, 30, 30], [2990, 1490, 3000, 1500]]), levels[0]["scale"])
    assert crops["0"]["window"] == [0, 0, 50, 50]
    assert crops["1"]["window"][2:] == [3000, 1500]
    assert crops_of(scene, np.array([[10.0, 10, 30, 30]]), 1.0) == {}


def test_edges_are_counted_in_steps_that_fit_in_32_bits():
    wide = replace(placed_result(), scene=SceneFacts("a.tif", 10_000_000, 800))
    far = replace(wide, detections=Detections([[9_999_000.0, 1, 9_999_100, 2]], [0.5], [0], [-1]))
    assert data_of(far, None)["boxes"]["per_pixel"] == 100
    assert data_of(placed_result(), None)["boxes"]["per_pixel"] == 1000


def test_a_truth_tells_found_from_false(tmp_path):
    scene = write_raster(tmp_path / "a.tif", scene_with_blobs(300, 200, [(40, 40), (100, 100)]))
    result = run(scene, model="blobs", output=tmp_path / "a.json")
    truth = {
        "images": [{"id": 1, "file_name": "a.tif", "width": 300, "height": 200}],
        "categories": [{"id": 1, "name": "blob"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [40, 40, 10, 10], "area": 100, "iscrowd": 0},
            {"id": 2, "image_id": 1, "category_id": 1, "bbox": [200, 50, 10, 10], "area": 100, "iscrowd": 0},
        ],
    }
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    judged = judged_by(result, tmp_path / "truth.json")
    assert sorted(judged.kinds.tolist()) == [FOUND, FALSE_ALARM]
    assert judged.missed.tolist() == [[200, 50, 210, 60]]
    assert judged.names == ("blob",)


def test_what_is_no_page_or_not_ours_is_refused(tmp_path):
    result = scene_of(tmp_path, placed_result())
    with pytest.raises(OutputError, match=r"a\.txt is no page; its suffix must be \.html"):
        write_report(result, tmp_path / "a.txt")
    (tmp_path / "a.html").write_text("<html></html>")
    with pytest.raises(OutputError, match=r"a\.html is here and was not written by sodslice"):
        write_report(result, tmp_path / "a.html")
    other = replace(result, scene=replace(result.scene, width=999))
    with pytest.raises(
        SodsliceError, match="has 1000 x 800 pixels, the result is of 999 x 800; give the scene"
    ):
        write_report(other, tmp_path / "b.html")
    assert not (tmp_path / "b.html").exists()


def test_the_command_finds_a_scene_that_moved_with_its_result(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old").mkdir()
    write_raster(tmp_path / "old" / "a.tif", scene_with_blobs(300, 200, [(40, 40)]))
    run("old/a.tif", model="blobs", output="old/a.json")
    (tmp_path / "old").rename(tmp_path / "new")
    done = CliRunner().invoke(group, ["report", "new/a.json"])
    assert done.output == "old/a.tif: 1 objects -> a.html\n"
    assert load_result("new/a.json").scene.path == "old/a.tif"
    assert (tmp_path / "a.html").exists()


def test_a_job_report_tells_failures_and_makes_names_harmless(tmp_path):
    scenes = [JobScene("<b>.tif", None, "cannot be <read>")]
    index = write_job_report(scenes, tmp_path / "pages", title="a & b")
    text = index.read_text()
    assert "&lt;b&gt;.tif" in text
    assert "cannot be &lt;read&gt;" in text
    assert "<h1>a &amp; b</h1>" in text
