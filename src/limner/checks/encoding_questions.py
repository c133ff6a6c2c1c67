"""Open questions about how masks store their labels: colours, palettes, inverted or compressed values."""

from collections import Counter

from limner.checks.codes import make, place
from limner.checks.label_case import MOST_UNNAMED, LabelCase, color_list
from limner.checks.naming import color_proposal, two_classes
from limner.checks.two_levels import is_two_levels, middle_level, threshold_between
from limner.core.finding import Finding
from limner.core.labels import pack_rgb, unpack_rgb

SPECK_AREA = 3.0
"""Colours whose pieces have fewer pixels than this on average are caused by smoothing, not classes."""

SPECK_SHARE = 0.005
"""Such colours have less than this share of all pixels."""

SAME_COLOR = 8
"""Difference in a channel up to which two colours of palettes are the same."""

_AS_STORED = "If the numbers are right as they are, write `mask_encoding: index` into dataset.yaml."


def ask_palettes(case: LabelCase) -> Finding | None:
    """Report palettes that show one number in different colours: their order differs from mask to mask."""
    first: dict[int, tuple[int, str]] = {}
    unlike: dict[str, int] = {}
    for image in case.facts.labelled:
        for value, color in image.palette.items():
            shown, _ = first.setdefault(value, (color, image.label_file))
            if _distance(shown, color) > SAME_COLOR:
                unlike.setdefault(image.label_file, value)
    if not unlike:
        return None
    file, value = next(iter(unlike.items()))
    colors = next(image.palette for image in case.facts.labelled if image.label_file == file)
    shown, other = first[value]
    counts = Counter[int]()
    for image in case.facts.labelled:
        for number, pixels in image.value_counts.items():
            counts[image.palette.get(number, -1)] += pixels
    proposal = color_proposal(counts) if -1 not in counts and len(counts) <= MOST_UNNAMED else None
    return make(
        "palettes-differ",
        place(list(unlike)),
        f"{value} is #{colors[value]:06x} here and #{shown:06x} in {other}: palettes differ in {len(unlike)} "
        f"masks; by colour there are {len(counts)} classes, {color_list(counts)}",
        expected="one colour for each number in all masks",
        fix=("Accept that each colour is a class. " if proposal else "Save all masks with one palette. ")
        + _AS_STORED,
        files=list(unlike),
        proposal=proposal,
    )


def ask_names(case: LabelCase) -> Finding | None:
    """Report labels whose own lists name a value differently, as 3D Slicer and labelme may write them."""
    first: dict[int, tuple[str, str]] = {}
    unlike: dict[str, str] = {}
    for image in case.facts.labelled:
        for value, name in image.label_names.items():
            known, file = first.setdefault(value, (name, image.label_file))
            if known != name:
                unlike.setdefault(image.label_file, f"{value} is {name!r} here and {known!r} in {file}")
    if not unlike:
        return None
    return make(
        "names-of-values-differ",
        place(list(unlike)),
        f"{next(iter(unlike.values()))}: names differ in {len(unlike)} files",
        expected="one name for each value in all files",
        fix="Export the labels again with one numbering: from labelme by `labelme2voc.py --labels FILE`, "
        "from 3D Slicer as label maps with one colour table. " + _AS_STORED,
        files=list(unlike),
    )


def _distance(color: int, other: int) -> int:
    return max(abs(a - b) for a, b in zip(unpack_rgb(color), unpack_rgb(other), strict=True))


def ask_inverted(case: LabelCase) -> Finding | None:
    """Report masks of which some are stored inverted, which programs read in two ways."""
    files = case.files(lambda image: image.label_is_inverted)
    if not files or len(files) == len(case.facts.labelled):
        return None
    return make(
        "masks-partly-inverted",
        place(files),
        f"{len(files)} of {len(case.facts.labelled)} masks are TIFF files tagged WhiteIsZero, whose numbers "
        "some programs show inverted and others do not; here they are inverted",
        expected="all masks stored alike",
        fix="Compare one of these masks with its image, and save all masks as PNG. If they are right "
        "inverted, write `mask_encoding: index` into dataset.yaml.",
        files=files,
    )


def ask_no_data(case: LabelCase) -> Finding | None:
    """Report a no-data value by GDAL's tag: pixels to ignore, or the background, as QGIS writes it."""
    named = set(case.declared.trained_as) if case.declared else set()
    tagged = {image.label_no_data for image in case.facts.labelled} - {None} - named
    values = [value for value in case.values if value in tagged]
    if not values:
        return None
    (value, *_), others = values, [v for v in case.values if v not in tagged]
    files = case.files(lambda image: image.label_no_data == value)
    share = case.share([value])
    found = f"{value} is the no-data value by the GDAL tag of {len(files)} masks, on {share} of the pixels"
    if len(others) == 1:
        return make(
            "mask-has-no-data",
            place(files),
            f"{found}; besides it there is only {others[0]}",
            expected="background and foreground",
            fix=f"Accept {value} as the background. If these pixels are unknown instead, the masks have only "
            "one class.",
            files=files,
            proposal={"classes": two_classes(case.settings, (value,), (others[0],))},
        )
    return make(
        "mask-has-no-data",
        place(files),
        found,
        expected="to know whether these pixels are unknown, or a class such as the background",
        fix="Accept that they are ignored: losses and scores skip them. " + _AS_STORED,
        files=files,
        proposal=case.ignoring(values),
    )


