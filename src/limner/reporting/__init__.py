"""Plan, findings, scores and pictures into one HTML file."""
