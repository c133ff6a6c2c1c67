"""One file a task; `TASKS` is the table of contents."""

from limner.tasks.instance import InstanceTask
from limner.tasks.panoptic import PanopticTask
from limner.tasks.segment_set import SegmentSetTask
from limner.tasks.semantic import SemanticTask

TASKS: dict[str, type[SemanticTask] | type[SegmentSetTask]] = {
    "semantic": SemanticTask,
    "instance": InstanceTask,
    "panoptic": PanopticTask,
}
