"""Presets for classes of whole images: encoder, size of the images and batch size.

The first row that applies is used; the rules then reduce the size to that of the images, and the batch to
what data and memory allow.
"""

from limner.tasks.presets import UNLIMITED, Preset

CLASS_PRESETS = (
    Preset(
        True,
        2,
        5,
        "classifier",
        {"backbone": "resnet18"},
        128 * 128,
        32,
        "small images give ResNet-18 the most steps in that time",
    ),
    Preset(
        True,
        2,
        60,
        "classifier",
        {"backbone": "resnet18"},
        160 * 160,
        32,
        "ResNet-18 on reduced images gets many passes in that time",
    ),
    Preset(
        True,
        2,
        UNLIMITED,
        "classifier",
        {"backbone": "resnet18"},
        224 * 224,
        32,
        "ResNet-18 is the largest encoder that is practical on a CPU",
    ),
    Preset(
        False,
        2,
        15,
        "classifier",
        {"backbone": "resnet18"},
        224 * 224,
        64,
        "a light encoder gets many steps in that time",
    ),
    Preset(
        False,
        2,
        UNLIMITED,
        "classifier",
        {"backbone": "resnet50"},
        224 * 224,
        64,
        "ResNet-50 is accurate and suits most data",
    ),
)


def find_class_preset(*, on_cpu: bool, minutes: float | None) -> Preset:
    """Return the first row that applies."""
    rows = (row for row in CLASS_PRESETS if row.on_cpu == on_cpu)
    return next(row for row in rows if (minutes or UNLIMITED) <= row.minutes)
