"""Jobs in shares, and what is known of them (shards, merging, status, manifest, before, entries)."""

from __future__ import annotations

import json
import re
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sodslice import BlobDetector, make_plan, run_many
from sodslice.errors import OptionError, SodsliceError
from sodslice.jobs import foresee, job_status, merge_shards, merging, work
from sodslice.jobs.manifest import Entry, Manifest, entries_of, in_job_order
from sodslice.jobs.shards import PART_TILES, Shard
from sodslice.running.records import empty_record
from sodslice.running.store import FileStore
from tests.rasters import scene_with_blobs, write_raster

OPTIONS = {"tile": 64, "overlap": 16}


@pytest.fixture
def folder(tmp_path) -> Path:
    """Small scenes, one that cannot be opened, and one that is large enough to be shared out."""
    rng = np.random.default_rng(3)
    (tmp_path / "in" / "sub").mkdir(parents=True)
    for number, side in enumerate((64, 100, 150, 80, 64)):
        place = tmp_path / "in" / ("sub" if number % 2 else ".") / f"bild {number}.tif"
        write_raster(place, scene_with_blobs(side, side, [(10, 10), (side - 30, 20)]))
    (tmp_path / "in" / "broken.tif").write_bytes(b"II*\0 torn")
    corners = [(int(x), int(y)) for x, y in rng.integers(0, 390, (150, 2))]
    write_raster(tmp_path / "in" / "large.tif", scene_with_blobs(400, 400, corners))
    return tmp_path / "in"


def content(out: Path) -> dict[str, dict]:
    """All results in a folder, without what differs from run to run."""
    found = {}
    for path in sorted(out.rglob("*.geojson")):
        document = json.loads(path.read_text())
        del document["timings"]
        found[path.relative_to(out).as_posix()] = document
    return found


def lines(out: Path) -> list[dict]:
    """The manifest, without times."""
    entries = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    return [{k: v for k, v in entry.items() if k not in ("seconds", "finished", "number", "result_bytes")}
            for entry in entries]  # fmt: skip


def do(folder, out, shard=None, **options):
    return list(run_many(folder, model="blobs", options=OPTIONS | options, output=out, shard=shard))


def test_shards_that_are_merged_give_what_one_job_gives(folder, tmp_path):
    do(folder, tmp_path / "whole")
    outcomes = [outcome for number in (2, 3, 1) for outcome in do(folder, tmp_path / "out", f"{number}/3")]
    names = [outcome.name for outcome in outcomes]
    assert names.count("large.tif") == 3
    assert sorted(set(names)) == sorted(entries_of(tmp_path / "whole"))
    assert len(names) == len(set(names)) + 2
    assert {o.status for o in outcomes if o.name == "large.tif"} == {"part"}
    assert "large.tif.geojson" not in content(tmp_path / "out")
    assert merge_shards(tmp_path / "out") == []
    assert content(tmp_path / "out") == content(tmp_path / "whole")
    assert len(content(tmp_path / "out")["large.tif.geojson"]["features"]) > 50
    assert sorted(lines(tmp_path / "out"), key=str) == sorted(lines(tmp_path / "whole"), key=str)
    left = sorted(path.name for path in (tmp_path / "out").rglob("*") if path.suffix in (".raw", ".jsonl"))
    assert left == ["manifest.jsonl"]
    assert merge_shards(tmp_path / "out") == []
    statuses = [o.status for number in (1, 2, 3) for o in do(folder, tmp_path / "out", f"{number}/3")]
    assert (statuses.count("skipped"), statuses.count("failed")) == (5 + 3, 1)


