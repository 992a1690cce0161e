"""How often spikes are found where there are none, and how soon where there is one.

python benchmarks/spikes.py --runs 100
"""

from __future__ import annotations

import argparse

from tipstaff_trainer.monitoring.simulate import World, simulate

_STEADY = (
    World(5),
    World(20, rhythm=0.8),
    World(200),
    World(200, rhythm=0.8, spread=0.3),
    World(2000, rhythm=0.8, spread=0.3),
)
_SHIFTS = (-1.0, -0.5, -0.25, 0.25, 0.5, 1.0)


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100, help="simulated months of each kind")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    print("answers/h  rhythm  spread  false alarms a month, all charts")
    for world in _STEADY:
        alarms = simulate(world, runs=args.runs, seed=args.seed)
        print(
            f"{world.per_hour:9g}  {world.rhythm:6g}  {world.spread:6g}  {alarms.per_month:.2f}",
            flush=True,
        )
    print("\nanswers/h  shift of the logits  found  median hours")
    for per_hour in (20, 200):
        for shift in _SHIFTS:
            world = World(per_hour, rhythm=0.5, spread=0.1, shift=shift)
            alarms = simulate(world, runs=max(1, args.runs // 5), seed=args.seed, days=14)
            hours = "–" if alarms.hours is None else f"{alarms.hours:.0f}"
            print(f"{per_hour:9g}  {shift:19g}  {alarms.found:5.0%}  {hours}", flush=True)


if __name__ == "__main__":
    main()
