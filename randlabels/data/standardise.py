"""Inputs as every network sees them: each channel standardised."""

from typing import Any

import numpy as np


def standardise(images: Any, mean: Any, std: Any) -> Any:
    """uint8 images [n, h, w, c] to float32, (x / 255 - mean) / std per channel.

    Inputs of another type (gaussian, float32 [n, d]) are returned as they are. NumPy and JAX
    arrays alike; `mean` and `std` are those of `channel_statistics`, on the scale 0 to 1.
    """
    if images.dtype != np.uint8:
        return images
    return (images.astype(np.float32) / 255 - mean) / std
