"""What shows a run while it trains: trackers such as TensorBoard, and the display of its progress."""