def test_one_large_scene_is_shared_out_and_a_job_of_one_shard_is_a_job(folder, tmp_path):
    scene = folder / "sub" / "bild 1.tif"
    do(scene, tmp_path / "whole")
    for number in (1, 2):
        (outcome,) = do(scene, tmp_path / "out", f"{number}/2")
        assert (outcome.status, outcome.tiles) == ("part", 2)
    assert merge_shards(tmp_path / "out") == []
    assert content(tmp_path / "out") == content(tmp_path / "whole")
    do(scene, tmp_path / "one", "1/1")
    assert content(tmp_path / "one") == content(tmp_path / "whole")
    assert lines(tmp_path / "one") == lines(tmp_path / "whole")


def test_a_file_that_is_added_between_shards_changes_nothing_for_the_others(folder, tmp_path):
    do(folder, tmp_path / "whole")
    do(folder, tmp_path / "out", "1/2")
    write_raster(folder / "aaa.tif", scene_with_blobs(70, 70, [(5, 5)]))
    do(folder, tmp_path / "out", "2/2")
    merge_shards(tmp_path / "out")
    others = content(tmp_path / "out")
    others.pop("aaa.tif.geojson", None)
    assert others == content(tmp_path / "whole")


def test_what_is_missing_is_said_and_what_is_there_is_kept(folder, tmp_path):
    do(folder, tmp_path / "out", "1/3")
    do(folder, tmp_path / "out", "3/3")
    lacks = ["shards 2 of 3, which have not ended", "parts 2 of 3 of large.tif.geojson"]
    assert merge_shards(tmp_path / "out") == lacks
    found = job_status(tmp_path / "out")
    assert found.missing == tuple(lacks)
    assert (found.complete, found.scenes) == (False, 7)
    do(folder, tmp_path / "out", "2/3")
    assert job_status(tmp_path / "out").unmerged == ("large.tif.geojson",)
    assert merge_shards(tmp_path / "out") == []
    found = job_status(tmp_path / "out")
    assert (dict(found.counts), found.missing, found.unmerged) == ({"done": 6, "failed": 1}, (), ())
    assert [entry.name for entry in found.failed] == ["broken.tif"]
    assert not found.complete
    (folder / "broken.tif").unlink()
    write_raster(folder / "broken.tif", scene_with_blobs(64, 64, [(9, 9)]))
    for number in (1, 2, 3):
        do(folder, tmp_path / "out", f"{number}/3")
    merge_shards(tmp_path / "out")
    assert job_status(tmp_path / "out").complete


def test_parts_of_different_plans_are_not_put_together_and_hold_up_no_other_scene(folder, tmp_path):
    write_raster(folder / "large2.tif", scene_with_blobs(400, 400, [(50, 50)]))
    do(folder, tmp_path / "out", "1/2")
    do(folder, tmp_path / "out", "2/2")
    do(folder / "large.tif", tmp_path / "out", "2/2", stretch="2,98")
    (missing,) = merge_shards(tmp_path / "out")
    assert missing.startswith(
        "large.tif.geojson, whose parts do not fit (some are of other settings than the"
    )
    assert "large2.tif.geojson" in content(tmp_path / "out")
    assert len(list((tmp_path / "out").glob("*.raw"))) == 2


def test_settings_that_count_after_the_detection_are_those_of_the_last_run_of_all_shards(folder, tmp_path):
    whole = {"threshold": 0.9, "iou": 0.3}
    do(folder / "large.tif", tmp_path / "whole", **whole)
    for options in ({}, whole):
        outcomes = [*do(folder / "large.tif", tmp_path / "out", "1/2", **options)]
        outcomes += do(folder / "large.tif", tmp_path / "out", "2/2", **options)
        assert [one.status for one in outcomes] == ["part", "part"]
    assert merge_shards(tmp_path / "out") == []
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_of_several_ways_to_share_a_scene_out_the_last_counts(folder, tmp_path):
    scene = folder / "large.tif"
    do(scene, tmp_path / "whole", threshold=0.9)
    for shards, threshold in ((2, 0.1), (3, 0.9)):
        for number in range(1, shards + 1):
            do(scene, tmp_path / "out", f"{number}/{shards}", threshold=threshold)
        time.sleep(1.1)  # stores say when they were begun, in seconds
    assert merge_shards(tmp_path / "out") == []
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_parts_of_before_are_not_merged_over_a_newer_result(folder, tmp_path):
    scene = folder / "large.tif"
    for number in (1, 2):
        do(scene, tmp_path / "out", f"{number}/2", threshold=0.1)
    do(scene, tmp_path / "out", threshold=0.9)
    newer = content(tmp_path / "out")
    assert merge_shards(tmp_path / "out") == []
    assert content(tmp_path / "out") == newer
    assert newer["large.tif.geojson"]["run"]["options"]["threshold"] == {"all": 0.9}


