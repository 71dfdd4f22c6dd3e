"""A visit to the page with a browser of its own settings, which notes what goes wrong."""

from playwright.sync_api import Browser, BrowserContext, Page

# The first one has to start everything, on a machine that is busy.
PATIENCE = 30_000


class Visits:
    """Visits by one browser; `problems` are errors in the console, `asked` every address."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self.problems: list[str] = []
        self.asked: list[str] = []

    def to(
        self, url: str, language: str = "en-GB", width: int = 1440, theme: str = "light"
    ) -> Page:
        """The page at an address, once it shows something."""
        context = self._browser.new_context(
            locale=language,
            viewport={"width": width, "height": 900},
            color_scheme="dark" if theme == "dark" else "light",
        )
        self._contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.on("console", lambda one: self._note(one.text) if one.type == "error" else None)
        page.on("pageerror", lambda error: self._note(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))
        page.goto(url)
        page.wait_for_selector("main h1, main .message")
        return page

    def close(self) -> None:
        for context in self._contexts:
            context.close()

    def _note(self, text: str) -> None:
        self.problems.append(text)
