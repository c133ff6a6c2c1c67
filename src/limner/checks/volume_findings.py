"""Findings about volumes: grids of labels, orientation, spacing, scales of intensity."""

from collections import Counter
from collections.abc import Iterator, Sequence
from statistics import median

from limner.checks.codes import make, place
from limner.checks.facts import DatasetFacts, ImageFacts
from limner.checks.volume_facts import VolumeFacts
from limner.core.affine import axis_codes, grid_difference, is_mirrored, spacing_text
from limner.core.finding import Finding
from limner.core.sample import size_text

MAX_SPACING_RATIO = 3.0
"""Factor from the median spacing along an axis that is reported as an outlier."""

VARIED_SPACING = 1.05
"""Factor between the largest and the smallest spacing along an axis that is worth a note."""

MAX_SCALE_RATIO = 100.0
"""Factor between the largest values of two volumes from which they cannot be in one unit."""

THIN = 8
"""Fewer voxels than this along an axis leave networks in three dimensions nothing to work with."""


def volume_findings(facts: DatasetFacts) -> list[Finding]:
    """Return the findings about the volumes of a dataset; none for images."""
    known = [(image, image.volume) for image in facts.volumes if image.volume is not None]
    if not known:
        return []
    return [
        *_other_grids(known),
        *_rounded(known),
        *_unknown(known),
        *_orientations(known),
        *_spacings(known),
        *_scales([image for image, _ in known]),
        *_thin([image for image, _ in known]),
    ]


Known = Sequence[tuple[ImageFacts, VolumeFacts]]


def _other_grids(known: Known) -> Iterator[Finding]:
    for image, volume in known:
        if image.label_shape != image.shape:
            continue  # a finding of its own
        difference = grid_difference(volume.geometry, volume.label_geometry, image.shape)
        if difference:
            yield make(
                "label-grid-differs",
                image.label_file,
                difference,
                expected=f"the grid of {image.image_file}, so that their voxels coincide",
                fix="If the label was drawn on this image and only its header is wrong, write "
                "`label_grid: image` into dataset.yaml; if the header is right, `label_grid: resample` moves "
                "labels to the grid of their image, without interpolation.",
                files=[image.label_file, image.image_file],
            )


def _rounded(known: Known) -> Iterator[Finding]:
    having = [(image, volume) for image, volume in known if volume.rounded]
    if having:
        files = [image.label_file for image, _ in having]
        voxels = sum(volume.rounded for _, volume in having)
        yield make(
            "labels-rounded",
            place(files),
            f"{voxels} voxels of {len(files)} labels are not exactly whole numbers, such as 0.99999",
            fix="No action needed: they are rounded. Labels should be resampled without interpolation.",
            files=files,
        )


def _unknown(known: Known) -> Iterator[Finding]:
    files = [image.image_file for image, volume in known if not volume.affine]
    if files:
        yield make(
            "geometry-unknown",
            place(files),
            f"{len(files)} of {len(known)} volumes do not state how their axes are oriented in space",
            expected="an affine (NIfTI: sform or qform) or directions (NRRD, MetaImage)",
            fix="Volumes are used as their axes are stored: make sure that all are stored the same way.",
            files=files,
        )


def _orientations(known: Known) -> Iterator[Finding]:
    placed = [(image, volume.geometry.affine) for image, volume in known]
    codes = {image.image_file: axis_codes(affine) for image, affine in placed if affine is not None}
    counts = Counter(codes.values())
    if len(counts) > 1:
        usual = counts.most_common(1)[0][0]
        files = [file for file, code in codes.items() if code != usual]
        listed = ", ".join(f"{count} {code}" for code, count in counts.most_common())
        yield make(
            "orientations-differ",
            place(files),
            f"orientations of the axes (x, y, z): {listed}",
            fix="No action needed: volumes are turned to one orientation for training and prediction.",
            files=files,
        )
    mirrored = [image.image_file for image, a in placed if a is not None and is_mirrored(a)]
    if mirrored and len(mirrored) < len(codes):
        few = min(mirrored, [file for file in codes if file not in {*mirrored}], key=len)
        yield make(
            "volumes-mirrored",
            place(few),
            f"{len(mirrored)} of {len(codes)} volumes have an affine with a negative determinant",
            expected="all volumes of one handedness, unless they come from several programs",
            fix="Look at them in a viewer beside the others: is a known organ on the right side? A converter "
            "that drops the sign of an axis swaps left and right.",
            files=few,
        )


def _spacings(known: Known) -> Iterator[Finding]:
    placed = [(image, volume.spacing_mm) for image, volume in known if volume.spacing_mm]
    if not placed:
        return
    usual = [median(steps) for steps in zip(*(steps for _, steps in placed), strict=True)]
    far = [
        (image, steps)
        for image, steps in placed
        if any(
            step > MAX_SPACING_RATIO * m or m > MAX_SPACING_RATIO * step
            for step, m in zip(steps, usual, strict=True)
        )
    ]
    if far:
        files = [image.image_file for image, _ in far]
        yield make(
            "spacing-outlier",
            place(files),
            f"spacing {spacing_text(far[0][1])}, where {spacing_text(usual)} is usual",
            fix="Check it: is it another protocol, or a header in another unit (metres, micrometres)?",
            files=files,
        )
    ends = [(min(steps), max(steps)) for steps in zip(*(steps for _, steps in placed), strict=True)]
    if any(high > VARIED_SPACING * low for low, high in ends):
        low, high = spacing_text([low for low, _ in ends]), spacing_text([high for _, high in ends])
        yield make(
            "spacings-vary", "the volumes", f"spacing from {low} to {high}, {spacing_text(usual)} usual"
        )


def _scales(images: Sequence[ImageFacts]) -> Iterator[Finding]:
    tops = {i.image_file: max(c.high for c in i.intensities) for i in images if i.intensities}
    positive = {file: top for file, top in tops.items() if top > 0}
    if not positive:
        return
    least, most = min(positive, key=positive.__getitem__), max(positive, key=positive.__getitem__)
    ratio = positive[most] / positive[least]
    if ratio > MAX_SCALE_RATIO:
        usual = median(positive.values())
        far = [f for f, top in positive.items() if not usual / 10 < top < usual * 10]
        yield make(
            "intensity-scales-differ",
            place(far or [least, most]),
            f"bright values (the 99.5th percentile) from {positive[least]:.4g} in {least} to "
            f"{positive[most]:.4g} in {most}, a factor of {ratio:.2g}; {len(far)} volumes are more than ten "
            "times brighter or darker than the median",
            expected="one unit, or a normalisation of each volume by itself",
            fix="No action needed for MR, whose values have no unit: training then normalises each volume by "
            "its own mean and deviation. For CT, find the cases that are not in Hounsfield units.",
            files=far or [least, most],
        )


def _thin(images: Sequence[ImageFacts]) -> Iterator[Finding]:
    thin = [image for image in images if image.shape and min(image.shape) < THIN]
    if thin:
        files = [image.image_file for image in thin]
        smallest = min(thin, key=lambda image: min(image.shape))
        yield make(
            "volume-thin",
            place(files),
            f"{len(files)} of {len(images)} volumes have fewer than {THIN} voxels along an axis; the thinnest"
            f" is {size_text(smallest.shape)}",
            expected=f"at least {THIN} voxels along each axis",
            fix="Training in slices (`--spatial 2d`) uses them; a network in three dimensions sees mostly "
            "padding.",
            files=files,
        )