def test_shards_of_another_split_are_missed_no_more_and_those_of_this_one_are(folder, tmp_path):
    (folder / "broken.tif").unlink()
    do(folder, tmp_path / "out", "1/4")
    for number in (1, 2):
        do(folder, tmp_path / "out", f"{number}/2")
    assert merge_shards(tmp_path / "out") == []
    assert job_status(tmp_path / "out").complete
    do(folder, tmp_path / "whole")
    do(folder, tmp_path / "whole", "1/2", threshold=0.9)
    assert "shards 2 of 2, which have not ended" in merge_shards(tmp_path / "whole")


def test_scenes_of_which_nothing_can_be_kept_go_to_one_shard_whole(folder, tmp_path):
    model = BlobDetector()
    model.info = replace(model.info, sha256="")

    def shard(number):
        return list(
            run_many(folder, model=model, options=OPTIONS, output=tmp_path / "out", shard=f"{number}/2")
        )

    outcomes = [*shard(1), *shard(2)]
    assert sorted(one.name for one in outcomes) == sorted(entries_of(tmp_path / "out"))
    assert [one.status for one in outcomes if one.name == "large.tif"] == ["done"]


def test_a_scene_that_fails_fails_in_one_shard(folder, tmp_path):
    outcomes = [one for number in (1, 2, 3) for one in do(folder, tmp_path / "out", f"{number}/3", gsd=1e-9)]
    names = [one.name for one in outcomes]
    assert len(names) == len(set(names)) == 7
    assert {one.status for one in outcomes} == {"failed"}


def test_addresses_of_other_shards_are_not_fetched(tmp_path, monkeypatch):
    fetched = []
    monkeypatch.setattr(work, "as_scene", lambda source, _: fetched.append(source) or pytest.fail("opened"))
    address = "https://host.invalid/a.tif"
    other = next(number for number in (1, 2) if not Shard(number, 2).holds("a.tif"))
    assert list(run_many([address], model="blobs", output=tmp_path / "out", shard=f"{other}/2")) == []
    assert fetched == []


def test_a_part_is_no_result(folder, tmp_path):
    (outcome,) = do(folder / "large.tif", tmp_path / "out", "1/2")
    (again,) = do(folder / "large.tif", tmp_path / "out", "1/2")
    for part in (outcome, again):
        with pytest.raises(SodsliceError, match=r"a part of .*large\.tif is done; .*`merge_shards`"):
            part.load()


def test_a_part_that_was_cut_off_when_it_was_done_again_otherwise_is_not_done(folder, tmp_path):
    scene = folder / "large.tif"
    (outcome,) = do(scene, tmp_path / "out", "1/2")
    options = OPTIONS | {"threshold": 0.9}
    with FileStore(outcome.outputs[0], make_plan(scene, model="blobs", options=options).part(1, 2)):
        pass  # which died before it came to its end
    statuses = [do(scene, tmp_path / "out", "1/2", threshold=0.9)[0].status for _ in range(2)]
    assert statuses == ["part", "skipped"]


def interrupt(*_, **__):
    raise KeyboardInterrupt