def ask_colors(case: LabelCase) -> Finding | None:
    """Report masks in colour without a table of colours, or with colours that are no classes."""
    files = case.files(lambda image: image.label_kind == "color")
    if not files or (case.declared is not None and case.declared.encoding.kind == "color"):
        return None
    specks = _specks(case)
    lossy = any(image.label_is_lossy for image in case.facts.labelled)
    if specks or lossy or case.num_values > MOST_UNNAMED:
        cause = "JPEG compression" if lossy else "smoothed (anti-aliased) edges or a photograph"
        return make(
            "mask-colours-unclear",
            place(files),
            f"{case.num_values} colours, {len(specks)} of them only in specks; {color_list(case.counts)}",
            expected="one exact colour for each class",
            fix=f"The cause is probably {cause}: export the masks again as PNG without smoothing.",
            files=files,
        )
    if mixed := _mixed_kinds(case, files):
        return mixed
    named = {pack_rgb(c.color): c.name for c in case.settings.classes if c.color}
    proposal = {"mask_encoding": "color"} if set(case.values) <= named.keys() else color_proposal(case.counts)
    return make(
        "mask-is-coloured",
        place(files),
        f"masks show classes as {len(case.values)} colours: {color_list(case.counts)}",
        expected="class numbers, or a table of colours in dataset.yaml",
        fix="Accept one class for each colour, then name the classes in dataset.yaml.",
        files=files,
        proposal=proposal,
    )


def _mixed_kinds(case: LabelCase, coloured: list[str]) -> Finding | None:
    """Report masks of one channel beside coloured ones, whose numbers would be mistaken for colours."""
    grey = case.files(lambda image: image.label_kind == "index" and image.value_counts.keys() - {0} != set())
    if not grey:
        return None
    odd, others, kind = (
        (coloured, grey, "in colour") if len(coloured) <= len(grey) else (grey, coloured, "grey")
    )
    return make(
        "mask-kinds-mixed",
        place(odd),
        f"{len(odd)} of {len(odd) + len(others)} masks {'is' if len(odd) == 1 else 'are'} {kind}, unlike "
        f"{place(others)}",
        expected="all masks with one channel of class numbers, or all in the same colours",
        fix=f"Save {place(odd)} like the others.",
        files=odd,
    )


def _specks(case: LabelCase) -> list[int]:
    pieces, pixels = Counter[int](), Counter[int]()
    for image in case.facts.labelled:
        for value, part in image.components.items():
            pieces[value] += part.count
            pixels[value] += image.value_counts[value]
    total = sum(case.counts.values())
    return [
        v for v in case.values if pieces[v] and pixels[v] < min(SPECK_AREA * pieces[v], SPECK_SHARE * total)
    ]


def ask_noise(case: LabelCase) -> Finding | None:
    """Report numbers that compression, smoothing or interpolation changed."""
    lossy = case.files(lambda image: image.label_is_lossy)
    if case.settings.encoding.kind != "index" or not (lossy or len(case.values) > 3):
        return None
    threshold = threshold_between(case.counts)
    if not lossy and (threshold is None or not is_two_levels(case.values)):
        return None
    found = f"{len(case.values)} values between {case.values[0]} and {case.values[-1]}"
    if threshold is None:
        return make(
            "mask-is-jpeg",
            place(lossy),
            f"{found}, without two distinct levels",
            expected="the class numbers that were drawn",
            fix="JPEG has changed the numbers beyond repair: export the masks again as PNG.",
            files=lossy,
        )
    if (level := middle_level(case.counts)) is not None:
        return _three_levels(case, level, lossy)
    ends = {case.values[0], case.values[-1]}
    files = lossy or case.files(lambda image: not image.value_counts.keys() <= ends)
    share = case.share(v for v in case.values if v > threshold)
    return make(
        "mask-is-jpeg" if lossy else "mask-has-soft-edges",
        place(files),
        f"{found}: black and white, with {'compression noise' if lossy else 'soft edges or variants'}",
        expected="two values, background and foreground",
        fix=f"Accept the threshold: {case.elements} greater than {threshold} become foreground, {share} of "
        "all.",
        files=files,
        proposal={
            "mask_encoding": {"threshold": threshold},
            "classes": two_classes(case.settings, (0,), (1,)),
        },
    )


def _three_levels(case: LabelCase, level: int, lossy: list[str]) -> Finding:
    """Report masks of three levels or more with greys between them, which no threshold can separate."""
    low, high = case.values[0], case.values[-1]
    files = case.files(lambda image: not image.value_counts.keys() <= {low, level, high})
    return make(
        "mask-is-jpeg" if lossy else "mask-has-soft-edges",
        place(lossy or files),
        f"{len(case.values)} values between {low} and {high}, most of them {low}, about {level}, or {high}: "
        "three classes, with greys between them",
        expected="one value for each class",
        fix="Export the masks again as PNG without smoothing; resize them without interpolation (nearest).",
        files=lossy or files,
    )
