"""Ten million events for memray to report on: SCALE of them, in 20 depths of stacks."""
import random
import sys


def allocate(count, depth):
    if depth:
        return allocate(count, depth - 1)
    kept = []
    for i in range(count):
        kept.append(bytearray(600 + (i % 97) * 13))
        if len(kept) > 1000:
            kept.pop(random.randrange(1000))


for level in range(20):
    allocate(int(sys.argv[1]) // 40, level)
