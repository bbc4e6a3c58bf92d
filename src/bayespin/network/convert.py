"""From any torch module to a network of stages, whose linear layers a chip can hold.

The module is traced (`torch.fx`) and taken apart. Linear layers and convolutions become layers of
Gaussian weights (`nn.trained`), a batch norm behind one is folded into it (`nn.folding`),
attention and encoder layers become their projections and what stands between them, and all else
stays as it is, digital. Nothing is left of torch's fused paths, which read weights of their own.
At the means of its weights the network gives what the module gives in evaluation.

Source: Reed et al., arXiv:2112.08429, for tracing.
"""

import copy
import operator
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import fx, nn

from bayespin.network.folding import fold_batch_norms
from bayespin.network.models import INPUT, Network
from bayespin.nn.attention import Attention
from bayespin.nn.folding import BATCH_NORMS, folded
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.nn.product import Dense
from bayespin.nn.trained import gaussian_layer, holding, is_linear
from bayespin.shapes import Tensor

_DIGITAL = (*BATCH_NORMS, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.Embedding, nn.PReLU)
"""Modules with weights that stay digital: factors of features, or a table."""
_COMPOSED = (nn.MultiheadAttention, nn.TransformerEncoderLayer, nn.TransformerEncoder)
_OWN_WEIGHTS = ("linear", "conv1d", "conv2d", "conv3d", "bilinear", "multi_head_attention_forward")
"""Functions that multiply inputs with weights outside any layer."""


class Place(int):
    """Stands for a stage's input number k among the arguments of a call."""


class Call(nn.Module):
    """A function of stages' outputs and of constants; methods are called by their name."""

    def __init__(self, function: Callable[..., Any] | str, args: Any, named: Any) -> None:
        super().__init__()
        self.function, self.args, self.named = function, args, named

    @property
    def name(self) -> str:
        """What is called."""
        named: Any = self.function
        return named if isinstance(named, str) else named.__name__

    def forward(self, *taken: Tensor) -> Tensor:
        """Return the function's value, with each `Place` filled from the inputs."""
        args, named = _filled(self.args, taken), _filled(self.named, taken)
        if isinstance(self.function, str):
            return getattr(args[0], self.function)(*args[1:], **named)
        return self.function(*args, **named)


def _filled(template: Any, taken: tuple[Tensor, ...]) -> Any:
    if isinstance(template, Place):
        return taken[template]
    if isinstance(template, dict):
        return {name: _filled(part, taken) for name, part in template.items()}
    if isinstance(template, tuple | list):
        return type(template)(_filled(part, taken) for part in template)
    return template


class Held(nn.Module):
    """A tensor of the module itself, such as the embedding of positions."""

    value: Tensor

    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.register_buffer("value", value.detach().clone())

    def forward(self) -> Tensor:
        """Return the tensor."""
        return self.value


def convert(module: nn.Module, spread: float = 0.02) -> Network:
    """Return the network of stages that does what a module does in evaluation.

    Args:
        module: of one tensor, images first; it is left as it is. Of several outputs the first is
            taken. Layers with Gaussian weights keep them (`nn.trained`).
        spread: σ of the weights of deterministic layers, as a share of their largest magnitude.
            Cells always fluctuate; 0.02 is near the least that those of the presets can do.

    Raises:
        ValueError: a module that cannot be traced, one with a layer that has neither an analog nor
            a digital form here, or a spread that is not positive.
    """
    if not spread > 0:
        raise ValueError(
            f"Argument `spread` must be positive, but is {spread}: cells always fluctuate."
        )
    root, tracer = copy.deepcopy(module).eval(), _Tracer()
    if tracer.is_leaf_module(root, "layer"):
        root = nn.Sequential(OrderedDict(layer=root))
    stages = _Stages(root, spread)
    for node in _traced(root, tracer):
        stages.add(node)
    return Network(stages.made, stages.feeds).eval()


def as_network(module: nn.Module) -> Network:
    """Return a network with its batch norms folded, and any other module converted."""
    return fold_batch_norms(module) if isinstance(module, Network) else convert(module)


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        # torch counts normalisers and activations of its own, but not containers, as leaves.
        return is_linear(m) or super().is_leaf_module(m, module_qualified_name)


