"""RSS of a process and its descendants ten times a second, as monitors of clusters do it.
stdin ends: one JSON line on stdout, with what that cost."""

import json
import select
import sys
import time

import psutil

root, hertz, full = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3] == "full"
began = time.monotonic()
cpu_before = time.process_time()
samples = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    due = began + (samples + 1) / hertz
    try:
        parent = psutil.Process(root)
        for process in [parent, *parent.children(recursive=True)]:
            try:
                process.memory_full_info() if full else process.memory_info()
            except psutil.Error:
                pass
    except psutil.Error:
        pass
    samples += 1
    time.sleep(max(0, due - time.monotonic()))
wall = time.monotonic() - began
cpu = time.process_time() - cpu_before
print(json.dumps({"percent": 100 * cpu / wall, "hertz": samples / wall}))
