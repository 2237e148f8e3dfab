"""Pictures in PaddleX's words: beside what PaddleX's own server said, and what is our own."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from sodslice import Detections, ModelInfo, load_model, run
from sodslice.errors import ModelError
from sodslice.models import NamedDetector
from sodslice.models.store import DETECTORS
from sodslice.scene import RasterScene
from sodslice.service import addresses, jpegs
from sodslice.service.app import make_app
from sodslice.service.envelope import Refusal
from sodslice.service.looker import Looker
from sodslice.service.metrics import Metrics
from sodslice.service.pictures import PictureRequest, Pictures
from sodslice.service.settings import ServiceSettings
from sodslice.settings import Options
from tests.paddlex_conversation import (
    ROUTE,
    body_of,
    conversation,
    drawn,
    headers_of,
    letters,
    park,
    png,
    saved,
    told,
)
from tests.rasters import write_raster
from tests.serving import serving

TOLERANCE_PX, TOLERANCE_SCORE = 0.02, 1e-3
RECORDED = conversation()
CASES = {case["name"]: case for case in RECORDED["cases"]}


# ------------------------------------------------------------------------------ beside PaddleX's own server


class Difference(NamedTuple):
    """Where we answer otherwise, on purpose.

    Fields: `cases`, an expression for their names; `status` and `says` of our answer, `says` an expression
    for the error; `found` objects; `why`, for the docs.
    """

    cases: str
    status: int
    says: str
    why: str
    found: int | None = None


NO_PICTURE = r'^\[\{"type": "value_error", "loc": "body\.image", "msg": "[^"]+"\}\]$'
DIFFERENCES = (
    Difference(
        r"^(base64: (empty|one|two|padding|out of|words|a space|of text|instead|URL-safe|a letter of another)"
        r"|file: (cut\.png|head|changed|page\.pdf|drawing)|body: (half a letter|NUL)|logId: bad image)",
        422, NO_PICTURE, "who sent it can do something about it, so it is no failure of the server",
    ),
    Difference(r"^file: cut\.jpg", 422, NO_PICTURE, "what is missing would be other clients' pictures"),
    Difference(
        r"^file: (huge|bomb)\.png", 413, r"^a picture may have 179 megapixels", "refused before it is decoded"
    ),
    Difference(
        r"^file: cmyk\.jpg", 422, "the picture is CMYK, which is for print", "read as our scenes are"
    ),
    Difference(r"^file: (park\.gif|float\.tif)", 200, "", "read as our scenes are"),
    Difference(r"^file: (clear|deep|dark)\.png", 200, "", "read as our scenes are"),
    Difference(r"^file: turned\.webp", 200, "", "read as our scenes are", 6),
    Difference(r"^file: wide\.png", 200, "", "sliced, not squeezed into the model's input", 6),
    Difference(r"^base64: (data URI|without padding)", 200, "", "there is one way to read it", 6),
    Difference(
        r'^threshold: ("nan"|"inf"|literal (NaN|-?Infinity|1e400))', 422,
        r'"type": "finite_number", "loc": "body\.threshold\.float"', "compares with nothing",
    ),
    Difference(r"^threshold: (0|-1|1e-09|false)$", 200, "", "the graph's 500 objects are no limit"),
    Difference(
        r"^(type: (none|form, with JSON)|client: (Go|Node))", 200, "",
        "two of PaddleX's documented clients send no type, or that of forms", 6,
    ),
    Difference(r"^type: form, with a form", 422, '"type": "json_invalid", "loc": "body\\[0\\]"', "as above"),
    Difference(
        r'^logId: (no image, (5|\["a"\])|half a letter)', 422, '"type": "missing", "loc": "body.image"',
        "what is wrong is said",
    ),
    Difference(r"^route: (root|metrics)", 200, "", "our page and our counters"),
    Difference(r"^header: Origin", 403, "other sites", "no page that a user looks at may use it"),
    Difference(r"^header: Host", 421, "localhost", "no name that leads here may use it"),
)  # fmt: skip


class Remembering:
    """A detector that looks at each tile once, however often it is asked."""

    concurrent = True

    def __init__(self, detector: Any) -> None:
        self._detector, self._seen = detector, {}
        self.info, self.engine, self.close = detector.info, detector.engine, detector.close

    def detect(self, pixels):
        return [look.found for look in self.look_down_to(pixels, 0.1)]

    def look_down_to(self, pixels, lowest):
        key = pixels.tobytes(), pixels.shape, lowest
        if key not in self._seen:
            self._seen[key] = self._detector.look_down_to(pixels, lowest)
        return self._seen[key]


@pytest.fixture(scope="module")
def client(tmp_path_factory) -> Iterator[TestClient]:
    """A client of an app with the shipped model."""
    made: list[Looker] = []
    with pytest.MonkeyPatch.context() as patch:
        init = Looker.__init__

        def remembering(self: Looker, options: Options) -> None:
            init(self, options)
            self._single = Remembering(self._single)
            made.append(self)

        patch.setattr(Looker, "__init__", remembering)
        app = make_app(ServiceSettings(data=tmp_path_factory.mktemp("service")))
    assert made
    with asking(app) as one:
        yield one


def asking(app: Any) -> TestClient:
    """A client that says nothing of its own."""
    client = TestClient(
        app, base_url="http://localhost", follow_redirects=False, raise_server_exceptions=False
    )
    client.headers.clear()
    return client


def asked(client: TestClient, request: dict[str, Any]) -> dict[str, Any]:
    """Our answer to a recorded request, as recordings have it."""
    answer = client.request(
        request.get("method", "POST"),
        request.get("path", ROUTE),
        content=body_of(request),
        headers=headers_of(request),
    )
    kind = answer.headers.get("content-type", "")
    if kind not in ("", "application/json"):
        return {"status": answer.status_code, "type": kind}
    return told(answer.status_code, kind, answer.content)


def like(theirs: dict[str, Any], ours: dict[str, Any]) -> bool:
    """Whether two answers are the same, numbers as near as engines are."""
    objects = zip(theirs.get("objects", ()), ours.get("objects", ()), strict=False)
    rest = ({**one, "objects": len(one.get("objects", ()))} for one in (theirs, ours))
    return len({json.dumps(one, sort_keys=True) for one in rest}) == 1 and all(
        same(*pair) for pair in objects
    )


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two objects are the same."""
    return (
        list(one) == list(other)
        and (one["categoryId"], one["categoryName"]) == (other["categoryId"], other["categoryName"])
        and abs(one["score"] - other["score"]) <= TOLERANCE_SCORE
        and np.allclose(one["bbox"], other["bbox"], rtol=0, atol=TOLERANCE_PX)
    )


