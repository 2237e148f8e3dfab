"""How far a job has come, in words: sodslice.jobs.events, system.saying; cli._watching and _jobs say them."""

from __future__ import annotations

import pytest

from sodslice.jobs import JobProgress
from sodslice.jobs.events import progress_words, share_of
from sodslice.system.saying import pixels_words, time_words


def test_how_far_a_job_has_come_is_said_in_images_pixels_and_time():
    gigapixels = JobProgress(204, settled=37, pixels=9_800_000_000, seen=1_200_000_000, skipped=200_000_000)
    assert progress_words(gigapixels, 21.0) == "37 of 204 images, 1.2 of 9.8 Gpx, about 3 min"
    assert share_of(gigapixels) == pytest.approx(1.2 / 9.8)
    early = JobProgress(None, settled=2, seen=3_400_000)
    assert progress_words(early, 5.0) == "2 images, 3.4 Mpx"
    assert share_of(early) == 0
    assert share_of(JobProgress(4, settled=1)) == 0.25
    skipped = JobProgress(4, settled=1, pixels=100, seen=50, skipped=50)
    assert progress_words(skipped, 5.0) == "1 of 4 images, 0.0 of 0.0 Mpx"


def test_numbers_are_said_as_people_say_them():
    assert (pixels_words(999_000_000), pixels_words(1_000_000_000)) == ("999.0 Mpx", "1.0 Gpx")
    assert pixels_words(10_000_000, 2_000_000_000) == "0.0 of 2.0 Gpx"
    assert [time_words(s) for s in (0.4, 89, 91, 5000, 7800)] == [
        "0 s",
        "89 s",
        "2 min",
        "83 min",
        "2 h 10 min",
    ]
