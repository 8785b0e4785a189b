"""The first thing that an interpreter runs that bubblewrap has started: serve on the socket that it was given.

``python inside.py FD``; what it imports from stands in PYTHONPATH, and ``site`` is left out: a runner starts often.
"""

import os
import socket
import sys

from freehold.runner.main import serve
from freehold.wire import child

if __name__ == "__main__":
    child.silence()
    child.set_name("freehold-runner")
    serve(socket.socket(fileno=int(sys.argv[1])), os.getcwd())
    os._exit(0)
