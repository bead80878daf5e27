# Maps, writes, shares and frees memory at random: argv is a seed, seconds and a name.
# Moves in the first half of every three seconds of the clock, and rests in the second.
import mmap
import os
import random
import sys
import time

rng = random.Random(int(sys.argv[1]))
end = time.time() + float(sys.argv[2])
depth, blocks, children, shared = 0, [], [], []


def allocate():
    if sum(map(len, blocks)) < 150 << 20:
        blocks.append(bytearray(b"x" * (rng.randint(1, 30) << 20)))


def rewrite():
    if not blocks:
        return
    block = rng.choice(blocks)
    for at in range(0, rng.randint(0, len(block) // 4096) * 4096, 4096):
        block[at] = (block[at] + 1) % 256


def fork():
    global depth, rng
    if depth >= 2 or len(children) >= 3:
        return
    pid = os.fork()
    if pid:
        children.append(pid)
        return
    depth += 1
    children.clear()
    rng = random.Random(os.getpid())


def share(size):
    shared.append(mmap.mmap(-1, size))


def memfd(size):
    fd = os.memfd_create(sys.argv[3])
    os.ftruncate(fd, size)
    shared.append(mmap.mmap(fd, size))
    os.close(fd)


def named(size):
    path = f"/dev/shm/{sys.argv[3]}.{os.getpid()}.{len(shared)}"
    fd = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    os.ftruncate(fd, size)
    shared.append(mmap.mmap(fd, size))
    os.close(fd)
    os.unlink(path)


def burst():
    block = bytearray(b"y" * (rng.randint(10, 60) << 20))
    time.sleep(0.05)
    del block


def act():
    kind = rng.random()
    if kind < 0.22:
        allocate()
    elif kind < 0.5:
        rewrite()
    elif kind < 0.6 and blocks:
        blocks.pop(rng.randrange(len(blocks)))
    elif kind < 0.68:
        fork()
    elif kind < 0.74 and len(shared) < 4:
        rng.choice([share, memfd, named])(rng.randint(1, 20) << 20)
    elif kind < 0.82 and shared:
        mapping = rng.choice(shared)
        for at in range(0, rng.randint(1, len(mapping)), 4096):
            mapping[at] = 1
    elif kind < 0.85 and shared:
        shared.pop().close()
    elif kind < 0.88:
        burst()
    elif kind < 0.9 and depth > 0:
        os._exit(0)


def reap():
    for child in list(children):
        if os.waitpid(child, os.WNOHANG)[0]:
            children.remove(child)


while time.time() < end:
    if time.time() % 3 < 1.5:
        act()
        reap()
    time.sleep(rng.choice([0.005, 0.02, 0.05]))
