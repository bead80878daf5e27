"""What memray takes to read a capture of its own: ms, as JSON."""
import json
import sys
import time

from memray import FileReader

start = time.perf_counter()
reader = FileReader(sys.argv[1])
opened = time.perf_counter()
rows = sum(1 for _ in reader.get_high_watermark_allocation_records(merge_threads=True))
end = time.perf_counter()
print(
    json.dumps(
        {
            "passMs": (opened - start) * 1e3,
            "peakMs": (end - start) * 1e3,
            "rows": rows,
            "events": reader.metadata.total_allocations,
        }
    )
)
