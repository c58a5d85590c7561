"""Takes the pictures of the explorer page in docs/guides/explorer: starts the service, and Chromium without a window.

python -m pipelines.docs.screenshots demo/table docs/guides/explorer --audio-root demo
"""

import argparse
import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PICTURES = {
    "search": "#/search?weigh=mood/soft:1&weigh=genre/folk:-0.5&range=year:2000..2018",
    "track": "#/track?id=track-0001",
    "map": "#/map",
    "quality-dark": "#/quality",
}
"""Name of a picture -> the view of the page."""

SIZE = {"width": 1200, "height": 760}


@contextlib.contextmanager
def _service(table: str, audio_root: str | None) -> Iterator[str]:
    """The URL of a service on a free port."""
    command = [sys.executable, "-m", "pipelines.cli", "serve", table, "--port", "0", "--format", "json"]
    command += ["--audio-root", audio_root] if audio_root else []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            text = ""
            while not text.rstrip().endswith("}"):
                if not (line := process.stdout.readline()):
                    sys.exit("the service did not start")
                text += line
            yield json.loads(text)["url"]
        finally:
            process.terminate()


def take(url: str, folder: Path) -> None:
    """Takes all pictures of a service, as PNG files."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, view in PICTURES.items():
            scheme = "dark" if name.endswith("dark") else "light"
            page = browser.new_page(viewport=SIZE, color_scheme=scheme, reduced_motion="reduce")
            page.goto(f"{url}/{view}")
            page.wait_for_selector("main h1")
            page.wait_for_load_state("networkidle")
            page.screenshot(path=folder / f"{name}.png")
            page.close()
        browser.close()


def main(argv: list[str] | None = None) -> None:
    """Takes the pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("table")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--audio-root")
    args = parser.parse_args(argv)
    args.folder.mkdir(parents=True, exist_ok=True)
    with _service(args.table, args.audio_root) as url:
        take(url, args.folder)


if __name__ == "__main__":
    main()
