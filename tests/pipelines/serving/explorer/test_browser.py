"""The page in Chromium: search, keys, playlist, map, export, sign-in, accessibility."""

import csv
import json
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from pipelines.cli import main
from tests.support.browser import chromium, listening_service, opened_page, web_server
from tests.support.published import fake_bundle, publish_table
from tests.support.service import clients_file

pytestmark = pytest.mark.long

TRACKS = 60
VIEWS = {
    "search": "#/search?weigh=mood/soft:1&weigh=genre/folk:-0.5&tag=voice/vocal&range=year:2000..2015",
    "empty": "#/search?q=nothing-has-this-name",
    "track": "#/track?id=track-0003",
    "rejected": "#/track?id=broken-a",
    "artist": "#/artist?id=artist-001",
    "map": "#/map",
    "tags": "#/tags",
    "playlist": "#/playlist",
    "quality": "#/quality",
    "changes": "#/changes",
}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    folder = tmp_path_factory.mktemp("table")
    bundle = fake_bundle(folder / "bundle")
    for tracks in (TRACKS - 20, TRACKS):
        publish_table(folder / "table", bundle, tracks)
    return str(folder / "table")


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def url(table):
    with listening_service(table) as url:
        yield url


def titles(page):
    return page.locator(".results .track h2").all_inner_texts()


def settled(page, text):
    """Waits until the heading of the search has this text."""
    page.wait_for_function("text => document.querySelector('.found')?.textContent.startsWith(text)", arg=text)


def asked(page):
    return parse_qs(page.url.partition("?")[2])


def api(page, path):
    return page.evaluate("path => fetch(path).then(answer => answer.json())", path)


def test_a_search_by_keys_alone(browser, url):
    with opened_page(browser, f"{url}/#/search") as page:
        settled(page, f"{TRACKS} tracks")
        page.keyboard.press("/")
        page.keyboard.press("Tab")
        page.keyboard.type("cal")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        slider = page.get_by_label("Weight of Calm")
        slider.press("ArrowLeft")
        slider.press("ArrowLeft")
        page.wait_for_function("() => location.hash.includes('calm%3A0.8')")
        assert asked(page)["weigh"] == ["mood/calm:0.8"]
        found = api(page, "v1/explorer/tracks?weigh=mood/calm:0.8&limit=25")["data"]
        page.wait_for_function(
            "title => document.querySelector('.track h2')?.textContent === title", arg=found[0]["title"]
        )
        assert titles(page) == [row["title"] for row in found]
        assert (
            page.locator(".why .total").first.inner_text().endswith(f"{found[0]['relevance']:+.1f}".replace("-", "−"))
        )
        page.get_by_role("button", name="Must not").click()
        page.wait_for_function("() => location.hash.includes('without=mood%2Fcalm')")
        total = api(page, "v1/explorer/facets?without=mood/calm")["data"]["total"]
        settled(page, f"{total} track")
        assert page.evaluate("document.activeElement.textContent") == "Must not", "the key keeps the focus"


def test_a_range_moves_the_other_histograms(browser, url):
    with opened_page(browser, f"{url}/#/search") as page:
        settled(page, f"{TRACKS} tracks")
        low = page.get_by_label("Year, lowest")
        for _ in range(6):
            low.press("ArrowRight")
        year = api(page, "v1/explorer/facets?column=year")["data"]["columns"]["year"]
        given = f"range=year%3A{year['start'] + 6 * year['step']:g}.."
        page.wait_for_function("given => location.hash.includes(given)", arg=given)
        (given,) = asked(page)["range"]
        facets = api(page, f"v1/explorer/facets?range={given}")["data"]
        settled(page, f"{facets['total']} track")
        year = page.locator("fieldset", has_text="Year")
        tempo = page.locator("fieldset", has_text="Tempo")
        assert year.locator("rect.out").count() == 6
        drawn = tempo.locator("rect").evaluate_all("bars => bars.map(bar => Number(bar.getAttribute('height')))")
        most = max(facets["columns"]["bpm"]["counts"])
        assert drawn == pytest.approx([44 * one / most for one in facets["columns"]["bpm"]["counts"]], abs=1.5)


