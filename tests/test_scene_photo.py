"""The ground that a photo shows, by EXIF and XMP."""

from __future__ import annotations

import math
import random
from pathlib import Path

import numpy as np
import pytest
import rasterio

from sodslice import open_scene
from sodslice.errors import GeoRefError
from sodslice.scene.photo import photo_from
from sodslice.scene.scaled import pixel_size_m
from sodslice.scene.turning import Turn
from sodslice.scene.xmp import LARGEST_PACKET, number, read_xmp
from tests.photos import LONLAT, NADIR, packet, write_photo

FILM = {"FocalLengthIn35mmFilm": "20"}
SIZE = (4000, 3000)
BY_FILM = 40 * 36 / 20 / 4000  # 40 m high, 20 mm of 36 mm film across 4000 pixels


def photo(xmp, exif=FILM, size=SIZE, **more):
    return photo_from(exif, read_xmp(xmp if isinstance(xmp, str) else packet(xmp)), size, **more)


def angles(pitch: float, yaw: float = 0.0, roll: float = 0.0, height: float = 40.0) -> dict[str, str]:
    values = {"RelativeAltitude": height, "GimbalPitchDegree": pitch}
    return {f"drone-dji:{k}": f"{v:+.2f}" for k, v in values.items()} | {
        "drone-dji:GimbalYawDegree": f"{yaw:+.2f}",
        "drone-dji:GimbalRollDegree": f"{roll:+.2f}",
    }


@pytest.mark.parametrize(
    ("exif", "xmp", "gsd", "said"),
    [
        (FILM, {}, BY_FILM, "FocalLengthIn35mmFilm 20 mm"),
        ({"FocalLengthIn35mmFilm": "20", "DigitalZoomRatio": "(0)"}, {}, BY_FILM, "FocalLengthIn35mmFilm 20"),
        ({}, {"drone-dji:CalibratedFocalLength": "3666.666504"}, 40 / 3666.666504, "CalibratedFocalLength"),
        (
            {"FocalLength": "(8.8)", "FocalPlaneXResolution": "(416.6667)", "FocalPlaneResolutionUnit": "4"},
            {},
            40 / (8.8 * 416.6667),
            "FocalLength 8.8 mm at 416.7 pixels per mm",
        ),
        (
            {"FocalLength": "8.8", "FocalPlaneXResolution": "(4166.667)", "FocalPlaneResolutionUnit": "3"},
            {},
            40 / (8.8 * 416.6667),
            "at 416.7 pixels per mm",
        ),
        (
            {"FocalLength": "(8.8)", "FocalPlaneXResolution": "(10583.3)", "DigitalZoomRatio": "(2)"},
            {},
            40 / (8.8 * 10583.3 / 25.4 * 2),
            "at 416.7 pixels per mm",
        ),
        ({}, {"drone-dji:HorizontalFieldOfView": "90"}, 40 / 2000, "HorizontalFieldOfView 90 degrees"),
        ({}, {"Camera:VerticalFOV": "90"}, 40 / 1500, "VerticalFOV 90 degrees"),
        ({}, {"Camera:DiagonalFOV": "90"}, 40 / 2500, "DiagonalFOV 90 degrees"),
        ({}, {"drone-dji:FieldOfView": "90.0"}, 40 / 2000, "FieldOfView 90 degrees"),
        ({"FocalLength": "(8.8)"}, {"exif:FocalLengthIn35mmFilm": "20"}, BY_FILM, "FocalLengthIn35mmFilm 20"),
    ],
)
def test_height_and_lens_give_the_ground_sample_distance(exif, xmp, gsd, said):
    found = photo(packet(NADIR | xmp, exif="http://ns.adobe.com/exif/1.0/"), exif)
    assert found.gsd_m == pytest.approx(gsd, rel=1e-6)
    assert said in found.gsd_from
    assert found.gsd_from.startswith("RelativeAltitude 40 m, GimbalPitchDegree -90, ")
    assert f"{gsd:.3g} m per pixel, by what the photo says of itself (" in found.notes[0]


