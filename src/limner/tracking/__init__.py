"""What looks on while a run trains: metrics file, trackers, progress display."""
