"""What a person does in the App, in the words of a person."""

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import expect

NAME = "@legpose/legpose"
_PATIENCE_MS = 120_000
_FORM = "[data-cy=operators-prompt-modal]"
_PANEL = "[data-cy=panel-content-leg_pose]"

# Thrown by FiftyOne's own sidebar when a dataset is reloaded while a video is open.
_FIFTYONES = ("entry is loading",)

# FiftyOne's own page asks for fonts; it works without them.
_FONTS = re.compile(r"https://fonts\.(googleapis|gstatic)\.com/")


class AppPage:
    """One page of the App, cut off from everything but its own server.

    Parameters
    ----------
    browser
        Of playwright.
    address
        Of the App.
    dataset
        Name of the dataset to open.
    pictures
        Folder for screenshots.
    size
        Of the window, in px.
    """

    def __init__(
        self,
        browser: Any,
        address: str,
        dataset: str,
        pictures: Path,
        size: tuple[int, int] = (1600, 1000),
    ):
        self._pictures = pictures
        self.outside: list[str] = []
        """Addresses outside of this machine that the page asked for, in vain."""
        self.errors: list[str] = []
        """What the page's console calls an error."""
        self._context = browser.new_context(viewport={"width": size[0], "height": size[1]})
        self._context.set_default_timeout(_PATIENCE_MS)
        self._context.add_init_script(
            "localStorage.setItem('fiftyone-enterprise-tooltip', 'true');"
            "localStorage.setItem('fiftyone-enterprise-tooltip-seen', 'true');"
        )
        self._context.route("**/*", self._only_here)
        self.page = self._context.new_page()
        self.page.on("console", self._listen)
        self.page.on("pageerror", lambda error: self._note(str(error)))
        self._address = address
        self.page.goto(f"{address}/datasets/{dataset}")

    def close(self) -> None:
        self._context.close()

    def picture(self, name: str, part: Any = None) -> Path:
        """Take a picture of the page, or of a part of it."""
        path = self._pictures / f"{name}.png"
        (self.page if part is None else part).screenshot(path=path)
        return path

    def form_window(self, submit: str) -> Any:
        """Give the window of the form, once the button that submits it may be pressed."""
        window = self.page.locator(_FORM)
        window.locator("button:enabled", has_text=submit).wait_for()
        window.locator("[role=progressbar]").first.wait_for(state="detached")
        return window

    @property
    def player(self) -> Any:
        return self.page.locator("[data-cy=modal-looker-container]")

    @property
    def modal(self) -> Any:
        return self.page.locator("[data-cy=modal]")

    @property
    def requests_that_matter(self) -> list[str]:
        return [url for url in self.outside if not _FONTS.match(url)]

    def operators(self) -> set[str]:
        """Ask the server, as the page does, for the operators of the plugin that it offers."""
        answer = self._context.request.post(f"{self._address}/operators", data={})
        offered = {one["uri"] for one in answer.json()["operators"]}
        return {uri.removeprefix(f"{NAME}/") for uri in offered if uri.startswith(NAME)}

    # Forms

    def open_first_form(self, title: str) -> None:
        """Open a form on a dataset without samples, which has neither buttons nor panels yet."""
        self.page.get_by_text("browse operations").click()
        self.page.get_by_text(title, exact=True).click()
        self.page.locator(_FORM).wait_for()

    def fill(self, label: str, value: object) -> None:
        box = self.page.locator(_FORM).locator(
            f'xpath=.//*[normalize-space(text())="{label}"]/following::input[1]'
        )
        # What is typed counts once the form has asked the server about it.
        with self.page.expect_response("**/operators/resolve-type"):
            box.fill(str(value))

    def switch(self, label: str) -> None:
        self.page.locator(_FORM).get_by_label(label).click()

    def submit_and_stop(self, label: str, verb: str) -> str:
        """Press the form's button, stop the work in the panel, and give what the App says."""
        self.page.locator(_FORM).get_by_role("button", name=label, exact=True).click()
        stop = self.panel.get_by_role("button", name=f"Stop {verb}")
        stop.wait_for()
        # Nothing lies over the page while the work goes on.
        expect(self.page.locator("[role=dialog]")).to_have_count(0)
        self.picture(f"{verb}-at-work")
        stop.click()
        return self._outcome(f"{verb}-stopped", within_s=180)

    def submit(self, label: str, *, opens: str | None = None, within_s: float = 180) -> str:
        """Press the form's button and give what the App says when the verb is done.

        Parameters
        ----------
        label
            Of the button.
        opens
            Name of the dataset that the App goes on to.
        within_s
            How long it may take.
        """
        self.page.locator(_FORM).get_by_role("button", name=label, exact=True).click()
        return self._outcome(f"{label.lower().replace(' ', '-')}-done", opens, within_s)

    def _outcome(self, picture: str, opens: str | None = None, within_s: float = 180) -> str:
        # The form has alerts too.
        done = (
            self.page.locator("[role=dialog]")
            .filter(has=self.page.locator("[class*=MuiAlert-root]"))
            .filter(has=self.page.get_by_role("button", name="Done"))
        )
        done.wait_for(timeout=within_s * 1000)
        said = done.inner_text()
        self.picture(picture)
        if opens is not None:
            self.page.wait_for_url(f"**/datasets/{opens}*")
        done.get_by_role("button", name="Done").click()
        done.wait_for(state="detached")
        return said

    # The panel

    def wait_for_panel(self) -> None:
        """Wait for the panel, which opens by itself."""
        self.panel.get_by_text("Next:").wait_for()

    @property
    def panel(self) -> Any:
        return self.page.locator(_PANEL).last

    @property
    def worst_frames(self) -> Any:
        """Rows of the panel's table."""
        return self.panel.locator("tbody tr", has=self.page.get_by_role("button", name="Open"))

    def wait_for_worst_frames(self, count: int) -> None:
        """Wait until the panel lists so many frames, no more and no less."""
        expect(self.worst_frames).to_have_count(count, timeout=_PATIENCE_MS)

    def press(self, label: str) -> None:
        """Press a button of the panel that opens a form."""
        self.panel.get_by_role("button", name=label, exact=True).click()
        self.page.locator(_FORM).wait_for()

    def click_curve(self, trace: str, frame: int) -> None:
        """Click the point of a frame (from 1) on a curve of the panel beside the open video."""
        # The plot may still be growing into its place.
        for _ in range(_PATIENCE_MS // 1000):
            place = self.page.evaluate(_POINT, [trace, frame - 1])
            self.page.mouse.move(0, 0)
            if place is not None:
                self.page.mouse.move(*place)
            self.page.wait_for_timeout(1000)
            if self.page.locator(".hoverlayer .hovertext").count():
                self.page.mouse.click(*place)
                return
        self.picture("no-curve")
        raise AssertionError(f"frame {frame} of the curve {trace!r} cannot be clicked")

    def is_inside_panel(self, locator: Any) -> bool:
        """Tell whether something is seen in its full width in the panel."""
        inner, outer = locator.bounding_box(), self.panel.bounding_box()
        right = inner["x"] + inner["width"]
        return outer["x"] <= inner["x"] and right <= outer["x"] + outer["width"]

    # The video

    def open_video(self) -> None:
        self.page.locator("[data-cy=looker]").first.click()
        self.page.locator("[data-cy=modal]").wait_for()
        self.page.wait_for_function(_IS_LOADED)

    def next_video(self) -> None:
        self.page.keyboard.press("ArrowRight")

    def wait_for_points(self, trace: str, count: int) -> None:
        """Wait until a curve of the panel beside the open video has so many points."""
        self.page.wait_for_function(_HAS_POINTS, arg=[trace, count])

    def put_panel_beside_video(self) -> None:
        self.page.locator("[data-cy=modal] [data-cy=panel-tab-leg_pose]").click()
        self.page.locator("[data-cy=modal] [title='Split horizontally']").click()
        self.page.wait_for_function(_IS_LOADED)

    def leave_video(self, dataset: str) -> None:
        """Open the dataset anew: a video with a panel beside it does not close by a key."""
        self.page.goto(f"{self._address}/datasets/{dataset}")

    def close_video(self) -> None:
        self.page.keyboard.press("Escape")
        self.page.locator("[data-cy=modal]").wait_for(state="detached")

    def wait_until_at(self, seconds: float) -> None:
        """Wait until the player shows a time."""
        self.page.wait_for_function(_IS_AT, arg=f"0:{seconds:05.2f}")

    def wait_for_color(self, color: str, at_least_px: int = 100) -> None:
        """Wait until so many px of the open video have nearly this colour."""
        for _ in range(_PATIENCE_MS // 500):
            if self._colored_px(color) >= at_least_px:
                return
            self.page.wait_for_timeout(500)
        self.picture("no-color")
        raise AssertionError(f"less than {at_least_px} px of the video are {color}")

    def _colored_px(self, color: str) -> int:
        shot = self.player.screenshot()
        picture = np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"), int)
        wanted = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
        return int((np.abs(picture - wanted).max(axis=-1) < 24).sum())

    def _only_here(self, route: Any) -> None:
        url = route.request.url
        if url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            route.continue_()
        else:
            self.outside.append(url)
            route.abort()

    def _listen(self, message: Any) -> None:
        blocked = "net::ERR_FAILED" in message.text
        if message.type == "error" and not blocked:
            self._note(message.text)

    def _note(self, error: str) -> None:
        if error not in _FIFTYONES:
            self.errors.append(error)


_IS_LOADED = """() => {
  const shown = document.querySelector("[data-cy=modal] [data-cy=looker-video-time]");
  return shown && /\\d\\/|\\/ 0:0[1-9]/.test(shown.textContent);
}"""

_IS_AT = """(time) =>
  document.querySelector("[data-cy=modal]")?.innerText.includes(time + " /")"""

_HAS_POINTS = """([name, count]) => {
  const plots = [...document.querySelectorAll("[data-cy=modal] .js-plotly-plot")];
  const traces = plots.flatMap((plot) => plot.data ?? []);
  return traces.find((trace) => trace.name === name)?.x.length === count;
}"""

_POINT = """([name, i]) => {
  const plots = [...document.querySelectorAll("[data-cy=modal] .js-plotly-plot")];
  const plot = plots.find((one) => one.data?.some((trace) => trace.name === name));
  if (!plot?._fullLayout) return null;
  const trace = plot.data.find((one) => one.name === name);
  const { xaxis, yaxis } = plot._fullLayout;
  const box = plot.getBoundingClientRect();
  return [
    box.left + xaxis._offset + xaxis.d2p(trace.x[i]),
    box.top + yaxis._offset + yaxis.d2p(trace.y[i]),
  ];
}"""
