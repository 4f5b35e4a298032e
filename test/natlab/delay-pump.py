"""Carries Ethernet frames between pairs of TAP devices, each one DELAY_MS later and in order: what netem does where the
kernel has it. Makes near1 and far1, near2 and far2, ... in its network namespace, says "ready", and ends with its input.

  delay-pump.py DELAY_MS PAIRS

The devices may be moved to other namespaces. They take no offloads, so that every packet comes as it goes over a real wire."""
import collections
import fcntl
import os
import select
import struct
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TAP = 0x0002
IFF_NO_PI = 0x1000
FRAME_BYTES_MAX = 65_536
# So many frames of one device are taken before the next has its turn, and before those that are due leave.
BATCH = 64


def tap(name):
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return device


def main(delay_s, pairs):
    across = {}
    waiting = select.epoll()
    for number in range(1, pairs + 1):
        near, far = tap(f"near{number}"), tap(f"far{number}")
        across[near], across[far] = far, near
    for device in (0, *across):
        waiting.register(device, select.EPOLLIN)
    print("ready", flush=True)
    # Every frame waits equally long: one queue for all, in the order of its deadlines.
    queue = collections.deque()
    while True:
        wait_s = max(0, queue[0][0] - time.monotonic()) if queue else -1
        for device, _ in waiting.poll(wait_s):
            if device == 0:
                return
            for _ in range(BATCH):
                try:
                    frame = os.read(device, FRAME_BYTES_MAX)
                except OSError:
                    # Nothing left, or the device is down.
                    break
                queue.append((time.monotonic() + delay_s, across[device], frame))
        now = time.monotonic()
        while queue and queue[0][0] <= now:
            _, device, frame = queue.popleft()
            try:
                os.write(device, frame)
            except OSError:
                # The other end is down: as a wire that is not plugged in.
                pass


main(float(sys.argv[1]) / 1000, int(sys.argv[2]))
