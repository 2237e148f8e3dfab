"""The page of the service in a real browser: scenes become jobs, are watched, looked at and saved."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sodslice.service.app import FRAME_POLICY, PAGE, POLICY
from sodslice.synthetic import SceneSpec, draw_scene, render
from tests.browser import Page, browser
from tests.serving import Service, serving

pytestmark = pytest.mark.service

HOSTILE = "<img src=x onerror=alert(1)>.tif"
TOKEN = "a-token-of-the-service-page"
SLOW = {"tile": 64, "overlap": 0.9}
"""Options by which a small scene takes some seconds."""

CODES = {"Tab": 9, "Enter": 13, "Escape": 27}
SHIFT = 8
NAMES = "[...document.querySelectorAll('#jobs h3')].map((one) => one.textContent)"


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("root")
    (folder / "flights" / "day 1").mkdir(parents=True)
    spec = SceneSpec(width=400, height=300, seed=9, vehicles=2.0)
    for name in ("town.tif", "flights/day 1/block.tif", f"flights/{HOSTILE}"):
        draw_scene(folder / name, spec)
    draw_scene(folder / "wide.tif", SceneSpec(width=900, height=700, seed=3))
    Image.fromarray(render(spec)).save(folder / "photo.png")
    return folder


@pytest.fixture(scope="module")
def service(root, tmp_path_factory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("service"), "--root", str(root)) as one:
        yield one


@pytest.fixture(scope="module")
def guarded(tmp_path_factory) -> Iterator[Service]:
    """A service that wants a token and has no root."""
    with serving(tmp_path_factory.mktemp("guarded"), token=TOKEN) as one:
        yield one


@pytest.fixture(scope="module")
def chromium() -> Iterator[Page]:
    with browser() as one:
        yield one


@pytest.fixture
def page(chromium, service) -> Iterator[Page]:
    """The page of the service; all that it asks is asked of the service, and it logs nothing but refusals."""
    opened(chromium, service)
    yield chromium
    assert not outside(chromium, service)
    assert chromium.dialogs == []
    assert [one for one in chromium.errors if not one.startswith("Failed to load resource")] == []


def opened(page: Page, service: Service, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
    """Open the page of a service anew."""
    page.errors.clear()
    page.requests.clear()
    page.dialogs.clear()
    page.resize(width, height)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    page.call("Emulation.setEmulatedMedia", features=[scheme])
    page.call("Page.navigate", url=f"{service.url}/")
    page.wait("document.readyState === 'complete'")
    there = "byId('scenes').children.length || byId('scenes-said').textContent"
    page.wait(f"!byId('door').hidden || (byId('main-options').children.length === 5 && ({there}))")


def outside(page: Page, service: Service) -> list[str]:
    """Addresses that are not the service's."""
    own = (service.url, f"blob:{service.url}", "data:")
    return [address for address in page.requests if not address.startswith(own)]


def press(page: Page, key: str, modifiers: int = 0) -> None:
    """Press and release a key that does something by itself."""
    of_key = {"key": key, "code": key, "windowsVirtualKeyCode": CODES[key], "modifiers": modifiers}
    text = {"text": "\r"} if key == "Enter" else {}
    page.call("Input.dispatchKeyEvent", type="keyDown", **of_key, **text)
    page.call("Input.dispatchKeyEvent", type="keyUp", **of_key)


def tab_to(page: Page, label: str) -> None:
    """Go by the keyboard to what is called so."""
    for _ in range(60):
        press(page, "Tab")
        name = "(document.activeElement.ariaLabel ?? document.activeElement.textContent).trim()"
        if page.js(name) == label:
            assert page.js("document.activeElement.matches(':focus-visible')")
            return
    raise AssertionError(f"the keyboard does not reach {label!r}")


def choose_files(page: Page, *paths: Path) -> None:
    """As a user does after a press of "Choose files"."""
    document = page.call("DOM.getDocument")["root"]["nodeId"]
    node = page.call("DOM.querySelector", nodeId=document, selector="#files")["nodeId"]
    page.call("DOM.setFileInputFiles", nodeId=node, files=[str(path) for path in paths])