def difference_of(name: str) -> Difference | None:
    return next((one for one in DIFFERENCES if re.search(one.cases, name)), None)


@pytest.mark.parametrize("name", [name for name in CASES if difference_of(name) is None])
def test_the_answer_is_that_of_paddlex(client, name):
    ours, theirs = asked(client, CASES[name]["request"]), CASES[name]["answer"]
    assert like(theirs, ours), (theirs, ours)


@pytest.mark.parametrize("name", [name for name in CASES if difference_of(name) is not None])
def test_the_answer_differs_from_that_of_paddlex_on_purpose(client, name):
    expected = difference_of(name)
    ours, theirs = asked(client, CASES[name]["request"]), CASES[name]["answer"]
    assert not like(theirs, ours), "no difference any more"
    assert ours["status"] == expected.status, ours
    assert re.search(expected.says, ours.get("errorMsg", "")), ours
    if expected.found is not None:
        assert ours["found"] == expected.found
    if expected.status >= 400:
        assert ours["errorCode"] == ours["status"]


def test_each_difference_is_one():
    for one in DIFFERENCES:
        assert [name for name in CASES if difference_of(name) is one], one.cases


def test_without_a_threshold_all_is_found_that_the_graph_would_cut_off(client):
    ours, theirs = (
        asked(client, CASES["threshold: 0"]["request"]),
        CASES["threshold: 0"]["answer"],
    )
    assert theirs["found"] == 500 < ours["found"]
    assert all(map(same, theirs["objects"], ours["objects"]))


def test_objects_come_by_class_and_the_surest_of_a_class_first(tmp_path, several_classes):
    with asking(app_of(tmp_path, several_classes)) as client:
        found = client.post(ROUTE, json={"image": letters("park.png"), "visualize": False}).json()["result"]
    order = [(one["categoryId"], one["categoryName"], one["score"]) for one in found["detectedObjects"]]
    assert order == [(0, "car", 0.75), (0, "car", 0.625), (1, "van", 0.875), (1, "van", 0.75)]


