"""Modules of torch as networks of stages: the same function, and nothing left of fused paths."""

import pytest
import torch
from torch import nn

from bayespin.network.convert import Call, as_network, convert
from bayespin.network.models import Network
from bayespin.nn.estimators import local_reparameterised
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.nn.point import PointLayer
from bayespin.nn.product import Dense
from bayespin.rng import Key, KeyedNoise

KEY = Key.root(7)


class NoNoise:
    """Leaves every weight at its mean."""

    def normal(self, like):
        return torch.zeros_like(like)


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def uniform(*shape):
    return torch.rand(shape, generator=KEY.child("inputs").generator()) - 0.3


class Residual(nn.Module):
    """A convolution with a norm, a branch around it, and a head; one input more than it needs."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding="same", bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.second = nn.Conv2d(8, 8, 3, padding=1, groups=2)
        self.head = nn.Linear(8, 3)

    def forward(self, x, mask=None):
        x = torch.relu(self.norm(self.first(x)))
        x = x + self.second(x)
        return self.head(x.mean((2, 3)))


class Vision(nn.Module):
    """Tokens with embedded positions, an encoder layer, an attention, a head."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(12, 16)
        self.place = nn.Parameter(torch.randn(1, 7, 16))
        self.encoder = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        x = self.encoder(self.embed(x) + self.place)
        mixed, _ = self.attention(x, x, x, need_weights=False)
        return self.head((x + mixed).mean(1))


def encoder(**options):
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, **options)
    return nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(16), enable_nested_tensor=False)


MODULES = {
    "one layer": (lambda: nn.Linear(5, 4), (6, 5)),
    "sequence": (
        lambda: nn.Sequential(nn.Linear(5, 4), nn.Dropout(), nn.GELU(), nn.Linear(4, 3)),
        (6, 5),
    ),
    "one axis": (
        lambda: nn.Sequential(nn.Conv1d(2, 4, 3, 2, 1, 2), nn.Flatten(), nn.LayerNorm(12)),
        (6, 2, 8),
    ),
    "residual": (Residual, (4, 3, 6, 6)),
    "vision": (Vision, (4, 7, 12)),
    "encoder": (encoder, (3, 7, 16)),
    "norm first": (lambda: encoder(norm_first=True, activation="gelu"), (3, 7, 16)),
    "no biases": (lambda: encoder(bias=False), (3, 7, 16)),
}


def trained(name):
    """Return a module in evaluation, with running statistics and norms that are not trivial."""
    make, shape = MODULES[name]
    module = make()
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2.0)
        if isinstance(norm, nn.BatchNorm2d | nn.LayerNorm):
            nn.init.normal_(norm.weight)
    return module.eval(), uniform(*shape)


@torch.no_grad()
@pytest.mark.parametrize("name", MODULES)
def test_at_its_means_a_network_is_the_module(name):
    module, x = trained(name)
    before = {k: v.clone() for k, v in module.state_dict().items()}
    network = convert(module)
    torch.testing.assert_close(
        network(x, NoNoise(), local_reparameterised), module(x), rtol=1e-5, atol=1e-6
    )
    assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())


@torch.no_grad()
@pytest.mark.parametrize("name", MODULES)
def test_with_noise_no_layer_gives_what_the_module_gives(name):
    # Every linear layer's own output moves: none is read by a path that knows no noise.
    module, x = trained(name)
    network, quiet = convert(module), {}
    for noise in (NoNoise(), KeyedNoise.from_key(KEY)):
        values, step = {"input": x}, network.passing(noise, local_reparameterised)
        for stage, sources in network.feeds.items():
            if noise.__class__ is NoNoise:
                values[stage] = quiet[stage] = step(stage, [values[s] for s in sources])
                continue
            values = {"input": x, **quiet}
            if stage in network.random_layers():
                moved = step(stage, [values[s] for s in sources])
                assert not bool((moved == quiet[stage]).any())
    assert not torch.equal(network(x, KeyedNoise.from_key(KEY), local_reparameterised), module(x))


def test_a_norm_is_folded_and_the_rest_stays_digital():
    network = convert(trained("residual")[0])
    assert list(network.stages) == ["first", "relu", "second", "add", "mean", "head"]
    assert network.feeds["add"] == ("relu", "second")
    assert list(network.random_layers()) == ["first", "second", "head"]
    assert isinstance(network.stages["mean"], Call)


def test_a_norm_of_a_layer_that_others_see_stays():
    class Seen(nn.Module):
        def __init__(self):
            super().__init__()
            self.dense, self.norm = nn.Linear(4, 4), nn.BatchNorm1d(4)

        def forward(self, x):
            y = self.dense(x)
            return self.norm(y) + y

    module, x = Seen().eval(), uniform(5, 4)
    module.norm.running_mean.fill_(0.4)
    network = convert(module)
    assert isinstance(network.stages["norm"], nn.BatchNorm1d)
    with torch.no_grad():
        torch.testing.assert_close(network(x, NoNoise(), local_reparameterised), module(x))


