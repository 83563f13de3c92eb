"""What evaluating candidates together saves: shared prefixes, and racing over growing validation subsets.

    python benchmarks/evaluation.py sharing [--space mobile ln] [--searcher evolution] [--rounds 2] [--groups 8]
    python benchmarks/evaluation.py racing-synthetic [--seeds 20]
    python benchmarks/evaluation.py racing-supernet [--seeds 20] [--epochs 6] [--trials 160]

``sharing``: calibration and validation of groups of 8 as searchers ask for them, together and one by one, on
``image/mobile`` (batch norm) and on a space of ConvNeXt and attention blocks (layer norm). Both ways run in turns in the same
process on the same supernet; every number must be equal, else the benchmark ends with an error. The ratio of processor times
is given as the median over groups with its 95 % interval (order statistics), and beside it the ratio to the plain way: one by
one, with channels first in memory.

``racing-*``: the share of sample evaluations that racing saves at the default confidence, and how many members of the front
of full measurements it stops, over seeds. ``synthetic``: known candidates with correlated mistakes, 2 and 3 objectives,
wrong answers and real scores. ``supernet``: a search of ``image/tiny``, trained on digits, whose validation part is made of
shifted digits that were not trained on. Rows: ``benchmarks/results/evaluation.json``, one entry per subcommand.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from automl.host import Host
from automl.job.evaluation import Evaluator
from automl.job_config import EvaluationConfig
from automl.objectives.candidate import Candidate
from automl.objectives.context import cpu_name, versions
from automl.objectives.error import Error
from automl.objectives.loss import Loss
from automl.objectives.macs import Macs
from automl.objectives.params import Params, count_params
from automl.search import Evolution, Measurement, Searcher, pareto_front
from automl.search.aging import Aging
from automl.search.local import Local
from automl.search.racing import Race, Standing, rung_sizes
from automl.space import Architecture
from automl.supernet import Supernet, build_supernet, calibrate, load_skeleton, read_skeleton
from automl.tasks import ImageClassification, ImageOptions
from automl.tasks.image_data import ImageData
from automl.testing.weights import randomise
from automl.training import TrainingConfig, train
from automl.training.sandwich import Sandwich

RESULTS: Final = Path(__file__).parent / "results" / "evaluation.json"
GROUP: Final = 8
CALIBRATION: Final = 128
SEARCHERS: Final[dict[str, Callable[..., Searcher]]] = {"aging": Aging, "evolution": Evolution, "local": Local}
CONFIDENCE: Final = EvaluationConfig().confidence
LAYER_NORM: Final = """
space: image/layer-norm
input: image
slots:
  stem: {from: input, blocks: [vision.convnext], width: [16, 24, 32], stride: 2}
  stage1: {from: stem, blocks: [vision.convnext, vision.attention], width: [24, 32, 48], depth: [1, 2, 3]}
  stage2: {from: stage1, blocks: [vision.convnext, vision.attention], width: [48, 64, 96], depth: [1, 2, 3, 4], stride: 2}
output: stage2
head: auto
"""


def colour_images(samples: int, size: int) -> ImageClassification:
    """Random colour images: what they show does not matter for the time."""
    rng = np.random.default_rng(0)
    data = ImageData(
        source="random",
        pixels=rng.random((samples, 3, size, size), dtype=np.float32),
        labels=np.arange(samples) % 10,
        classes=tuple("0123456789"),
    )
    third = samples // 3
    split = {"train": range(third), "validation": range(third, 2 * third), "test": range(2 * third, samples)}
    return ImageClassification(data, {part: list(rows) for part, rows in split.items()}, ImageOptions())


def supernet_of(name: str, task: ImageClassification, host: Host) -> Supernet:
    """Builds a supernet with random asymmetric weights."""
    if name == "mobile":
        skeleton = load_skeleton("image/mobile", host)
    else:
        path = Path(tempfile.mkdtemp()) / "layer_norm.yaml"
        path.write_text(LAYER_NORM, encoding="utf-8")
        skeleton = read_skeleton(path)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(1)
        supernet = build_supernet(skeleton, task, host)
    randomise(supernet.network, 2)
    return supernet


def plainly(supernet: Supernet, task: ImageClassification, architecture: Architecture, like: Evaluator) -> None:
    """Measures one candidate as the task and the calibration do it by themselves."""
    model = supernet.extract(architecture)
    calibrate(model, (batch.inputs for batch in task.calibration_batches(0, CALIBRATION, CALIBRATION // 2)))
    candidate = Candidate(architecture, model, task, batch_size=128)
    like.measure([candidate], like.objectives)


def median_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Median with its 95 % interval from order statistics."""
    ordered = np.sort(values)
    count = len(ordered)
    reach = int(np.floor((count - 1) / 2 - 0.98 * np.sqrt(count)))
    low = max(0, reach)
    return float(np.median(ordered)), float(ordered[low]), float(ordered[count - 1 - low])


