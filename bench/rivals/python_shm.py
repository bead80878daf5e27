"""multiprocessing.shared_memory for bench/store_rivals.mjs; the requests are ray_store.py's.

A put makes a segment, copies and closes it; it is unlinked after the time was taken. A get
attaches by name and makes a numpy view. A round trip is the name through a Pipe, a get and a look
at a byte by the other process, and its answer.

Needs: pip install numpy
"""

import argparse
import json
import multiprocessing as mp
import platform
import sys
import time
from multiprocessing.shared_memory import SharedMemory

import numpy as np


def wait_until(start_ns):
    while time.monotonic_ns() < start_ns:
        pass


def timed_us(work):
    start = time.perf_counter_ns()
    result = work()
    return (time.perf_counter_ns() - start) / 1000, result


def view_of(memory, size):
    return np.ndarray(size, dtype=np.uint8, buffer=memory.buf)


def put(source):
    memory = SharedMemory(create=True, size=source.nbytes)
    view_of(memory, source.nbytes)[:] = source
    memory.close()
    return memory


def get(name, size):
    # The kernel's size is a multiple of pages: the array's own has to be known.
    memory = SharedMemory(name)
    return memory, view_of(memory, size)


class Worker:
    def __init__(self, partner):
        self.partner = partner

    def use(self, name, size):
        self.name, self.size = name, size
        self.source = None

    def put(self):
        if self.source is None:
            # Kept attached while it is the source.
            self.memory, self.source = get(self.name, self.size)
        us, memory = timed_us(lambda: put(self.source))
        memory.unlink()
        return us

    def get(self):
        us, (memory, view) = timed_us(lambda: get(self.name, self.size))
        del view
        memory.close()
        return us

    def first_read(self):
        start = time.perf_counter_ns()
        memory, view = get(self.name, self.size)
        highest = view.max()
        us = (time.perf_counter_ns() - start) / 1000
        assert highest == 3
        del view
        memory.close()
        return us

    def round_trip(self):
        def there_and_back():
            self.partner.send((self.name, self.size))
            return self.partner.recv()

        us, seen = timed_us(there_and_back)
        assert seen == 3
        return us


def answer(requests):
    """The other end of a round trip."""
    while True:
        name, size = requests.recv()
        memory, view = get(name, size)
        seen = int(view[0])
        requests.send(seen)
        del view
        memory.close()


def work(requests, partner):
    worker = Worker(partner)
    while True:
        op, *rest = requests.recv()
        if op == "use":
            requests.send(worker.use(*rest))
            continue
        count, start_ns = rest
        wait_until(start_ns)
        requests.send([getattr(worker, op)() for _ in range(count)])


class Rival:
    def __init__(self, processes):
        self.shared = None
        self.workers = []
        for _ in range(processes):
            (ours, theirs), (one, other) = mp.Pipe(), mp.Pipe()
            mp.Process(target=work, args=(theirs, one), daemon=True).start()
            mp.Process(target=answer, args=(other,), daemon=True).start()
            self.workers.append(ours)

    def share(self, request):
        self.unlink()
        size = request["sizeBytes"]
        self.shared = put(np.full(size, 3, dtype=np.uint8))
        for worker in self.workers:
            worker.send(("use", self.shared.name, size))
        for worker in self.workers:
            worker.recv()
        return {}

    def measure(self, request):
        op = request["op"]
        active = self.workers[: request["processes"] // (2 if op == "round_trip" else 1)]
        for worker in active:
            worker.send((op, request["count"], time.monotonic_ns() + 5_000_000))
        return {"times": [us for worker in active for us in worker.recv()]}

    def unlink(self):
        if self.shared is not None:
            self.shared.unlink()
        self.shared = None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--processes", type=int, required=True)
    # The tracker of segments must be there before the processes, or each would have its own.
    mp.resource_tracker.ensure_running()
    rival = Rival(parser.parse_args().processes)
    print(json.dumps({"version": platform.python_version()}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(getattr(rival, request["do"])(request)), flush=True)
    rival.unlink()


if __name__ == "__main__":
    main()