def test_more_tracks_come_without_repeats(browser, url):
    with opened_page(browser, f"{url}/#/search?sort=-year") as page:
        settled(page, f"{TRACKS} tracks")
        for shown in (50, TRACKS):
            page.get_by_role("button", name="More tracks").click()
            page.wait_for_function("n => document.querySelectorAll('.track').length === n", arg=shown)
        links = page.locator(".track h2 a").evaluate_all("links => links.map(link => link.href)")
        assert len(set(links)) == TRACKS and page.get_by_role("button", name="More tracks").count() == 0


def test_a_playlist_is_ordered_by_keys_and_by_dragging_and_exported(browser, url, tmp_path):
    with opened_page(browser, f"{url}/#/search") as page:
        settled(page, f"{TRACKS} tracks")
        names = titles(page)[:3]
        for i in range(3):
            page.locator(".track").nth(i).get_by_role("button", name="Add").click()
        page.get_by_role("link", name="Playlist").click()
        rows = page.locator(".order > li")
        order = lambda: page.locator(".order .names > a").all_inner_texts()  # noqa: E731
        assert order() == names
        rows.nth(0).press("Alt+ArrowDown")
        assert order() == [names[1], names[0], names[2]]
        rows.nth(2).drag_to(rows.nth(0))
        assert order() == [names[2], names[1], names[0]]
        page.reload()
        page.wait_for_selector(".order > li")
        assert order() == [names[2], names[1], names[0]], "the browser keeps it"
        files = {form: exported(page, form, tmp_path) for form in ("M3U8", "CSV", "JSON")}
    assert files["M3U8"].startswith("#EXTM3U\n") and files["M3U8"].count("#EXTINF:8,") == 3
    assert [row["title"] for row in csv.DictReader(files["CSV"].splitlines())] == [names[2], names[1], names[0]]
    assert [track["title"] for track in json.loads(files["JSON"])["tracks"]] == [names[2], names[1], names[0]]


def exported(page, form: str, folder: Path) -> str:
    with page.expect_download() as started:
        page.get_by_role("button", name=form, exact=True).click()
    path = folder / form
    started.value.save_as(path)
    assert started.value.suggested_filename == f"My playlist.{form.lower()}"
    return path.read_text()


def test_the_map_shows_and_opens_the_track_below_the_pointer(browser, url):
    with opened_page(browser, f"{url}/#/map") as page:
        found = api(page, "v1/explorer/map?category=genre")["data"]
        box = page.locator("canvas").bounding_box()
        place = max(range(TRACKS), key=lambda i: found["x"][i])
        x = box["x"] + 24 + (box["width"] - 48) * found["x"][place] / 10_000
        y = box["y"] + 24 + (box["height"] - 48) * found["y"][place] / 10_000
        page.mouse.move(x, y)
        page.wait_for_function("() => document.querySelector('.tip b')?.textContent.length > 0")
        page.mouse.click(x, y)
        page.wait_for_function("() => location.hash.includes('/track?id=')")
        chosen = page.url.partition("id=")[2]
        edge = [t for t, x in zip(found["track_id"], found["x"], strict=True) if x == found["x"][place]]
        assert chosen in edge


MANY = 12_000
"""Points of a map that is drawn as pixels."""


def pixel(page, x, y):
    """The pixel of the map at a position of 0 to 10,000: red, green, blue, alpha."""
    script = """([x, y]) => {
      const canvas = document.querySelector('canvas.map');
      const at = (share, size) => Math.round((24 + (size - 48) * share) * devicePixelRatio);
      const place = [at(x / 10000, canvas.clientWidth), at(y / 10000, canvas.clientHeight)];
      return [...canvas.getContext('2d').getImageData(...place, 1, 1).data];
    }"""
    return page.evaluate(script, [x, y])


