"""An SCTP client and a member in one, over raw sockets, for kernels without SCTP.

sctp-handshake.py ADDRESS MEMBER_PORT VIP PORT
The client at ADDRESS sends an INIT to the VIP; the member at ADDRESS answers INIT ACK. Says in one line what each saw.
"""

import socket
import struct
import sys

TABLE = []
for byte in range(256):
    for _ in range(8):
        byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
    TABLE.append(byte)


def checksum(packet):
    crc = 0xFFFFFFFF
    for byte in packet[:8] + bytes(4) + packet[12:]:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return struct.pack('<I', crc ^ 0xFFFFFFFF)


def packet(source, destination, tag, kind):
    chunk = struct.pack('!BBHIIHHI', kind, 0, 20, 1234, 65535, 1, 1, 1)
    whole = struct.pack('!HHI', source, destination, tag) + bytes(4) + chunk
    return whole[:8] + checksum(whole) + whole[12:]


def hear(raw, kind):
    """Source address and port of the next whole SCTP packet with that chunk, its destination port."""
    while True:
        data, (sender, _) = raw.recvfrom(2048)
        sctp = data[(data[0] & 15) * 4 :]
        source, destination = struct.unpack('!HH', sctp[:4])
        if sctp[12] == kind and sctp[8:12] == checksum(sctp):
            return sender, source, destination


address, member_port, vip, port = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, 132)
raw.bind((address, 0))
raw.settimeout(5)
INIT, INIT_ACK = 1, 2
raw.sendto(packet(40000, port, 0, INIT), (vip, 0))
sender, source, destination = hear(raw, INIT)
raw.sendto(packet(destination, source, 1234, INIT_ACK), (sender, 0))
answerer, answer_port, client_port = hear(raw, INIT_ACK)
print(f'member {destination == member_port} from balancer {sender not in (address, vip)}', end=', ')
print(f'client {client_port} answered by {answerer}:{answer_port}')
