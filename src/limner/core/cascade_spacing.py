"""The spacings of the two stages of a cascade."""

Spacing = tuple[float, ...]
"""Distance between voxels along each axis (D, H, W) in millimetres."""


def check_cascade(coarse: Spacing | None, full: Spacing | None) -> None:
    """Check the spacing of a low-resolution stage.

    Args:
        coarse: Its spacing; None if there is no such stage.
        full: Spacing of the stage that follows; None if unknown, or if volumes are cut into slices.

    Raises:
        ValueError: It does not suit the stage that follows.
    """
    if coarse is None:
        return
    if full is None:
        raise ValueError("cascade_mm is for networks in 3 dimensions, of volumes that state their spacing")
    if len(coarse) != len(full):
        raise ValueError(f"cascade_mm needs {len(full)} numbers, found {len(coarse)}")
    if any(low < high for low, high in zip(coarse, full, strict=True)) or coarse == full:
        raise ValueError(f"cascade_mm is coarser than spacing_mm; found {list(coarse)} and {list(full)}")
