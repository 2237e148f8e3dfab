"""Changes of a picture's look that leave its objects where they are."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from sodslice.system.opencv import opencv
from sodslice.training.pictures import Pixels

LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of red, green and blue in brightness (ITU-R BT.601)."""

_TO_YIQ = np.array([LUMA, (0.596, -0.274, -0.322), (0.211, -0.523, 0.312)])


def recolour(pixels: Pixels, rng: np.random.Generator, strength: float) -> Pixels:
    """Another camera and another hour: gamma, contrast, gain by channel, hue, saturation, sometimes grey.

    Args:
        pixels: `(H, W, 3)` uint8 RGB.
        rng: the dice.
        strength: 0 changes nothing, 1 as much as real cameras differ.
    """
    if strength == 0:
        return pixels
    cv2 = opencv()
    grey = np.arange(256) / 255
    gamma = math.exp(strength * rng.uniform(-0.45, 0.45))
    contrast = math.exp(strength * rng.uniform(-0.35, 0.35))
    gains = np.exp(strength * (rng.uniform(-0.25, 0.25) + rng.uniform(-0.08, 0.08, 3)))
    middle = float(pixels[::8, ::8].mean()) / 255
    curve = ((grey**gamma - middle**gamma) * contrast + middle**gamma)[:, None] * gains
    table = np.clip(curve * 255 + 0.5, 0, 255).astype(np.uint8)
    changed: Pixels = cv2.LUT(pixels, table[None])
    if rng.random() < 0.7 * min(strength, 1):
        angle = strength * rng.uniform(-0.25, 0.25)
        saturation = 0.0 if rng.random() < 0.12 else math.exp(strength * rng.uniform(-0.6, 0.35))
        changed = cv2.transform(changed, _hue_matrix(angle, saturation))
    return changed


def _hue_matrix(angle: float, saturation: float) -> npt.NDArray[np.float64]:
    """`(3, 3)` map of RGB that turns and scales the colour plane of YIQ."""
    cosine, sine = saturation * math.cos(angle), saturation * math.sin(angle)
    turn = np.array([(1, 0, 0), (0, cosine, -sine), (0, sine, cosine)])
    return np.asarray(np.linalg.inv(_TO_YIQ) @ turn @ _TO_YIQ)


def refocus(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Another lens: blur, motion, sharpening, or fewer pixels enlarged again."""
    cv2 = opencv()
    height, width = pixels.shape[:2]
    kind = rng.integers(4)
    if kind == 0:
        return np.asarray(cv2.GaussianBlur(pixels, (0, 0), rng.uniform(0.4, 1.3)))
    if kind == 1:
        return np.asarray(cv2.filter2D(pixels, -1, _motion_kernel(rng)))
    if kind == 2:
        soft = cv2.GaussianBlur(pixels, (0, 0), rng.uniform(0.7, 1.6))
        amount = rng.uniform(0.3, 1.5)
        return np.asarray(cv2.addWeighted(pixels, 1 + amount, soft, -amount, 0))
    factor = rng.uniform(0.45, 0.9)
    size = (max(round(width * factor), 8), max(round(height * factor), 8))
    up = (cv2.INTER_NEAREST_EXACT, cv2.INTER_LINEAR, cv2.INTER_CUBIC)[rng.choice(3, p=(0.15, 0.5, 0.35))]
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=up))


def _motion_kernel(rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """A line of 3 to 7 pixels in any direction, `(7, 7)`, that sums to 1."""
    cv2 = opencv()
    length, angle = rng.uniform(1.0, 3.0), rng.uniform(0, math.pi)
    kernel = np.zeros((7, 7), dtype=np.float32)
    step = np.array([math.cos(angle), math.sin(angle)]) * length
    start, end = np.rint(3 - step).astype(int).tolist(), np.rint(3 + step).astype(int).tolist()
    cv2.line(kernel, start, end, 1.0)
    return np.asarray(kernel / kernel.sum(), dtype=np.float32)


def add_noise(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """A noisy sensor: Gaussian noise of up to 14 grey levels, alike in all channels or not."""
    height, width = pixels.shape[:2]
    channels = 1 if rng.random() < 0.5 else 3
    noise = rng.standard_normal((height, width, channels), dtype=np.float32) * np.float32(rng.uniform(2, 14))
    return np.asarray(np.clip(pixels + noise, 0, 255), dtype=np.uint8)


def compress(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """JPEG's traces at a quality of 20 to 90."""
    cv2 = opencv()
    _, data = cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 91))])
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[:, :, ::-1])


def veil(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Haze or a thin cloud: part of the light comes from a bright veil, thicker on one side."""
    height, width = pixels.shape[:2]
    angle = rng.uniform(0, 2 * math.pi)
    y, x = np.mgrid[-0.5 : 0.5 : height * 1j, -0.5 : 0.5 : width * 1j]
    thick = rng.uniform(0.15, 0.5) + rng.uniform(0, 0.3) * (x * math.cos(angle) + y * math.sin(angle))
    thick = np.clip(thick, 0, 0.75)[:, :, None]
    light = rng.uniform(150, 250) + rng.uniform(-12, 12, 3)
    return np.asarray(np.clip(pixels * (1 - thick) + light * thick, 0, 255), dtype=np.uint8)
