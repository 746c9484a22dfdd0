"""How pictures of a data set become arrays of one shape."""

import dataclasses
import io
import math

import numpy as np
from PIL import Image

from randlabels.data.forms.pictures import MODES

# A JPEG may be decoded at a half, a quarter or an eighth, as long as it stays so many times larger
# than what it becomes.
_DRAFT = 2
# Of a random crop.
_LEAST_AREA = 0.08  # share of the picture's
_MOST_RATIO = 4 / 3  # of width and height
_TRIES = 10


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

    def image(self, encoded: bytes, seed: tuple[int, ...] = ()) -> np.ndarray:
        """The pixels of a picture as it is stored, uint8 [h, w, c] of `shape`.

        With a seed it is cut out at random, in place of the centre, see `_random_crop`.
        """
        if seed:
            with Image.open(io.BytesIO(encoded)) as picture:
                cut = self._random_crop(picture.convert(MODES[self.native[-1]]), seed)
            return np.asarray(cut).reshape(self.shape)
        mode = MODES[self.native[-1]]
        with Image.open(io.BytesIO(encoded)) as picture:
            if self.short_side:
                picture.draft(mode, (_DRAFT * self.short_side,) * 2)
            pixels = picture.convert(mode)
        if self.short_side:
            pixels = self._centre(pixels)
        return np.asarray(pixels).reshape(self.shape)

    def _random_crop(self, picture: Image.Image, seed: tuple[int, ...]) -> Image.Image:
        """A rectangle at a random place, resized to the square, and flipped with probability .5.

        Its area is uniform from .08 to 1 of the picture's, the logarithm of width over height
        uniform between those of 3/4 and 4/3; if none of ten such fits into the picture, it is the
        centre (Szegedy et al., arXiv:1409.4842, as it is usually done since). NumPy guarantees the
        words of Philox, so they outlive upgrades.
        """
        words = np.random.Philox(np.random.SeedSequence(seed)).random_raw(4 * _TRIES + 1)
        uniform = (words >> np.uint64(11)) * 2.0**-53
        size = (self.shape[0],) * 2
        flip = uniform[-1] < 0.5
        for area, ratio, left, top in uniform[:-1].reshape(_TRIES, 4):
            pixels = picture.width * picture.height * (_LEAST_AREA + (1 - _LEAST_AREA) * area)
            shape = math.exp((2 * ratio - 1) * math.log(_MOST_RATIO))
            width, height = round(math.sqrt(pixels * shape)), round(math.sqrt(pixels / shape))
            if 0 < width <= picture.width and 0 < height <= picture.height:
                x = int(left * (picture.width - width + 1))
                y = int(top * (picture.height - height + 1))
                box = (x, y, x + width, y + height)
                cut = picture.resize(size, Image.Resampling.BILINEAR, box=box)
                break
        else:
            cut = self._centre(picture)
        return cut.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if flip else cut

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
