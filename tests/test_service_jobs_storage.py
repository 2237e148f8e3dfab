"""Uploads: whole or not at all, within the quota and the disk, and in a folder of one service alone."""

from __future__ import annotations

import asyncio
import errno
import stat
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest
from starlette.requests import ClientDisconnect

from sodslice.errors import OptionError
from sodslice.scene.pointers import is_from_elsewhere
from sodslice.service.envelope import Refusal
from sodslice.service.jobs import storage as stored
from sodslice.service.jobs.storage import Storage
from sodslice.service.settings import ServiceSettings

DiskUsage = namedtuple("DiskUsage", "total used free")


def storage(folder: Path, quota: int = 1 << 30) -> Storage:
    return Storage(ServiceSettings(data=folder, quota=quota))


async def pieces(*given: bytes, error: Exception | None = None):
    for one in given:
        yield one
        await asyncio.sleep(0)
    if error is not None:
        raise error


def take(into: Storage, *given: bytes, name: str = "a.tif", said: int = 0, error: Exception | None = None):
    return asyncio.run(into.take(name, pieces(*given, error=error), said=said))


def refused(into: Storage, *given: bytes, **how) -> tuple[int, str]:
    with pytest.raises(Refusal) as error:
        take(into, *given, **how)
    return error.value.status_code, error.value.detail


def files_in(folder: Path) -> list[str]:
    return sorted(
        str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file() and one.name != "lock"
    )


def test_an_upload_is_kept_whole_and_by_its_id(tmp_path):
    into = storage(tmp_path)
    upload, size = take(into, b"one", b"", b"two")
    assert size == 6
    assert into.upload(upload).read_bytes() == b"onetwo"
    assert into.upload(upload).name == "a.tif"
    assert into.bytes() == 6


def test_large_pieces_and_small_ones_come_in_their_order(tmp_path, monkeypatch):
    monkeypatch.setattr(stored, "PIECE", 1000)
    given = [bytes([n % 256]) * (n * 37 % 900) for n in range(200)]
    into = storage(tmp_path)
    upload, size = take(into, *given)
    assert into.upload(upload).read_bytes() == b"".join(given)
    assert size == into.bytes() == sum(map(len, given))


def test_files_of_strangers_are_marked_as_such(tmp_path):
    into = storage(tmp_path)
    upload, _ = take(into, b"x")
    assert is_from_elsewhere(into.upload(upload))
    assert not is_from_elsewhere(tmp_path / "uploads" / "a.tif")


@pytest.mark.parametrize(
    "name",
    [
        "../../../../etc/passwd",
        "/etc/passwd",
        "..",
        "",
        "-o",
        ".from-elsewhere",
        "a\x00b",
        "x" * 5000,
        "C:\\x",
    ],
)
def test_whatever_it_is_called_an_upload_lies_in_its_own_folder(tmp_path, name):
    data = tmp_path / "data"
    into = storage(data)
    upload, _ = take(into, b"content", name=name)
    assert into.upload(upload).parent == data / "uploads" / upload
    assert into.upload(upload).read_bytes() == b"content"
    assert [one for one in tmp_path.iterdir() if one != data] == []


@pytest.mark.parametrize(
    "upload", ["..", ".", "", "a/b", "../jobs", "\x00", "a" * 3000, "/etc", "\u00e9", "coming", "x"]
)
def test_what_is_no_upload_is_not_found(tmp_path, upload):
    with pytest.raises(Refusal) as error:
        storage(tmp_path).upload(upload)
    assert error.value.status_code == 404
    assert len(error.value.detail) < 300


def test_what_goes_beyond_the_quota_is_refused_and_gone(tmp_path):
    into = storage(tmp_path, 1000)
    take(into, b"x" * 900)
    assert refused(into, b"x" * 60, b"x" * 60)[0] == 507
    assert refused(into, b"x", said=101)[0] == 507
    assert "quota" not in refused(into, b"x" * 101)[1]
    assert len(files_in(tmp_path / "uploads")) == 2  # with its mark
    assert files_in(tmp_path / "coming") == []
    assert into.bytes() == 900
    take(into, b"x" * 100)


def test_uploads_at_once_never_have_more_than_the_quota_together(tmp_path, monkeypatch):
    monkeypatch.setattr(stored, "PIECE", 100)
    into, most = storage(tmp_path, 1000), [0]

    async def counted():
        for _ in range(8):
            yield b"x" * 100
            await asyncio.sleep(0)
            most[0] = max(most[0], into.bytes())

    async def story():
        return await asyncio.gather(
            *(into.take("a.tif", counted()) for _ in range(5)), return_exceptions=True
        )

    ended = asyncio.run(story())
    kept = [one for one in ended if isinstance(one, tuple)]
    assert {one.status_code for one in ended if isinstance(one, Refusal)} == {507}
    assert len(kept) <= 1
    assert most[0] <= 1000 + 5 * 100  # each is asked after a piece has come
    assert files_in(tmp_path / "coming") == []
    assert into.bytes() == 800 * len(kept)
    take(into, b"x" * 200)


def test_a_client_that_leaves_leaves_nothing(tmp_path):
    into = storage(tmp_path)
    assert refused(into, b"half", error=ClientDisconnect())[0] == 499
    assert files_in(tmp_path) == []
    assert into.bytes() == 0


@pytest.mark.parametrize("error", [RuntimeError("x"), Refusal(408, "too slow"), OSError(errno.EIO, "broken")])
def test_an_upload_that_breaks_leaves_nothing(tmp_path, error):
    into = storage(tmp_path)
    with pytest.raises(type(error)):
        take(into, b"half", error=error)
    assert files_in(tmp_path) == []
    assert list((tmp_path / "coming").iterdir()) == []


