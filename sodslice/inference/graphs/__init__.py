"""Graphs from one format to another: what Paddle exports (PIR), as ONNX, which every other engine reads.

`pir` and `parameters` read Paddle's files without Paddle, `operations` says what each of its operations is in
ONNX, `translation` puts a model together. Nothing here runs a graph.
"""