PARROT = (
    "<drone-parrot:CameraPitchDegree>-88.5</drone-parrot:CameraPitchDegree>"
    "<drone-parrot:CameraYawDegree>12</drone-parrot:CameraYawDegree>"
    "<Camera:AboveGroundAltitude>40000/1000</Camera:AboveGroundAltitude>"
)
SKYDIO = (
    "<drone-skydio:RelativeAltitude>40.0</drone-skydio:RelativeAltitude>"
    '<drone-skydio:CameraOrientationFLU rdf:parseType="Resource"><drone-skydio:Pitch>89</drone-skydio:Pitch>'
    "</drone-skydio:CameraOrientationFLU>"
    '<drone-skydio:CameraOrientationNED rdf:parseType="Resource"><drone-skydio:Roll>0.1</drone-skydio:Roll>'
    "<drone-skydio:Pitch>-89</drone-skydio:Pitch><drone-skydio:Yaw>12</drone-skydio:Yaw>"
    "</drone-skydio:CameraOrientationNED>"
)
SKYDIO_ATTRIBUTES = (
    '<drone-skydio:CameraOrientationNED drone-skydio:Roll="0" drone-skydio:Pitch="-89" '
    'drone-skydio:Yaw="12"/>'
)
SKYDIO_DESCRIPTION = (
    '<drone-skydio:CameraOrientationNED><rdf:Description drone-skydio:Pitch="-89" drone-skydio:Yaw="12"/>'
    "</drone-skydio:CameraOrientationNED>"
)


@pytest.mark.parametrize(
    "xmp",
    [
        packet({}, inside=PARROT),
        packet({}, inside=SKYDIO),
        packet({"drone-skydio:RelativeAltitude": "40"}, inside=SKYDIO_ATTRIBUTES),
        packet({"drone-skydio:RelativeAltitude": "40"}, inside=SKYDIO_DESCRIPTION),
        packet({"drone-yuneec:AboveHomeAltitude": "40", "drone-yuneec:GimbalPitch": "-89.95999"}),
        packet({"Camera:AboveGroundAltitude": "40.0", "Camera:Pitch": "3.1", "Camera:Roll": "-4"}),
        packet({"Camera:AboveGroundAltitude": "40", "Camera:Pitch": "-89.9", "Camera:Roll": "0.3"}),
        packet({"c:AboveGroundAltitude": "40", "c:Pitch": "1"}, c="http://ns.sensefly.com/Camera/1.0/"),
        packet({"drone:RelativeAltitude": "40", "drone:GimbalPitchDegree": "-90"}, drone="http://autel/1.0/"),
        packet({"q:RelativeAltitude": "40", "q:GimbalPitchDegree": "-90"}),
        packet(NADIR | {"Camera:AboveGroundAltitude": "0", "Camera:Pitch": "60"}),
    ],
    ids=[
        "Parrot",
        "Skydio",
        "Skydio as attributes",
        "Skydio as a description",
        "Yuneec",
        "Pix4D",
        "Autel, from the horizon",
        "senseFly by another prefix",
        "Autel",
        "a prefix that nobody bound",
        "DJI goes first",
    ],
)
def test_each_makers_words_are_known(xmp):
    assert photo(xmp).gsd_m == pytest.approx(BY_FILM, rel=1e-6)


@pytest.mark.parametrize(
    ("xmp", "words"),
    [
        (angles(-45), "looked 45 degrees away from straight down (GimbalPitchDegree -45), and at most 10"),
        (angles(0), "looked 90 degrees away from straight down (GimbalPitchDegree 0)"),
        (angles(-79), "looked 11 degrees away"),
        (angles(90), "looked 180 degrees away"),
        ({"Camera:AboveGroundAltitude": "40", "Camera:Pitch": "66.04"}, "looked 66 degrees away"),
        (
            {"Camera:AboveGroundAltitude": "40", "Camera:Pitch": "0", "Camera:Roll": "30"},
            "looked 30 degrees away",
        ),
        (NADIR | {"GPano:ProjectionType": "equirectangular"}, "the photo is a panorama"),
        (NADIR | {"Camera:ModelType": "fisheye"}, "taken through a fisheye"),
    ],
)
def test_a_photo_without_a_single_scale_says_so(xmp, words):
    found = photo(xmp)
    assert found.gsd_m is None
    assert found.gsd_from == ""
    assert words in found.notes[0]
    assert "its scale is not known; `scale` sets one by hand" in found.notes[0]


