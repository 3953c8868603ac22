"""Records episodes of the Python package MinAtar for test/vectors/minatar.test.ts.

    python -m venv venv && venv/bin/pip install numpy && venv/bin/pip install --no-deps MinAtar
    venv/bin/python test/vectors/minatar.py --game breakout --seed 1 --frames 24000 --out test/vectors/minatar-breakout.json

Games: asterix, breakout, freeway, seaquest, space_invaders. To replay other episodes than the committed ones, record
with another --seed and run the test with GRAIL_VECTORS_MINATAR=PATH, PATH being what --out named.

The game's RandomState is replaced by an object that writes down the outcome of every draw. It draws from Philox as
docs/guides/environments.md says (rand() is word / 2^32), so that the record can also be replayed from seeds alone: the
environment seed is the first 16 bytes of SHA-256 of "environment SEED", the task seed of episode i (from 0) those of
"task SEED i", and frame f (from 0) is slot step f. With --draws numpy it draws from RandomState(SEED) instead. The last
action is set to 0 when an episode starts; the package keeps it. Recording stops at the first end of an
episode after --frames frames, or in the middle of one that runs on for 2,000 more.

The file is JSON; each field below is base64 of zlib of bytes:
  actions   a byte a frame: index into the minimal action set
  outcomes  a byte a frame: reward, plus 128 when the frame ended its episode
  draws     a byte a draw, in order, those of start states included:
            2k + 1 or 2k when rand() < p was true or false, with k = 0, 1, 2 for p = 1/10, 1/2, 1/3;
            128 + 8(n - 1) + v when one of n values was drawn and it was the v-th (v from 0)
  states    states packed to bits as numpy.packbits does (row, column, channel; first bit highest; ceil(100 channels / 8)
            bytes each): of the start states and frames 1 to 200, and of frame 50, 100, 150 ... of the record where
            that is beyond 200
"hashes" is a list of hex strings, one for every 50 frames: the first 8 bytes of SHA-256 over all packed states, those of
starts included, up to that frame; the last one is over all states.
"""

import argparse
import base64
import copy
import hashlib
import json
import os
import sys
import zlib
from importlib import metadata

import numpy as np

# Else this script would be imported instead of the package of the same name.
sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder) != os.path.dirname(os.path.abspath(__file__))]
from minatar import Environment  # noqa: E402

FULL = 200
STRIDE = 50
OVERTIME = 2000
# Frames of an episode after which the scripts leave it to chance, so that it ends.
TIRED = 2000
# Frames that the scripts may look ahead at for one action, and the randomness of those.
LOOKS = 100
LOOKAHEAD = np.random.RandomState(0)
CHANCES = {1 / 10: 0, 1 / 2: 1, 1 / 3: 2}
ACTIONS = ["n", "l", "u", "r", "d", "f"]


class Draw(float):
    """A uniform draw that writes down what it was compared with."""

    def __new__(cls, value, log):
        self = super().__new__(cls, value)
        self.log = log
        return self

    def __lt__(self, p):
        result = float(self) < p
        self.log.append(2 * CHANCES[p] + int(result))
        return result


class Philox:
    """The words of Philox4x32-10 at key (w0, w1) and counter (step, 0, w2, w3), (step, 1, w2, w3), ..., as draws."""

    def begin(self, text, step):
        seed = hashlib.sha256(text.encode()).digest()
        self.key = [int.from_bytes(seed[i : i + 4], "big") for i in (0, 4, 8, 12)]
        self.step = step
        self.block = 0
        self.words = []

    def word(self):
        if not self.words:
            k0, k1, w2, w3 = self.key
            c0, c1, c2, c3 = self.step, self.block, w2, w3
            for _ in range(10):
                p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
                c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 % 2**32, (p0 >> 32) ^ c3 ^ k1, p0 % 2**32
                k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
            self.words = [c0, c1, c2, c3]
            self.block += 1
        return self.words.pop(0)

    def rand(self, size=None):
        if size is None:
            return self.word() / 2**32
        return np.array([self.word() / 2**32 for _ in range(size)])

    def randint(self, low, high, size=None):
        if size is None:
            return low + (self.word() * (high - low) >> 32)
        return np.array([low + (self.word() * (high - low) >> 32) for _ in range(size)])


class Numpy:
    """The package's own generator, the same for all."""

    def __init__(self, seed):
        random = np.random.RandomState(seed)
        self.rand, self.randint = random.rand, random.randint

    def begin(self, text, step):
        pass