# ------------------------------------------------------------------------------------------ what is found


class Crowd:
    """Boxes that crowd, the same for all tiles, of several classes and any score."""

    info = ModelInfo(("a", "b", "c"), sha256="crowd", threshold=0.4)

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        corners = rng.uniform(-5, 300, (900, 2))
        boxes = np.concatenate([corners, corners + rng.uniform(4, 60, (900, 2))], axis=1)
        scores = np.round(rng.uniform(0.01, 1, 900), 2)
        self._boxes, self._columns = boxes, (scores, rng.integers(0, 3, 900))

    def detect(self, pixels):
        height, width = pixels.shape[1:3]
        boxes = self._boxes.clip(0, [width, height] * 2)
        return [Detections(boxes, *self._columns, np.full(900, row)) for row in range(len(pixels))]


class Several:
    """Two classes, some boxes of each."""

    info = ModelInfo(("car", "van"), sha256="several", threshold=0.5)

    def detect(self, pixels):
        boxes = [[50.0 * n, 10, 50 * n + 20, 30] for n in range(4)]
        columns = boxes, [0.875, 0.625, 0.75, 0.75], [1, 0, 1, 0]
        return [Detections(*columns, [row] * 4) for row in range(len(pixels))]


def named(word: str, make: Any) -> Iterator[str]:
    DETECTORS.register(word, NamedDetector(word, lambda: make.info, make))
    yield word
    DETECTORS.unregister(word)


@pytest.fixture
def crowd() -> Iterator[str]:
    yield from named("crowd", Crowd)


@pytest.fixture
def several_classes() -> Iterator[str]:
    yield from named("several", Several)


def app_of(folder: Path, model: str = "vehicle-t", **settings: Any) -> Any:
    return make_app(
        ServiceSettings(data=folder / "service", options=Options.from_mapping({"model": model}), **settings)
    )


def seen(looker: Looker, content: bytes, thresholds: tuple[float, ...] | None = None) -> Detections:
    """What a looker finds in a file."""
    scene = looker.opened(content, lambda *_: None)
    return looker.found_in(scene, looker.thresholds if thresholds is None else thresholds)


def rows(found: Detections) -> list[Any]:
    return [found.boxes.tolist(), found.scores.tolist(), found.labels.tolist()]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"threshold": {"all": 0.3, "b": 0.9}},
        {"threshold": {"all": 0.9, "b": 0.2}, "class_agnostic": True},
        {"classes": ["c", "a"], "iou": 0.2},
        {"merge": "nms", "threshold": 0.05},
        {"merge": "none"},
        {"merge": "sahi-greedy-nmm", "threshold": 0.6},
        {"tile": 400},
        {"tile": 200},
        {"scale": 2.0},
        {"min_size": 20.0},
        {"window": [50, 50, 100, 100]},
    ],
    ids=str,
)
def test_what_is_found_is_what_a_run_finds(crowd, settings):
    pixels = park()[:300, :280]
    options = Options.from_mapping({"model": crowd, **settings})
    found = seen(Looker(options), saved(Image.fromarray(pixels), "PNG"))
    assert rows(found) == rows(run(pixels, options=options).detections)


@pytest.mark.parametrize("size", [(640, 640), (63, 200), (700, 500)])
def test_what_the_shipped_model_finds_is_what_a_run_finds(size):
    pixels = np.ascontiguousarray(np.tile(park(), (2, 2, 1))[100 : 100 + size[1], 30 : 30 + size[0]])
    for settings in ({}, {"threshold": 0.02}):
        options = Options.from_mapping(settings)
        looker = Looker(options)
        assert rows(seen(looker, saved(Image.fromarray(pixels), "PNG"))) == rows(
            run(pixels, options=options).detections
        )
        looker.close()


def test_thresholds_beyond_a_score_keep_all_or_nothing(crowd):
    looker, content = Looker(Options.from_mapping({"model": crowd})), drawn("park.png")
    assert not len(seen(looker, content, (2.0,) * 3))
    assert rows(seen(looker, content, (-1.0,) * 3)) == rows(
        run(park(), options={"model": crowd, "threshold": 0}).detections
    )


