"""What psutil says about the processes whose pids are given, as JSON; psutil.test.ts compares."""

import json
import sys

import psutil

answers = []
for pid in map(int, sys.argv[1:]):
    process = psutil.Process(pid)
    answers.append(
        {
            "full": process.memory_full_info()._asdict(),
            "maps": [mapping._asdict() for mapping in process.memory_maps(grouped=False)],
            "name": process.name(),
            "ppid": process.ppid(),
            "uids": process.uids()._asdict(),
            "threads": process.num_threads(),
        }
    )
print(json.dumps(answers))