def test_many_points_of_the_map_are_pixels_that_stay(browser, url):
    x, y = [i % 100 * 100 for i in range(MANY)], [i // 100 * 80 for i in range(MANY)]
    found = {"category": "genre", "tags": ["genre/folk"], "track_id": [f"track-{i:04}" for i in range(MANY)]}
    found |= {"x": x, "y": y, "tag": [i % 2 - 1 for i in range(MANY)], "tracks": MANY, "explained": [0.2, 0.1]}
    with opened_page(browser, f"{url}/#/tags") as page:
        page.route("**/v1/explorer/map*", lambda route: route.fulfill(json={"data": found}))
        page.evaluate("location.hash = '#/map'")
        page.wait_for_function("() => document.querySelector('canvas.map')?.width > 300")
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        folk, other = pixel(page, 100, 4000), pixel(page, 200, 4000)
        assert folk[3] > 100 and other[3] > 100 and folk[:3] != other[:3]
        box = page.locator("canvas").bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.wait_for_function("() => document.querySelector('.tip b')?.textContent.length > 0")
        assert (pixel(page, 100, 4000), pixel(page, 200, 4000)) == (folk, other), "the ring is drawn over the picture"
        page.get_by_role("button", name="Folk").click()
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        assert pixel(page, 100, 4000)[3] == 0 and pixel(page, 200, 4000) == other


def test_an_export_finds_what_the_service_finds(browser, url, table, tmp_path):
    assert main(["--quiet", "serve", table, "--export", str(tmp_path / "page")]) == 0
    with web_server(tmp_path / "page") as other:
        for name, view in VIEWS.items():
            if name in ("rejected", "playlist"):
                continue
            with opened_page(browser, f"{url}/{view}") as page, opened_page(browser, f"{other}/{view}") as copy:
                for one in (page, copy):
                    one.wait_for_load_state("networkidle")
                assert copy.locator("main").inner_text() == page.locator("main").inner_text(), name


def test_texts_of_the_catalog_stay_texts(browser, url):
    hostile = "<img src=x onerror=document.title='owned'>"
    row = {"track_id": "a b/../c?&#", "title": hostile, "artist": hostile, "artist_id": "x", "top_tags": [], "why": []}
    with opened_page(browser, f"{url}/#/tags") as page:
        page.route("**/v1/explorer/tracks*", lambda route: route.fulfill(json={"data": [row], "next": None}))
        page.evaluate("location.hash = '#/search'")
        page.wait_for_selector(".track h2")
        assert titles(page) == [hostile] and page.locator(".track img").count() == 0
        link = page.locator(".track h2 a").get_attribute("href")
        assert parse_qs(link.partition("?")[2])["id"] == ["a b/../c?&#"]


def test_a_service_that_stops_is_named(browser, url):
    with opened_page(browser, f"{url}/#/tags", expected=("ERR_FAILED", "503")) as page:
        page.route("**/v1/explorer/quality*", lambda route: route.abort())
        page.get_by_role("link", name="Quality").click()
        page.get_by_text("The service does not answer").wait_for()
        page.unroute("**/v1/explorer/quality*")
        problem = {"title": "The query reached a limit", "detail": "ask for less", "status": 503}
        page.route("**/v1/explorer/quality*", lambda route: route.fulfill(status=503, json=problem))
        page.get_by_role("button", name="Try again").click()
        page.get_by_text("ask for less").wait_for()
        page.unroute("**/v1/explorer/quality*")
        page.get_by_role("button", name="Try again").click()
        page.get_by_role("heading", name="Rejects by reason").wait_for()


def test_a_sign_in_and_a_sign_out(browser, table, tmp_path):
    path, secrets = clients_file(tmp_path, reader="read")
    with listening_service(table, path) as url, opened_page(browser, f"{url}/#/quality", expected=("401",)) as page:
        page.get_by_label("Client id").fill("reader")
        page.get_by_label("Client secret").fill("wrong")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_text("no client has this id").wait_for()
        page.get_by_label("Client secret").fill(secrets["reader"])
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("heading", name="Rejects by reason").wait_for()
        kept = page.evaluate("JSON.stringify([document.cookie, localStorage, sessionStorage, document.body.innerHTML])")
        assert secrets["reader"] not in kept and "session" not in page.evaluate("document.cookie")
        page.get_by_role("button", name="Sign out").click()
        page.get_by_label("Client secret").wait_for()
        assert page.evaluate("fetch('v1/explorer').then(answer => answer.status)") == 401


def is_pair_of_sliders(rule, html):
    """Two sliders of one range lie on each other on purpose: only their handles, of 24 pixels, take the pointer."""
    return rule == "target-size" and ", lowest" in html


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_view_passes_axe_and_fits_the_width(browser, url, scheme, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core is not installed").Axe()
    for name, view in VIEWS.items():
        with opened_page(browser, f"{url}/{view}", color_scheme=scheme, reduced_motion="reduce") as page:
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_load_state("networkidle")
            rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
            found = axe.run(page, options=rules).response["violations"]
            faults = [(one["id"], node["html"]) for one in found for node in one["nodes"]]
            assert [fault for fault in faults if not is_pair_of_sliders(*fault)] == [], name
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, name
