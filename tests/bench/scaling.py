#!/usr/bin/python3
"""Prints the table of conf/SCALING.md: what 1,000, 100,000 and 1,000,000 users need, and how long they take to come back
after an outage. Each run prints the same, because the seed is fixed.

    tests/bench/scaling.py

A user dials twice on a working day: the calls begin in two waves, in the morning and after lunch (normal distributions), and
their lengths have a heavy tail (Pareto). In a storm every tunnel is lost at once; each client dials again at a random moment,
waits in the queue of its gate, gives up after the gate's timeout-handshake, and tries again later."""

import math
import random
from collections import deque

SEED = 2759
SIZES = 1000, 100000, 1000000

# Measured: tests/bench/RESULTS.md and results/results.txt.
CALL_MS = 1.63            # CPU time of a call, P-256 (calls-ec)
SHARED = 1.05             # factor of a store (calls-shared: 1.04; the goal is at most 1.05)
PACKET_US = 1.37          # CPU time of a packet beside thousands of tunnels (up-1404-5000)
TUNNEL_KIB = 4.4          # memory of an idle tunnel (memory)
SOCKETS_KIB = 7.6         # two sockets of the kernel, without data: slabs TCP, sock_inode_cache, filp, dentry, eventpoll
STORE_SCRIPTS = 2.13      # commands of the store for a call (calls-shared)
STORE_US = 100            # CPU time of the store for a call (calls-shared)
STORE_BYTES = 154         # memory of the store for a tunnel: two fields of a hash, address and user

# Assumed.
TRAFFIC_KBIT = 60         # of a tunnel in the busy minute, both directions together
PACKET_BYTES = 512
CORES = 8                 # of a gate
BUSY = 0.5                # of its CPU time, so that one gate may fail
DESCRIPTORS = 65536       # LimitNOFILE of sstpgate.service
PORTS = 28232             # ports that Linux uses to connect from one address to one server (ip_local_port_range)
SERVERS = 2               # addresses of VPN servers behind a gate
MEMORY_GIB = 16           # of a gate
DIAL_WITHIN = 5           # s: the clients notice the outage, by a reset
PATIENCE = 10             # s: timeout-handshake
AGAIN = 30, 60            # s until the next attempt
DAY = 24 * 60


def day(users, rng):
    """Returns the most tunnels at once, and the logins of the busiest minute. A user has one tunnel at a time."""
    change, begun = [0] * (DAY + 1), [0] * DAY
    for _ in range(users):
        morning, noon = (int(rng.gauss(middle, 25)) for middle in (8.5 * 60, 13 * 60))
        ends = min(morning + length(rng), max(noon, morning)), noon + length(rng)
        for start, end in zip((morning, noon), ends):
            begun[start] += 1
            change[start] += 1
            change[min(end, DAY)] -= 1
    most = now = 0
    for delta in change:
        now += delta
        most = max(most, now)
    return most, max(begun)


def length(rng):
    """Returns the minutes of a session: at least one hour, at most ten, 2.6 on average."""
    return int(min(60 * rng.paretovariate(1.1), 10 * 60))


def storm(tunnels, rate, rng):
    """All tunnels are lost. Returns the seconds until 99 % are back and until all are, and the attempts that gave up."""
    due = {}
    for _ in range(tunnels):
        at = rng.randrange(DIAL_WITHIN)
        due[at] = due.get(at, 0) + 1
    queue, back, given_up, second, nearly = deque(), 0, 0, 0, None
    while back < tunnels:
        queue.append([second, due.pop(second, 0)])
        while queue[0][0] + PATIENCE <= second:
            number = queue.popleft()[1]
            given_up += number
            for _ in range(number):
                at = second + rng.randint(*AGAIN)
                due[at] = due.get(at, 0) + 1
        room = rate
        while queue and room > 0:
            served = min(queue[0][1], room)
            queue[0][1] -= served
            room -= served
            back += served
            if queue[0][1]:
                break
            queue.popleft()
        second += 1
        if nearly is None and back >= 0.99 * tunnels:
            nearly = second
    return nearly, second, given_up


def packets_of(tunnels):
    return tunnels * TRAFFIC_KBIT * 1000 / 8 / PACKET_BYTES


def needs(tunnels):
    """Returns the gates that each resource requires."""
    return {"descriptors": tunnels * 2 / DESCRIPTORS,
            "ports to the servers": tunnels / (PORTS * SERVERS),
            "CPU of packets": packets_of(tunnels) * PACKET_US / 1e6 / (CORES * BUSY),
            "memory": tunnels * (TUNNEL_KIB + SOCKETS_KIB) / 2 ** 20 / MEMORY_GIB}


def shown(number):
    """Returns a number with two digits that matter, or as an integer."""
    return f"{number:,.0f}" if number >= 10 else f"{number:.1f}" if number >= 1 else f"{number:.1g}" if number >= 1e-4 else "0"


def column(users):
    rng = random.Random(SEED + users)
    tunnels, minute = day(users, rng)
    logins, packets, by = minute / 60, packets_of(tunnels), needs(tunnels)
    gates = math.ceil(max(by.values())) + 1
    core = 1000 / (CALL_MS * SHARED)  # calls per second of a core
    asked, rates = tunnels / DIAL_WITHIN, (int(gates * CORES * core), int(gates * core))
    storms = [storm(tunnels, rate, rng) for rate in rates]
    return [
        ("tunnels, at most", f"{tunnels:,}"),
        ("logins per second, in the busiest minute", shown(logins)),
        ("cores for them", shown(logins / core)),
        ("Gbit/s", shown(tunnels * TRAFFIC_KBIT / 1e6)),
        ("packets per second", f"{packets:,.0f}"),
        ("cores for them", shown(packets * PACKET_US / 1e6)),
        ("memory of the gates, MiB", shown(tunnels * TUNNEL_KIB / 1024)),
        ("memory of the kernel for idle sockets, MiB", shown(tunnels * SOCKETS_KIB / 1024)),
        ("descriptors", f"{2 * tunnels:,}"),
        *((f"gates because of {name}", shown(number)) for name, number in by.items()),
        ("ends first", max(by, key=by.get)),
        ("**gates, with one that may fail**", f"**{gates}**"),
        ("store: commands per second, in the busiest minute", shown(logins * STORE_SCRIPTS)),
        ("store: cores", shown(logins * STORE_US / 1e6)),
        ("store: memory, MiB", shown(tunnels * STORE_BYTES / 2 ** 20)),
        ("storm: logins per second that clients want", shown(asked)),
        ("storm: logins per second that these gates can make", f"{rates[0]:,}"),
        ("storm: seconds until 99 %, and all, are back", f"{storms[0][0]}, {storms[0][1]}"),
        ("storm: attempts that gave up", f"{storms[0][2]:,}"),
        ("storm: cores that the store would need", shown(min(asked, rates[0]) * STORE_US / 1e6)),
        ("storm, gates with one core: logins per second", f"{rates[1]:,}"),
        ("storm, gates with one core: seconds until 99 %, and all", f"{storms[1][0]}, {storms[1][1]}"),
        ("storm, gates with one core: attempts that gave up", f"{storms[1][2]:,}"),
    ]


def main():
    columns = [column(users) for users in SIZES]
    print("| Users | " + " | ".join(f"{users:,}" for users in SIZES) + " |")
    print("|---|" + "---:|" * len(SIZES))
    for row in zip(*columns):
        print(f"| {row[0][0]} | " + " | ".join(text for _, text in row) + " |")


if __name__ == "__main__":
    main()
