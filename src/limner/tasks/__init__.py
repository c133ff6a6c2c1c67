"""One file a task; `TASKS` is the table of contents."""
