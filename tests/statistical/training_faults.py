"""Planted faults of methods of training, starts and baselines."""

from tests.statistical.faults import Fault


def _squared_gradient(_right):
    def gather(posterior, offset):
        found = posterior.layer.mean.grad
        posterior.gradient += found
        posterior.seen += found.square()
        posterior.layer.mean.grad = None

    return gather


def _one_spread(right):
    def moped(*arguments, **named):
        network = right(*arguments, **named)
        for layer in network.random_layers().values():
            layer.spread.data.fill_(float(layer.spread.detach().max()))
        return network

    return moped


TRAINING_FAULTS = (
    Fault(
        "every share counted as the whole batch",
        "bayespin.network.training:_shares",
        lambda right: lambda *arguments: [(part, key, 1.0) for part, key, _ in right(*arguments)],
    ),
    Fault(
        "curvature from squared gradients",
        "bayespin.network.ivon:_Posterior.gather",
        _squared_gradient,
    ),
    Fault(
        "prior of natural gradients without its weight",
        "bayespin.network.ivon:_Posterior.decay",
        lambda _right: property(lambda posterior: 1 / posterior.layer.prior_sigma**2),
    ),
    Fault(
        "centre of the prior forgotten",
        "bayespin.nn.mean_field:MeanFieldLayer.from_prior_mean",
        lambda _right: lambda layer: layer.mean,
    ),
    Fault("σ of MOPED from the largest weight", "bayespin.network.priors:moped", _one_spread),
    Fault(
        "dropout that does not scale what it keeps",
        "bayespin.nn.dropout:Dropout.reader",
        lambda right: lambda stage, x, estimator: right(stage, x * (1 - stage.rate), estimator),
    ),
)