def test_a_merge_that_is_cut_off_loses_nothing(folder, tmp_path, monkeypatch):
    write_raster(folder / "large2.tif", scene_with_blobs(400, 400, [(50, 50)]))
    do(folder, tmp_path / "whole")
    for number in (1, 2):
        do(folder, tmp_path / "out", f"{number}/2")
    for owner, name in ((Manifest, "add"), (merging, "fold_manifests")):
        with monkeypatch.context() as patched:
            patched.setattr(owner, name, interrupt)
            with pytest.raises(KeyboardInterrupt):
                merge_shards(tmp_path / "out")
    path = tmp_path / "out" / "manifest.jsonl"
    path.write_text("".join(line for line in path.open() if "large" not in line))  # as if it knew nothing
    assert merge_shards(tmp_path / "out") == []
    assert content(tmp_path / "out") == content(tmp_path / "whole")
    statuses = [
        {name: one.status for name, one in entries_of(tmp_path / out).items()} for out in ("out", "whole")
    ]
    assert statuses[0] == statuses[1]


def test_what_shards_say_while_others_merge_stays(folder, tmp_path, monkeypatch):
    for number in (1, 2):
        do(folder, tmp_path / "out", f"{number}/2")
    late = Entry("late.tif", "late.tif", "done", "late.tif.geojson", finished="2999")
    write = merging.write

    def merged(*given):
        Manifest(tmp_path / "out", Shard(2, 2)).add(late)
        return write(*given)

    monkeypatch.setattr(merging, "write", merged)
    merge_shards(tmp_path / "out")
    assert entries_of(tmp_path / "out")["late.tif"] == late


def test_a_part_of_which_no_tile_can_be_read_is_a_part(folder, tmp_path):
    path = folder / "large.tif"
    path.write_bytes(path.read_bytes()[:3000])
    for number in (1, 2, 3):
        (outcome,) = do(path, tmp_path / "out", f"{number}/3", on_error="skip")
        assert outcome.status == "part"
    assert merge_shards(tmp_path / "out") == []
    assert job_status(tmp_path / "out").failed[0].failed_tiles > 0


def test_a_scene_that_was_under_way_and_has_changed_is_begun_anew(folder, tmp_path, caplog):
    scene = folder / "sub" / "bild 3.tif"
    plan = make_plan(scene, model="blobs", options=OPTIONS | {"tile": 32})
    (tmp_path / "out").mkdir()
    with FileStore(tmp_path / "out" / "bild 3.tif.geojson.journal", plan) as store:
        store.append([empty_record(0)])
    (outcome,) = do(scene, tmp_path / "out")
    assert outcome.done
    assert "is of another plan, or the file has changed; the scene is begun anew" in caplog.text


def test_results_of_one_folder_are_not_replaced_by_those_of_another(folder, tmp_path):
    other = tmp_path / "day2"
    shutil.copytree(folder, other)
    do(folder, tmp_path / "out")
    before = content(tmp_path / "out")
    outcomes = do(other, tmp_path / "out")
    assert {outcome.status for outcome in outcomes} == {"failed"}
    assert "holds the result of" in outcomes[-1].why
    assert "give another `output`" in outcomes[-1].why
    assert content(tmp_path / "out") == before


def test_a_job_that_has_not_come_to_its_end_is_not_complete(folder, tmp_path):
    (folder / "broken.tif").unlink()
    coming = run_many(folder, model="blobs", options=OPTIONS, output=tmp_path / "out")
    next(coming)
    coming.close()
    found = job_status(tmp_path / "out")
    assert (found.complete, found.scenes) == (False, 6)
    do(folder, tmp_path / "out")
    assert job_status(tmp_path / "out").complete
    with pytest.raises(OptionError, match="`keep_raw` is for scenes that one machine sees"):
        do(folder, tmp_path / "out", "1/2", keep_raw=True)