def test_a_picture_of_no_data_holds_nothing(crowd):
    clear = np.zeros((90, 90, 4), np.uint8)
    assert not len(seen(Looker(Options.from_mapping({"model": crowd})), saved(Image.fromarray(clear), "PNG")))


def test_as_many_threads_ask_a_model_as_keep_it_busy(crowd, monkeypatch):
    assert Looker(Options.from_mapping({"model": crowd})).at_once == 1
    for cores, at_once in ((1, 2), (2, 3)):
        monkeypatch.setattr("sodslice.service.looker.cores", lambda cores=cores: cores)
        looker = Looker(Options.from_mapping({"engine": "openvino"}))
        assert looker.at_once == at_once
        looker.close()


def test_a_model_for_single_tiles_gives_all_that_is_asked_for_and_little_else():
    detector = load_model("vehicle-t", device="cpu", engine="openvino")
    single, pixels = detector.for_single_tiles(), park()[None]
    for lowest in (0.02, 0.1, 0.6, 0.99):
        (every,), (some,) = (one.look_down_to(pixels, lowest) for one in (detector, single))
        wanted = every.found[every.found.scores >= np.float32(lowest)]
        assert rows(some.found[some.found.scores >= np.float32(lowest)]) == rows(wanted)
        assert some.whole_from <= lowest
        assert len(some.found) <= max(len(wanted), 1)
    single.close()


def test_a_picture_among_others_is_seen_as_one_alone(monkeypatch):
    monkeypatch.setattr("sodslice.service.looker.cores", lambda: 2)
    looker = Looker(Options.from_mapping({"threshold": 0.02, "engine": "openvino"}))
    scene = looker.opened(drawn("park.png"), lambda *_: None)
    alone, among = (looker.found_in(scene, looker.thresholds, alone=alone) for alone in (True, False))
    assert len(alone) > 20
    assert rows(alone) == rows(among)
    looker.close()


def test_of_several_devices_and_workers_one_looks_at_pictures(crowd):
    options = Options.from_mapping({"model": crowd, "workers": 2})
    assert rows(seen(Looker(options), drawn("park.png"))) == rows(
        run(park(), options={"model": crowd}).detections
    )


# ------------------------------------------------------------------------------------------------- JPEGs


@pytest.mark.parametrize("name", ["park.jpg", "halved.jpg", "grey.jpg"])
def test_jpegs_are_decoded_as_opencv_does(name):
    content = drawn(name)
    size = jpegs.stored_size(content)
    assert size == (640, 640)
    expected = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
    assert np.abs(jpegs.decoded(content, size).astype(int) - expected).max() <= 1