def card(name: str) -> str:
    """The newest card with this title, in JavaScript."""
    called = f"one.querySelector('h3').textContent === {name!r}"
    return f"[...document.querySelectorAll('.card')].find((one) => {called})"


def state(page: Page, name: str) -> Any:
    return page.js(f"{card(name)}?.querySelector('.state').textContent")


def wait_for(page: Page, name: str, wanted: str) -> None:
    page.wait(f"{card(name)}?.querySelector('.state').textContent === {wanted!r}", 40)


def click(page: Page, name: str, word: str) -> None:
    """Press a button of a card, with the focus that a press brings."""
    button = f"[...{card(name)}.querySelectorAll('button')].find((one) => one.textContent === {word!r})"
    page.js(f"(() => {{ const one = {button}; one.focus(); one.click(); }})()")


def begin(page: Page, service: Service, path: str, **options: Any) -> str:
    """A job of somebody else, which the page learns of; its id."""
    job = service.post("/jobs", {"path": path, "options": options}, status=202)
    page.js("refresh()")
    return str(job["id"])


def saved(path: Path) -> None:
    """Wait for a file that the browser writes."""
    end = time.monotonic() + 20
    while not path.is_file():
        assert time.monotonic() < end, path
        time.sleep(0.05)


def finished(page: Page, service: Service, path: str) -> None:
    """See to a job of this scene that is done."""
    if state(page, path) != "done":
        begin(page, service, path)
        wait_for(page, path, "done")


@contextmanager
def in_report(page: Page) -> Iterator[None]:
    """What is asked of the page is asked of the report in it, which is a process of its own."""
    page.wait("document.querySelector('iframe') !== null", 40)
    end, frames = time.monotonic() + 10, []
    while not frames:
        assert time.monotonic() < end, "the frame of the report is not isolated"
        targets = page.call("Target.getTargets")["targetInfos"]
        frames = [one["targetId"] for one in targets if one["type"] == "iframe"]
    of_page = page._session
    page._session = page.call("Target.attachToTarget", targetId=frames[0], flatten=True)["sessionId"]
    try:
        for domain in ("Runtime", "Log", "Network"):
            page.call(f"{domain}.enable")
        page.wait("typeof shown !== 'undefined' && shown.count > 0")
        yield
    finally:
        page._session = of_page


def test_a_chosen_file_is_uploaded_and_its_boxes_are_seen_in_the_viewer(page, service, root):
    choose_files(page, root / "photo.png")
    wait_for(page, "photo.png", "done")
    job = service.get("/jobs")[0]
    assert job["scene"] == "photo.png"
    facts = page.js(f"{card('photo.png')}.querySelector('.facts').textContent")
    assert facts.startswith(f"{job['objects']} objects · 1 tile · ")
    assert (
        page.js(f"{card('photo.png')}.querySelector('.classes').textContent") == f"vehicle {job['objects']}"
    )
    assert page.js("document.querySelectorAll('#coming li').length") == 0
    click(page, "photo.png", "Look")
    with in_report(page):
        assert page.js("shown.count") == job["objects"] > 0
        page.wait("DATA.base.levels[0].pictures.some((one) => one && one.complete)")
        loaded = page.js("performance.getEntriesByType('resource').map((one) => one.name)")
        assert all(one.startswith(("data:", "blob:")) for one in loaded)
    assert page.errors == []