@pytest.mark.parametrize("error", [OSError(36, "File name too long"), MemoryError("no room")])
def test_whatever_a_scene_meets_is_its_own_failure(folder, tmp_path, monkeypatch, error):
    opened = work.as_scene

    def failing(source, rendering):
        if "bild 2" in str(source):
            raise error
        return opened(source, rendering)

    monkeypatch.setattr(work, "as_scene", failing)
    outcomes = do(folder, tmp_path / "out")
    failed = [outcome for outcome in outcomes if outcome.failed]
    assert [outcome.path.name for outcome in failed] == ["bild 2.tif", "broken.tif"]
    assert re.search("bild 2.tif cannot be done: (File name too long|out of memory)", failed[0].why)


def test_a_part_that_was_cut_off_goes_on(folder, tmp_path):
    class Dying:
        def __init__(self, left):
            from sodslice import BlobDetector

            self.blobs, self.left = BlobDetector(), left
            self.info, self.engine = replace(self.blobs.info, sha256="x"), "its own"

        def detect(self, pixels):
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
            return self.blobs.detect(pixels)

        def close(self):
            pass

    def part(left):
        model = Dying(left)
        outcomes = run_many(folder / "large.tif", model=model, options=OPTIONS, output=tmp_path / "out",
                            shard="1/2")  # fmt: skip
        return list(outcomes), model

    with pytest.raises(KeyboardInterrupt):
        part(10)
    (foreseen,) = foresee(folder / "large.tif", model=Dying(0), options=OPTIONS, output=tmp_path / "out",
                          shard="1/2")  # fmt: skip
    assert (foreseen.status, foreseen.why) == ("planned", "it goes on where it ended")
    ((outcome,), model) = part(1000)
    assert outcome.status == "part"
    assert 1000 - model.left == outcome.tiles - 10
    ((again,), _) = part(0)
    assert (again.status, again.why) == ("skipped", "its part is there, made by the same plan")


def test_every_scene_belongs_to_one_shard_and_they_are_spread():
    names = [f"{k}.tif" for k in range(3000)]
    counts = []
    for number in (1, 2, 3):
        counts.append(sum(Shard(number, 3).holds(name) for name in names))
    assert sum(counts) == 3000
    assert min(counts) > 900
    assert all(Shard().holds(name) for name in names)
    assert PART_TILES > 1


@pytest.mark.parametrize("word", ["3", "1/0", "0/3", "4/3", "a/b", "1/3/5", "-1/3", ""])
def test_words_that_are_no_shard_are_refused(word, tmp_path):
    with pytest.raises(OptionError, match="`shard` is"):
        Shard.read(word)


def test_a_shard_needs_a_folder_and_a_merge_needs_a_job(tmp_path, folder):
    with pytest.raises(OptionError, match="`shard` needs an `output` folder"):
        next(run_many(folder, model="blobs", shard="1/2"))
    for what in (merge_shards, job_status):
        with pytest.raises(SodsliceError, match=r"holds no manifest\.jsonl of a job"):
            what(tmp_path)


def test_the_manifest_says_what_is_known_while_the_job_runs(folder, tmp_path):
    seen = []
    for outcome in run_many(folder, model="blobs", options=OPTIONS, output=tmp_path / "out"):
        seen.append(outcome.name)
        assert set(seen) <= set(entries_of(tmp_path / "out"))
    entries = entries_of(tmp_path / "out")
    assert list(entries) == seen
    entry, failed = entries["large.tif"], entries["broken.tif"]
    assert (entry.path, entry.output) == (str(folder / "large.tif"), "large.tif.geojson")
    assert (entry.width, entry.height, entry.bytes) == (400, 400, (folder / "large.tif").stat().st_size)
    assert (entry.status, entry.classes, entry.failed_tiles) == ("done", {"blob": entry.objects}, 0)
    assert entry.objects > 50
    assert len(entry.plan) == 64
    assert entry.seconds > 0
    assert (failed.status, failed.objects, failed.width) == ("failed", 0, None)
    assert "broken.tif is not an image" in failed.error


