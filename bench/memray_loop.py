"""memray on the loop that tracker.mjs measures us on; ns per event, as JSON."""
import ctypes
import json
import os
import sys
import tempfile

import memray

library = ctypes.CDLL(sys.argv[1])
library.pairs.restype = ctypes.c_double
library.pairs.argtypes = [ctypes.c_size_t, ctypes.c_size_t]
count = int(sys.argv[2])


def loop():
    return library.pairs(count, 64) / count


def tracked(folder, name, **options):
    with memray.Tracker(os.path.join(folder, name), **options):
        return loop()


def median(values):
    return sorted(values)[len(values) // 2]


with tempfile.TemporaryDirectory() as folder:
    loop()
    runs = range(5)
    base = median([loop() for _ in runs])
    plain = median([tracked(folder, f"plain{i}") for i in runs])
    native = median([tracked(folder, f"native{i}", native_traces=True) for i in runs])
print(json.dumps({"plain": (plain - base) / 2, "native": (native - base) / 2}))
