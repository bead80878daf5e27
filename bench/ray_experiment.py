"""The experiment of `node dist/main.js` on Ray: the rival that ours is measured against.

Same flags, same traffic: one server actor sends each client a new array, the client works on it
(sleeps) and answers with a new array, until each client has done all rounds. `--array bytearray` is
what the original experiment sends, `numpy` is Ray at its best (get without a copy). Each process
samples itself with psutil every `--sample-ms`, as the original does; main also reads, every 10 s,
what it takes to know the group's footprint. Prints one line of JSON, sizes in bytes.

Needs: pip install ray==2.60.0 psutil numpy
"""

import argparse
import ctypes
import fcntl
import json
import os
import socket
import struct
import threading
import time

import numpy as np
import psutil
import ray

# Rare, so that the rival's time is its own: for one look the kernel walks 20 GB of mapped pages,
# and whoever wants to map or unmap meanwhile waits.
FOOTPRINT_INTERVAL_S = 10
FIELDS = {"rssBytes": "rss", "ussBytes": "uss", "pssBytes": "pss", "sharedBytes": "shared"}


def options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--array-size", type=int, default=100_000_000)
    parser.add_argument("--obj-store-mem", type=int, default=10_000_000_000)
    parser.add_argument("--timeout", type=float, default=1000)
    parser.add_argument("--poll-int", type=float, default=1)
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--work-ms", type=float, default=1000)
    parser.add_argument("--sample-ms", type=float, default=100)
    parser.add_argument("--array", choices=["bytearray", "numpy"], default="numpy")
    parser.add_argument("--tmp-dir", required=True, help="absolute and short: sockets live in it")
    return parser.parse_args()


def only_loopback():
    """Moves this process to a network of its own: Ray listens on every interface it finds."""
    clone_newnet, get_flags, set_flags, up = 0x40000000, 0x8913, 0x8914, 0x1
    if ctypes.CDLL(None, use_errno=True).unshare(clone_newnet) != 0:
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWNET): run as root or unshare -rn")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = fcntl.ioctl(any_socket, get_flags, struct.pack("16sH14x", b"lo", 0))
        flags = struct.unpack("16sH14x", request)[1] | up
        fcntl.ioctl(any_socket, set_flags, struct.pack("16sH14x", b"lo", flags))


def proc_bytes(path, names):
    """The sums of the named `Name: 12 kB` lines of a file of /proc, in bytes, from one read."""
    sums = dict.fromkeys(names, 0)
    with open(path) as lines:
        for line in lines:
            name, _, value = line.partition(":")
            if name in sums:
                sums[name] += int(value.split()[0]) * 1024
    return sums


class Observer:
    """Peaks of the process it is made in, sampled on a thread of its own."""

    def __init__(self, label, interval_ms):
        self.peak = dict.fromkeys([*FIELDS, "rssAnonBytes"], 0)
        self.label, self.interval_s = label, interval_ms / 1000
        self.process, self.samples, self.cpu_s = psutil.Process(), 0, 0.0
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stopped.is_set():
            memory = self.process.memory_full_info()
            for field, name in FIELDS.items():
                self.peak[field] = max(self.peak[field], getattr(memory, name))
            anonymous = proc_bytes("/proc/self/status", ["RssAnon"])["RssAnon"]
            self.peak["rssAnonBytes"] = max(self.peak["rssAnonBytes"], anonymous)
            self.samples += 1
            self.cpu_s = time.thread_time()
            self.stopped.wait(self.interval_s)

    def report(self):
        self.stopped.set()
        self.thread.join()
        return {
            "label": self.label,
            "pid": os.getpid(),
            "peak": self.peak,
            "samples": self.samples,
            "observerCpuMs": self.cpu_s * 1000,
        }


def new_array(kind, size, value):
    if kind == "bytearray":
        return bytearray(size)
    return np.full(size, int(value) % 256, dtype=np.uint8)


@ray.remote
class Flag:
    def __init__(self):
        self.value = False

    def set(self):
        self.value = True

    def get(self):
        return self.value


@ray.remote
class Client:
    def __init__(self, index, opts):
        self.opts = opts
        self.observer = Observer(f"Client {index}", opts.sample_ms)

    def process(self, array):
        time.sleep(self.opts.work_ms / 1000)
        return new_array(self.opts.array, self.opts.array_size, array[0])

    def pid(self):
        return os.getpid()

    def report(self):
        return self.observer.report()


