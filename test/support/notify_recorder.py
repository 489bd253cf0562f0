"""A service manager's socket that writes down what it is told: one JSON line for each datagram. Its address is the first argument."""

import json
import socket
import sys

address = sys.argv[1]
recorder = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
recorder.bind("\0" + address[1:] if address.startswith("@") else address)
print("listening", flush=True)
while True:
    print(json.dumps(recorder.recv(65536).decode().split("\n")), flush=True)