def test_layers_of_one_value_get_the_spread_that_is_asked_for():
    module = nn.Linear(5, 4)
    layer = convert(module, spread=0.1).stages["layer"]
    wanted = 0.1 * module.weight.detach().abs().max()
    torch.testing.assert_close(layer.sigma(), wanted.expand(4, 5), rtol=1e-4, atol=0)
    point = PointLayer(Dense(5, 4), KEY)
    held = convert(nn.Sequential(point)).stages["layer0"]
    assert isinstance(held, MeanFieldLayer)
    assert torch.equal(held.mean, point.weight)


class Named(nn.Module):
    """A layer of another library, as far as its names go; it returns what its training needs."""

    def __init__(self, names, shape, forms):
        super().__init__()
        for name, value in zip(names, forms, strict=True):
            self.register_parameter(name, nn.Parameter(torch.full(shape, value)))
        self.names = names

    def forward(self, x):
        return nn.functional.linear(x, getattr(self, self.names[0])), torch.zeros(())


@pytest.mark.parametrize(
    "names, form",
    [
        (("mu_weight", "rho_weight"), lambda r: (1 + r.exp()).log()),
        (("weight_mu", "weight_log_sigma"), lambda r: r.exp()),
        (("weight_mu", "weight_sigma"), lambda r: (1 + r.exp()).log()),
    ],
)
def test_gaussian_layers_of_other_libraries_keep_their_weights(names, form):
    class Other(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = Named(names, (4, 5), (0.3, -2.0))

        def forward(self, x):
            y, divergence = self.layer(x)
            return torch.relu(y), divergence

    layer = convert(Other()).stages["layer"]
    assert torch.equal(layer.mean, torch.full((4, 5), 0.3))
    torch.testing.assert_close(layer.sigma(), form(torch.full((4, 5), -2.0)))


def test_a_kernel_of_another_library_is_a_convolution():
    class Kernel(Named):
        stride, padding, dilation, groups = (2, 1), (1, 0), 1, 2

    layer = Kernel(("mu_kernel", "rho_kernel"), (4, 3, 3, 2), (0.3, -2.0))
    product = convert(nn.Sequential(layer)).stages["layer0"].product
    assert (product.channels, product.outputs, product.kernel, product.groups) == (6, 4, (3, 2), 2)
    assert (product.stride, product.padding) == ((2, 1), (1, 0))


def test_a_network_is_left_as_it_is():
    network = Network({"relu": nn.ReLU()})
    assert as_network(network) is network


class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


class Loose(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3, 4))

    def forward(self, x):
        return nn.functional.linear(x, self.weight)


class Two(nn.Module):
    def forward(self, x, y):
        return x + y


class Masked(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x, attn_mask=torch.zeros(7, 7))[0]


@pytest.mark.parametrize(
    "module, sentence",
    [
        (nn.Sequential(nn.Linear(3, 4), nn.GRU(4, 4)), "Layer `layer1` is a GRU"),
        (nn.ConvTranspose2d(3, 4, 2), "Layer `layer` is a ConvTranspose2d"),
        (nn.TransformerEncoderLayer(16, 4), "`batch_first=True`"),
        (nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular"), "put a padding layer"),
        (nn.Conv2d(3, 4, 2, padding="same"), "must have an odd kernel"),
        (Branching(), "write its forward without branches"),
        (Loose(), "write it as a layer"),
        (Two(), "must take one tensor, but takes `y` too"),
        (Masked(), "must be called without masks"),
    ],
)
def test_what_has_no_form_here_is_refused(module, sentence):
    with pytest.raises(ValueError, match=sentence.replace("(", r"\(")):
        convert(module)


def test_weights_and_spreads_must_be_of_use():
    module = nn.Sequential(nn.Linear(3, 4))
    with torch.no_grad():
        module[0].weight[1, 2] = torch.nan
    with pytest.raises(ValueError, match="Layer `layer0` must have weights that are finite"):
        convert(module)
    with pytest.raises(ValueError, match="`spread` must be positive, but is 0"):
        convert(nn.Linear(3, 4), spread=0)


@pytest.mark.parametrize(
    "stages, feeds", [({"input": nn.ReLU()}, None), ({"a": nn.ReLU()}, {"a": ("b",)})]
)
def test_stages_are_fed_by_those_before_them(stages, feeds):
    with pytest.raises(ValueError, match="be fed by stages before it"):
        Network(stages, feeds)
