"""How pictures of a data set become arrays of one shape."""

import dataclasses
import io

import numpy as np
from PIL import Image

from randlabels.data.forms.pictures import MODES

# A JPEG may be decoded at a half, a quarter or an eighth, as long as it stays so many times larger
# than what it becomes.
_DRAFT = 2


@dataclasses.dataclass(frozen=True)
class Framing:
    """What is done to each picture; the same on every machine with the same Pillow and libjpeg.

    Attributes:
      native: height, width and channels of the pictures; None where they differ.
      short_side: pixels that the shorter side is resized to (bilinear over the area of a new
        pixel, Pillow's antialiasing); 0 leaves pictures as they are.
      size: pixels of the square that is then cut from the centre; 0 is short_side. Where the
        remainder is odd, the row or column more is at the bottom or right.
    """

    native: tuple[int | None, int | None, int]
    short_side: int = 0
    size: int = 0

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the arrays."""
        height, width, channels = self.native
        if self.short_side:
            side = self.size or self.short_side
            return side, side, channels
        assert height is not None  # see `decoding.framing_of`
        assert width is not None
        return height, width, channels

    @property
    def suffix(self) -> str:
        """By which the name of a cache says what was done."""
        return f"-{self.short_side}-{self.shape[0]}" if self.short_side else ""

    def image(self, encoded: bytes) -> np.ndarray:
        """The pixels of a picture as it is stored, uint8 [h, w, c] of `shape`."""
        mode = MODES[self.native[-1]]
        with Image.open(io.BytesIO(encoded)) as picture:
            if self.short_side:
                picture.draft(mode, (_DRAFT * self.short_side,) * 2)
            pixels = picture.convert(mode)
        if self.short_side:
            pixels = self._centre(pixels)
        return np.asarray(pixels).reshape(self.shape)

    def _centre(self, picture: Image.Image) -> Image.Image:
        least = min(picture.size)
        width, height = (
            max(self.short_side, round(side * self.short_side / least)) for side in picture.size
        )
        if (width, height) != picture.size:
            picture = picture.resize((width, height), Image.Resampling.BILINEAR)
        size = self.shape[0]
        left, top = (width - size) // 2, (height - size) // 2
        return picture.crop((left, top, left + size, top + size))