def _traced(module: nn.Module, tracer: fx.Tracer) -> list[fx.Node]:
    """Return the calls that lead to a module's first output, in order."""
    try:
        graph = tracer.trace(module)
    except Exception as error:  # the module's own code runs, and may raise anything
        reason = f"{error!s} ".splitlines()[0].rstrip(". ")
        raise ValueError(
            f"Argument `network` must be a module that can be traced, but a "
            f"{type(module).__name__} cannot ({reason}); write its forward without branches on "
            f"values."
        ) from error
    (output,) = (node for node in graph.nodes if node.op == "output")
    first = output.args[0]
    first = first[0] if isinstance(first, tuple | list) else first
    needed, waiting = set[fx.Node](), [first]
    while waiting:
        node = waiting.pop()
        if isinstance(node, fx.Node) and node not in needed:
            needed.add(node)
            waiting += node.all_input_nodes
    return [node for node in graph.nodes if node in needed]


class _Stages:
    """Stages made so far, and which of them holds what a traced call returns."""

    def __init__(self, root: nn.Module, spread: float) -> None:
        self.root, self.spread = root, spread
        self.made: dict[str, nn.Module] = {}
        self.feeds: dict[str, tuple[str, ...]] = {}
        self._holds: dict[fx.Node, str] = {}
        self._constants: dict[fx.Node, Any] = {}

    def add(self, node: fx.Node) -> None:
        """Make the stages of one call."""
        match node.op:
            case "placeholder" if node.args:  # an optional argument, at its default
                self._constants[node] = node.args[0]
            case "placeholder":
                if INPUT in self._holds.values():
                    raise ValueError(
                        f"Argument `network` must take one tensor, but takes `{node.name}` too; "
                        f"wrap it in a module that makes both from one."
                    )
                self._holds[node] = INPUT
            case "get_attr":
                self._holds[node] = self._put(node.name, Held(_attribute(self.root, node)))
            case "call_module":
                self._holds[node] = self._module(node)
            case _:
                self._holds[node] = self._call(node)

    def _put(self, name: str, stage: nn.Module, *sources: str) -> str:
        if hasattr(nn.ModuleDict, name) or name == INPUT:
            name = f"{name}_call"  # names that torch or the network keeps for itself
        self.made[name], self.feeds[name] = stage, sources
        return name

    def _call(self, node: fx.Node) -> str:
        """Return the stage of a function or method."""
        target: Any = node.target
        name = target if isinstance(target, str) else target.__name__
        if name in _OWN_WEIGHTS:
            raise ValueError(
                f"Call `{node.name}` of `{name}` multiplies with weights that belong to no layer; "
                f"write it as a layer, such as `torch.nn.Linear`."
            )
        first: Any = node.args[0] if node.args else None
        if target is operator.getitem and self._is_layer(first):
            if node.args[1] != 0:
                raise ValueError(
                    f"Of what layer `{first}` returns only the first may lead to the output, "
                    f"but number {node.args[1]} does; leave it out of the forward."
                )
            return self._holds[first]
        sources: list[str] = []

        def place(found: fx.Node) -> Any:
            if found in self._constants:
                return self._constants[found]
            sources.append(self._holds[found])
            return Place(len(sources) - 1)

        args: Any = fx.node.map_arg(node.args, place)
        named: Any = fx.node.map_arg(node.kwargs, place)
        return self._put(node.name, Call(target, args, named), *sources)

    def _is_layer(self, node: Any) -> bool:
        if not isinstance(node, fx.Node) or node.op != "call_module":
            return False
        module = self.root.get_submodule(str(node.target))
        return is_linear(module) or isinstance(module, _COMPOSED)

    def _module(self, node: fx.Node) -> str:
        """Return the stage of a module."""
        module, name = self.root.get_submodule(str(node.target)), _name(node)
        given = [*node.args, *(node.kwargs.get(k) for k in ("input", "query", "key", "value"))]
        sources = [self._holds[n] for n in given if isinstance(n, fx.Node) and n in self._holds]
        if is_linear(module):
            return self._put(name, gaussian_layer(module, name, self.spread), *sources[:1])
        if isinstance(module, _COMPOSED):
            self._check_masks(node, module)
            return self._composed(name, module, sources)
        before = self.made.get(sources[0]) if sources else None
        alone = all(len(found.users) == 1 for found in node.all_input_nodes)
        if isinstance(module, BATCH_NORMS) and isinstance(before, MeanFieldLayer) and alone:
            self.made[sources[0]] = folded(before, module, name)
            return sources[0]
        if not isinstance(module, _DIGITAL) and next(module.parameters(), None) is not None:
            raise ValueError(
                f"Layer `{name}` is a {type(module).__name__}, which is not supported: replace it "
                f"by linear layers, convolutions or attention, or keep that part off the chip."
            )
        return self._put(name, module, *sources)

    def _check_masks(self, node: fx.Node, module: nn.Module) -> None:
        most = 3 if isinstance(module, nn.MultiheadAttention) else 1
        masks = [*node.args[most:], *(v for k, v in node.kwargs.items() if "mask" in k)]
        if any(m is not None and self._constants.get(m, m) is not None for m in masks):
            raise ValueError(
                f"Layer `{_name(node)}` must be called without masks, but has one; cut the "
                f"sequences to one length, or write the attention as layers of its own."
            )

    def _composed(self, name: str, module: nn.Module, sources: list[str]) -> str:
        """Return the last of the stages of attention, an encoder layer or an encoder."""
        if isinstance(module, nn.MultiheadAttention):
            return self._attention(name, module, sources)
        if isinstance(module, nn.TransformerEncoderLayer):
            return self._encoder_layer(name, module, sources[0])
        assert isinstance(module, nn.TransformerEncoder)
        last = sources[0]
        for number, layer in enumerate(module.layers):
            last = self._composed(f"{name}_{number}", layer, [last])
        return last if module.norm is None else self._put(f"{name}_norm", module.norm, last)

    def _attention(self, name: str, module: nn.MultiheadAttention, sources: list[str]) -> str:
        if not module.batch_first or module.bias_k is not None or module.add_zero_attn:
            raise ValueError(
                f"Layer `{name}` must be an attention with `batch_first=True`, without "
                f"`add_bias_kv` and `add_zero_attn`, but is not; make and train it so."
            )
        if module.in_proj_weight is None:
            weights = (module.q_proj_weight, module.k_proj_weight, module.v_proj_weight)
        else:
            weights = module.in_proj_weight.chunk(3)
        biases = (None,) * 3 if module.in_proj_bias is None else module.in_proj_bias.chunk(3)
        parts = zip(("query", "key", "value"), weights, biases, sources, strict=True)
        taken = [self._projection(f"{name}_{part}", w, b, s) for part, w, b, s in parts]
        mixed = self._put(f"{name}_attention", Attention(module.num_heads), *taken)
        out = module.out_proj
        return self._projection(f"{name}_out", out.weight, out.bias, mixed)

    def _projection(self, name: str, weight: Tensor, bias: Tensor | None, source: str) -> str:
        sigma = torch.full_like(weight, self.spread * float(weight.detach().abs().max()))
        product = Dense(weight.shape[1], weight.shape[0])
        return self._put(name, holding(product, weight.detach(), bias, sigma, name), source)

    def _encoder_layer(self, name: str, layer: nn.TransformerEncoderLayer, source: str) -> str:
        def forward(x: str) -> str:
            wide, narrow = (
                gaussian_layer(part, f"{name}_{place}", self.spread)
                for part, place in ((layer.linear1, "linear1"), (layer.linear2, "linear2"))
            )
            bend = layer.activation
            bent = bend if isinstance(bend, nn.Module) else Call(bend, (Place(0),), {})
            x = self._put(f"{name}_linear1", wide, x)
            return self._put(f"{name}_linear2", narrow, self._put(f"{name}_activation", bent, x))

        def mixed(x: str) -> str:
            return self._attention(f"{name}_self", layer.self_attn, [x] * 3)

        parts = zip((1, 2), (mixed, forward), (layer.norm1, layer.norm2), strict=True)
        for number, part, norm in parts:
            add = Call(torch.add, (Place(0), Place(1)), {})
            before = self._put(f"{name}_norm{number}", norm, source) if layer.norm_first else source
            source = self._put(f"{name}_add{number}", add, source, part(before))
            if not layer.norm_first:
                source = self._put(f"{name}_norm{number}", norm, source)
        return source


def _name(node: fx.Node) -> str:
    """Return a module's name; those of an unnamed sequence are numbers."""
    name = node.name.removeprefix("_")
    return f"layer{name}" if name[0].isdigit() else name


def _attribute(root: nn.Module, node: fx.Node) -> Tensor:
    path, _, name = str(node.target).rpartition(".")
    return getattr(root.get_submodule(path), name)