@pytest.mark.parametrize("pitch", [-80, -85, -90, -95, -100])
def test_nearly_straight_down_counts(pitch):
    assert photo(angles(pitch)).gsd_m == pytest.approx(BY_FILM)


@pytest.mark.parametrize(
    ("xmp", "exif", "size", "words"),
    [
        ({"drone-dji:RelativeAltitude": "40"}, FILM, SIZE, "does not state where the camera looked"),
        ({"drone-dji:GimbalPitchDegree": "-90"}, FILM, SIZE, "does not state its height"),
        (angles(-90, height=-3), FILM, SIZE, "does not state its height"),
        (angles(-90, height=0), FILM, SIZE, "does not state its height"),
        (NADIR, {}, SIZE, "does not state its focal length or field of view"),
        (NADIR, {"FocalLength": "(8.8)"}, SIZE, "does not state its focal length or field of view"),
        (NADIR, {"FocalLength": "(8.8)", "FocalPlaneXResolution": "(72)"}, SIZE, "does not state its focal"),
        (
            NADIR,
            FILM | {"FocalLength": "(8.8)", "FocalPlaneXResolution": "(20000)"},
            SIZE,
            "contradicts itself (FocalLength 8.8 mm at 787.4 pixels per mm and FocalLengthIn35mmFilm 20 mm)",
        ),
        (
            NADIR,
            FILM | {"PixelXDimension": "4000", "PixelYDimension": "3000"},
            (640, 640),
            "was cut: it was taken at 4000 x 3000 pixels and has 640 x 640",
        ),
    ],
)
def test_what_is_lacking_is_said(xmp, exif, size, words):
    found = photo(xmp, exif, size)
    assert found.gsd_m is None
    assert words in found.notes[0]


@pytest.mark.parametrize("size", [(1000, 750), (750, 1000)])
def test_a_photo_made_smaller_later_has_larger_pixels(size):
    stated = {"PixelXDimension": "4000", "PixelYDimension": "3000"}
    calibrated = packet(NADIR | {"drone-dji:CalibratedFocalLength": "2222.2"})
    assert photo(calibrated, stated, size).gsd_m == pytest.approx(40 / 2222.2 * 4)
    assert photo(NADIR, FILM | stated, size).gsd_m == pytest.approx(4 * BY_FILM)


@pytest.mark.parametrize("xmp", [{}, {"drone-dji:AbsoluteAltitude": "+198.5"}, {"Camera:BandName": "Red"}])
def test_other_pictures_say_nothing(xmp):
    assert photo(xmp) is None


def test_the_aircrafts_own_angles_are_not_the_cameras():
    xmp = {"drone-dji:RelativeAltitude": "40", "drone-dji:FlightPitchDegree": "-1", "drone-dji:Pitch": "0"}
    assert "does not state where the camera looked" in photo(xmp).notes[0]


@pytest.mark.parametrize("suffix", [".jpg", ".tif", ".png"])
def test_a_file_is_read_without_its_pixels_being_read(tmp_path, suffix):
    if suffix == ".png":
        from PIL import Image
        from PIL.PngImagePlugin import PngInfo

        text = PngInfo()
        text.add_itxt("XML:com.adobe.xmp", packet(NADIR | {"drone-dji:FieldOfView": "90"}))
        path = tmp_path / "a.png"
        Image.fromarray(np.zeros((300, 400, 3), np.uint8)).save(path, pnginfo=text)
    else:
        fov = {"drone-dji:FieldOfView": "90"}
        path = write_photo(tmp_path / f"a{suffix}", lens={}, xmp=NADIR | fov)
        if suffix == ".jpg":
            path.write_bytes(path.read_bytes()[:-300])
    with open_scene(path) as scene:
        assert pixel_size_m(scene) == pytest.approx((0.2, 0.2))
        assert scene.notes[-1].startswith("0.2 m per pixel, by what the photo says of itself")
        assert not scene.georef.placed
        assert scene.georef.crs is None


