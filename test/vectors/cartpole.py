"""Records episodes of Gymnasium's CartPole-v1 for test/vectors/cartpole.test.ts.

    pip install gymnasium numpy
    python test/vectors/cartpole.py > test/vectors/cartpole.json

Each episode has its start state, its actions as a string, its length, how it ended, and the state every STRIDE steps
and at the end. The pole is unstable: a difference in the last bit of a sine grows by e^0.079 a step, hence the
states along the way.
"""

import json
import sys

import gymnasium
import numpy as np

EPISODES = 60
STRIDE = 100


def act(kind, state, random):
    x, x_dot, theta, theta_dot = state
    lean = theta + 0.5 * theta_dot
    if kind == 0:
        return int(random.integers(2))
    if kind == 1:  # keeps the pole up, lets the cart drift away or not
        return int(lean + 0.02 * (x + x_dot) + random.normal() * 0.05 > 0)
    if kind == 2:  # keeps the pole up and drives to the right
        return int(lean - 0.08 > 0)
    return int(lean > 0) if random.random() < 0.9 else int(random.integers(2))


def main():
    env = gymnasium.make("CartPole-v1")
    random = np.random.default_rng(2026)
    episodes = []
    for index in range(EPISODES):
        env.reset(seed=index)
        inner = env.unwrapped
        state = [float(v) for v in inner.state]
        episode = {"start": state, "actions": "", "states": []}
        reward_sum = 0.0
        while True:
            action = act(index % 4, state, random)
            _, reward, terminated, truncated, _ = env.step(action)
            state = [float(v) for v in inner.state]
            episode["actions"] += str(action)
            reward_sum += float(reward)
            done = terminated or truncated
            if len(episode["actions"]) % STRIDE == 0 or done:
                episode["states"].append(state)
            if done:
                break
        episode["length"] = len(episode["actions"])
        episode["return"] = reward_sum
        episode["terminated"] = bool(terminated)
        episode["truncated"] = bool(truncated)
        episodes.append(episode)
    json.dump(
        {
            "origin": f"gymnasium {gymnasium.__version__}, numpy {np.__version__}, test/vectors/cartpole.py",
            "stride": STRIDE,
            "episodes": episodes,
        },
        sys.stdout,
        separators=(",", ":"),
    )
    sys.stdout.write("\n")


main()