@ray.remote
class Server:
    def __init__(self, clients, opts, flag):
        self.clients, self.opts, self.flag = clients, opts, flag
        self.observer = Observer("Server", opts.sample_ms)

    def pid(self):
        return os.getpid()

    def send(self, index, round_):
        array = new_array(self.opts.array, self.opts.array_size, index + round_)
        return self.clients[index].process.remote(array)

    def run(self):
        pending = {self.send(i, 0): (i, 0) for i in range(len(self.clients))}
        received = 0
        while pending:
            ready, _ = ray.wait(list(pending), num_returns=1)
            index, round_ = pending.pop(ready[0])
            array = ray.get(ready[0])
            assert len(array) == self.opts.array_size
            received += 1
            if round_ + 1 < self.opts.rounds:
                pending[self.send(index, round_ + 1)] = (index, round_ + 1)
        ray.get(self.flag.set.remote())
        return received

    def report(self):
        return self.observer.report()


class Totals:
    """What only main can see: the store's pages and bytes, and the group's footprint."""

    def __init__(self):
        self.before = self.used()
        self.resident = self.live = self.footprint = self.sum_rss_then = 0

    @staticmethod
    def used():
        """Bytes used in /dev/shm, where Ray's store has a file without a name."""
        fs = os.statvfs("/dev/shm")
        return (fs.f_blocks - fs.f_bfree) * fs.f_frsize

    def poll(self):
        now = self.used() - self.before
        self.resident = max(self.resident, now)
        return now

    def footprint_of(self, pids):
        sums = {"Pss_Anon": 0, "Pss_File": 0, "Rss": 0}
        for pid in pids:
            for name, value in proc_bytes(f"/proc/{pid}/smaps_rollup", sums).items():
                sums[name] += value
        total = sums["Pss_Anon"] + sums["Pss_File"] + self.poll()
        if total > self.footprint:
            self.footprint, self.sum_rss_then = total, sums["Rss"]

    def store_bytes(self):
        """Ray's own view, what its monitor.log prints: capacity less what it calls available."""
        name = "object_store_memory"
        free = ray.available_resources().get(name)
        if free is not None:
            self.live = max(self.live, int(ray.cluster_resources()[name] - free))


def follow(totals, flag, done, opts, pids):
    """Polls until the flag is set; True if it was set in time."""
    start = time.monotonic()
    next_poll = next_pass = start
    while time.monotonic() - start < opts.timeout:
        totals.poll()
        now = time.monotonic()
        if now >= next_pass:
            totals.footprint_of(pids)
            totals.store_bytes()
            next_pass = now + FOOTPRINT_INTERVAL_S
        if now >= next_poll:
            if ray.get(flag.get.remote()):
                return True
            if ray.wait([done], timeout=0)[0]:
                return ray.get(done) > 0  # raises what the server raised
            next_poll = now + opts.poll_int
        time.sleep(0.05)
    return False


def main():
    opts = options()
    only_loopback()
    started = time.monotonic()
    totals = Totals()
    ray.init(
        _temp_dir=opts.tmp_dir,
        _node_ip_address="127.0.0.1",
        object_store_memory=opts.obj_store_mem,
        num_cpus=opts.clients + 2,
        include_dashboard=False,
        log_to_driver=False,
    )
    observer = Observer("Main", opts.sample_ms)
    flag = Flag.options(num_cpus=0).remote()
    clients = [Client.options(num_cpus=1).remote(i, opts) for i in range(opts.clients)]
    server = Server.options(max_concurrency=4, num_cpus=1).remote(clients, opts, flag)
    pids = [os.getpid(), *ray.get([actor.pid.remote() for actor in [server, *clients]])]
    run_started = time.monotonic()
    done = server.run.remote()
    completed = follow(totals, flag, done, opts, pids)
    run_ended = time.monotonic()
    reports = [observer.report(), ray.get(server.report.remote())]
    reports += ray.get([client.report.remote() for client in clients])
    result = {
        "completed": completed,
        "arrays": ray.get(done) if completed else None,
        "startupMs": (run_started - started) * 1000,
        "wallMs": (run_ended - run_started) * 1000,
        "processes": reports,
        "totals": {name: sum(one["peak"][name] for one in reports) for name in FIELDS},
        "footprint": {"peakBytes": totals.footprint, "sumRssBytesThen": totals.sum_rss_then},
        "store": {"liveBytesPeak": totals.live, "residentBytesPeak": totals.resident},
        "observer": {"cpuMs": sum(one["observerCpuMs"] for one in reports)},
        "ray": ray.__version__,
    }
    ray.shutdown()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
