"""Feature pyramids that networks stand on; the only place that knows timm."""
