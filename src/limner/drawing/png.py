"""Pictures as PNG bytes."""

import cv2

from limner.drawing.display import RGBImage


def encode_png(picture: RGBImage) -> bytes:
    """Encode an (H, W, 3) uint8 RGB picture as PNG.

    Compression level 3: a tenth larger than the default, several times faster.
    """
    done, data = cv2.imencode(".png", picture[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 3])
    assert done, picture.shape
    return bytes(data.tobytes())
