"""Ray's object store for bench/store_rivals.mjs: one actor per process, measured at a time.

Reads requests as lines of JSON, answers each with one. `share` makes the object that the next
measurements put, get or send; `measure` has the first `processes` actors do one operation `count`
times and answers how long each took, in microseconds. A first read follows a give-up of the
object's page-table entries, as in a process that never read it: Ray's workers keep theirs.

Needs: pip install ray==2.60.0 numpy
"""

import argparse
import ctypes
import json
import os
import sys
import time

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from ray_experiment import only_loopback  # noqa: E402

PAGE_BYTES = 4096
MADV_DONTNEED = 4


def ray_options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tmp-dir", required=True, help="absolute and short: sockets live in it")
    parser.add_argument("--capacity-bytes", type=int, required=True)
    parser.add_argument("--processes", type=int, required=True)
    return parser.parse_args()


def drop_entries(array):
    """Whole pages only: what else lies on the first and the last is not ours."""
    start = -(-array.ctypes.data // PAGE_BYTES) * PAGE_BYTES
    end = (array.ctypes.data + array.nbytes) // PAGE_BYTES * PAGE_BYTES
    if end > start:
        length = ctypes.c_size_t(end - start)
        ctypes.CDLL(None).madvise(ctypes.c_void_p(start), length, MADV_DONTNEED)


def wait_until(start_ns):
    while time.monotonic_ns() < start_ns:
        pass


def timed_us(work):
    start = time.perf_counter_ns()
    result = work()
    return (time.perf_counter_ns() - start) / 1000, result


def make_worker(ray):
    @ray.remote(num_cpus=0)
    class Worker:
        def share(self, size):
            return [ray.put(np.full(size, 3, dtype=np.uint8))]

        def use(self, held):
            self.ref = held[0]
            self.source = None

        def look(self, held):
            return int(ray.get(held[0])[0])

        def put(self):
            if self.source is None:
                self.source = ray.get(self.ref)
            return timed_us(lambda: ray.put(self.source))[0]

        def get(self):
            return timed_us(lambda: ray.get(self.ref))[0]

        def first_read(self):
            drop_entries(ray.get(self.ref))
            us, highest = timed_us(lambda: ray.get(self.ref).max())
            assert highest == 3
            return us

        def set_partner(self, partner):
            self.partner = partner

        def round_trip(self):
            return timed_us(lambda: ray.get(self.partner.look.remote([self.ref])))[0]

        def measure(self, op, count, start_ns):
            # What a process holds already it gets without asking the store.
            if op != "put":
                self.source = None
            wait_until(start_ns)
            return [getattr(self, op)() for _ in range(count)]

    return Worker


class Rival:
    def __init__(self, ray, processes):
        worker = make_worker(ray)
        self.ray = ray
        self.workers = [worker.remote() for _ in range(processes)]
        half = processes // 2
        for i in range(half):
            ray.get(self.workers[i].set_partner.remote(self.workers[half + i]))

    def share(self, request):
        # The first makes it, so that it is the owner's process which lives on.
        self.held = self.ray.get(self.workers[0].share.remote(request["sizeBytes"]))
        self.ray.get([one.use.remote(self.held) for one in self.workers])
        return {}

    def measure(self, request):
        op, count = request["op"], request["count"]
        # A pair's first does the timing, the second answers.
        active = self.workers[: request["processes"] // (2 if op == "round_trip" else 1)]
        start_ns = time.monotonic_ns() + 20_000_000
        times = self.ray.get([one.measure.remote(op, count, start_ns) for one in active])
        return {"times": [us for each in times for us in each]}


def main():
    opts = ray_options()
    only_loopback()
    import ray

    ray.init(
        _temp_dir=opts.tmp_dir,
        _node_ip_address="127.0.0.1",
        object_store_memory=opts.capacity_bytes,
        num_cpus=opts.processes + 2,
        include_dashboard=False,
        log_to_driver=False,
    )
    rival = Rival(ray, opts.processes)
    print(json.dumps({"version": ray.__version__}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(getattr(rival, request["do"])(request)), flush=True)
    ray.shutdown()


if __name__ == "__main__":
    main()
