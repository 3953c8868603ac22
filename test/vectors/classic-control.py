"""Records episodes of Gymnasium's classic control for test/vectors/classic-control.test.ts.

    pip install gymnasium numpy
    python test/vectors/classic-control.py --out test/vectors

writes cartpole.json, acrobot.json, mountain-car.json and acrobot-own-sine.json. To replay other episodes than the
committed ones:

    python test/vectors/classic-control.py --seed 7 --episodes 5000 --out /tmp/other
    GRAIL_VECTORS_CLASSIC_CONTROL=/tmp/other npm test -- --only vectors

A file is {origin, task, seed, strides, wild, episodes}; an episode is [length, return, ending, spread, start, actions,
states].

* `ending` is 1 for terminated, 2 for truncated, 3 for both.
* `spread` tells how far Gymnasium itself is determined by its rules: the same actions are run a second time with every
  state value moved up or down by one unit in the last place at every step, and `spread` is the largest difference
  (null: the second run ended elsewhere). A pole that stands for 500 steps and an acrobot that swings high multiply
  such a difference by up to e^40; another sine, or that of the same C library without FMA, makes one.
* The last three are base64: `start` and `states` of little-endian float64 (the environment's own state, before it is
  rounded for the observation), `states` after every `strides[0]` steps (`strides[1]` where `spread` is
  above `wild`) and after the last one; `actions` has one bit an action for CartPole and two for the others, the first
  in the lowest bits.

acrobot-own-sine.json holds a tenth as many episodes of Gymnasium's code with its sine and cosine replaced by a port of
src/environments/trigonometry.ts, and x**2 by x*x (C's pow does not always round x² correctly). Nothing else may
differ then, so these agree to the last bit, however long and wild.

Each task mixes policies, from uniformly random ones to scripted ones that solve it, so that an episode may end in every
way there is. For CartPole and MountainCar a share of the episodes starts anywhere, not only where Gymnasium's reset
puts it.
"""

import argparse
import base64
import inspect
import json
import math
import pathlib
import textwrap

import gymnasium
import numpy as np
from gymnasium.envs.classic_control import acrobot as acrobot_module

# Steps between two recorded states, and in an episode with a spread above WILD.
STRIDES = {"cartpole": (100, 100), "acrobot": (100, 25), "mountain-car": (100, 100)}
WILD = 1e-11


def cartpole(kind, state, random):
    x, x_dot, theta, theta_dot = state
    lean = theta + 0.5 * theta_dot
    if kind == 0:
        return random.integers(2)
    if kind == 1:  # keeps the pole up and the cart near the middle
        return lean + 0.02 * (x + x_dot) + random.normal() * 0.05 > 0
    if kind == 2:  # keeps the pole up and drives to the right
        return lean - 0.08 > 0
    return lean > 0 if random.random() < 0.9 else random.integers(2)


def acrobot(kind, state, random):
    if kind == 0 or random.random() < (0, 0, 0.3, 0.7)[kind]:
        return random.integers(3)
    return 2 if state[3] > 0 else 0  # drives the elbow the way it turns: all work goes into the swing


def mountain_car(kind, state, random):
    velocity = state[1]
    if kind == 0 or random.random() < (0, 0, 0.3, 0.8)[kind]:
        return random.integers(3)
    return 2 if velocity >= 0 else 0  # pushes the way it goes


def cartpole_anywhere(random):
    return random.uniform((-2.3, -2, -0.2, -2), (2.3, 2, 0.2, 2))


def mountain_car_anywhere(random):
    return random.uniform((-1.2, -0.07), (0.49, 0.07))


# The policies of episode 0, 1, 2, …, over and over.
TASKS = {
    "cartpole": ("CartPole-v1", cartpole, cartpole_anywhere, (0, 1, 0, 2, 0, 3)),
    "acrobot": ("Acrobot-v1", acrobot, None, (0, 1, 2, 1, 2, 3)),
    "mountain-car": ("MountainCar-v0", mountain_car, mountain_car_anywhere, (0, 1, 2, 3)),
}


def encode(values):
    return base64.b64encode(np.asarray(values, dtype="<f8").tobytes()).decode()


