"""A segment that N forked children map and read, each with private memory of its own beside it.

With --parent-private the parent has that much before it forks, which its children share until
somebody writes: copy-on-write. --hold is the seconds of the plateau.
"""

import argparse
import mmap
import os
import time
from multiprocessing import Barrier, Process, shared_memory

parser = argparse.ArgumentParser()
parser.add_argument("--shared", type=int, default=500, help="MiB")
parser.add_argument("--private", type=int, default=50, help="MiB, each child")
parser.add_argument("--children", type=int, default=4)
parser.add_argument("--hold", type=float, default=8)
parser.add_argument("--parent-private", type=int, default=0, help="MiB")
options = parser.parse_args()


def child(name, barrier):
    segment = shared_memory.SharedMemory(name)
    total = sum(segment.buf[at] for at in range(0, options.shared << 20, mmap.PAGESIZE))
    mine = bytearray(os.urandom(1)) * (options.private << 20)
    # The plateau begins and ends for all at once.
    barrier.wait()
    time.sleep(options.hold)
    barrier.wait()
    segment.close()
    return mine[0] + total


before_fork = bytearray(b"x") * (options.parent_private << 20)
# Named after the cluster's folder: what a killed job leaves is removed with the cluster.
# Some nodes have a configuration of their own, deeper in the folder.
cluster = os.path.basename(os.environ["SLURM_CONF"].split("/etc/")[0])
segment = shared_memory.SharedMemory(
    f"{cluster}.{os.getpid()}", create=True, size=max(options.shared << 20, 1)
)
try:
    for at in range(0, options.shared << 20, mmap.PAGESIZE):
        segment.buf[at] = 1
    barrier = Barrier(options.children)
    children = [Process(target=child, args=(segment.name, barrier)) for _ in range(options.children)]
    for one in children:
        one.start()
    for one in children:
        one.join()
finally:
    segment.close()
    segment.unlink()