def test_what_a_map_holds_is_no_photo(tmp_path):
    path = tmp_path / "ortho.tif"
    profile = {"driver": "GTiff", "width": 40, "height": 30, "count": 3, "dtype": "uint8"}
    transform = rasterio.transform.from_origin(500000, 4900000, 0.5, 0.5)
    with rasterio.open(path, "w", crs="EPSG:32632", transform=transform, **profile) as dataset:
        dataset.write(np.zeros((3, 30, 40), np.uint8))
        dataset.update_tags(ns="xml:XMP", **{"xml:XMP": packet(NADIR)})
    with open_scene(path) as scene:
        assert scene.photo is None
        assert pixel_size_m(scene) == pytest.approx((0.5, 0.5), rel=2e-3)


BOMB = (
    '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x:xmpmeta xmlns:x="adobe:ns:meta/">&b;</x:xmpmeta>'
)
DEEP = "<a>" * 40 + "</a>" * 40


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BOMB, "it has a document type, which XMP has not"),
        (DEEP, "nested more than 32 deep"),
        ("<a>" * 20_000, "nested more than 32 deep"),
        ("<x:xmpmeta><a", "it is no XML"),
        ("no angle brackets", "it is no XML"),
        ("<a b='1' b='2'/>", "it is no XML"),
        ("<a>&nothing;</a>", "it is no XML"),
        ("<a>" + " " * LARGEST_PACKET + "</a>", f"more than {LARGEST_PACKET}"),
    ],
)
def test_a_packet_that_is_no_xmp_is_refused(text, words):
    with pytest.raises(ValueError, match=words):
        read_xmp(text)


@pytest.mark.parametrize("xmp", [BOMB, packet(NADIR)[:-250], b"<x:xmpmeta>caf\xe9</x:xmpmeta>"])
def test_a_photo_with_broken_xmp_is_read_all_the_same(tmp_path, xmp):
    pixels = np.full((30, 40, 3), 90, np.uint8)
    with open_scene(write_photo(tmp_path / "a.jpg", pixels, xmp=xmp)) as scene:
        assert scene.photo.gsd_m is None
        assert "the photo's XMP, which may tell its scale, cannot be read: " in scene.notes[-1]
        assert scene.read(0, 0, 40, 30)[0].mean() == pytest.approx(90, abs=2)


def test_broken_packets_never_do_worse_than_a_value_error():
    dice, whole = random.Random(0), packet(NADIR, inside=SKYDIO + PARROT)
    for _ in range(500):
        characters = list(whole)
        for _ in range(dice.randrange(1, 12)):
            place = dice.randrange(len(characters))
            characters[place] = dice.choice(["", "<", ">", '"', "&", "/", "\0", "é", "9", "-", "e999", "}"])
        try:
            found = read_xmp("".join(characters))
        except ValueError:
            continue
        result = photo_from(FILM, found, SIZE)
        assert result is None or result.gsd_m is None or 0 < result.gsd_m < 1e6


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("+40.00", 40),
        ("(3.61)", 3.61),
        ("361/100", 3.61),
        ("12345/100 m", 123.45),
        ("-.5", -0.5),
        ("1/0", None),
        ("1e400", None),
        ("(nan)", None),
        ("40,5", None),
        ("1.2.3", None),
        ("", None),
        (None, None),
    ],
)
def test_numbers_of_exif_and_xmp(text, value):
    assert number(text) == value


