"""The factor by which a JPEG is decoded smaller before it is resized.

libjpeg can decode at 1/2, 1/4 or 1/8 of the size, which leaves out much of the work and at least three
quarters of the memory. From there to the size that a plan asks for, the image is resized as any other.
"""

from dataclasses import dataclass

from limner.core.plan import InputPlan, ResizePlan
from limner.images.pixels import REDUCTIONS
from limner.transforms.fitted_size import fitted_size

OVERSAMPLING = 2
"""A decoded image has at least this many times the height and width that it is resized to.

So resizing still averages pixels, and crops that are zoomed in as much still show every detail. Plans record
whether images are decoded so, not this number: changing it changes what earlier models predict.
"""


@dataclass(frozen=True)
class ReducedSize:
    """Maps the height and width of an image to the factor by which it is decoded smaller.

    Only factors that divide both sides are used: then a decoded pixel stands for a square of pixels of the
    file, and the labels of the image fit it exactly.

    Attributes:
        resize: Size to which images are resized afterwards.
    """

    resize: ResizePlan

    def __call__(self, height: int, width: int) -> int:
        """Return 8, 4 or 2, or 1 if the image is decoded at its full size."""
        wanted = [OVERSAMPLING * side for side in fitted_size(height, width, self.resize)]
        for factor in REDUCTIONS:
            is_whole = height % factor == width % factor == 0
            if is_whole and height // factor >= wanted[0] and width // factor >= wanted[1]:
                return factor
        return 1


def reduced_size(plan: InputPlan, resize: ResizePlan | None) -> ReducedSize | None:
    """Return how much smaller JPEGs are decoded for a network, or None if they are decoded at full size.

    Args:
        plan: The input of the network.
        resize: Size to which images are resized, in training or in prediction.
    """
    if not plan.reduced_decoding or resize is None or resize.is_noop:
        return None
    return ReducedSize(resize)
