"""Photos with the EXIF and XMP of drones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

NAMESPACES = {
    "drone-dji": "http://www.dji.com/drone-dji/1.0/",
    "drone-parrot": "http://www.parrot.com/drone-parrot/1.0/",
    "drone-skydio": "https://www.skydio.com/drone-skydio/1.0/",
    "drone-yuneec": "http://www.yuneec.com/drone-yuneec/1.0/",
    "Camera": "http://pix4d.com/camera/1.0/",
    "GPano": "http://ns.google.com/photos/1.0/panorama/",
}
LENS = {
    "FocalLength": 37386,
    "PixelXDimension": 40962,
    "PixelYDimension": 40963,
    "FocalPlaneXResolution": 41486,
    "FocalPlaneResolutionUnit": 41488,
    "DigitalZoomRatio": 41988,
    "FocalLengthIn35mmFilm": 41989,
}
ORIENTATION, XMP_TAG = 0x0112, 700
LENS_IFD, GPS_IFD = 0x8769, 0x8825
NADIR = {
    "drone-dji:RelativeAltitude": "+40.00",
    "drone-dji:GimbalPitchDegree": "-90.00",
    "drone-dji:GimbalYawDegree": "+0.00",
    "drone-dji:GimbalRollDegree": "+0.00",
}
PLACE = (((48, 30, 0), "N"), ((11, 15, 36), "E"))
"""Latitude and longitude in degrees, minutes, seconds."""
LONLAT = (11.26, 48.5)


def packet(properties: Mapping[str, str], *, inside: str = "", **namespaces: str) -> str:
    """An XMP packet with properties as attributes, and whatever XML inside of its description."""
    declared = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in {**NAMESPACES, **namespaces}.items())
    attributes = " ".join(f'{name}="{value}"' for name, value in properties.items())
    return (
        '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" {declared} {attributes}>{inside}</rdf:Description>'
        f"</rdf:RDF></x:xmpmeta>{' ' * 200}<?xpacket end='w'?>"
    )


def write_photo(
    path: Path,
    pixels: np.ndarray | None = None,
    *,
    lens: Mapping[str, float] | None = None,
    xmp: Mapping[str, str] | str | bytes | None = None,
    place: object = PLACE,
    orientation: int | None = None,
) -> Path:
    """A photo of 400 x 300 pixels, or of some pixels `(H, W, 3)`.

    Args:
        path: the suffix chooses the format.
        pixels: uint8.
        lens: EXIF of the lens, by name; a lens of 20 mm (as on film) without.
        xmp: properties, or a packet.
        place: latitude and longitude for EXIF; None for none.
        orientation: EXIF's.
    """
    exif = Image.Exif()
    for name, value in ({"FocalLengthIn35mmFilm": 20} if lens is None else lens).items():
        exif.get_ifd(LENS_IFD)[LENS[name]] = value
    if place is not None:
        (lat, north), (lon, east) = place
        exif.get_ifd(GPS_IFD).update({1: north, 2: lat, 3: east, 4: lon})
    if orientation is not None:
        exif[ORIENTATION] = orientation
    text = packet(xmp or {}) if not isinstance(xmp, (str, bytes)) else xmp
    image = Image.fromarray(np.zeros((300, 400, 3), np.uint8) if pixels is None else pixels)
    content = text if isinstance(text, bytes) else text.encode()
    if path.suffix == ".tif":
        exif[XMP_TAG] = content
        image.save(path, exif=exif)
    else:
        image.save(path, exif=exif, xmp=content, quality=95)
    return path
