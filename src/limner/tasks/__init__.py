"""One file a task; `TASKS` is the table of contents."""

from limner.tasks.semantic import SemanticTask

TASKS: dict[str, type[SemanticTask]] = {"semantic": SemanticTask}
