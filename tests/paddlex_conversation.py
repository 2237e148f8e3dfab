"""What PaddleX's own server was asked and answered, and how it is asked again.

`paddlex_conversation.json` beside this holds requests, and what a server of PaddleX said to them. With such a
server at hand, `python -m tests.paddlex_conversation http://127.0.0.1:8080` asks it all of that again and
writes the file anew. It served vehicle-t as `sodslice export vehicle-t --nms --input-size 640` makes it, on
the CPU, with `engine_config: {run_mode: paddle}` in its YAML, since oneDNN fails there.

In requests `$park.png` stands for a picture in base64 that is drawn here.
"""

from __future__ import annotations

import base64
import functools
import http.client
import io
import json
import re
import struct
import sys
import uuid
import zlib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

FILE = Path(__file__).with_suffix(".json")
ROUTE = "/small-object-detection"
SIDE = 640
VEHICLES = ((80, 120), (170, 122), (330, 300), (384, 470), (520, 90), (560, 520))
"""Left and top of each, in pixels."""
COLOURS = ((200, 30, 30), (235, 235, 235), (40, 60, 150), (170, 175, 180), (60, 110, 70), (25, 25, 28))
MOST_TOLD = 8
"""Objects of an answer that the file holds."""


def asphalt(width: int, height: int) -> np.ndarray:
    """Grey with some grain `(height, width, 3)`, in whole numbers: the same anywhere."""
    place = np.arange(width * height, dtype=np.uint64).reshape(height, width, 1)
    grain = (place * np.uint64(2654435761) >> np.uint64(7)) % np.uint64(11)
    return (np.array([96, 97, 92]) + grain.astype(np.int64) - 5).astype(np.uint8)


def park(width: int = SIDE, height: int = SIDE) -> np.ndarray:
    """Some vehicles seen from above, `(height, width, 3)`."""
    pixels = asphalt(width, height)
    for (x, y), colour in zip(VEHICLES, COLOURS, strict=True):
        pixels[y + 3 : y + 45, x + 3 : x + 21] = 55
        pixels[y : y + 42, x : x + 18] = colour
        pixels[y + 10 : y + 15, x + 2 : x + 16] = pixels[y + 33 : y + 37, x + 2 : x + 16] = (30, 34, 40)
        pixels[y + 15 : y + 33, x + 3 : x + 15] = np.minimum(np.array(colour) + 18, 255)
    return pixels


def saved(picture: Image.Image, form: str, **how: Any) -> bytes:
    """A picture as a file."""
    file = io.BytesIO()
    picture.save(file, form, **how)
    return file.getvalue()


