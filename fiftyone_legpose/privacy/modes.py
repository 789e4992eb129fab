"""What a hand-over does about stills that show more than legs."""

from typing import Literal

Mode = Literal["refuse", "blacken", "off"]
"""Send nothing if a still shows too much, send it with that burnt black, or look at nothing."""

MODE_WORDS: dict[str, str] = {
    "refuse": "Send nothing if a still shows a face or more than legs",
    "blacken": "Send faces and upper bodies burnt black",
    "off": "Look at nothing, send all as it is",
}
"""What each mode does, as shell and App say it."""
