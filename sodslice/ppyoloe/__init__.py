"""The PP-YOLOE+ SOD network in Paddle: configuration, layers, weights and export.

Importing this package loads nothing heavy; its layers, weights and exports import paddle.
"""
