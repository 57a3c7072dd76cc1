"""The kernel: how modules live together; it knows no business."""
