"""Compares the contestants of ``run.py``: mean regret, its interval, the ratio to the best rival, and the curves.

    python benchmarks/search/compare.py [--ours portfolio] [--seeds 20]

Regret is 1 minus the share of the true front's hypervolume. ``r`` is our mean regret over the smallest mean regret of a
rival at the same number of distinct evaluated networks; rivals are the samplers of Optuna and the algorithms of pymoo.
Writes ``summary.json`` and ``curves.png`` beside the rows.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from typing import Any, Final

import numpy as np
from contestants import RIVALS
from run import BUDGET, EVERY, RESULTS
from tables import TABLES

BUDGETS: Final = (50, 100, 200, 500)
_RESAMPLES: Final = 2000

Curves = dict[tuple[str, str], dict[int, list[float]]]


def read(seeds: int) -> Curves:
    """Returns the regret curves by table and contestant, then by seed."""
    curves: Curves = defaultdict(dict)
    for path in sorted(RESULTS.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            if entry["seed"] < seeds:
                curves[entry["table"], path.stem][entry["seed"]] = entry["regret"]
    return curves


def at(curves: dict[int, list[float]], budget: int) -> np.ndarray[Any, Any]:
    """Returns the regrets of the seeds that came so far."""
    return np.array([curve[budget // EVERY - 1] for curve in curves.values() if len(curve) >= budget // EVERY])


def interval(values: np.ndarray[Any, Any]) -> tuple[float, float]:
    """Returns the 95 % bootstrap interval of the mean."""
    rng = np.random.default_rng(0)
    means = rng.choice(values, size=(_RESAMPLES, len(values))).mean(axis=1)
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def summarise(curves: Curves, ours: str) -> dict[str, Any]:
    """Returns means, intervals, ratios and their geometric means; prints them."""
    contestants = sorted({contestant for _, contestant in curves})
    summary: dict[str, Any] = {}
    for budget in BUDGETS:
        print(f"\nmean regret after {budget} distinct networks [95 % interval] (log10), seeds")
        means: dict[str, dict[str, float]] = {table: {} for table in TABLES}
        for contestant in contestants:
            for table in TABLES:
                values = at(curves.get((table, contestant), {}), budget)
                if not len(values):
                    continue
                low, high = interval(values)
                mean = means[table][contestant] = float(values.mean())
                entry = {"mean": mean, "low": low, "high": high, "seeds": len(values)}
                summary.setdefault(str(budget), {}).setdefault(table, {})[contestant] = entry
                print(
                    f"  {contestant:24} {table:18} {mean:.4f} [{low:.4f}, {high:.4f}] "
                    f"({np.log10(max(mean, 1e-9)):+.2f}) {len(values)}"
                )
        ratios = {}
        for table in TABLES:
            rivals = {name: mean for name, mean in means[table].items() if name in RIVALS}
            if rivals and ours in means[table]:
                best = min(rivals, key=rivals.__getitem__)
                ratios[table] = means[table][ours] / rivals[best]
                print(f"  r = {ratios[table]:.2f} on {table} against {best}")
        if ratios:
            product = float(np.exp(np.mean(np.log(list(ratios.values())))))
            print(f"  geometric mean of r over {len(ratios)} tables: {product:.3f}; largest {max(ratios.values()):.2f}")
            summary[str(budget)]["ratios"] = {**ratios, "geometric mean": product}
    return summary


def draw(curves: Curves) -> None:
    """Draws mean log10 regret against evaluations, one panel a table."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(2, 3, figsize=(13, 7), sharex=True, layout="constrained")
    contestants = sorted({contestant for _, contestant in curves})
    colours = dict(zip(contestants, mpl.colormaps["tab20"].colors, strict=False))
    for panel, table in zip(panels.flat, TABLES, strict=True):
        for contestant in contestants:
            runs = curves.get((table, contestant), {})
            if not runs:
                continue
            length = min(len(curve) for curve in runs.values())
            mean = np.mean([curve[:length] for curve in runs.values()], axis=0)
            wide = 2.5 if contestant not in RIVALS else 1.0
            places = EVERY * np.arange(1, length + 1)
            panel.plot(places, mean, label=contestant, color=colours[contestant], linewidth=wide)
        panel.set(title=table, yscale="log", xlim=(0, BUDGET))
    figure.supxlabel("distinct evaluated networks")
    figure.supylabel("mean regret")
    panels[0, 2].legend(fontsize=7)
    figure.savefig(RESULTS / "curves.png", dpi=80)


def main() -> None:
    """Prints, stores and draws."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", default="portfolio")
    parser.add_argument("--seeds", type=int, default=20)
    options = parser.parse_args()
    curves = read(options.seeds)
    summary = summarise(curves, options.ours)
    (RESULTS / "summary.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    draw(curves)


if __name__ == "__main__":
    main()
