"""The pictures of the documentation: the page of a server that runs, as chromium shows it.

    make demo && make serve
    python -m benchmarks.screenshots [http://127.0.0.1:5000]

Here belongs what is taken; it goes to docs/images.
"""

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

FOLDER = Path(__file__).parents[1] / "docs" / "images"
CHROMIUM = Path("/usr/bin/chromium")
USUAL = "http://127.0.0.1:5000"
LANGUAGES = {"en": "en-GB", "zh": "zh-CN"}
# What is taken, and in light or dark.
PICTURES = {
    "prices": ("#/instrument/600000.SH?adjust=qfq", "light"),
    "market": ("#/market", "dark"),
}


def main() -> None:
    url = (sys.argv[1:] or [USUAL])[0].rstrip("/")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for name, (place, theme) in PICTURES.items():
            for language, locale in LANGUAGES.items():
                page = browser.new_page(viewport={"width": 1280, "height": 800}, locale=locale)
                page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
                page.goto(f"{url}/{place}")
                page.wait_for_selector("main canvas, main svg")
                page.wait_for_load_state("networkidle")
                path = FOLDER / f"{name}.{language}.png"
                page.screenshot(path=path)
                print(f"{path}: {path.stat().st_size:,} bytes")
                page.close()
        browser.close()


if __name__ == "__main__":
    main()
