"""Debian's `openstack` client, loaded once and run many times: each request on the socket is one command in a forked
process, with its own arguments, streams and exit code. Loading the client costs ten times what a command costs.

A request is a JSON line, the list of arguments; the answer a JSON object of `code`, `stdout` and `stderr`.
"""

import json
import os
import socketserver
import sys
import tempfile

import keystoneauth1.identity  # noqa: F401
import keystoneauth1.loading
import octaviaclient.osc.plugin  # noqa: F401
import openstack  # noqa: F401
from openstackclient import shell


class Command(socketserver.StreamRequestHandler):
    def handle(self):
        arguments = json.loads(self.rfile.readline())
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            try:
                code = shell.main(arguments)
            except SystemExit as end:
                code = end.code
            sys.stdout.flush()
            sys.stderr.flush()
            answer = {"code": code or 0, "stdout": text(out), "stderr": text(err)}
        self.wfile.write(json.dumps(answer).encode())


def text(stream):
    stream.seek(0)
    return stream.read().decode()


class Server(socketserver.ForkingMixIn, socketserver.UnixStreamServer):
    request_queue_size = 64


with Server(sys.argv[1], Command) as server:
    print("ready", flush=True)
    server.serve_forever()
