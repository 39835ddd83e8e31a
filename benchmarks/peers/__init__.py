"""The other servers, one file each, run by an environment of their own: `SERVER.py --help`.

All take the same options (`common.options`), serve every `NAME.onnx` of a folder under
`/v2/models/NAME/infer`, and run each model on one thread.
"""
