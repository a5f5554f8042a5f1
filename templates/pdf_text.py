"""Text in a PDF in whatever script a name or a product has: fonts chosen per word, measured, wrapped and drawn.

Nothing but the fonts that reportlab brings along is needed. Latin in Helvetica, further Latin letters in Vera, Chinese
(with Greek and Cyrillic), Japanese and Korean in Adobe's character collections, which are not embedded: the reader's
system supplies the glyphs, as every common viewer and print server does.
"""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

_CHINESE, _JAPANESE, _KOREAN = "STSong-Light", "HeiseiKakuGo-W5", "HYGothic-Medium"
_UNKNOWN = "?"


@dataclass(frozen=True)
class Face:
    """A weight of the slip's type: the font for plain Latin and the one for Latin letters that it lacks."""

    plain: str
    further: str


REGULAR = Face("Helvetica", "Vera")
BOLD = Face("Helvetica-Bold", "VeraBd")


def register_fonts() -> None:
    """Tell reportlab about the fonts. Its register is global to the process; registering again changes nothing."""
    for name in (_CHINESE, _JAPANESE, _KOREAN):
        if name not in pdfmetrics.getRegisteredFontNames():
            pdfmetrics.registerFont(UnicodeCIDFont(name))
    for name in (REGULAR.further, BOLD.further):
        if name not in pdfmetrics.getRegisteredFontNames():
            pdfmetrics.registerFont(TTFont(name, f"{name}.ttf"))


def wrap(text: str, face: Face, size: float, width: float) -> list[str]:
    """``text`` broken into lines no wider than ``width`` points.

    Broken at spaces, after hyphens and slashes, beside Chinese characters, and where nothing else helps anywhere.
    """
    lines, line = [], ""
    for piece in _pieces(text, face, size, width):
        if line and text_width(line + piece.rstrip(), face, size) > width:
            lines.append(line.rstrip())
            line = ""
        line += piece if line else piece.lstrip()
    return [*lines, line.rstrip()] if line.strip() else lines or [""]


def text_width(text: str, face: Face, size: float) -> float:
    """How wide ``text`` is in points."""
    return sum(float(pdfmetrics.stringWidth(part, font, size)) for font, part in _runs(text, face))


def draw(canvas: Canvas, x: float, y: float, text: str, face: Face, size: float) -> None:
    """Write one line of ``text`` with its baseline starting at (x, y)."""
    for font, part in _runs(text, face):
        canvas.setFont(font, size)
        canvas.drawString(x, y, part)
        x += float(pdfmetrics.stringWidth(part, font, size))


def draw_right(canvas: Canvas, x: float, y: float, text: str, face: Face, size: float) -> None:
    """Write one line of ``text`` with its baseline ending at (x, y)."""
    draw(canvas, x - text_width(text, face, size), y, text, face, size)


def _pieces(text: str, face: Face, size: float, width: float) -> Iterator[str]:
    word = ""
    for character in " ".join(text.split()):
        alone = _east_asian(character) is not None
        if word and (alone or text_width(word + character, face, size) > width):
            yield word
            word = ""
        word += character
        if alone or character in " -/":
            yield word
            word = ""
    if word:
        yield word


def _runs(text: str, face: Face) -> Iterator[tuple[str, str]]:
    fonts: list[tuple[str, str]] = []
    for is_space, letters in groupby(text, str.isspace):
        word = "".join(letters)
        fonts += [(face.plain, word)] if is_space else _word(word, face)
    for font, parts in groupby(fonts, lambda pair: pair[0]):
        yield font, "".join(part for _, part in parts)


def _word(word: str, face: Face) -> list[tuple[str, str]]:
    word = "".join(_printable(character, face) for character in word)
    # A word keeps one Latin font where it can: two in one name look like a mistake.
    for font in (face.plain, face.further):
        if all(_has(font, character) for character in word):
            return [(font, word)]
    return [(_font(character, face) or face.plain, character) for character in word]


def _printable(character: str, face: Face) -> str:
    """The character itself, else its base letter (ź as z), else a question mark."""
    if _font(character, face):
        return character
    base = unicodedata.normalize("NFKD", character)[0]
    return base if _font(base, face) else _UNKNOWN


def _font(character: str, face: Face) -> str | None:
    fonts = (_east_asian(character), face.plain, face.further, _CHINESE)
    return next((font for font in fonts if font is not None and _has(font, character)), None)


def _has(font: str, character: str) -> bool:
    if font in (REGULAR.further, BOLD.further):
        return ord(character) in pdfmetrics.getFont(font).face.charToGlyph
    codec = {_CHINESE: "gbk", _JAPANESE: "cp932", _KOREAN: "cp949"}.get(font, "cp1252")
    try:
        character.encode(codec)
    except UnicodeEncodeError:
        return False
    return True


def _east_asian(character: str) -> str | None:
    code = ord(character)
    if 0x3040 <= code <= 0x30FF:
        return _JAPANESE
    if 0xAC00 <= code <= 0xD7A3 or 0x1100 <= code <= 0x11FF:
        return _KOREAN
    return _CHINESE if unicodedata.east_asian_width(character) in "WF" else None
