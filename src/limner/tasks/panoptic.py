"""Panoptic segmentation: every pixel belongs to one object, or to one region of stuff."""

from limner.tasks.segment_set import SegmentSetTask


class PanopticTask(SegmentSetTask):
    """Trained on objects and regions alike: all stuff of a class in an image is one segment."""
