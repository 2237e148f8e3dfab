"""Training: COCO sets and scenes in, a checkpoint out."""