def test_a_manifest_that_was_cut_off_or_lost_is_mended_by_a_rerun(folder, tmp_path):
    do(folder, tmp_path / "out")
    path = tmp_path / "out" / "manifest.jsonl"
    before = lines(tmp_path / "out")
    path.write_bytes(path.read_bytes()[:-30])
    do(folder, tmp_path / "out")
    assert lines(tmp_path / "out") == before
    path.unlink()
    do(folder, tmp_path / "out")
    assert lines(tmp_path / "out") == before


def test_of_several_words_on_a_scene_the_latest_counts_and_other_jobs_stay(tmp_path):
    manifest, shard = Manifest(tmp_path), Manifest(tmp_path, Shard(1, 2))
    shard.add(Entry("a", "a", "done", finished="2026-01-02"))
    manifest.add(Entry("a", "a", "failed", finished="2026-01-01"))
    manifest.add(Entry("c", "c", "done", finished="2026-01-01", number=9))
    manifest.add(Entry("b", "b", "failed", finished="2026-01-01"))
    manifest.add(Entry("b", "b", "done", finished="2026-01-01", number=2))
    assert {name: entry.status for name, entry in entries_of(tmp_path).items()} == {
        "a": "done",
        "b": "done",
        "c": "done",
    }
    manifest.settle(["b", "a"])
    names = [json.loads(line)["name"] for line in manifest.path.read_text().splitlines()]
    assert names == ["b", "a", "c"]
    assert [entry.name for entry in in_job_order(entries_of(tmp_path).values())] == ["a", "b", "c"]


def test_names_that_are_no_text_are_kept(tmp_path):
    manifest = Manifest(tmp_path)
    name = b"a\xff.tif".decode("utf-8", "surrogateescape")
    manifest.add(Entry(name, name, "done", plan="p"))
    assert Manifest(tmp_path).entry(name).plan == "p"
    manifest.settle([name])
    assert Manifest(tmp_path).entry(name).plan == "p"


def test_why_a_scene_is_done_again_is_said(folder, tmp_path):
    def whys(**options):
        outcomes = foresee(folder, model="blobs", options=OPTIONS | options, output=tmp_path / "out")
        return {outcome.name: (outcome.status, outcome.why) for outcome in outcomes}

    assert whys()["large.tif"] == ("planned", "it is new")
    assert not (tmp_path / "out").exists()
    do(folder, tmp_path / "out")
    assert whys()["large.tif"] == ("skipped", "its result is there, made by the same plan")
    assert whys(threshold=0.2, iou=0.4)["large.tif"] == ("planned", "other settings: `iou`, `threshold`")
    assert whys(fresh=True)["large.tif"] == ("planned", "all is done anew")
    assert "not an image" in whys()["broken.tif"][1]
    write_raster(folder / "large.tif", scene_with_blobs(300, 300, [(5, 5)]))
    assert whys()["large.tif"] == ("planned", "the file, or what runs the model, has changed")
    (tmp_path / "out" / "large.tif.geojson").unlink()
    assert whys()["large.tif"] == ("planned", "its result is gone")
    (folder / "broken.tif").unlink()
    write_raster(folder / "broken.tif", scene_with_blobs(64, 64, [(9, 9)]))
    assert whys()["broken.tif"][1].startswith("it failed before: ")
    document = json.loads((tmp_path / "out" / "bild 0.tif.geojson").read_text())
    document["run"]["version"] = "0.0.1"
    del document["timings"]
    (tmp_path / "out" / "bild 0.tif.geojson").write_text(json.dumps(document))
    assert whys()["bild 0.tif"] == ("planned", "its result is of sodslice 0.0.1")


def test_the_order_of_the_files_and_the_number_of_workers_change_no_result(folder, tmp_path):
    paths = sorted(folder.rglob("*.tif"))
    do(paths, tmp_path / "a")
    do(paths[::-1], tmp_path / "b")
    do(paths, tmp_path / "c", workers=2)
    assert content(tmp_path / "a") == content(tmp_path / "b") == content(tmp_path / "c")
