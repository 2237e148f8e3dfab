"""Pictures, in PaddleX's words: `POST /small-object-detection`."""

from __future__ import annotations

import asyncio
import base64
import io
import logging
import re
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import numpy as np
import orjson
from fastapi import APIRouter, Request
from pydantic import BaseModel, BeforeValidator, Field
from pydantic_core import PydanticCustomError
from starlette.responses import Response

from sodslice.errors import FetchError, OptionError, SceneError, SodsliceError
from sodslice.integrations.paddlex.drawing import picture_of
from sodslice.results.result import BOX_DECIMALS, SCORE_DECIMALS
from sodslice.scene import SceneBase
from sodslice.scene.fetching import is_address
from sodslice.service.addresses import fetch
from sodslice.service.documented import errors
from sodslice.service.envelope import FAILED, FieldRefusal, Refusal
from sodslice.service.looker import Looker
from sodslice.service.metrics import Metrics
from sodslice.service.settings import CLIENT_GONE, ServiceSettings
from sodslice.tables.detections import Detections

log = logging.getLogger(__name__)

DATA_URI = re.compile(r"data:image/[\w.+-]{1,100};base64,", re.IGNORECASE)
REST = "=="
"""Makes up for padding that was left out; more than there must be does no harm."""

ADVICE = re.compile(r"; (?!of what).*| \(this error .*|: '[^']*' not recognized [^;]*", re.DOTALL)
"""What those who have the file and the settings should do, and words for those who know GDAL."""

MOST_CLASSES = 10_000
"""Of a threshold by class."""

NO_SCORE = 0.5
"""Lowest score of classes that a threshold by class does not name."""

FETCHED_AT_ONCE = 16
"""Pictures from the web; they wait for other servers, and nobody shall wait for them."""

LONGEST_SIDE = 65500
"""Of a JPEG."""

EXAMPLE = base64.b64encode(b"the bytes of a JPEG").decode()


def _few(given: Any) -> Any:
    """Refuse a mapping that is longer than any list of classes, before each of its keys is complained of."""
    if isinstance(given, dict) and len(given) > MOST_CLASSES:
        raise PydanticCustomError("too_long", f"at most {MOST_CLASSES} classes can be named")
    return given


Score = Annotated[float, Field(allow_inf_nan=False)]


class PictureRequest(BaseModel):
    """What is asked about a picture, in PaddleX's fields; others are left alone."""

    image: Annotated[
        str, Field(description="The picture in base64, or its http or https address.", examples=[EXAMPLE])
    ]
    threshold: Annotated[
        Score | dict[int, Score] | None,
        BeforeValidator(_few),
        Field(
            description=f"Lowest score that is kept; or one for each class id, where others have {NO_SCORE}.",
            examples=[0.5],
        ),
    ] = None
    visualize: Annotated[
        bool | None, Field(description="Whether the answer has the picture with its boxes.", examples=[False])
    ] = None


class FoundObject(BaseModel):
    """An object; `bbox` is x0, y0, x1, y1, pixel edges of the picture."""

    bbox: list[float]
    categoryId: int  # noqa: N815 -- PaddleX's words
    categoryName: str  # noqa: N815
    score: float


class PictureResult(BaseModel):
    """What was found; `image` is a JPEG in base64, unless none was asked for."""

    detectedObjects: list[FoundObject]  # noqa: N815
    image: str | None = None


class PictureAnswer(BaseModel):
    """PaddleX's envelope around a result."""

    logId: str  # noqa: N815
    result: PictureResult
    errorCode: int = 0  # noqa: N815
    errorMsg: str = "Success"  # noqa: N815


