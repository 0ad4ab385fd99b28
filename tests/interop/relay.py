"""relay.py LISTEN_PID ADDRESS:PORT CONNECT_PID ADDRESS:PORT

TCP from the network namespace of one process to that of another. Octets pass unread, a half-close
stays a half-close and a reset a reset. Prints the port it listens on (0 asks for a free one)."""

import asyncio
import ctypes
import os
import socket
import sys

# Until the first answer is let through. sstpc 1.0.18 writes its first octets, the handshake, in a
# call that it expects to be interrupted; where the server has answered before that call looks, it
# waits for nothing any more and ends: "The event loop terminated unsuccessfully". That takes a
# server nearer than any network has one, as all of them are here.
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
    # A socket stays in the namespace it was made in, the process may go on to another.
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