def sharing(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Together against one by one."""
    host, rows = Host.load(), []
    for name in options.space:
        task = colour_images(options.samples * 3, 32)
        supernet = supernet_of(name, task, host)

        def evaluator(memory: int, task: ImageClassification = task, supernet: Supernet = supernet) -> Evaluator:
            config = EvaluationConfig(
                batch_size=128,
                calibration_samples=CALIBRATION,
                calibration_batch_size=CALIBRATION // 2,
                sharing_memory=memory,
            )
            return Evaluator(supernet, task, objectives=[Error(), Loss(), Macs()], config=config, seed=0)

        together, alone = evaluator(512), evaluator(0)
        for seed in range(options.rounds):
            searcher: Searcher = SEARCHERS[options.searcher](supernet.space, objectives=3, seed=seed)
            for generation in range(options.groups):
                group = searcher.ask(GROUP)
                start = time.process_time()
                for architecture in group:
                    plainly(supernet, task, architecture, alone)
                seconds, found = [time.process_time() - start], []
                for evaluate, parts in ((alone, [[a] for a in group]), (together, [group])):
                    start = time.process_time()
                    outcomes = [outcome for part in parts for outcome in evaluate(part)]
                    seconds.append(time.process_time() - start)
                    found.append([(o.values, o.details, o.failure) for o in outcomes])
                if found[0] != found[1]:
                    raise SystemExit(f"{name}: the numbers differ: {found}")
                rows.append(
                    {
                        "space": name,
                        "searcher": options.searcher,
                        "seed": seed,
                        "generation": generation,
                        "group": len(group),
                        "plain_s": seconds[0],
                        "alone_s": seconds[1],
                        "together_s": seconds[2],
                        "speed_up": seconds[1] / seconds[2],
                        "speed_up_to_plain": seconds[0] / seconds[2],
                    }
                )
                searcher.tell(
                    [
                        Measurement(architecture=a, values=tuple(o.values or ()), details=o.details)
                        for a, o in zip(group, outcomes, strict=True)
                    ]
                )
        for key, rival in (("speed_up", "one by one"), ("speed_up_to_plain", "one by one with channels first")):
            middle, low, high = median_interval([r[key] for r in rows if r["space"] == name])
            print(
                f"{name:8} {options.searcher:10} together {middle:.2f} ({low:.2f} to {high:.2f}) times as fast as {rival}, "
                f"{sum(r['space'] == name for r in rows)} groups of {GROUP}, numbers identical",
                flush=True,
            )
    return rows


def raced(scores: Any, cost: Any, order: Any) -> tuple[float, int, int]:
    """Races candidates one after another against the front of those before them.

    Args:
        scores: ``(candidates, sampled objectives, samples)``.
        cost: ``(candidates,)``, exact.
        order: order in which the samples are shown.

    Returns:
        Share of sample evaluations saved, members of the true front, and how many of them were stopped.
    """
    count, _, samples = scores.shape
    values, sizes, shuffled = np.column_stack([scores.mean(2), cost]), rung_sizes(samples), scores[:, :, order]
    race = Race(samples=samples, rungs=len(sizes) - 1, confidence=CONFIDENCE)
    complete: list[int] = []
    used = 0

    def standing(candidate: int, seen: int) -> Standing:
        exact = cost[candidate : candidate + 1]
        return Standing(exact, exact, tuple(s[:seen] for s in shuffled[candidate]))

    for c in range(count):
        front = [complete[i] for i in pareto_front(values[complete])] if complete else []
        stops = (n for n in sizes[:-1] if race.dominator(standing(c, n), [standing(i, n) for i in front]) is not None)
        seen = next(stops, samples)
        used += seen
        if seen == samples:
            complete.append(c)
    true_front = set(pareto_front(values).tolist())
    return 1 - used / (count * samples), len(true_front), len(true_front - set(complete))


def synthetic(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Racing on candidates whose scores are known."""
    rows = []
    for objectives, real, samples in ((2, False, 2000), (2, False, 10_000), (3, False, 10_000), (2, True, 10_000)):
        for seed in range(options.seeds):
            rng = np.random.default_rng(seed)
            count = 150
            skill = rng.uniform(0.05, 0.5, (count, objectives - 1))
            cost = (0.6 - skill.mean(1)) * rng.uniform(0.6, 1.6, count)
            difficulty = rng.random(samples)
            noise = rng.normal(size=(count, objectives - 1, samples)).astype(np.float32)
            raw = 1 / (1 + np.exp(-8 * (skill[:, :, None] - 1 + difficulty + 0.15 * noise)))
            saved, members, lost = raced(raw if real else raw > 0.5, cost, rng.permutation(samples))
            kind = "real" if real else "wrong or right"
            row = {"objectives": objectives, "scores": kind, "samples": samples, "seed": seed}
            rows.append({**row, "saved": saved, "front": members, "lost": lost})
        _print_racing(f"{objectives} objectives, {kind}, {samples} samples", rows[-options.seeds :])
    return rows


def shifted_digits(copies: int) -> ImageClassification:
    """Digits with a validation part of unseen images, each shifted ``copies`` times by up to a pixel."""
    plain = ImageClassification.load("digits", seed=0)
    from automl.tasks.image_arrays import read_digits

    digits = read_digits()
    rng = np.random.default_rng(0)
    held = np.repeat(np.array(plain.split["validation"]), copies)
    moved = np.stack(
        [np.roll(digits.pixels[i], tuple(rng.integers(-1, 2, 2)), axis=(1, 2)) for i in held]
    ) + 0.1 * digits.pixels.max() * rng.normal(size=(len(held), *digits.pixels.shape[1:]))
    first = len(digits.pixels)
    data = ImageData(
        source="shifted digits",
        pixels=np.concatenate([digits.pixels, moved.astype(np.float32)]),
        labels=np.concatenate([digits.labels, digits.labels[held]]),
        classes=digits.classes,
    )
    split = {**plain.split, "validation": list(range(first, first + len(held)))}
    return ImageClassification(data, split, ImageOptions())


def racing_supernet(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Racing among the candidates of a search of a trained supernet, with many orders of the samples."""
    host, task = Host.load(), shifted_digits(options.copies)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        supernet = build_supernet(load_skeleton("image/tiny", host), task, host)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        config = TrainingConfig(epochs=options.epochs, validation_samples=64, validation_subnets=1)
        train(supernet, task, config, strategy=Sandwich(), folder=Path(folder), seed=0, device="cpu")
    print(f"trained for {time.perf_counter() - start:.0f} s", flush=True)
    evaluator = Evaluator(supernet, task, objectives=[Error(), Params()], config=EvaluationConfig(), seed=0)
    searcher = Evolution(supernet.space, objectives=2, seed=0)
    scores: list[Any] = []
    cost: list[float] = []
    while len(scores) < options.trials:
        group = searcher.ask(GROUP)
        prepared = [p for p in evaluator.prepare(group) if not isinstance(p, Exception)]
        answers = evaluator.validation.answers(
            {i: p.model for i, p in enumerate(prepared)}, evaluator.validation.batches
        )
        results = []
        for i, architecture in enumerate(group):
            found = answers[i]
            if isinstance(found, Exception):
                raise found
            wrong = np.concatenate([task.sample_scores(outputs, batch)["error"].numpy() for outputs, batch in found])
            params = float(count_params(prepared[i].model))
            scores.append(wrong)
            cost.append(params)
            results.append(Measurement(architecture=architecture, values=(float(wrong.mean()), params)))
        searcher.tell(results)
    rows = []
    for seed in range(options.seeds):
        order = np.random.default_rng(seed).permutation(evaluator.validation.samples)
        saved, members, lost = raced(np.array(scores)[:, None], np.array(cost), order)
        row = {"seed": seed, "trials": len(scores), "samples": evaluator.validation.samples}
        rows.append({**row, "saved": saved, "front": members, "lost": lost})
    _print_racing(f"image/tiny, {rows[0]['samples']} samples, {rows[0]['trials']} trials of evolution", rows)
    return rows


def _print_racing(what: str, rows: Sequence[dict[str, Any]]) -> None:
    saved = np.array([row["saved"] for row in rows])
    half = 1.96 * saved.std(ddof=1) / np.sqrt(len(saved)) if len(saved) > 1 else float("nan")
    lost, members = sum(row["lost"] for row in rows), sum(row["front"] for row in rows)
    print(
        f"{what}: {saved.mean():.1%} ± {half:.1%} of the sample evaluations saved, {lost} of {members} front members lost, "
        f"{len(rows)} seeds",
        flush=True,
    )


def main() -> None:
    """Runs one part and stores its rows beside those of the others."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    shared = parts.add_parser("sharing")
    shared.add_argument("--space", nargs="+", choices=["mobile", "ln"], default=["mobile", "ln"])
    shared.add_argument("--rounds", type=int, default=2, help="searches with different seeds")
    shared.add_argument("--groups", type=int, default=8, help="groups of each search")
    shared.add_argument("--searcher", choices=sorted(SEARCHERS), default="evolution")
    shared.add_argument("--samples", type=int, default=128, help="validation samples")
    parts.add_parser("racing-synthetic").add_argument("--seeds", type=int, default=20)
    trained = parts.add_parser("racing-supernet")
    trained.add_argument("--seeds", type=int, default=20)
    trained.add_argument("--epochs", type=int, default=6)
    trained.add_argument("--trials", type=int, default=160)
    trained.add_argument("--copies", type=int, default=6, help="shifted copies of each validation image")
    options = parser.parse_args()
    torch.set_num_threads(1)
    functions = {"sharing": sharing, "racing-synthetic": synthetic, "racing-supernet": racing_supernet}
    context = {
        "cpu": cpu_name(),
        "versions": versions("torch", "numpy"),
        "threads": 1,
        "options": {name: str(value) for name, value in vars(options).items() if name != "part"},
        "load": os.getloadavg(),
    }
    rows = functions[options.part](options)
    stored = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    part = f"{options.part}-{options.searcher}" if options.part == "sharing" else options.part
    stored[part] = {"context": context, "rows": rows}
    RESULTS.write_text(json.dumps(stored, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