def pack(actions, bits):
    packed = bytearray(math.ceil(len(actions) * bits / 8))
    for index, action in enumerate(actions):
        packed[index * bits // 8] |= action << (index * bits % 8)
    return base64.b64encode(packed).decode()


def state_of(env):
    return [float(v) for v in env.unwrapped.state]


def spread(env, start, actions, states, random):
    env.reset()
    env.unwrapped.state = np.array(start)
    widest = 0.0
    for step, action in enumerate(actions):
        _, _, terminated, truncated, _ = env.step(action)
        state = state_of(env)
        widest = max(widest, *(abs(a - b) for a, b in zip(state, states[step])))
        if (terminated or truncated) != (step == len(actions) - 1):
            return None
        env.unwrapped.state = np.array([np.nextafter(v, random.choice((-math.inf, math.inf))) for v in state])
    return float(f"{widest:.1e}")


def record(env, task, kind, strides, random):
    _, act, anywhere, _ = task
    env.reset(seed=int(random.integers(2**31)))
    if anywhere is not None and random.random() < 0.15:
        env.unwrapped.state = anywhere(random)
    start = state_of(env)
    actions, states, total, ended = [], [], 0.0, 0
    while not ended:
        action = int(act(kind, states[-1] if states else start, random))
        _, reward, terminated, truncated, _ = env.step(action)
        states.append(state_of(env))
        actions.append(action)
        total += float(reward)
        ended = int(terminated) + 2 * int(truncated)
    bits = 1 if env.action_space.n == 2 else 2
    widest = spread(env, start, actions, states, random)
    stride = strides[0 if widest is not None and widest <= WILD else 1]
    kept = [state for step, state in enumerate(states, 1) if step % stride == 0 or step == len(states)]
    return [len(actions), total, ended, widest, encode(start), pack(actions, bits), encode(kept)]


def write(path, task, strides, seed, episodes, origin):
    id, _, _, kinds = task
    env = gymnasium.make(id)
    lines = []
    for index in range(episodes):
        random = np.random.default_rng([seed, index])
        episode = record(env, task, kinds[index % len(kinds)], strides, random)
        lines.append(json.dumps(episode, separators=(",", ":")))
    head = json.dumps({"origin": origin, "task": id, "seed": seed, "strides": strides, "wild": WILD})
    path.write_text(head[:-1] + ', "episodes": [\n' + ",\n".join(lines) + "\n]}\n")


def upper(x):
    return x * 134217729.0 - (x * 134217729.0 - x)


def own_sine(x, quarter=0):
    n = math.floor(x * 0.6366197723675814 + 0.5)
    if n == 0:
        r, t = x, 0.0
    else:
        head = x - n * 1.5707963267341256
        cut = n * 6.077100506303966e-11
        middle = head - cut
        rest = head - middle - cut - n * 2.0222662487959506e-21
        r = middle + rest
        t = middle - r + rest
    quadrant = (n + quarter) % 4
    value = cosine_near_zero(r, t) if quadrant % 2 else sine_near_zero(r, t)
    return -value if quadrant > 1 else value


def own_cosine(x):
    return own_sine(x, 1)


def series(z, first, last):
    total = 1 / math.factorial(last)
    for n in range(last - 2, first - 2, -2):
        total = 1 / math.factorial(n) - z * total
    return total


def sine_near_zero(r, t):
    z = r * r
    tail = series(z, 5, 17)
    third = 1 / 6
    if abs(r) <= 0.25:
        return r + (r * z * (z * tail - third) + t * (1 - 0.5 * z))
    r_high, z_high = upper(r), upper(z)
    r_low, z_low = r - r_high, z - z_high
    square_error = r_high * r_high - z + 2 * r_high * r_low + r_low * r_low
    cube = r * z
    cube_error = r_high * z_high - cube + r_high * z_low + r_low * z_high + r_low * z_low + r * square_error
    cube_high, third_high = upper(cube), upper(third)
    cube_low, third_low = cube - cube_high, third - third_high
    sixth = cube * third
    sixth_error = (
        cube_high * third_high - sixth + cube_high * third_low + cube_low * third_high + cube_low * third_low
        + cube_error * third
    )
    lead = r - sixth
    lead_error = r - lead - sixth
    return lead + (lead_error - sixth_error - cube * 9.25185853854297e-18 + cube * z * tail + t * (1 - 0.5 * z))


def cosine_near_zero(r, t):
    z = r * r
    high = upper(r)
    low = r - high
    square_error = high * high - z + 2 * high * low + low * low
    half = 0.5 * z
    lead = 1 - half
    lead_error = 1 - lead - half
    tail = series(z, 4, 16)
    return lead + (lead_error - 0.5 * square_error - r * (1 - z * (1 / 6)) * t + z * z * tail)


def use_own_sine():
    source = textwrap.dedent(inspect.getsource(acrobot_module.AcrobotEnv._dsdt))
    for name in ("lc1", "l1", "lc2", "dtheta1", "dtheta2", "d2"):
        source = source.replace(f" {name}**2", f" ({name} * {name})").replace(f"({name}**2", f"({name} * {name}")
    assert "**" not in source
    scope = {**vars(acrobot_module), "sin": own_sine, "cos": own_cosine}
    exec(source, scope)
    acrobot_module.AcrobotEnv._dsdt = scope["_dsdt"]
    acrobot_module.sin, acrobot_module.cos = own_sine, own_cosine


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--episodes", type=int, default=1080)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="a folder")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    origin = f"Gymnasium {gymnasium.__version__} with NumPy {np.__version__}"
    for name, task in TASKS.items():
        path = arguments.out / f"{name}.json"
        write(path, task, STRIDES[name], arguments.seed, arguments.episodes, origin)
    use_own_sine()
    path = arguments.out / "acrobot-own-sine.json"
    origin += " and this repository's sine"
    write(path, TASKS["acrobot"], (100, 100), arguments.seed, math.ceil(arguments.episodes / 10), origin)


main()
