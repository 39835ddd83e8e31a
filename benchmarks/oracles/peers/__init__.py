"""The other libraries, run by an environment of their own: `oracle.py FOLDER`."""
