"""A gRPC server and a client of it, whose messages are plain bytes.

serve ADDRESS KEY CHAIN      prints the ports it serves plainly and by TLS, then serves until it is killed
call TARGET [CA NAME]        prints what it hears of one call, of a stream, and of a call that is refused
"""

import sys
import time
from concurrent import futures

import grpc


class Greeter(grpc.GenericRpcHandler):
    def service(self, details):
        if details.method == "/livia.Greeter/Greet":
            return grpc.unary_unary_rpc_method_handler(self.greet)
        if details.method == "/livia.Greeter/Stream":
            return grpc.unary_stream_rpc_method_handler(self.stream)
        return None

    def greet(self, name, context):
        if not name:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no name")
        return b"hello " + name

    def stream(self, name, context):
        for number in range(3):
            yield b"stream %s %d" % (name, number)


def serve(address, key, chain):
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    server.add_generic_rpc_handlers((Greeter(),))
    plain = server.add_insecure_port(f"{address}:0")
    with open(key, "rb") as one, open(chain, "rb") as other:
        credentials = grpc.ssl_server_credentials([(one.read(), other.read())])
    secured = server.add_secure_port(f"{address}:0", credentials)
    server.start()
    print(plain, secured, flush=True)
    time.sleep(3600)


def call(target, ca=None, name=None):
    if ca is None:
        channel = grpc.insecure_channel(target)
    else:
        with open(ca, "rb") as file:
            credentials = grpc.ssl_channel_credentials(file.read())
        channel = grpc.secure_channel(target, credentials, [("grpc.ssl_target_name_override", name)])
    greet = channel.unary_unary("/livia.Greeter/Greet")
    print(greet(b"livia", timeout=10).decode())
    for message in channel.unary_stream("/livia.Greeter/Stream")(b"livia", timeout=10):
        print(message.decode())
    try:
        greet(b"", timeout=10)
    except grpc.RpcError as error:
        print("refused", error.code().name, error.details())


{"serve": serve, "call": call}[sys.argv[1]](*sys.argv[2:])
