"""Drawn objects: polygons, boxes and other shapes, checked and drawn as masks."""
