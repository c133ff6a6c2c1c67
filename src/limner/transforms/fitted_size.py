"""The size to which `ResizePlan` resizes images."""

from limner.core.plan import ResizePlan


def fitted_size(height: int, width: int, plan: ResizePlan) -> tuple[int, int]:
    """Return the height and width that an image is resized to."""
    sides: tuple[float, float] = (height, width)
    if plan.size is not None:
        sides = (plan.size[0], plan.size[1])
    elif plan.shortest is not None:
        zoom = plan.shortest / min(sides)
        if plan.longest is not None:
            zoom = min(zoom, plan.longest / max(sides))
        sides = (zoom * height, zoom * width)
    elif plan.zoom is not None:
        sides = (plan.zoom * height, plan.zoom * width)
    # Round down, with a tolerance for rounding errors, then up to a multiple.
    rounded = [-(-int(side + 1e-6) // plan.multiple) * plan.multiple for side in sides]
    return max(rounded[0], plan.multiple), max(rounded[1], plan.multiple)
