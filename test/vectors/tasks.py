"""Plays SAT-v1 and Countdown-v1 by their definition in docs/guides/environments.md, for test/vectors/tasks.test.ts.

    python test/vectors/tasks.py 2026 test/vectors/tasks.json

Needs nothing but Python, and shares no code with the network. The first argument seeds task seeds and actions, the
second is the output. A line of JSON an episode: task seed (hex), actions, rewards in 64ths, and the first 8 bytes of
SHA-256 over the observations before each step, one after another (hex). GRAIL_VECTORS_TASKS=FILE makes the test replay
another recording.
"""

import hashlib
import json
import random
import struct
import sys

M32 = 0xFFFFFFFF
SAT_EPISODES = 150
COUNTDOWN_EPISODES = 400


def block(seed, index):
    k0, k1, w2, w3 = struct.unpack(">4I", seed)
    c0, c1, c2, c3 = 0, index, w2, w3
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & M32, (p0 >> 32) ^ c3 ^ k1, p0 & M32
        k0, k1 = (k0 + 0x9E3779B9) & M32, (k1 + 0xBB67AE85) & M32
    return c0, c1, c2, c3


def clip(value):
    return min(value, 127)


class Sat:
    """Literals are (variable, sign), sign 1 for a negated one; it holds when value != sign."""

    actions = 2

    def __init__(self, seed):
        self.clauses = []
        for j in range(64):
            u = block(seed, j)
            left = list(range(15))
            self.clauses.append([(left.pop(u[i] * len(left) >> 32), u[3] >> i & 1) for i in range(3)])
        self.values = []

    def left(self, values):
        """Free literals of the clauses that do not hold yet."""
        unsatisfied = [c for c in self.clauses if all(values.get(v, s) == s for v, s in c)]
        return [[(v, s) for v, s in c if v not in values] for c in unsatisfied]

    def observe(self):
        turn, values = len(self.values), dict(enumerate(self.values))
        left = self.left(values)
        count = lambda free, *literals: sum(len(c) == free and all(l in c for l in literals) for c in left)
        out = []
        for v in range(turn, turn + 15):
            for s in (0, 1):
                out += [clip(w * count(f, (v, s))) for f, w in ((1, 32), (2, 16), (3, 8))]
        for v in range(turn + 1, turn + 15):
            for s in (0, 1):
                for t in (0, 1):
                    pair = (turn, s), (v, t)
                    out.append(clip(16 * count(2, *pair) + 8 * count(3, *pair)))
        out += [clip(w * count(f)) for f, w in ((0, 16), (1, 16), (2, 4), (3, 2))]
        out += [64 - len(left), 8 * turn]
        for value in (0, 1):
            out += self.foresee(values, turn, value, count(0))
        return out

    def foresee(self, values, turn, value, falsified):
        if turn == 15:
            return [0, 0, 0, 0]
        then = {**values, turn: value}
        while True:
            sizes = [len(c) for c in self.left(then)]
            if sizes.count(0) > falsified:
                return [64, 0, 0, 0]
            if 1 not in sizes:
                forced = len(then) - turn - 1
                return [0, clip(8 * forced), clip(4 * sizes.count(2)), clip(2 * sizes.count(3))]
            v, s = next(c for c in self.left(then) if len(c) == 1)[0]
            then[v] = 1 - s

    def choose(self, rng):
        return rng.randrange(2)

    def step(self, action):
        before = len(self.left(dict(enumerate(self.values))))
        self.values.append(action)
        after = len(self.left(dict(enumerate(self.values))))
        ended = len(self.values) == 15
        return before - after + (64 if ended and after == 0 else 0), ended


class Countdown:
    pairs = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    actions = 24

    def __init__(self, seed):
        attempt = 0
        while True:
            self.numbers = sorted((1 + (u * 10 >> 32) for u in block(seed, 2 * attempt)), reverse=True)
            hand = self.numbers
            for u in block(seed, 2 * attempt + 1)[:3]:
                allowed = [a for a in range(24) if self.result(hand, a)]
                action = allowed[u * len(allowed) >> 32]
                target = self.result(hand, action)
                hand = self.after(hand, action)
            if 11 <= target <= 100:
                break
            attempt += 1
        self.target, self.done = target, 0

    def result(self, hand, action):
        i, j = self.pairs[action // 4]
        if j >= len(hand):
            return 0
        a, b = hand[i], hand[j]
        value = (a + b, a - b, a * b, 0 if a % b else a // b)[action % 4]
        return value if value <= 127 else 0

    def after(self, hand, action):
        pair = self.pairs[action // 4]
        return sorted([n for k, n in enumerate(hand) if k not in pair] + [self.result(hand, action)], reverse=True)

    def observe(self):
        out = []
        for value in (self.numbers + [0, 0, 0])[:4] + [self.target]:
            out += [value] + [64 * (value >> bit & 1) for bit in range(7)]
        out += [64 * (len(self.numbers) == n) for n in (2, 3, 4)]
        for action in range(24):
            r = self.result(self.numbers, action)
            out += [64, 64 * (r == self.target), self.target - r, 64 * (self.target % r == 0)] if r else [0, 0, 0, 0]
        return out

    def choose(self, rng):
        results = [self.result(self.numbers, a) for a in range(24)]
        if self.target in results and rng.random() < 0.7:
            return results.index(self.target)
        return rng.choice([a for a in range(24) if results[a]]) if rng.random() < 0.9 else rng.randrange(24)

    def step(self, action):
        self.done += 1
        result = self.result(self.numbers, action)
        if result:
            self.numbers = self.after(self.numbers, action)
        return 64 * (result == self.target), result in (0, self.target) or self.done == 3


def play(task, rng):
    seed = rng.randbytes(16)
    state = task(seed)
    digest, actions, rewards, ended = hashlib.sha256(), [], [], False
    while not ended:
        observation = state.observe()
        digest.update(struct.pack(f"{len(observation)}b", *observation))
        actions.append(state.choose(rng))
        reward, ended = state.step(actions[-1])
        rewards.append(int(reward))
    return [seed.hex(), actions, rewards, digest.hexdigest()[:16]]


def main():
    rng = random.Random(int(sys.argv[1]))
    parts = {"SAT-v1": (Sat, SAT_EPISODES), "Countdown-v1": (Countdown, COUNTDOWN_EPISODES)}
    with open(sys.argv[2], "w") as out:
        texts = []
        for name, (task, episodes) in parts.items():
            lines = ",\n".join(json.dumps(play(task, rng), separators=(",", ":")) for _ in range(episodes))
            texts.append(f'"{name}":[\n{lines}]')
        out.write("{" + ",\n".join(texts) + "}\n")


if __name__ == "__main__":
    main()
