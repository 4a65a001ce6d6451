"""Draw the report of a real run of the demo: ``FORCE_COLOR=1 make demo | python docs/picture.py``."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

PICTURE = Path(__file__).parent / "pages" / "report.svg"
WIDTH = 120
_FONT_FACE = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def first_act(output: str) -> str:
    """The ten days and what was blocked: up to the first blank line after the panel."""
    end = output.index("╯") + 1
    return output[output.index("Ten days") : end]


def svg(output: str) -> str:
    """The picture, without fonts from elsewhere."""
    console = Console(width=WIDTH, record=True, file=io.StringIO())
    console.print(Text.from_ansi(first_act(output)))
    picture = console.export_svg(title="make demo", theme=MONOKAI, unique_id="report")
    return _FONT_FACE.sub("", picture).replace("Fira Code", "ui-monospace, Menlo, Consolas")


if __name__ == "__main__":
    PICTURE.write_text(svg(sys.stdin.read()), encoding="utf-8")
