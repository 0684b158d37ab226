"""The contact sheet as one picture: a row for each product and channel, a column for each scene. Knows only files."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

PAPER, INK, FAINT, MISSING = "#f4f4f4", "#1b1b1b", "#6b6b6b", "#dcdcdc"
MARGIN_PX, GAP_PX, LABEL_WIDTH_PX, TITLE_HEIGHT_PX, LINE_PX = 32, 12, 190, 64, 18
MAX_SHEET_PX = 60_000_000


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One picture on the sheet. ``path`` is None where there is none; ``note`` then says why."""

    row: str
    column: str
    path: Path | None
    note: str = ""


def draw(*, title: str, subtitle: str, frames: Sequence[Frame]) -> bytes:
    """The contact sheet as PNG. Rows and columns come in the order of the frames."""
    rows = list(dict.fromkeys(frame.row for frame in frames))
    columns = list(dict.fromkeys(frame.column for frame in frames))
    size = _frame_size(len(rows), len(columns))
    heading = _wrap_all(columns, size)
    top = MARGIN_PX + TITLE_HEIGHT_PX + LINE_PX * max((len(lines) for lines in heading), default=1) + GAP_PX
    left = MARGIN_PX + LABEL_WIDTH_PX
    width = left + len(columns) * (size + GAP_PX) + MARGIN_PX - GAP_PX
    sheet = Image.new("RGB", (max(width, 640), top + len(rows) * (size + GAP_PX) + MARGIN_PX), PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((MARGIN_PX, MARGIN_PX), title, INK, _font(24))
    pen.text((MARGIN_PX, MARGIN_PX + 32), subtitle, FAINT, _font(14))
    for index, lines in enumerate(heading):
        x = left + index * (size + GAP_PX)
        pen.multiline_text((x, top - GAP_PX // 2), "\n".join(lines), INK, _font(14), anchor="ld", spacing=3)
    for index, row in enumerate(rows):
        y = top + index * (size + GAP_PX)
        text = "\n".join(line for part in row.split("\n") for line in _wrap(part, LABEL_WIDTH_PX - GAP_PX))
        pen.multiline_text((MARGIN_PX, y), text, INK, _font(14), spacing=3)
    for frame in frames:
        corner = left + columns.index(frame.column) * (size + GAP_PX), top + rows.index(frame.row) * (size + GAP_PX)
        _paste(sheet, frame, corner, size)
    stream = io.BytesIO()
    sheet.save(stream, "PNG")
    return stream.getvalue()


def _frame_size(rows: int, columns: int) -> int:
    """Side of a frame in px: comfortable for a small campaign, smaller where the sheet would grow beyond all bounds."""
    for size in (240, 160, 96, 64):
        if rows * columns * (size + GAP_PX) ** 2 <= MAX_SHEET_PX:
            return size
    return 48


def _paste(sheet: Image.Image, frame: Frame, corner: tuple[int, int], size: int) -> None:
    x, y = corner
    if frame.path is None:
        pen = ImageDraw.Draw(sheet)
        pen.rectangle((x, y, x + size - 1, y + size - 1), MISSING)
        pen.multiline_text((x + 8, y + 8), "\n".join(_wrap(frame.note, size - 16)), FAINT, _font(13), spacing=3)
        return
    with Image.open(frame.path) as image:
        image.draft("RGB", (size, size))
        picture = image.convert("RGB")
    picture.thumbnail((size, size), Image.Resampling.LANCZOS)
    sheet.paste(picture, (x + (size - picture.width) // 2, y + (size - picture.height) // 2))


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _wrap_all(texts: Sequence[str], width: int) -> list[list[str]]:
    return [[line for part in text.split("\n") for line in _wrap(part, width)] for text in texts]


def _wrap(text: str, width: int) -> list[str]:
    """Break a text at its spaces into lines of at most ``width`` px."""
    font, lines = _font(14), [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