def png(width: int, height: int, bits: int, colours: int, rows: bytes) -> bytes:
    """A PNG written by hand, whatever its header says of its rows."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    head = struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, 0)
    packed = zlib.compress(rows, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def png_of_16_bits(pixels: np.ndarray) -> bytes:
    """The same picture in levels of 16 bits."""
    height, width, _ = pixels.shape
    rows = (pixels.astype(">u2") * 257).reshape(height, -1).view(np.uint8)
    filtered = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1)
    return png(width, height, 16, 2, filtered.tobytes())


@functools.cache
def drawn(name: str) -> bytes:
    """The file of a name."""
    rgb = Image.fromarray(park())
    turned = Image.Exif()
    turned[0x0112] = 6
    clear = np.full((SIDE, SIDE, 1), 255, np.uint8)
    clear[:, SIDE // 2 :] = 0
    whole_jpeg = saved(rgb, "JPEG", quality=95, subsampling=0)
    whole_png = saved(rgb, "PNG")
    files = {
        "park.png": lambda: whole_png,
        "park.jpg": lambda: whole_jpeg,
        "halved.jpg": lambda: saved(rgb, "JPEG", quality=95, subsampling=2),
        "progressive.jpg": lambda: saved(rgb, "JPEG", quality=95, subsampling=0, progressive=True),
        "turned.jpg": lambda: saved(rgb, "JPEG", quality=95, subsampling=0, exif=turned),
        "turned.png": lambda: saved(rgb, "PNG", exif=turned),
        "turned.webp": lambda: saved(rgb, "WEBP", lossless=True, exif=turned),
        "grey.png": lambda: saved(rgb.convert("L"), "PNG"),
        "grey.jpg": lambda: saved(rgb.convert("L"), "JPEG", quality=95),
        "palette.png": lambda: saved(rgb.quantize(64, dither=Image.Dither.NONE), "PNG"),
        "park.bmp": lambda: saved(rgb, "BMP"),
        "park.webp": lambda: saved(rgb, "WEBP", lossless=True),
        "park.ppm": lambda: saved(rgb, "PPM"),
        "park.tif": lambda: saved(rgb, "TIFF"),
        "pages.tif": lambda: saved(rgb, "TIFF", save_all=True, append_images=[rgb.rotate(90)]),
        "park.gif": lambda: saved(rgb.quantize(64, dither=Image.Dither.NONE), "GIF"),
        "float.tif": lambda: saved(Image.fromarray(park()[..., 1].astype(np.float32) / 255), "TIFF"),
        "clear.png": lambda: saved(Image.fromarray(np.concatenate([park(), clear], axis=2)), "PNG"),
        "deep.png": lambda: png_of_16_bits(park()),
        "dark.png": lambda: saved(Image.fromarray(park()[..., 1].astype(np.uint16) * 4), "PNG"),
        "cmyk.jpg": lambda: saved(rgb.convert("CMYK"), "JPEG", quality=95),
        "flat.png": lambda: saved(Image.fromarray(asphalt(SIDE, SIDE)), "PNG"),
        "wide.png": lambda: saved(Image.fromarray(park(1920, 700)), "PNG"),
        "dot.png": lambda: saved(Image.new("RGB", (1, 1), (120, 130, 140)), "PNG"),
        "cut.jpg": lambda: whole_jpeg[: len(whole_jpeg) // 2],
        "cut.png": lambda: whole_png[: len(whole_png) // 2],
        "head.jpg": lambda: whole_jpeg[:200],
        "changed.png": lambda: whole_png[:-20] + bytes([whole_png[-20] ^ 255]) + whole_png[-19:],
        "text": lambda: b"this is no image\n",
        "page.pdf": lambda: b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n",
        "drawing.svg": lambda: b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>',
        "huge.png": lambda: png(100_000, 100_000, 8, 2, b"\0"),
        "bomb.png": lambda: png(13_400, 13_400, 1, 0, bytes((13_400 + 7) // 8 + 1) * 13_400),
    }
    return files[name]()


def letters(name: str) -> str:
    """A file in base64."""
    return base64.b64encode(drawn(name)).decode()


def body_of(request: dict[str, Any]) -> bytes | None:
    """The bytes of the body of a request."""
    if "hex" in request:
        return bytes.fromhex(request["hex"])
    if "file" in request:
        return drawn(request["file"])
    text = request.get("text")
    if text is None:
        if "json" not in request:
            return None
        text = json.dumps(request["json"])
    return re.sub(r"\$([a-z]+\.[a-z]+|text)", lambda found: _spelt(found[1], request), text).encode()


def _spelt(name: str, request: dict[str, Any]) -> str:
    """A picture in base64, as a request wants it spelt."""
    text = letters(name)
    spelling = request.get("spelling")
    if spelling == "lines":
        return "\\n".join(text[at : at + 76] for at in range(0, len(text), 76))
    if spelling == "url":
        return text.replace("+", "-").replace("/", "_")
    if spelling == "bare":
        return text.rstrip("=")
    if spelling == "php":
        return text.replace("/", "\\/")
    return text


def headers_of(request: dict[str, Any]) -> list[tuple[str, str]]:
    """Names and values; JSON is the type where a request says nothing."""
    given = request.get("headers", {"Content-Type": "application/json"})
    many = ((name, value if isinstance(value, list) else [value]) for name, value in given.items())
    return [(name, one) for name, values in many for one in values]


def told(status: int, kind: str, content: bytes) -> dict[str, Any]:
    """An answer as the file has it."""
    answer: dict[str, Any] = {"status": status, "type": kind}
    if not content:
        return answer | {"empty": True}
    found = json.loads(content)
    compact = json.dumps(found, separators=(",", ":"), ensure_ascii=False)
    answer["compact"] = compact.encode("utf-8", "surrogatepass") == content
    answer["fields"] = list(found)
    if is_uuid(found["logId"]):
        found["logId"] = "fresh"
    answer |= {name: found[name] for name in ("logId", "errorCode", "errorMsg")}
    if "result" in found:
        answer["result"] = list(found["result"])
        answer["found"] = len(found["result"]["detectedObjects"])
        answer["objects"] = found["result"]["detectedObjects"][:MOST_TOLD]
        if "image" in found["result"]:
            with Image.open(io.BytesIO(base64.b64decode(found["result"]["image"], validate=True))) as picture:
                answer["picture"] = [picture.format, picture.mode, *picture.size]
    return answer


def usual(status: int, *, drawn: bool) -> dict[str, Any]:
    """What most answers of a status have, which the file leaves out.

    Args:
        status: of the answer.
        drawn: whether there is a picture in it.
    """
    good = status == 200
    answer = {"type": "application/json", "compact": True, "logId": "fresh"}
    answer["errorCode"] = 0 if good else status
    if good:
        fields = ["logId", "result", "errorCode", "errorMsg"]
        result = ["detectedObjects", *(["image"] if drawn else [])]
        return {**answer, "fields": fields, "result": result, "errorMsg": "Success"}
    return {**answer, "fields": ["logId", "errorCode", "errorMsg"]}


def is_uuid(text: str) -> bool:
    """Whether a log id is one that the server made."""
    try:
        return str(uuid.UUID(text)) == text and uuid.UUID(text).version == 4
    except ValueError:
        return False


def conversation() -> dict[str, Any]:
    """All of the file, the objects of each answer in it."""
    content = json.loads(FILE.read_text(encoding="utf-8"))
    for case in content["cases"]:
        short = case["answer"]
        if "empty" not in short:
            case["answer"] = usual(short["status"], drawn="picture" in short) | short
        if "objects" in short:
            case["answer"]["objects"] = content["objects"][short["objects"]]
        else:
            case["answer"].pop("result", None)
    return content


def main() -> None:
    """Ask a server of PaddleX all of it, and write the file anew."""
    content = json.loads(FILE.read_text(encoding="utf-8"))
    at = urlsplit(sys.argv[1])
    objects: list[Any] = []
    for case in content["cases"]:
        request, connection = case["request"], http.client.HTTPConnection(at.hostname, at.port, timeout=120)
        method, path = request.get("method", "POST"), request.get("path", ROUTE)
        connection.putrequest(method, path, skip_host="Host" in request.get("headers", {}))
        body = body_of(request)
        for name, value in headers_of(request):
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        case["answer"] = told(answer.status, answer.headers.get("Content-Type", ""), answer.read())
        found = case["answer"].get("objects")
        if found is not None:
            if found not in objects:
                objects.append(found)
            case["answer"]["objects"] = objects.index(found)
        left_out = usual(answer.status, drawn="picture" in case["answer"])
        left_out = {} if "empty" in case["answer"] else left_out
        case["answer"] = {name: what for name, what in case["answer"].items() if left_out.get(name) != what}
    lines = ",\n".join(json.dumps(case) for case in content.pop("cases"))
    content["objects"] = objects
    head = json.dumps(content)[:-1]
    FILE.write_text(f'{head}, "cases": [\n{lines}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
