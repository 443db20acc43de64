"""A sender of datagrams, for test/bench/datagrams.ts. Arguments: what to do, how much, then targets `address:port`.

flood   SECONDS FLOWS   bursts over so many flows that are there already; answers are left to the kernel
new     COUNT           every datagram is the first of its flow
ask     COUNT FLOWS     one datagram, its answer, the next one

Prints JSON: datagrams sent, seconds, seconds of CPU that this process used (in it the kernel carries what it sends,
all the way), and for `ask` the microseconds of each answer.
"""
import json
import socket
import struct
import sys
import time

BURST = 16  # datagrams that one system call hands to the kernel
SIZE = 64
UDP_SEGMENT = 103


def target(text):
    address, port = text.rsplit(":", 1)
    return address, int(port)


def flows_to(targets, count):
    sockets = []
    for n in range(count):
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.settimeout(2)
        one.connect(targets[n % len(targets)])
        one.send(b"x" * SIZE)
        sockets.append(one)
    return sockets


def flood(targets, seconds, flows):
    sockets = flows_to(targets, int(flows))
    for one in sockets:
        one.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, SIZE)
    burst = b"x" * (SIZE * BURST)

    def send():
        sent, end, at = 0, time.perf_counter() + float(seconds), 0
        while time.perf_counter() < end:
            for one in sockets[at : at + 256]:
                one.send(burst)
                sent += BURST
            at = at + 256 if at + 256 < len(sockets) else 0
        return sent

    return timed(send)


def new(targets, count):
    """Headers are made here, so that a flow costs no socket."""
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    probe.connect(targets[0])
    source = socket.inet_aton(probe.getsockname()[0])
    packets = []
    for n in range(int(count)):
        address, port = targets[n % len(targets)]
        ends = source + socket.inet_aton(address)
        ports = struct.pack("!HHH", 10_000 + n, port, 8 + SIZE)
        checksum = struct.pack("!H", checksum_of(ends + struct.pack("!HH", 17, 8 + SIZE) + ports + b"x" * SIZE))
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 28 + SIZE, 0, 0, 64, 17, 0) + ends
        packets.append((ip + ports + checksum + b"x" * SIZE, (address, 0)))

    def send():
        for packet, to in packets:
            raw.sendto(packet, to)
        return len(packets)

    return timed(send)


def checksum_of(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total >> 16) + (total & 0xFFFF)
    return 0xFFFF - total or 0xFFFF


def ask(targets, count, flows):
    sockets = flows_to(targets, int(flows))
    for one in sockets:
        one.recv(SIZE)
    took = []

    def send():
        for n in range(int(count)):
            one = sockets[n % len(sockets)]
            at = time.perf_counter_ns()
            one.send(b"x" * SIZE)
            one.recv(SIZE)
            took.append((time.perf_counter_ns() - at) / 1000)
        return len(took)

    return {**timed(send), "tookUs": took}


def timed(send):
    wall, cpu = time.perf_counter(), time.process_time()
    sent = send()
    return {"sent": sent, "seconds": time.perf_counter() - wall, "cpuSeconds": time.process_time() - cpu}


amounts = {"flood": 2, "new": 1, "ask": 2}[sys.argv[1]]
what, values, targets = sys.argv[1], sys.argv[2 : 2 + amounts], sys.argv[2 + amounts :]
print(json.dumps({"flood": flood, "new": new, "ask": ask}[what](list(map(target, targets)), *values)))
