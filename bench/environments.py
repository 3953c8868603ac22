"""Steps per second of the Python originals on one core, for bench/environments.ts.

    python bench/environments.py --runs 5 --seconds 0.3

Prints {versions, rates}: what it found, and for each environment steps per second with random actions and resets:
`step` without and `observed` with the making of an observation (Gymnasium always makes one), and for CartPole
`vectorised` with {64, 1024} episodes in NumPy. Packages that are not installed are left out.
"""

import argparse
import importlib.metadata
import json
import statistics
import time

CHUNK = 64
CLASSIC = ("CartPole-v1", "Acrobot-v1", "MountainCar-v0")
MINATAR = ("Asterix", "Breakout", "Freeway", "Seaquest", "SpaceInvaders")


def rate(arguments, chunk, steps):
    """Median steps per second of `chunk`, a function that makes `steps` of them."""

    def once(seconds):
        start = time.perf_counter()
        count = 0
        while time.perf_counter() - start < seconds:
            chunk()
            count += steps
        return count / (time.perf_counter() - start)

    once(arguments.seconds / 3)
    return statistics.median(once(arguments.seconds) for _ in range(arguments.runs))


def gymnasium_rates(arguments):
    import gymnasium
    import numpy as np

    random = np.random.default_rng(1)
    rates = {}
    for task in CLASSIC:
        env = gymnasium.make(task, disable_env_checker=True)
        actions = [int(a) for a in random.integers(env.action_space.n, size=CHUNK)]
        env.reset(seed=1)

        def chunk():
            for action in actions:
                _, _, terminated, truncated, _ = env.step(action)
                if terminated or truncated:
                    env.reset()

        one = rate(arguments, chunk, CHUNK)
        rates[task] = {"step": one, "observed": one}
    rates["CartPole-v1"]["vectorised"] = {}
    for count in (64, 1024):
        envs = gymnasium.make_vec("CartPole-v1", num_envs=count, vectorization_mode="vector_entry_point")
        many = random.integers(2, size=(CHUNK, count))
        envs.reset(seed=1)

        def chunk():
            for row in many:
                envs.step(row)

        rates["CartPole-v1"]["vectorised"][count] = rate(arguments, chunk, CHUNK * count)
    return rates


def minatar_rates(arguments):
    import numpy as np
    from minatar import Environment

    random = np.random.default_rng(1)
    rates = {}
    for name in MINATAR:
        env = Environment("_".join(part for part in split(name)), sticky_action_prob=0.1, difficulty_ramping=True)
        env.seed(1)
        env.reset()
        actions = [int(a) for a in random.integers(env.num_actions(), size=CHUNK)]

        def chunk(observe):
            for action in actions:
                _, terminal = env.act(action)
                if observe:
                    env.state()
                if terminal:
                    env.reset()

        rates[name] = {
            "step": rate(arguments, lambda: chunk(False), CHUNK),
            "observed": rate(arguments, lambda: chunk(True), CHUNK),
        }
    return rates


def split(name):
    """SpaceInvaders to space, invaders."""
    return "".join(f" {c.lower()}" if c.isupper() else c for c in name).split()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.3, help="of one run")
    arguments = parser.parse_args()
    versions, rates = {}, {}
    for package, measure in (("gymnasium", gymnasium_rates), ("minatar", minatar_rates)):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
        rates.update(measure(arguments))
    print(json.dumps({"versions": versions, "rates": rates}))


main()