def test_jpegs_are_turned_by_their_exif():
    pixels = np.asarray(Image.fromarray(park()[:90, :60]))
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        content = saved(Image.fromarray(pixels), "JPEG", quality=95, subsampling=0, exif=exif)
        size = jpegs.stored_size(content)
        expected = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
        found = jpegs.decoded(content, size)
        assert found.shape == expected.shape
        assert np.abs(found.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("name", ["progressive.jpg", "cmyk.jpg", "park.png", "head.jpg", "text", "page.pdf"])
def test_all_but_common_jpegs_are_left_to_gdal(name):
    assert jpegs.stored_size(drawn(name)) is None


def test_a_jpeg_of_several_scans_or_none_is_left_to_gdal():
    content = drawn("park.jpg")
    scan = content.index(b"\xff\xda")
    one_part = content[:scan] + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + content[scan + 14 :]
    assert jpegs.stored_size(one_part) is None
    frame = content.index(b"\xff\xc0")
    assert jpegs.stored_size(content[: frame + 5] + b"\0\0" + content[frame + 7 :]) is None
    assert jpegs.stored_size(content[: frame + 4] + b"\x0c" + content[frame + 5 :]) is None
    assert jpegs.stored_size(b"\xff\xd8" + content[frame : frame + 19] + content[frame:]) is None


def test_a_jpeg_that_is_cut_short_is_refused_by_both_ways():
    assert jpegs.decoded(drawn("cut.jpg"), (640, 640)) is None
    assert jpegs.decoded(drawn("park.jpg"), (640, 320)) is None


# ------------------------------------------------------------------------------------------------ the route


@pytest.fixture
def bare(tmp_path, several_classes) -> Iterator[Callable[..., Pictures]]:
    """Makes what answers, without an app."""
    made: list[Pictures] = []

    def make(model: str = several_classes, **settings: Any) -> Pictures:
        options = Options.from_mapping({"model": model})
        made.append(Pictures(ServiceSettings(data=tmp_path, options=options, **settings), Metrics()))
        return made[-1]

    yield make
    for one in made:
        one.close()


def refusal(pictures: Pictures, image: str, **fields: Any) -> Refusal:
    """How an image is refused."""
    with pytest.raises(Refusal) as caught:
        answered(pictures, image, **fields)
    return caught.value


def answered(pictures: Pictures, image: str, **fields: Any) -> dict[str, Any]:
    """The result for an image."""
    answer = asyncio.run(pictures.answer(PictureRequest(image=image, **fields), Listening()))
    result: dict[str, Any] = json.loads(bytes(answer.body))["result"]
    return result


class Listening:
    """A request whose client is there, or has gone."""

    def __init__(self, *, gone: bool = False) -> None:
        self._gone = gone

    async def is_disconnected(self) -> bool:
        return self._gone


@pytest.mark.parametrize(
    ("threshold", "found"),
    [
        (None, 4),
        (0.7, 3),
        (0.75, 3),
        (0.76, 1),
        (-3.0, 4),
        (7.0, 0),
        (1e300, 0),
        ({}, 4),
        ({0: 0.7}, 3),
        ({0: 0.9, 1: 0.8}, 1),
        ({1: 2.0}, 2),
        ({7: 0.9, -1: 0.9, 10**40: 0.9}, 4),
    ],
)
def test_thresholds_are_one_for_all_or_by_class_id(bare, threshold, found):
    result = answered(bare(), letters("park.png"), threshold=threshold, visualize=False)
    assert len(result["detectedObjects"]) == found


def test_classes_that_a_threshold_does_not_name_have_a_half(tmp_path, several_classes):
    options = Options.from_mapping({"model": several_classes, "threshold": 0.8})
    pictures = Pictures(ServiceSettings(data=tmp_path, options=options), Metrics())
    image = letters("park.png")
    assert len(answered(pictures, image)["detectedObjects"]) == 1
    assert len(answered(pictures, image, threshold={0: 0.7})["detectedObjects"]) == 3
    pictures.close()


def test_a_threshold_by_more_classes_than_there_are_anywhere_is_refused_at_once(client):
    many = {"image": "$", "threshold": {str(number): "x" for number in range(10_001)}}
    answer = client.post(ROUTE, json=many)
    assert answer.status_code == 422
    assert json.loads(answer.json()["errorMsg"]) == [
        {"type": "too_long", "loc": "body.threshold", "msg": "at most 10000 classes can be named"}
    ]


@pytest.mark.parametrize("usual", [True, False])
def test_whether_there_is_a_picture_where_nothing_is_said_is_the_services(tmp_path, several_classes, usual):
    settings = ServiceSettings(data=tmp_path, options=Options.from_mapping({"model": several_classes}))
    with asking(make_app(settings, visualize=usual)) as client:
        for said, expected in (
            ({}, usual),
            ({"visualize": None}, usual),
            ({"visualize": not usual}, not usual),
        ):
            result = client.post(ROUTE, json={"image": letters("park.png"), **said}).json()["result"]
            assert ("image" in result) == expected


def test_the_picture_shows_the_boxes(bare):
    result = answered(bare(), letters("park.png"))
    with Image.open(io.BytesIO(base64.b64decode(result["image"]))) as picture:
        assert (picture.format, picture.mode, picture.size) == ("JPEG", "RGB", (640, 640))
        change = np.abs(np.asarray(picture).astype(int) - park()).max(axis=2)
    assert np.median(change[10:30, 50]) > 40
    assert change[200:].mean() < 10


def test_a_picture_longer_than_a_jpeg_can_be_is_drawn_smaller(bare):
    content = saved(Image.new("RGB", (70_000, 2)), "PNG")
    result = answered(bare("blobs"), base64.b64encode(content).decode())
    with Image.open(io.BytesIO(base64.b64decode(result["image"]))) as picture:
        assert picture.width == 65_500


@pytest.fixture
def undecoded(monkeypatch) -> None:
    """Fails a test in which pixels are decoded."""

    def decoded(*_: Any) -> None:
        raise AssertionError("pixels are decoded")

    monkeypatch.setattr(jpegs, "decoded", decoded)
    monkeypatch.setattr(RasterScene, "read", decoded)


def tall_jpeg() -> bytes:
    """A JPEG that says that it has 60 000 x 60 000 pixels."""
    content = drawn("park.jpg")
    sides = content.index(b"\xff\xc0") + 5
    return content[:sides] + (60_000).to_bytes(2, "big") * 2 + content[sides + 4 :]


@pytest.mark.parametrize(
    ("content", "size"),
    [
        (png(100_000, 100_000, 8, 2, b"\0"), "100000 x 100000"),
        (drawn("bomb.png"), "13400 x 13400"),
        (tall_jpeg(), "60000 x 60000"),
    ],
    ids=["header", "bomb", "JPEG"],
)
@pytest.mark.usefixtures("undecoded")
def test_too_many_pixels_are_refused_before_one_is_decoded(bare, content, size):
    refused = refusal(bare(), base64.b64encode(content).decode())
    assert refused.status_code == 413
    assert refused.detail == (
        f"a picture may have 179 megapixels, got {size}; large scenes are for POST /jobs"
    )


def test_how_many_pixels_are_too_many_is_the_services(bare):
    assert refusal(bare(most_pixels=640 * 640 - 1), letters("park.jpg")).status_code == 413
    assert answered(bare(most_pixels=640 * 640), letters("park.jpg"))["detectedObjects"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\0" * 300, "the picture is not an image that GDAL can open; of what comes from elsewhere"),
        (drawn("cut.png"), "the picture cannot be read at x 0, y 0, 640 x 640 pixels: Error while reading"),
        (drawn("cut.jpg"), "libjpeg: Premature end of JPEG file"),
        (drawn("cmyk.jpg"), "the picture is CMYK, which is for print"),
    ],
    ids=["zeros", "PNG", "JPEG", "CMYK"],
)
def test_what_is_wrong_with_a_picture_is_said_in_words_for_who_sent_it(bare, content, words):
    refused = refusal(bare(), base64.b64encode(content).decode())
    assert refused.status_code == 422
    (fault,) = json.loads(refused.detail)
    assert (fault["type"], fault["loc"]) == ("value_error", "body.image")
    assert words in fault["msg"]
    for strange in ("`", "\n", "GDAL_", "gdal_translate", "/tmp", "convert", "allow_vrt"):
        assert strange not in fault["msg"]


