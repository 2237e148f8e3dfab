"""What the machine needs to be told: files that appear whole, locks, hashes, caches, signals, quiet, OpenCV.

Nothing here knows of images, boxes or models; every other room may use it.
"""