def corners_seen(pitch: float, yaw: float, roll: float = 0.0, orientation: int = 1) -> np.ndarray:
    """Metres east and north of the camera for top left, top right, bottom left of a 4000 x 3000 photo."""
    exif = FILM | {"GPSLatitude": "(48) (30) (0)", "GPSLatitudeRef": "N"}
    exif |= {"GPSLongitude": "(11) (15) (36)", "GPSLongitudeRef": "E"}
    found = photo(angles(pitch, yaw, roll), exif, turn=Turn(orientation))
    width, height = SIZE if orientation < 5 else SIZE[::-1]
    georef = found.footprint(width, height)
    assert georef.gsd_m(width, height) == pytest.approx(BY_FILM, rel=1e-4)
    middle = georef.to_lonlat(np.array([[width / 2, height / 2]]))[0]
    assert abs(middle - LONLAT).max() < 2e-4
    return georef.to_map(np.array([[0, 0], [width, 0], [0, height]], float))


HALF = np.array([2000, 1500]) * BY_FILM


@pytest.mark.parametrize(
    ("yaw", "roll", "corners"),
    [
        (0, 0, [(-1, 1), (1, 1), (-1, -1)]),
        (180, 0, [(1, -1), (-1, -1), (1, 1)]),
        (0, 180, [(1, -1), (-1, -1), (1, 1)]),
    ],
)
def test_the_top_of_a_photo_points_where_the_camera_headed(yaw, roll, corners):
    np.testing.assert_allclose(corners_seen(-90, yaw, roll), np.array(corners) * HALF, atol=1e-6)


def test_a_photo_headed_east_has_its_top_in_the_east():
    expected = np.array([(1, 1), (1, -1), (-1, 1)]) * HALF[::-1]
    np.testing.assert_allclose(corners_seen(-90, 90), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("orientation", "corners"),
    [
        (1, [(-1, 1), (1, 1), (-1, -1)]),
        (2, [(1, 1), (-1, 1), (1, -1)]),
        (3, [(1, -1), (-1, -1), (1, 1)]),
        (4, [(-1, -1), (1, -1), (-1, 1)]),
        (5, [(-1, 1), (-1, -1), (1, 1)]),
        (6, [(-1, -1), (-1, 1), (1, -1)]),
        (7, [(1, -1), (1, 1), (-1, -1)]),
        (8, [(1, 1), (1, -1), (-1, 1)]),
    ],
)
def test_a_turned_photo_covers_the_same_ground(orientation, corners):
    """Corners as a viewer shows them: of 6, stored row 0 is on the right and stored column 0 at the top."""
    found = corners_seen(-90, 0, orientation=orientation)
    np.testing.assert_allclose(found, np.array(corners) * HALF, atol=1e-6)


def test_what_a_photo_shows_lies_where_it_lies_however_it_is_stored(tmp_path):
    pixels = np.zeros((300, 400, 3), np.uint8)
    pixels[40:48, 320:328] = 255  # 120 right of the middle, 106 above it; the camera heads north
    gsd = 40 * 36 / 20 / 400
    for orientation in range(1, 9):
        path = write_photo(tmp_path / f"{orientation}.jpg", pixels, xmp=NADIR, orientation=orientation)
        with open_scene(path) as scene:
            seen, _ = scene.read(0, 0, scene.width, scene.height)
            georef = scene.photo.footprint(scene.width, scene.height)
        assert seen.shape[:2] == ((300, 400) if orientation < 5 else (400, 300))
        rows, columns = np.nonzero(seen[..., 0] > 128)
        place = georef.to_map(np.array([[columns.mean() + 0.5, rows.mean() + 0.5]]))[0]
        np.testing.assert_allclose(place, [124 * gsd, 106 * gsd], atol=0.5 * gsd)


def test_a_slight_tilt_moves_the_footprint_ahead():
    level, ahead = corners_seen(-90, 30), corners_seen(-85, 30)
    moved = (
        40 * math.tan(math.radians(5)) * np.array([math.sin(math.radians(30)), math.cos(math.radians(30))])
    )
    np.testing.assert_allclose(ahead - level, np.tile(moved, (3, 1)), atol=1e-6)


