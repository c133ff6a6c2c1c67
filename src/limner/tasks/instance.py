"""Instance segmentation: every countable object is found, with its mask; objects may overlap."""

from limner.tasks.segment_set import SegmentSetTask


class InstanceTask(SegmentSetTask):
    """Trained on the objects of the countable classes alone; crowds are left out."""