def test_advice_for_who_has_the_settings_is_left_out(bare, tmp_path):
    file = write_raster(tmp_path / "a.tif", np.full((5, 40, 40), 90, np.uint8))
    (fault,) = json.loads(refusal(bare(), base64.b64encode(file.read_bytes()).decode()).detail)
    assert "5 bands" in fault["msg"]
    assert "`" not in fault["msg"]


def test_a_model_that_fails_is_no_fault_of_who_asks_and_is_logged(bare, monkeypatch, caplog):
    pictures = bare()

    def failing(*_: Any) -> None:
        raise ModelError("the graph is torn")

    monkeypatch.setattr(Several, "detect", failing)
    refused = refusal(pictures, letters("park.png"))
    assert (refused.status_code, refused.detail) == (500, "Internal server error")
    assert "the graph is torn" in caplog.text


def test_who_has_gone_before_his_turn_costs_nothing(bare, monkeypatch):
    pictures = bare()
    monkeypatch.setattr(Looker, "opened", lambda *_: pytest.fail("it is looked at"))
    with pytest.raises(Refusal) as caught:
        asyncio.run(pictures.answer(PictureRequest(image=letters("park.png")), Listening(gone=True)))
    assert caught.value.status_code == 499


# ---------------------------------------------------------------------------------- pictures from the web


@pytest.mark.parametrize(
    "address", ["http://example.org/a.png", "HTTPS://example.org/a.png", "http://127.0.0.1/"]
)
def test_nothing_is_fetched_unless_its_host_is_named(bare, monkeypatch, address):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("it is looked up"))
    (fault,) = json.loads(refusal(bare(), address).detail)
    assert fault["msg"].startswith("images are not fetched from the web by this service")
    (fault,) = json.loads(refusal(bare(hosts=("example.com",)), address).detail)
    assert "images are not fetched from " in fault["msg"]


