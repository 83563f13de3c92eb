"""The library's own components, registered through the same hooks as those of plugins: one line each, sorted by name."""

from __future__ import annotations

from automl.host.components import (
    Compressor,
    Exporter,
    Objective,
    Runtime,
    Searcher,
    SignalKind,
    SpaceKind,
    Strategy,
    Task,
)
from automl.host.hookspecs import hookimpl

__all__ = [
    "automl_compressors",
    "automl_exporters",
    "automl_objectives",
    "automl_runtimes",
    "automl_searchers",
    "automl_signals",
    "automl_space_kinds",
    "automl_strategies",
    "automl_tasks",
]

_EXPORT = "automl-supernets[export]"


@hookimpl
def automl_signals() -> list[SignalKind]:
    """Payloads that belong to no family in particular."""
    return [
        SignalKind(name="image", summary="Feature maps [N, C, H, W]", target="automl.supernet.signals:ImageFormat"),
    ]


@hookimpl
def automl_space_kinds() -> list[SpaceKind]:
    """Kinds of search space file, named by their key ``kind``."""
    return [
        SpaceKind(
            name="stitched",
            summary="Trained networks, crossed over by linear layers between their blocks",
            target="automl.stitching.space:StitchedSpace",
        ),
    ]


@hookimpl
def automl_tasks() -> list[Task]:
    """Tasks on data that scikit-learn or plain files provide."""
    return [
        Task(
            name="image-classification",
            summary="Classes of images: digits, .npz files or folders of class folders",
            target="automl.tasks.image_classification:ImageClassification",
            signal="image",
            default_data="digits",
        ),
    ]


@hookimpl
def automl_strategies() -> list[Strategy]:
    """Ways to train a supernet."""
    return [
        Strategy(
            name="blockwise",
            summary="Stage after stage without labels, all paths towards a common target; then the head",
            target="automl.blockwise.strategy:Blockwise",
        ),
        Strategy(
            name="mixture",
            summary="Several weight sets; architectures that disturb each other learn to use different ones",
            target="automl.training.mixture:Mixture",
        ),
        Strategy(
            name="progressive",
            summary="Progressive shrinking: the largest first, then kernels, depths and widths downwards, distilled",
            target="automl.training.progressive:Progressive",
        ),
        Strategy(
            name="sandwich",
            summary="Largest, smallest and random subnetworks each step, distilled in place",
            target="automl.training.sandwich:Sandwich",
        ),
        Strategy(
            name="single-path",
            summary="One uniformly drawn subnetwork each step",
            target="automl.training.single_path:SinglePath",
        ),
        Strategy(
            name="sorted",
            summary="Nested subnetworks, each on its share of the batch; selected without a search",
            target="automl.training.sorted_networks:SortedNetworks",
        ),
        Strategy(
            name="stitch-joint",
            summary="One uniformly drawn subnetwork each step, half on the targets, half on a fixed teacher's answers",
            target="automl.stitching.joint:StitchJoint",
        ),
    ]


@hookimpl
def automl_searchers() -> list[Searcher]:
    """Search algorithms."""
    return [
        Searcher(
            name="aging",
            summary="Regularised evolution: the oldest dies, so lucky measurements are forgotten",
            target="automl.search.aging:Aging",
        ),
        Searcher(
            name="autognn",
            summary="Small steps from the best, chosen by one controller for each kind of choice (Auto-GNN)",
            target="automl.search.autognn:AutoGNN",
            requires=("torch",),
            extra="automl-supernets",
        ),
        Searcher(
            name="bayes",
            summary="Bayesian optimisation of expected hypervolume, for evaluations that take minutes",
            target="automl.search.bayes:Bayes",
            requires=("botorch",),
            extra="automl-supernets[bayes]",
        ),
        Searcher(
            name="concurrent",
            summary="Begins while the supernet is in training, goes on as 'linas'",
            target="automl.search.concurrent:Concurrent",
        ),
        Searcher(
            name="evolution",
            summary="NSGA-II, for many objectives NSGA-III, on the tree of the space",
            target="automl.search.evolution:Evolution",
        ),
        Searcher(
            name="linas",
            summary="Searches on predictors, measures the most promising, learns",
            target="automl.search.linas:Linas",
        ),
        Searcher(
            name="local",
            summary="Local search from the front, one change at a time",
            target="automl.search.local:Local",
        ),
        Searcher(
            name="optuna",
            summary="Any Optuna sampler, written 'optuna:TPESampler'",
            target="automl.search.optuna_adapter:OptunaSampler",
        ),
        Searcher(
            name="portfolio",
            summary="Predictors where they rank well, evolution where they do not; the default",
            target="automl.search.portfolio:Portfolio",
        ),
        Searcher(
            name="random",
            summary="Uniform sampling without repetition",
            target="automl.search.random:Random",
        ),
        Searcher(
            name="successive-halving",
            summary="Random search whose weak candidates see few validation samples",
            target="automl.search.successive_halving:SuccessiveHalving",
        ),
    ]