class Recorder:
    """Forwards to a source of draws and appends a byte a draw to `log`."""

    def __init__(self, source):
        self.source = source
        self.log = bytearray()

    def rand(self, size=None):
        if size is None:
            return Draw(self.source.rand(), self.log)
        values = self.source.rand(size)
        # Freeway asks for signs of rand - 1/2.
        self.log.extend(2 * CHANCES[1 / 2] + int(value < 0.5) for value in values)
        return values

    def randint(self, low, high=None, size=None):
        if high is None:
            low, high = 0, low
        values = self.source.randint(low, high, size)
        self.log.extend(128 + 8 * (high - low - 1) + int(value) - low for value in np.atleast_1d(values))
        return values


def copied(game):
    """The game beside itself, with randomness of its own."""
    twin = copy.copy(game)
    for name, value in vars(game).items():
        if isinstance(value, np.ndarray):
            setattr(twin, name, value.copy())
        elif isinstance(value, list):
            setattr(twin, name, [list(item) if isinstance(item, list) else item for item in value])
    twin.random = LOOKAHEAD
    return twin


class Search:
    """Looks ahead for ways on; gives up, and finds none, after LOOKS frames."""

    def __init__(self, game):
        self.actions = [ACTIONS[i] for i in game.minimal_action_set()]
        self.left = LOOKS

    def survives(self, game, wish, depth):
        """Whether the game can go on for `depth` frames from taking `wish`."""
        if self.left == 0:
            return False
        self.left -= 1
        ahead = copied(game)
        if ahead.act(ACTIONS.index(wish))[1]:
            return False
        return depth == 1 or any(self.survives(ahead, action, depth - 1) for action in self.actions)

    def survives_sticking(self, game, wish):
        """The same for two frames when the action sticks for one before."""
        ahead = copied(game)
        ahead.act(ACTIONS.index(wish))
        return self.survives(ahead, wish, 2)


def first_safe(game, wishes, depth):
    search = Search(game)
    safe = [wish for wish in dict.fromkeys(wishes) if search.survives(game, wish, depth)]
    return next((wish for wish in safe if search.survives_sticking(game, wish)), (safe or wishes)[0])


def breakout(game):
    x, y, way = game.ball_x, game.ball_y, game.ball_dir
    dx, dy = [(-1, -1), (1, -1), (1, 1), (-1, 1)][way]
    while dy < 0 or y < 8:
        x, y = x + dx, y + dy
        if not 0 <= x <= 9:
            x, dx = min(max(x, 0), 9), -dx
        if y < 0 or (dy < 0 and y in (1, 2, 3) and game.brick_map[y, x]):
            y, dy = max(y, 0), -dy
    return "l" if game.pos > x else "r" if game.pos < x else "n"


def aim(game):
    """The first step of the shortest way to a place from where a shot will hit, if there is one."""
    for steps in range(10):
        for way in ["l", "r"] if steps else ["f"]:
            ahead = copied(game)
            for wish in [way] * steps + ["f"]:
                ahead.act(ACTIONS.index(wish))
            ahead.e_bullet_map[:] = 0
            if sum(ahead.act(0)[0] for _ in range(9)):
                return way
    return "n"


def space_invaders(game):
    if game.alien_map.sum() <= 12 and not game.f_bullet_map.any():
        wishes = [aim(game)]
    else:
        columns = [x for x in range(10) if game.alien_map[:, x].any()]
        nearest = min(columns, key=lambda x: abs(x - game.pos))
        wishes = ["f"] if game.shot_timer == 0 else []
        wishes += ["l"] if nearest < game.pos else ["r"] if nearest > game.pos else []
    return first_safe(game, wishes + ["n", "l", "r"], 4)


def asterix(game, random):
    x, y = game.player_x, game.player_y
    gold = [e for e in game.entities if e is not None and e[3]]
    wishes = ["n"]
    if gold:
        goal = min(gold, key=lambda e: abs(e[0] - x) + abs(e[1] - y))
        wishes = (["l"] if goal[0] < x else ["r"] if goal[0] > x else []) if goal[1] == y else []
        wishes += ["u"] if goal[1] < y else ["d"] if goal[1] > y else []
    others = ["n", "l", "r", "u", "d"]
    random.shuffle(others)
    return first_safe(game, wishes + others, 3)


