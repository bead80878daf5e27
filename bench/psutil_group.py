"""psutil memory_full_info of a group at a rate: CPU seconds that a look at all of them costs."""
import json
import sys
import time

import psutil

seconds, hertz = float(sys.argv[1]), float(sys.argv[2])
processes = [psutil.Process(int(pid)) for pid in sys.argv[3:]]
begin, cpu_begin = time.monotonic(), time.process_time()
looks = 0
while time.monotonic() - begin < seconds:
    for process in processes:
        process.memory_full_info()
    looks += 1
    due = begin + looks / hertz
    time.sleep(max(0.0, due - time.monotonic()))
wall, cpu = time.monotonic() - begin, time.process_time() - cpu_begin
print(json.dumps({"looks": looks, "percentOfCoreAtRate": 100 * hertz * cpu / looks,
                  "hertzReached": looks / wall}))