def test_a_picture_is_fetched_from_a_host_that_is_named(bare, web, monkeypatch):
    monkeypatch.setattr(addresses, "is_public", lambda _: True)
    url = web.put("/park.jpg", drawn("park.jpg"))
    pictures = bare(hosts=("127.0.0.1",))
    assert len(answered(pictures, f"{url}?key=secret")["detectedObjects"]) == 4
    (fault,) = json.loads(refusal(pictures, web.put("/none.png", b"no picture")).detail)
    assert fault["msg"].startswith("the picture is not an image")
    (fault,) = json.loads(refusal(pictures, f"{web.url}/missing?key=secret").detail)
    assert "404" in fault["msg"]
    assert "secret" not in fault["msg"]


def test_a_password_in_an_address_is_neither_sent_nor_said(bare):
    (fault,) = json.loads(refusal(bare(hosts=("example.org",)), "http://me:secret@example.org/a.png").detail)
    assert fault["msg"] == "an address with user and password is not fetched"


def test_who_waits_for_another_server_holds_nobody_up(bare, web, monkeypatch):
    monkeypatch.setattr(addresses, "is_public", lambda _: True)
    asked_for, go_on = threading.Event(), threading.Event()

    def waiting(handler, content):
        asked_for.set()
        go_on.wait(20)
        handler.head(200, len(content))
        handler.wfile.write(content)

    url = web.put("/slow.png", drawn("park.png"), waiting)
    pictures = bare(hosts=("127.0.0.1",))

    async def both() -> list[Any]:
        slow = [
            asyncio.create_task(pictures.answer(PictureRequest(image=url), Listening())) for _ in range(3)
        ]
        await asyncio.to_thread(asked_for.wait, 20)
        quick = await pictures.answer(PictureRequest(image=letters("park.png")), Listening())
        assert not any(one.done() for one in slow)
        go_on.set()
        return [quick, *await asyncio.gather(*slow)]

    assert [one.status_code for one in asyncio.run(both())] == [200] * 4


# ----------------------------------------------------------------------------------------- the whole service


class Held(Several):
    """Waits until it is let go."""

    here, go_on = threading.Event(), threading.Event()

    def detect(self, pixels):
        self.here.set()
        assert self.go_on.wait(20)
        return super().detect(pixels)


@pytest.fixture
def held() -> Iterator[str]:
    Held.here.clear()
    Held.go_on.clear()
    yield from named("held", Held)


def test_who_finds_no_place_is_told_at_once_when_to_come_back(tmp_path, held):
    with asking(app_of(tmp_path, held, waiting=2)) as client, ThreadPoolExecutor(2) as pool:
        body = {"image": letters("park.png"), "visualize": False}
        inside = [pool.submit(client.post, ROUTE, json=body) for _ in range(2)]
        assert Held.here.wait(20)
        while "sodslice_pictures_waiting 2.0" not in client.get("/metrics").text:
            pass
        refused = client.post(ROUTE, json=body)
        assert refused.status_code == 429
        assert int(refused.headers["Retry-After"]) >= 1
        assert refused.json()["errorCode"] == 429
        assert "2 pictures wait already" in refused.json()["errorMsg"]
        Held.go_on.set()
        assert [one.result().status_code for one in inside] == [200, 200]
        assert client.post(ROUTE, json=body).status_code == 200
        assert "sodslice_objects_total 12.0" in client.get("/metrics").text


def test_a_server_answers_a_documented_client(tmp_path):
    with serving(tmp_path / "data", "--device", "cpu") as service:
        assert service.get("/health")["errorMsg"] == "Healthy"
        answer = service.post(ROUTE, {"image": letters("park.jpg")})
        assert list(answer) == ["logId", "result", "errorCode", "errorMsg"]
        assert base64.b64decode(answer["result"]["image"]).startswith(b"\xff\xd8\xff")
        assert len(answer["result"]["detectedObjects"]) == 6
        assert service.post("/nothing", {"logId": "mine"}, status=404) == {
            "logId": "mine",
            "errorCode": 404,
            "errorMsg": "Not Found",
        }