def test_a_photo_with_nadir_angles_of_pix4d_heads_likewise():
    xmp = {"Camera:AboveGroundAltitude": "40", "Camera:Pitch": "5", "Camera:Yaw": "30", "Camera:Roll": "0"}
    exif = FILM | {"GPSLatitude": "(48) (30)", "GPSLatitudeRef": "N"}
    exif |= {"GPSLongitude": "(11.26)", "GPSLongitudeRef": "E"}
    found = photo(xmp, exif).footprint(*SIZE)
    np.testing.assert_allclose(
        found.to_map(np.array([[0, 0], [4000, 0], [0, 3000]], float)), corners_seen(-85, 30), atol=1e-6
    )


@pytest.mark.parametrize(
    ("exif", "xmp", "lonlat"),
    [
        (
            {
                "GPSLatitude": "(46) (50) (33.9859)",
                "GPSLatitudeRef": "S",
                "GPSLongitude": "(91) (59) (37.7734)",
                "GPSLongitudeRef": "W",
            },
            {},
            (-91.993825944, -46.842773861),
        ),
        ({}, {"drone-dji:GpsLatitude": "+46.5", "drone-dji:GpsLongtitude": "-91.25"}, (-91.25, 46.5)),
        ({}, {"drone-skydio:Latitude": "46.5", "drone-skydio:Longitude": "-91.25"}, (-91.25, 46.5)),
        ({}, {"exif:GPSLatitude": "46,30.0N", "exif:GPSLongitude": "91,15,0W"}, (-91.25, 46.5)),
        ({}, {"drone-dji:GpsLatitude": "0.0", "drone-dji:GpsLongitude": "0.0"}, None),
        ({}, {"drone-dji:GpsLatitude": "95", "drone-dji:GpsLongitude": "8"}, None),
        ({"GPSLatitude": "(46) (x) (3)", "GPSLatitudeRef": "N"}, {}, None),
    ],
)
def test_where_the_camera_was(exif, xmp, lonlat):
    text = packet(NADIR | xmp, exif="http://ns.adobe.com/exif/1.0/")
    assert photo(text, FILM | exif).lonlat == (None if lonlat is None else pytest.approx(lonlat, abs=1e-8))


@pytest.mark.parametrize(
    ("xmp", "exif", "words"),
    [
        (angles(-45), FILM, "needs the scale of the photo, which is not known"),
        (NADIR, FILM, "needs the GPS position of the photo"),
        (
            {"drone-dji:RelativeAltitude": "40", "drone-dji:GimbalPitchDegree": "-90"}
            | {"drone-dji:GpsLatitude": "1", "drone-dji:GpsLongitude": "1"},
            FILM,
            "needs the heading of the photo",
        ),
    ],
)
def test_a_footprint_needs_place_height_and_heading(xmp, exif, words):
    with pytest.raises(GeoRefError, match=words):
        photo(xmp, exif).footprint(*SIZE)


@pytest.mark.shared
def test_a_real_photo_of_a_drone(shared: Path):
    with open_scene(shared / "data" / "scenes" / "drone_photo_exif_xmp.jpg") as scene:
        found = scene.photo
        assert found.gsd_m == pytest.approx(0.018)
        assert found.gsd_from == (
            "RelativeAltitude 40 m, GimbalPitchDegree -89.9, FocalLengthIn35mmFilm 20 mm"
        )
        georef = found.footprint(scene.width, scene.height)
    middle = georef.to_lonlat(np.array([[2000.0, 1125.0]]))[0]
    np.testing.assert_allclose(middle, [-91.993826, 46.842774], atol=2e-6)
    top = georef.to_map(np.array([[2000.0, 0.0]])) - georef.to_map(np.array([[2000.0, 1125.0]]))
    assert math.degrees(math.atan2(*top[0])) == pytest.approx(-132, abs=1e-6)
