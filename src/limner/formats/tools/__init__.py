"""Files of annotation tools: labelme, CVAT, Label Studio, PASCAL VOC, YOLO."""