@hookimpl
def automl_objectives() -> list[Objective]:
    """Quantities that a search minimises."""
    return [
        Objective(
            name="auc-error",
            summary="One minus ROC-AUC, for classes of very different size",
            target="automl.objectives.auc_error:AucError",
        ),
        Objective(
            name="center-distance",
            summary="Distance from the centre of all paths, without labels; for runs of 'blockwise'",
            target="automl.blockwise.center_distance:CenterDistance",
        ),
        Objective(name="error", summary="Share of wrong predictions", target="automl.objectives.error:Error"),
        Objective(
            name="latency",
            summary="Median time of one forward of the extracted model",
            target="automl.objectives.latency:Latency",
            unit="ms",
        ),
        Objective(name="loss", summary="Loss on held-out data", target="automl.objectives.loss:Loss"),
        Objective(
            name="macs",
            summary="Multiply-accumulates of one forward of one sample",
            target="automl.objectives.macs:Macs",
        ),
        Objective(
            name="nonzero",
            summary="Number of parameters that are not zero, for pruned supernets",
            target="automl.objectives.nonzero:Nonzero",
        ),
        Objective(name="params", summary="Number of parameters", target="automl.objectives.params:Params"),
        Objective(
            name="peak-memory",
            summary="Weights and activations alive at once in one forward",
            target="automl.objectives.peak_memory:PeakMemory",
            unit="B",
        ),
        Objective(
            name="size", summary="Bytes of parameters and buffers", target="automl.objectives.size:Size", unit="B"
        ),
        Objective(
            name="sparse-size",
            summary="Bytes of parameters and buffers with zeros left out by a bit mask, for pruned networks",
            target="automl.objectives.sparse_size:SparseSize",
            unit="B",
        ),
    ]


@hookimpl
def automl_runtimes() -> list[Runtime]:
    """Software in which latency is measured."""
    return [
        Runtime(
            name="command",
            summary="Another device: an ONNX file for a command that prints milliseconds",
            target="automl.objectives.runtimes.command:Command",
            requires=("onnx", "onnxscript"),
            extra=_EXPORT,
        ),
        Runtime(
            name="compile",
            summary="torch.compile; needs a C++ compiler",
            target="automl.objectives.runtimes.compile:Compile",
        ),
        Runtime(name="eager", summary="torch as is", target="automl.objectives.runtimes.eager:Eager"),
        Runtime(
            name="onnxruntime",
            summary="ONNX Runtime on the exported model",
            target="automl.objectives.runtimes.onnx_runtime:OnnxRuntime",
            requires=("onnx", "onnxscript", "onnxruntime"),
            extra=_EXPORT,
        ),
        Runtime(
            name="openvino",
            summary="OpenVINO on the exported model",
            target="automl.objectives.runtimes.openvino_runtime:OpenVino",
            requires=("onnx", "onnxscript", "openvino"),
            extra="automl-supernets[openvino]",
        ),
    ]


@hookimpl
def automl_compressors() -> list[Compressor]:
    """Ways to prune a network, or a whole supernet, while it is trained."""
    return [
        Compressor(
            name="gradual",
            summary="Sparsity rises along a cubic while the network is trained",
            target="automl.tickets.gradual:Gradual",
        ),
        Compressor(
            name="iterative",
            summary="Rounds of training and pruning, with weights set back in between",
            target="automl.tickets.iterative:Iterative",
        ),
        Compressor(name="one-shot", summary="All at once, then fine-tuning", target="automl.tickets.one_shot:OneShot"),
        Compressor(
            name="supertickets",
            summary="Sparsity rises in steps; pruned weights compete to come back",
            target="automl.tickets.supertickets:SuperTickets",
        ),
    ]


@hookimpl
def automl_exporters() -> list[Exporter]:
    """File formats for extracted networks."""
    return [
        Exporter(
            name="onnx",
            summary="ONNX graph with a dynamic batch",
            target="automl.export.onnx_exporter:OnnxExporter",
            suffix=".onnx",
            requires=("onnx", "onnxscript", "onnxruntime"),
            extra=_EXPORT,
        ),
        Exporter(
            name="pt2", summary="torch.export program", target="automl.export.pt2_exporter:Pt2Exporter", suffix=".pt2"
        ),
        Exporter(
            name="safetensors",
            summary="Weights, architecture and manifest",
            target="automl.export.safetensors_exporter:SafetensorsExporter",
            suffix=".safetensors",
        ),
    ]
