"""relay.py LISTEN_PID ADDRESS:PORT CONNECT_PID ADDRESS:PORT

Relays TCP from the network namespace of one process to that of another. The data is not inspected; a
half-close stays a half-close and a reset a reset. Prints its port (PORT 0: any free one)."""

import asyncio
import ctypes
import os
import socket
import sys

# Delay of the first answer. sstpc 1.0.18 writes its first octets, the handshake, in a call that it
# expects to be interrupted; if the server has answered before that call checks, sstpc no longer waits
# for any event and exits: "The event loop terminated unsuccessfully". Only a server closer than on any
# real network, like all servers here, answers that fast.
DISTANCE = 0.02  # seconds
CLONE_NEWNET = 0x40000000  # os.setns came with Python 3.12
libc = ctypes.CDLL(None, use_errno=True)


def enter_network_of(pid):
    with open(f"/proc/{pid}/ns/net") as namespace:
        if libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"network namespace of process {pid}")


def parse_address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


async def pump(reader, writer, other, delay):
    try:
        while octets := await reader.read(65536):
            await asyncio.sleep(delay)
            delay = 0
            writer.write(octets)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.transport.abort()
        other.transport.abort()


async def main(listen_pid, listen_address, connect_pid, connect_address):
    # A socket stays in the namespace in which it was made, while the process changes to another.
    enter_network_of(listen_pid)
    listener = socket.create_server(parse_address(listen_address))
    enter_network_of(connect_pid)
    target = parse_address(connect_address)

    async def serve(reader, writer):
        try:
            far_reader, far_writer = await asyncio.open_connection(*target)
        except OSError:
            writer.transport.abort()
            return
        await asyncio.gather(pump(reader, far_writer, writer, 0),
                             pump(far_reader, writer, far_writer, DISTANCE))
        writer.close()
        far_writer.close()

    server = await asyncio.start_server(serve, sock=listener)
    print(listener.getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main(*sys.argv[1:5]))