def seaquest(game, random, brave):
    """`brave` surfaces with one diver, or with six when it is false."""
    x, y = game.sub_x, game.sub_y
    wishes = []
    full = game.diver_count >= (1 if brave else 6)
    if full or (game.oxygen < 25 + 2 * y and game.diver_count != 0):
        wishes.append("u")
    facing = [
        e for e in game.e_fish + game.e_subs if e[1] == y and ((e[0] > x) if game.sub_or else (e[0] < x))
    ]
    if facing and game.shot_timer == 0:
        wishes.append("f")
    if game.divers:
        goal = min(game.divers, key=lambda e: abs(e[0] - x) + 2 * abs(e[1] - y))
        wishes += ["u"] if goal[1] < y and y > 1 else ["d"] if goal[1] > y else []
        wishes += ["l"] if goal[0] < x else ["r"] if goal[0] > x else []
    others = ["n", "l", "r", "d", "f"] + (["u"] if y > 1 or game.diver_count != 0 else [])
    random.shuffle(others)
    if game.diver_count < 0 and game.ramp_index < 24 and y < 2:
        # The package lets a submarine that has surfaced with six surface again at once, and grows harder.
        wishes = ["u" if y == 1 else "d"]
    elif y == 0:
        wishes = ["d"] + wishes
    return first_safe(game, wishes + others, 4)


def choose(name, game, style, age, random, actions):
    """Every fourth episode is random; in the others the game's script plays, with random actions now and then."""
    noise = [1.0, 0.0, 0.02, 0.1][style] if age < TIRED else 1.0
    if random.random() < noise:
        return int(random.integers(len(actions)))
    if name == "breakout":
        wish = breakout(game)
    elif name == "space_invaders":
        wish = space_invaders(game)
    elif name == "freeway":
        wish = "u"
    elif name == "asterix":
        wish = asterix(game, random)
    else:
        wish = seaquest(game, random, style == 1)
    return actions.index(ACTIONS.index(wish))


def pack(data):
    return base64.b64encode(zlib.compress(bytes(data), 9)).decode()


def record(name, seed, frames, draws):
    environment = Environment(name)
    source = Philox() if draws == "philox" else Numpy(seed)
    recorder = Recorder(source)
    environment.random = environment.env.random = recorder
    random = np.random.default_rng(seed)
    minimal = environment.minimal_action_set()
    taken, outcomes, states, hashes = bytearray(), bytearray(), bytearray(), []
    digest = hashlib.sha256()
    episodes = 0
    ended = True
    while len(taken) < frames or (not ended and len(taken) < frames + OVERTIME):
        if ended:
            source.begin(f"task {seed} {episodes}", 0)
            environment.reset()
            environment.last_action = 0
            state = np.packbits(environment.state()).tobytes()
            digest.update(state)
            if len(taken) < FULL:
                states += state
            style = episodes % 4
            episodes += 1
            start = len(taken)
        action = choose(name, environment.env, style, len(taken) - start, random, minimal)
        source.begin(f"environment {seed}", len(taken))
        reward, ended = environment.act(minimal[action])
        taken.append(action)
        outcomes.append(int(reward) + 128 * int(ended))
        state = np.packbits(environment.state()).tobytes()
        digest.update(state)
        if len(taken) <= FULL or len(taken) % STRIDE == 0:
            states += state
        if len(taken) % STRIDE == 0:
            hashes.append(digest.hexdigest()[:16])
    hashes.append(digest.hexdigest()[:16])
    return {
        "origin": f"MinAtar {metadata.version('MinAtar')}, numpy {np.__version__}, test/vectors/minatar.py",
        "game": name,
        "seed": seed,
        "source": draws,
        "frames": len(taken),
        "episodes": episodes,
        "channels": environment.state_shape()[2],
        "full": FULL,
        "stride": STRIDE,
        "actions": pack(taken),
        "outcomes": pack(outcomes),
        "draws": pack(recorder.log),
        "states": pack(states),
        "hashes": hashes,
    }


def main():
    parser = argparse.ArgumentParser(description="records episodes of a MinAtar game")
    parser.add_argument(
        "--game", required=True, choices=["asterix", "breakout", "freeway", "seaquest", "space_invaders"]
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--frames", type=int, default=24000)
    parser.add_argument("--draws", choices=["philox", "numpy"], default="philox")
    parser.add_argument("--out", required=True)
    arguments = parser.parse_args()
    result = record(arguments.game, arguments.seed, arguments.frames, arguments.draws)
    with open(arguments.out, "w") as file:
        json.dump(result, file, separators=(",", ":"))
        file.write("\n")


main()
