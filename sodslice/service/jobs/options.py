"""Settings that a job may have: those of a run that name no file, no machine and no model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from sodslice.errors import OptionError, did_you_mean
from sodslice.settings import Options, all_settings, options_schema

NOT_FOR_JOBS = (
    "model", "device", "engine", "precision", "batch", "threads", "readers", "workers", "allow_vrt", "fresh",
    "keep_raw", "geometry", "output_crs", "pixel_coords", "qml",
)  # fmt: skip
"""The model and the machine are the operator's; how results are written is asked for with each result."""

CODE = re.compile(r"[A-Za-z_]{2,20}:[0-9]{1,10}")
POLYGON = re.compile(
    r"\s*(SRID\s*=\s*[0-9]{1,10}\s*;\s*)?(MULTI)?POLYGON(\s+(Z|M|ZM))?\s*\(", re.IGNORECASE | re.ASCII
)
"""All of this is WKT to those who read areas; what is none to them they take for the name of a file."""

MOST_SHOWN = 60
LONGEST_ERROR = 500
MOST_BYTES = 16384
MOST_WKT = 100_000


def job_options(base: Options, given: Mapping[str, Any]) -> Options:
    """The options of a job.

    Args:
        base: of the service.
        given: of the job, which go before them.

    Raises:
        OptionError: one is unknown, out of range, or not for jobs.
    """
    known = [name for name in all_settings() if name not in NOT_FOR_JOBS]
    for name in given:
        if name not in known:
            hint = did_you_mean(str(name)[:MOST_SHOWN], known)
            raise OptionError(f"{_shown(name)} is no option of a job{hint}; known are {', '.join(known)}")
    _check_plain(given)
    crs, aoi = given.get("crs"), given.get("aoi")
    if crs is not None and not CODE.fullmatch(str(crs)):
        raise OptionError(f"`crs` of a job must be a code such as EPSG:32633, got {_shown(crs)}")
    if aoi is not None and not POLYGON.match(str(aoi)):
        raise OptionError(f"`aoi` of a job must be a POLYGON in WKT, got {_shown(aoi)}")
    try:
        return base.replace(dict(given))
    except OptionError as error:
        if len(str(error)) <= LONGEST_ERROR:
            raise
        raise OptionError(f"{str(error)[:LONGEST_ERROR]} ...") from None


def job_schema() -> dict[str, Any]:
    """The JSON Schema of these options."""
    whole = options_schema()
    kept = {name: value for name, value in whole["properties"].items() if name not in NOT_FOR_JOBS}
    aoi = "Area of interest: a POLYGON or MULTIPOLYGON in WKT. An object counts by its centre."
    crs = "The CRS of the scene, in place of what its file says: a code such as EPSG:32633."
    kept["aoi"] = _text(aoi, "POLYGON ((7.1 51.2, 7.2 51.2, 7.2 51.3, 7.1 51.2))", maxLength=MOST_WKT)
    kept["crs"] = _text(crs, "EPSG:32633", pattern=f"^{CODE.pattern}$")
    return {"type": "object", "properties": kept, "additionalProperties": False}


def _text(description: str, example: str, **more: Any) -> dict[str, Any]:
    text = {"type": "string", "examples": [example], **more}
    return {"anyOf": [text, {"type": "null"}], "description": description, "default": None}


def _check_plain(given: Mapping[str, Any]) -> None:
    """Refuse what would not come out of the list of jobs as it went in, or is more than settings need.

    Raises:
        OptionError: so it is with numbers that are not finite or have above 64 bits, and with broken letters.
    """
    rest = {name: value for name, value in given.items() if name != "aoi"}
    try:
        plain = orjson.loads(orjson.dumps(dict(given))) == given
        short = plain and len(orjson.dumps(rest)) <= MOST_BYTES and len(str(given.get("aoi"))) <= MOST_WKT
    except (TypeError, ValueError):
        plain = short = False
    if not plain:
        raise OptionError("options of a job must be plain JSON: finite numbers, whole ones of 64 bits, UTF-8")
    if not short:
        raise OptionError(
            f"options of a job may have {MOST_BYTES} bytes, and `aoi` {MOST_WKT} letters; take fewer points"
        )


def _shown(given: Any) -> str:
    return repr(str(given)[:MOST_SHOWN])
