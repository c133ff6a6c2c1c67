"""COCO's JSON: instances, panoptic segments and predictions, read and written."""
