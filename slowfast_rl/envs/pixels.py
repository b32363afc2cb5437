"""Text in pictures, so that rendering needs no drawing library."""

import numpy as np
from numpy.typing import NDArray

GLYPH_HEIGHT = 10
_SCALE = 2  # pixels of the picture per pixel of a glyph
# Glyphs of 3 x 5 pixels: five octal digits each, the rows from the top, the high bit on the left.
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.,:"
_ROWS = (
    "25755656563444365556746477464434553557557222711152556554444757755"
    "65555255526564425563656553421672222555575552255775552555522271247"
    "75557262276124761216557117461634757711227575775716007000000200024"
    "02020"
)
_GLYPHS = {letter: _ROWS[5 * k : 5 * k + 5] for k, letter in enumerate(_LETTERS)}


def write_text(
    image: NDArray[np.uint8], left: int, top: int, text: str, color: tuple[int, int, int]
) -> None:
    """Write a line of text into a picture [height, width, 3]; what does not fit is cut off.

    Args:
        image: the picture.
        left: column of the first letter.
        top: row of the letters' upper edge.
        text: letters, digits and ``-.,:``; every other character is a space.
        color: of the letters.
    """
    for number, letter in enumerate(text.upper()):
        for y, digit in enumerate(_GLYPHS.get(letter, "00000")):
            for x in range(3):
                if int(digit) & (4 >> x):
                    down, right = top + _SCALE * y, left + _SCALE * (4 * number + x)
                    image[down : down + _SCALE, right : right + _SCALE] = color