def test_dropped_files_are_uploaded_one_after_the_other(page, service, root, tmp_path):
    other = tmp_path / "other.png"
    other.write_bytes((root / "photo.png").read_bytes())
    data = {"items": [], "files": [str(root / "photo.png"), str(other)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver"):
        page.call("Input.dispatchDragEvent", type=kind, x=900, y=600, data=data)
    page.wait("document.body.classList.contains('dropping')")
    page.call("Input.dispatchDragEvent", type="drop", x=900, y=600, data=data)
    wait_for(page, "other.png", "done")
    assert not page.js("document.body.classList.contains('dropping')")
    assert page.js(NAMES)[:2] == ["other.png", "photo.png"]
    assert page.errors == []


def test_a_scene_below_the_root_is_looked_at_by_the_keyboard_alone(page):
    crumbs = "[...document.querySelectorAll('#crumbs button')].map((one) => one.textContent).join(' ')"
    for folder, path in (("flights", "all flights"), ("day 1", "all flights day 1")):
        tab_to(page, f"{folder}/folder")
        press(page, "Enter")
        page.wait(f"{crumbs} === {path!r}")
    assert page.js("document.activeElement.textContent").startswith("block.tif")
    press(page, "Enter")
    scene = "flights/day 1/block.tif"
    wait_for(page, scene, "done")
    tab_to(page, f"Look at {scene}")
    press(page, "Enter")
    with in_report(page):
        pass
    assert page.js("document.activeElement.textContent") == "Close"
    press(page, "Tab")
    with in_report(page):
        assert page.js("document.activeElement.id") == "canvas"
        page.js("chooseNext(1)")
    press(page, "Escape")  # lets go of the detection
    with in_report(page):
        assert page.js("view.chosen") == -1
    press(page, "Escape")
    page.wait("!byId('viewer').open")
    assert page.js("document.activeElement.ariaLabel") == f"Look at {scene}"
    assert page.js("document.querySelectorAll('iframe').length") == 0
    assert page.errors == []


def test_an_option_that_is_wrong_is_shown_at_its_input_and_can_be_mended(page):
    page.js("byId('option-tile').value = '12'")
    page.js("[...document.querySelectorAll('#scenes button')].at(-2).click()")
    wait_for(page, "town.tif", "not begun")
    said = "tile must be a whole number from 32, got '12'."
    assert page.js(f"{card('town.tif')}.querySelector('.fault').textContent") == said
    assert page.js("byId('fault-tile').textContent") == said
    assert page.js("[document.activeElement.id, byId('option-tile').ariaInvalid]") == ["option-tile", "true"]
    assert page.js("byId('option-tile').getAttribute('aria-describedby')") == "help-tile fault-tile"
    page.js("byId('options').reset()")
    assert page.js("byId('fault-tile').textContent") == ""
    page.js("byId('option-iou').value = '2'")
    click(page, "town.tif", "Try again")
    page.wait("byId('fault-iou').textContent !== ''")
    assert page.js("byId('more').open")
    page.js("byId('option-iou').value = '0.4'; byId('option-class_agnostic').value = 'true'")
    click(page, "town.tif", "Try again")
    page.wait("document.querySelectorAll('#coming li').length === 0")
    assert "iou 0.4 · class agnostic true" in page.js(f"{card('town.tif')}.textContent")
    assert len(page.errors) == 2


def test_a_job_is_watched_cancelled_and_removed(page, service):
    begin(page, service, "wide.tif", **SLOW)
    bar = f"{card('wide.tif')}.querySelector('progress')"
    page.wait(f"{card('wide.tif')} && !{bar}.hidden && {bar}.value > 0", 40)
    assert page.js(f"{bar}.ariaLabel") == "Progress of wide.tif"
    assert " of " in page.js(f"{card('wide.tif')}.querySelector('.facts').textContent")
    click(page, "wide.tif", "Cancel")
    wait_for(page, "wide.tif", "cancelled")
    assert page.js("byId('said').textContent") == "wide.tif is cancelled"
    click(page, "wide.tif", "Remove")
    assert page.js("[byId('confirm').open, document.activeElement.textContent]") == [True, "Keep it"]
    press(page, "Escape")
    page.wait("!byId('confirm').open")
    assert page.js("document.activeElement.ariaLabel") == "Remove wide.tif"
    press(page, "Enter")
    press(page, "Tab")
    press(page, "Enter")
    page.wait(f"{card('wide.tif')} === undefined")
    assert page.js("document.activeElement.id") == "jobs-title"
    assert "wide.tif" not in [job["scene"] for job in service.get("/jobs")]
    assert page.errors == []


def test_a_connection_that_breaks_is_taken_up_again(page, service):
    begin(page, service, "wide.tif", **SLOW)
    wait_for(page, "wide.tif", "running")
    speed = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    page.call("Network.emulateNetworkConditions", offline=True, **speed)
    page.js("refresh()")
    page.wait("byId('trouble').textContent === 'The service does not answer; this page tries again.'")
    page.call("Network.emulateNetworkConditions", offline=False, **speed)
    page.wait("byId('trouble').textContent === ''", 20)
    bar = f"{card('wide.tif')}.querySelector('progress')"
    before = page.js(f"{bar}.value")
    page.wait(f"{bar}.value > {before}", 20)
    click(page, "wide.tif", "Cancel")
    wait_for(page, "wide.tif", "cancelled")


def test_results_are_saved_and_what_cannot_be_is_said_in_its_card(page, service, root, tmp_path):
    finished(page, service, "photo.png")
    page.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    click(page, "photo.png", "Save")
    fault = f"[...{card('photo.png')}.querySelectorAll('.fault')].at(-1).textContent"
    page.wait(f"{fault} !== ''")
    assert "pixel" in page.js(fault)
    for name in ("result.coco.json", "result.geojson?pixel_coords=true"):
        page.js(f"{card('photo.png')}.querySelector('select').value = {name!r}")
        click(page, "photo.png", "Save")
        suffix = name.removeprefix("result").partition("?")[0]
        saved(tmp_path / f"photo{suffix}")
        assert page.js(fault) == ""
    assert json.loads((tmp_path / "photo.geojson").read_text())["features"]
    assert json.loads((tmp_path / "photo.coco.json").read_text())["annotations"]


def test_names_of_scenes_do_nothing(page, service):
    finished(page, service, f"flights/{HOSTILE}")
    page.js("openFolder('flights')")
    page.wait("document.querySelectorAll('#scenes button').length === 2")
    assert page.js("document.querySelector('#scenes .name').textContent") == HOSTILE
    click(page, f"flights/{HOSTILE}", "Look")
    with in_report(page):
        assert page.js("byId('title').textContent") == f"flights/{HOSTILE}"
        assert page.js("document.images.length") == 0
    assert page.js("document.images.length") == 0
    assert page.dialogs == []
    assert page.errors == []


def test_what_runs_in_a_report_reaches_neither_the_page_nor_the_service_nor_a_network(page, service):
    finished(page, service, "town.tif")
    click(page, "town.tif", "Look")
    with in_report(page), socket.create_server(("127.0.0.1", 0)) as stranger:
        for thing in ("parent.document", "sessionStorage", "localStorage", "document.cookie", "top.origin"):
            tried = f"(() => {{ try {{ return {thing}; }} catch (error) {{ return error.name; }} }})()"
            assert page.js(tried) == "SecurityError", thing
        assert page.js("origin") == "null"
        where = f"http://127.0.0.1:{stranger.getsockname()[1]}/"
        for address in ("/jobs", where):
            assert page.js(f"fetch('{address}').then(() => 'reached', () => 'refused')") == "refused"
        page.js(f"void (new Image().src = '{where}')")
        page.js(f"void (location.href = '{where}')")
        assert heard_by(stranger) == b""
    page.wait("document.querySelector('iframe') !== null")
    assert any("frame-src" in one for one in page.errors)
    assert any("connect-src" in one for one in page.errors)
    page.errors.clear()
    page.requests.clear()  # that were not sent


def heard_by(stranger: socket.socket) -> bytes:
    """What is sent to a listener; a browser may connect ahead of a navigation that is then refused."""
    stranger.settimeout(1)
    with suppress(TimeoutError):
        connection, _ = stranger.accept()
        with connection:
            connection.settimeout(1)
            return connection.recv(4096)
    return b""


def test_a_token_is_asked_for_kept_by_the_tab_and_used_for_everything(chromium, guarded, root, tmp_path):
    page, service = chromium, guarded
    opened(page, service)
    assert page.js("[byId('work').hidden, document.activeElement.id]") == [True, "token"]
    enter_token(page, "not the token of this")
    page.wait("byId('door-fault').textContent === 'This is not the token of the service.'")
    enter_token(page, TOKEN)
    page.wait("!byId('work').hidden && byId('main-options').children.length === 5")
    kept = "[sessionStorage.length, localStorage.length, document.cookie, location.href]"
    assert page.js(kept) == [1, 0, "", f"{service.url}/"]
    choose_files(page, root / "photo.png")
    wait_for(page, "photo.png", "done")
    page.errors.clear()
    click(page, "photo.png", "Look")
    with in_report(page):
        assert page.js("shown.count") == service.get("/jobs")[0]["objects"]
    page.js("byId('viewer-close').click()")
    page.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    page.js(f"{card('photo.png')}.querySelector('select').value = 'result.csv'")
    click(page, "photo.png", "Save")
    saved(tmp_path / "photo.csv")
    assert page.errors == []
    page.js("byId('forget').click()")
    page.wait("document.readyState === 'complete' && !byId('door').hidden")
    assert page.js("[sessionStorage.length, document.querySelectorAll('.card').length]") == [0, 0]
    assert not outside(page, service)


def enter_token(page: Page, token: str) -> None:
    page.js("byId('token').focus()")
    page.call("Input.insertText", text=token)
    press(page, "Enter")


def test_a_service_without_a_root_says_so_quietly(chromium, guarded):
    opened(chromium, guarded)
    enter_token(chromium, TOKEN)
    chromium.wait("byId('scenes-said').textContent !== ''")
    assert "has no root" in chromium.js("byId('scenes-said').textContent")
    assert chromium.js("[byId('scenes').children.length, byId('trouble').textContent]") == [0, ""]
    chromium.js("byId('forget').click()")


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_nothing_is_wider_than_the_window(page, service, width, dark):
    finished(page, service, f"flights/{HOSTILE}")
    opened(page, service, width=width, height=740, dark=dark)
    page.js("byId('more').open = true; openFolder('flights/day 1')")
    page.wait("document.querySelectorAll('#crumbs button').length === 3")
    assert page.js("document.documentElement.scrollWidth") == width
    low = "one.checkVisibility() && one.getBoundingClientRect().height < 28"
    pressed = "[...document.querySelectorAll('button, input, select')]"
    assert page.js(f"{pressed}.filter((one) => {low}).map((one) => one.outerHTML)") == []
    click(page, f"flights/{HOSTILE}", "Look")
    with in_report(page):
        assert page.js("[document.documentElement.scrollWidth, innerWidth]") == [width, width]
        assert page.js("matchMedia('(prefers-color-scheme: dark)').matches") is dark
    assert page.js("document.documentElement.scrollWidth") == width


def test_everything_that_is_pressed_or_filled_in_has_a_name(page):
    page.js("byId('more').open = true")
    nameless = (
        "[...document.querySelectorAll('button, input:not([hidden]), select, progress')].filter((one) => "
        "!(one.ariaLabel || one.textContent.trim() || one.labels?.length)).map((one) => one.outerHTML)"
    )
    assert page.js(nameless) == []


# Without a browser.


def test_the_policies_keep_strange_scripts_from_the_page_and_reports_from_everything(service):
    for path, (_, _, policy) in PAGE.items():
        assert ("unsafe-inline" in policy) == (path == "/frame.html")
    assert "script-src 'self';" in POLICY
    assert FRAME_POLICY.startswith("sandbox allow-scripts allow-downloads; default-src 'none';")
    assert "connect-src" not in FRAME_POLICY
    assert "http" not in FRAME_POLICY


def test_the_page_parses_nothing_as_html_and_has_no_script_or_style_within():
    folder = Path(__file__).parent.parent / "sodslice" / "service" / "page"
    script, page = (folder / "page.js").read_text(), (folder / "index.html").read_text()
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacent",
        "document.write",
        "DOMParser",
        "srcdoc",
        "eval(",
    ):
        assert word not in script
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script>|https?:(?!//www\.w3\.org/2000/svg)", page)
