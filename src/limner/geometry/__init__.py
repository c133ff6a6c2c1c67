"""Geometry of polygons with fractional coordinates; the only place that imports shapely."""