class Pictures:
    """A model that is ready, and those who bring it pictures.

    Args:
        settings: of the service; the model is loaded here.
        metrics: that count.
        visualize: whether an answer has a picture where a request does not say.

    Raises:
        ModelError: the model is not here, or cannot be run.
        DeviceError: the device is not there.
    """

    def __init__(self, settings: ServiceSettings, metrics: Metrics, *, visualize: bool = True) -> None:
        self._settings, self._metrics, self._visualize = settings, metrics, visualize
        self._looker = Looker(settings.options)
        self._hands = ThreadPoolExecutor(self._looker.at_once, thread_name_prefix="picture")
        self._free = asyncio.Semaphore(self._looker.at_once)
        self._present = 0
        self._fetching = ThreadPoolExecutor(FETCHED_AT_ONCE, thread_name_prefix="fetching")

    async def answer(self, asked: PictureRequest, request: Request) -> Response:
        """The answer to a request, unless its client has gone before its turn came.

        Raises:
            Refusal: the picture or the threshold is refused.
        """
        loop, fetched = asyncio.get_running_loop(), None
        if is_address(asked.image):
            fetched = await loop.run_in_executor(self._fetching, self._fetched, asked.image)
        self._present += 1
        try:
            async with self._free:
                if await request.is_disconnected():
                    raise Refusal(CLIENT_GONE, "the client has gone")
                content = await loop.run_in_executor(self._hands, self._answer, asked, fetched)
        finally:
            self._present -= 1
        return Response(content, media_type="application/json")

    def close(self) -> None:
        """Give back the model."""
        self._fetching.shutdown(wait=False, cancel_futures=True)
        self._hands.shutdown(wait=True)
        self._looker.close()

    def _answer(self, asked: PictureRequest, fetched: bytes | None) -> bytes:
        try:
            result = self._result(asked, _content(asked.image) if fetched is None else fetched)
        except (SceneError, OptionError) as error:
            raise FieldRefusal("image", _without_advice(str(error))) from None
        except (SodsliceError, MemoryError) as error:
            log.error("a picture could not be looked at: %s", error)  # noqa: TRY400 -- one line says it
            raise Refusal(500, FAILED) from None
        return orjson.dumps({"logId": str(uuid4()), "result": result, "errorCode": 0, "errorMsg": "Success"})

    def _result(self, asked: PictureRequest, content: bytes) -> dict[str, Any]:
        looker = self._looker
        with closing(looker.opened(content, self._check_size)) as scene:
            thresholds = self._thresholds(asked.threshold)
            found = looker.found_in(scene, thresholds, alone=self._present <= 1)
            objects = _as_objects(found, looker.class_names)
            self._metrics.objects.inc(len(objects))
            draw = self._visualize if asked.visualize is None else asked.visualize
            return {"detectedObjects": objects} | ({"image": _as_jpeg(scene, objects)} if draw else {})

    def _thresholds(self, asked: float | dict[int, float] | None) -> tuple[float, ...]:
        """The lowest score of each class; numbers beyond 0 and 1 keep everything or nothing."""
        if asked is None:
            return self._looker.thresholds
        classes = range(len(self._looker.class_names))
        scores = (
            [asked.get(one, NO_SCORE) for one in classes]
            if isinstance(asked, dict)
            else [asked] * len(classes)
        )
        return tuple(min(max(score, -1.0), 2.0) for score in scores)

    def _fetched(self, address: str) -> bytes:
        """The bytes of a picture from the web.

        Raises:
            Refusal: it cannot be fetched, or may not.
        """
        try:
            with tempfile.TemporaryDirectory(prefix="sodslice-") as folder:
                path = Path(folder) / "picture"
                fetch(address, path, hosts=self._settings.hosts, most_bytes=self._settings.most_body)
                return path.read_bytes()
        except FetchError as error:
            raise FieldRefusal("image", " ".join(str(error).split())) from None
        except SceneError as error:
            raise FieldRefusal("image", _without_advice(str(error))) from None

    def _check_size(self, width: int, height: int) -> None:
        """Refuse a picture of too many pixels before they are decoded.

        Raises:
            Refusal: it is.
        """
        if width * height > self._settings.most_pixels:
            raise Refusal(
                413,
                f"a picture may have {self._settings.most_pixels / 1e6:.4g} megapixels, "
                f"got {width} x {height}; large scenes are for POST /jobs",
            )


def picture_routes(pictures: Pictures) -> APIRouter:
    """PaddleX's route."""
    router = APIRouter(tags=["pictures"])

    @router.post(
        "/small-object-detection",
        operation_id="infer",
        summary="Find the objects in a picture",
        response_model=PictureAnswer,
        responses=errors(400, 429),
    )
    async def infer(asked: PictureRequest, request: Request) -> Response:
        return await pictures.answer(asked, request)

    return router


def _content(image: str) -> bytes:
    """The bytes of a picture in base64, of which what PaddleX passes over is passed over, too.

    Raises:
        Refusal: there are none.
    """
    start = DATA_URI.match(image)
    try:
        content = base64.b64decode(image[start.end() if start else 0 :] + REST)
    except ValueError:
        content = b""
    if not content:
        raise FieldRefusal("image", "must be a picture in base64, or an http or https address of one")
    return content


def _as_objects(found: Detections, names: Sequence[str]) -> list[dict[str, Any]]:
    """Objects by class, the surest of each class first: the order of PaddleX."""
    found = found[np.lexsort((-found.scores, found.labels))]
    boxes, scores = np.round(found.boxes, BOX_DECIMALS), np.round(found.scores.astype(float), SCORE_DECIMALS)
    return [
        {"bbox": edges, "categoryId": label, "categoryName": names[label], "score": score}
        for edges, label, score in zip(boxes.tolist(), found.labels.tolist(), scores.tolist(), strict=True)
    ]


def _as_jpeg(scene: SceneBase, objects: Sequence[dict[str, Any]]) -> str:
    """The picture with its boxes, in base64."""
    boxes = [
        {
            "cls_id": one["categoryId"],
            "label": one["categoryName"],
            "score": one["score"],
            "coordinate": one["bbox"],
        }
        for one in objects
    ]
    picture, file = picture_of(scene, boxes), io.BytesIO()
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    picture.save(file, "JPEG")
    return base64.b64encode(file.getbuffer()).decode()


def _without_advice(words: str) -> str:
    """What is wrong with a picture, in one line."""
    return " ".join(ADVICE.sub("", words).split())