def test_an_upload_that_is_cancelled_leaves_nothing(tmp_path):
    async def story():
        begun = asyncio.Event()

        async def endless():
            yield b"x"
            begun.set()
            await asyncio.Event().wait()

        task = asyncio.ensure_future(into.take("a.tif", endless()))
        await begun.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    into = storage(tmp_path)
    asyncio.run(story())
    assert files_in(tmp_path) == []
    assert into.bytes() == 0


def test_an_upload_of_nothing_is_refused(tmp_path):
    into = storage(tmp_path)
    assert refused(into)[0] == 422
    assert refused(into, b"", b"")[0] == 422
    assert files_in(tmp_path) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_is_full_is_said_so_and_nothing_is_left(tmp_path, monkeypatch, number):
    into = storage(tmp_path)

    async def full(*_):
        raise OSError(number, "No space left on device")

    monkeypatch.setattr(stored, "PIECE", 1)
    monkeypatch.setattr(stored.asyncio, "to_thread", full)
    status, why = refused(into, b"x" * 10)
    assert (status, why) == (507, "the 1 GiB of this service are full; delete jobs, or come back later")
    assert files_in(tmp_path) == []


def test_a_real_disk_that_is_full_is_said_so(tmp_path):
    """`/dev/full` is one whose writes fail as those of a full disk do."""
    into = storage(tmp_path)

    def open_full(path, *_):
        return open("/dev/full", "wb")  # noqa: PTH123 -- in place of the file

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Path, "open", open_full)
        for size in (10, 3 << 20):  # when it is closed, and while it is written
            assert refused(into, b"x" * size)[0] == 507
    assert list((tmp_path / "coming").iterdir()) == []


def test_the_last_bytes_of_a_disk_are_left_for_others(tmp_path, monkeypatch):
    into = storage(tmp_path)
    monkeypatch.setattr(stored.shutil, "disk_usage", lambda _: DiskUsage(1 << 40, 0, stored.SPARE + 100))
    take(into, b"x" * 100)
    assert refused(into, b"x", said=101)[0] == 507
    monkeypatch.setattr(stored.shutil, "disk_usage", lambda _: DiskUsage(1 << 40, 0, stored.SPARE - 1))
    assert refused(into, b"x")[0] == 507


def test_what_was_coming_when_a_service_ended_is_removed_by_the_next(tmp_path):
    first = storage(tmp_path)
    (tmp_path / "coming" / "file").write_bytes(b"half")
    (tmp_path / "coming" / "folder").mkdir()
    (tmp_path / "coming" / "folder" / "a.tif").write_bytes(b"half")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "a.tif").write_bytes(b"kept")
    (tmp_path / "coming" / "link").symlink_to(tmp_path / "kept")
    first.close()
    storage(tmp_path)
    assert list((tmp_path / "coming").iterdir()) == []
    assert (tmp_path / "kept" / "a.tif").exists()


def test_links_in_the_folder_count_for_nothing_and_are_not_followed(tmp_path):
    data, secret = tmp_path / "data", tmp_path / "secret"
    secret.mkdir()
    (secret / "big").write_bytes(b"x" * 5000)
    into = storage(data)
    (data / "jobs" / "a").mkdir()
    (data / "jobs" / "a" / "out").symlink_to(secret)
    (data / "jobs" / "a" / "big").symlink_to(secret / "big")
    assert into.bytes() == 0
    into.remove_job("a")
    assert (secret / "big").exists()
    assert not (data / "jobs" / "a").exists()


def test_what_is_removed_makes_room_at_once(tmp_path):
    into = storage(tmp_path, 1000)
    upload, _ = take(into, b"x" * 1000)
    assert refused(into, b"x")[0] == 507
    into.remove_upload(upload)
    take(into, b"x")


def test_files_of_strangers_are_for_nobody_else_of_this_machine(tmp_path):
    data = tmp_path / "new" / "data"
    storage(data)
    for folder in (data, data / "uploads", data / "jobs", data / "coming"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_second_service_in_the_folder_is_refused(tmp_path):
    first = storage(tmp_path)
    (tmp_path / "coming" / "of-the-first").write_bytes(b"half")
    with pytest.raises(OptionError) as error:
        storage(tmp_path)
    assert str(error.value) == f"another service uses `data={tmp_path}`; end it, or give another folder"
    assert (tmp_path / "coming" / "of-the-first").exists()
    first.close()
    storage(tmp_path)


def test_a_process_that_is_killed_leaves_the_folder_to_the_next(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from sodslice.service.jobs.storage import Storage\n"
        "from sodslice.service.settings import ServiceSettings\n"
        "kept = Storage(ServiceSettings(data=Path(sys.argv[1]))); print('ready', flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process:
        assert process.stdout.readline() == b"ready\n"
        with pytest.raises(OptionError, match="another service uses"):
            storage(tmp_path)
        process.kill()
    storage(tmp_path)


def test_a_folder_that_cannot_be_made_is_refused_in_a_line(tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/none/data")):
        with pytest.raises(OptionError) as error:
            storage(folder)
        assert str(error.value).startswith(f"`data={folder}` cannot be used: ")
        assert "\n" not in str(error.value)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "jobs").touch()
    with pytest.raises(OptionError, match="cannot be used"):
        storage(tmp_path / "data")


def test_old_uploads_are_those_that_nobody_uses(tmp_path):
    into = storage(tmp_path)
    one, other = (take(into, b"x")[0] for _ in range(2))
    late = (tmp_path / "uploads" / one).stat().st_mtime + 10
    assert into.old_uploads(late, {one}) == [other]
    assert into.old_uploads(0, set()) == []
