"""The other libraries, one file each, run by an environment of their own: `MONITOR.py FOLDER`.

What a run must do stands in `task.json` of the folder, beside the streams as NumPy files; where
the monitor alarmed is written to `answers.json`.
"""
