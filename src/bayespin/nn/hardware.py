"""The hardware twin of a mean-field layer: the same interface, with tiles and converters inside."""

from dataclasses import dataclass, fields, replace
from typing import Annotated, Any

import torch
from safetensors import torch as safetensors

from bayespin.array import crossbar
from bayespin.array.coding import Amplitude, Coding, coding_of
from bayespin.array.converter import Adc, Dac
from bayespin.array.converter_errors import MadeAdcs
from bayespin.array.crossbar import ReadPoint, TileWeights
from bayespin.array.hold import Hold
from bayespin.array.ranges import LayerRanges, OutputMoments, RangeRule
from bayespin.array.tiles import ArrayLayout, RowTiles
from bayespin.cell.interface import GaussianCell, ProgrammedCells
from bayespin.events import Events, LayerActivity, TileShape
from bayespin.nn.correlated import CorrelatedReads, ReadParts
from bayespin.nn.estimators import Estimator, local_reparameterised, reparameterised
from bayespin.nn.product import Dense, Product
from bayespin.nn.random_layer import Moments, RandomLayer, Reader
from bayespin.nn.tiling import Tiling
from bayespin.rng import HeldNoise, Noise
from bayespin.shapes import Float, Tensor
from bayespin.units import Unit

_OF_CHIP = ("weight_max", "input_scale", "temperature", "signed")
_OF_ADCS = ("offset", "thresholds", "converter")


@dataclass(frozen=True, kw_only=True)
class HardwareSpec:
    """What a hardware layer is made of, besides its weights."""

    cell: GaussianCell
    layout: ArrayLayout
    weight_max: float
    input_scale: float
    """Activation that the largest DAC code stands for."""
    temperature: Annotated[float, Unit("K")]
    """At which it is read."""
    signed: bool = False
    """Whether inputs below zero are read too, in a second read with integrators reversed."""
    hold: Hold | None = None
    """What holds a draw of the cells over many reads, if anything does."""
    adcs: MadeAdcs | None = None
    """The chip's converters, if they are not ideal."""
    typical: Float[Tensor, " rows"] | None = None
    """Mean drive of every row, around which wires leave the variance exact."""

    @property
    def coding(self) -> Coding:
        """How the rows' drives carry their codes in time."""
        return coding_of(self.layout.coding, self.cell.read.input_bits, self.cell.read.window)

    @property
    def point(self) -> ReadPoint:
        """How the layer's cells are read."""
        return ReadPoint(
            read=self.cell.read,
            temperature=self.temperature,
            scale=self.weight_max * self.input_scale / self.cell.full_scale,
            wires=self.layout.wires,
            typical=self.typical,
            coding=self.coding,
        )


class HardwareLayer(RandomLayer):
    """A layer on tiles: DAC → probabilistic product per tile → ADC → digital sum and bias.

    Output of one read, with x the DAC's reading of the input and t the tiles:

        y = Σ_t ADC( E y_t + √(Var y_t) ε_t ) + b

    The moments are those of `array.crossbar`; ε is independent per output and tile (`per_read`).
    Gradients flow to the inputs: straight through what rounds, exact elsewhere.
    """

    mean: Tensor
    variance: Tensor
    noise_rows: Tensor
    noise_columns: Tensor
    code_noise: Tensor
    profile: Tensor | None
    cross: Tensor | None
    pull: Tensor | None
    held_profile: Tensor | None
    held_variance: Tensor | None
    table: Tensor | None
    nodes: Tensor | None
    together: Tensor | None
    adc_range: Tensor
    bias: Tensor
    load: Tensor
    deviation: Tensor
    memory: Tensor

    def __init__(
        self, product: Product, bias: Tensor, cells: ProgrammedCells, spec: HardwareSpec
    ) -> None:
        """Cut the programmed cells into tiles; the ADC range is set by `calibrate`."""
        super().__init__()
        self.product, self.spec = product, spec
        read = spec.cell.read
        self.coding = spec.coding
        self.dac = Dac(bits=read.input_bits, full_scale=spec.input_scale)
        self.adc = Adc(bits=read.adc_bits)
        self.tiling = Tiling(product, spec.layout)
        tiled = crossbar.tile_cells(cells, self.tiling.grid, spec.point)
        weights = crossbar.lay_out(tiled, self.tiling)
        for name, tensor in vars(weights).items():
            self.register_buffer(name, tensor)
        self.register_buffer("bias", bias.detach().clone())
        self.register_buffer("adc_range", torch.ones(tiled.tiles.tiles, product.outputs))
        self.register_buffer("load", tiled.input)
        deviation = tiled.variance.clamp_min(0).sqrt().float() / spec.input_scale
        self.register_buffer("deviation", deviation)
        self.register_buffer("memory", tiled.memory)
        self.clipped_share, self.positions = 0.0, 1
        self.ranges: LayerRanges | None = None

    @property
    def tiles(self) -> tuple[TileShape, ...]:
        """The tiles of the layer, groups and columns included."""
        return self.tiling.grid.shapes

    def _weights(self) -> TileWeights:
        return TileWeights(**{f.name: getattr(self, f.name) for f in fields(TileWeights)})

    def moments(self, x: Tensor) -> Moments:
        """Return mean and standard deviation of every tile's output, before the ADC.

        Rows are driven with one polarity. Inputs below zero count as zero, unless the layer is
        `signed`: then a second read of −x follows, whose current the integrators subtract.
        """
        mean, deviation = self._one_polarity(x)
        if not self.spec.signed:
            return mean, deviation
        below, more = self._one_polarity(-x)
        return mean - below, torch.hypot(deviation, more)

    def _one_polarity(self, x: Tensor) -> Moments:
        return crossbar.moments(self._codes(x), self._weights(), self.tiling, self.coding)

    def _codes(self, x: Tensor) -> Tensor:
        return self.dac.straight_through(x) if x.requires_grad else self.dac.codes(x)

    def draw(self, moments: Moments, noise: Noise) -> Tensor:
        """Return one read: noise, conversion of each tile, digital sum over tiles, bias."""
        mean, deviation = moments
        return self._converted(torch.addcmul(mean, deviation, noise.normal(mean)), noise)

    def _converted(self, y: Tensor, noise: Noise) -> Tensor:
        """Return the digital output of the tiles' integrators; `y` is overwritten."""
        if self.spec.adcs is None:
            ranges = self.tiling.per_output(self.adc_range)
            convert = self.adc.straight_through if y.requires_grad else self.adc.convert_
            y = convert(y, ranges)
        else:
            last = y.movedim(2, -1)  # outputs behind the positions, which are reads of their own
            reads = self.spec.adcs.convert(last.flatten(1, -2), self.adc_range, noise)
            reads = reads.unflatten(1, last.shape[1:-1]).movedim(-1, 2)
            y = reads.detach() + (y - y.detach()) if y.requires_grad else reads
        y = y.sum(0) if len(y) > 1 else y[0]
        return y.add_(self.product.per_output(self.bias))

    def reader(self, x: Tensor, estimator: Estimator) -> Reader:
        """Return what reads x, with fresh draws of all cells or with draws that are held.

        Args:
            x: inputs.
            estimator: `local_reparameterised` draws at every read; `reparameterised` holds one
                draw of the cells for all images and positions of the call.

        Raises:
            ValueError: another estimator, or `reparameterised` on a chip without a hold.
        """
        if isinstance(estimator, CorrelatedReads):
            return estimator.reader(self, x)
        if isinstance(self.product, Dense) and x.ndim > 2:  # tokens are reads like any other
            tokens = self.reader(x.flatten(0, -2), estimator)
            return lambda noise: tokens(noise).unflatten(0, x.shape[:-1])
        if estimator is local_reparameterised:
            moments = self.moments(x)
            return lambda noise: self.draw(moments, noise)
        if estimator is reparameterised and self.spec.hold is not None:
            return self._held_reader(x, self.spec.hold)
        raise ValueError(
            "Sampling on the chip must be `per_read`, because its cells draw anew at every read; "
            "`frozen` needs `hold`, a mechanism that holds a draw."
        )

    def _held_reader(self, x: Tensor, hold: Hold) -> Reader:
        """Return what reads cells that hold a draw, one for all images or one for each.

        Read noise is drawn anew at every read all the same.
        """
        weights, tiling = self._weights(), self.tiling
        signs = (1, -1) if self.spec.signed else (1,)
        codes = [self._codes(sign * x) for sign in signs]
        drives = [s * crossbar.drive_of(c, weights) for s, c in zip(signs, codes, strict=True)]
        drive = torch.stack(drives).sum(0)
        heats = [crossbar.read_noise(c, weights, tiling) for c in codes]

        def mean(part: Tensor, noise: Noise) -> Tensor:
            return tiling.apply(part, crossbar.held_weights(weights, noise, tiling))

        def read(noise: Noise) -> Tensor:
            fresh = noise.fresh if isinstance(noise, HeldNoise) else noise
            if hold.images > 1:
                y = mean(drive, noise)
            else:
                y = torch.cat([mean(part, fresh) for part in drive.split(1)], 1)
            for heat in heats:
                y = y if heat is None else y.addcmul_(heat, fresh.normal(y))
            return self._converted(y, fresh)

        return read

    def parts(self, x: Tensor) -> ReadParts:
        """Return what reads of x consist of, position by position.

        Raises:
            ValueError: a coding in time, whose reads this law does not know.
        """
        if not isinstance(self.coding, Amplitude):
            raise ValueError(
                f"Sampling must be `per_read` or `frozen` where `coding` is "
                f"{self.spec.layout.coding}; `correlated` is for amplitude coding."
            )
        codes = self._codes(x.abs() if self.spec.signed else x)
        drives = self.product.unrolled(codes) * x.new_tensor(1 / self.dac.steps)
        tokens = isinstance(self.product, Dense) and x.ndim > 2
        mean, deviation = self.moments(x.flatten(0, -2) if tokens else x)
        heat = crossbar.read_noise(
            codes.flatten(0, -2) if tokens else codes, self._weights(), self.tiling
        )
        variance = deviation.square() if heat is None else deviation.square() - heat.square()

        def by_position(y: Tensor) -> Tensor:
            if isinstance(self.product, Dense):
                return y.unflatten(1, drives.shape[:2])
            return y.flatten(3).transpose(2, 3)

        return ReadParts(
            drives=drives,
            mean=by_position(mean),
            variance=by_position(variance),
            read_noise=None if heat is None else by_position(heat.expand_as(mean)),
        )

    def cells(
        self,
    ) -> tuple[RowTiles, Float[Tensor, "rows outputs"], Float[Tensor, "rows outputs"]]:
        """Return the rows of the tiles, and variance and correlation time (s) of each cell.

        Raises:
            ValueError: a grouped convolution, whose outputs do not share rows.
        """
        if self.product.groups > 1:
            raise ValueError(
                "Sampling of a grouped convolution must be `per_read` or `frozen`; `correlated` "
                "is for products whose outputs share all rows: take groups=1."
            )
        return self.tiling.grid.rows, self.deviation.square(), self.memory

    def convert(
        self, y: Float[Tensor, "tiles images positions outputs"], x: Tensor, noise: Noise
    ) -> Tensor:
        """Return the layer's output from what its tiles integrated for inputs x."""
        if isinstance(self.product, Dense):
            return self._converted(y.flatten(1, 2), noise).unflatten(0, x.shape[:-1])
        one = self.product.one_output()
        size = one.apply(x[:1], x.new_zeros(one.weight_shape)).shape[2:]
        return self._converted(y.transpose(2, 3).unflatten(3, size).contiguous(), noise)

    def calibrate(
        self, x: Tensor, noise: Noise, name: str = "layer", rule: RangeRule | None = None
    ) -> None:
        """Set each tile's ADC range from calibration inputs; one range per tile.

        Args:
            x: inputs of the layer.
            noise: of the reads.
            name: of the layer, for messages.
            rule: from which source, and how much may be clipped.

        Raises:
            ValueError: ranges that clip more than the rule's limit.
        """
        tokens = isinstance(self.product, Dense) and x.ndim > 2
        mean, deviation = self.moments(x.flatten(0, -2) if tokens else x)
        y = torch.addcmul(mean, deviation, noise.normal(mean))
        mean, deviation, y = (t.movedim(2, -1).flatten(1, -2) for t in (mean, deviation, y))
        moments = OutputMoments.over(self.adc, mean, deviation)
        self.ranges = LayerRanges.find(name, moments, y, rule if rule is not None else RangeRule())
        used = self.ranges.used
        self.adc_range.copy_(used.full_range[:, None].expand_as(self.adc_range))
        assert used.observed_share is not None
        self.clipped_share = used.observed_share
        self.positions = self.product.unrolled(x[:1]).shape[1]

    def with_cells(self, cells: ProgrammedCells, temperature: float) -> "HardwareLayer":
        """Return this layer with other cells, read at a temperature (K); converters stay set."""
        spec = replace(self.spec, temperature=temperature)
        layer = HardwareLayer(self.product, self.bias, cells, spec)
        layer.adc_range.copy_(self.adc_range)
        layer.clipped_share, layer.positions = self.clipped_share, self.positions
        layer.ranges = self.ranges
        return layer

    def get_extra_state(self) -> Tensor:
        """Return what belongs to a chip beside its buffers, as bytes: `state_dict` has it all."""
        spec, numbers = self.spec, [self.clipped_share, self.positions]
        scalars = [float(getattr(spec, name)) for name in _OF_CHIP]
        state = {"numbers": torch.tensor([*numbers, *scalars], dtype=torch.float64)}
        made = {} if spec.adcs is None else {name: getattr(spec.adcs, name) for name in _OF_ADCS}
        for name, value in {"typical": spec.typical, **made}.items():
            if value is not None:
                state[name] = value.detach().cpu().contiguous()
        return torch.frombuffer(bytearray(safetensors.save(state)), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        """Take what `get_extra_state` returned: the layer is then that chip's."""
        found = safetensors.load(state.cpu().numpy().tobytes())
        share, positions, *scalars = found.pop("numbers").tolist()
        chip: dict[str, Any] = dict(zip(_OF_CHIP, scalars, strict=True))
        chip |= {"signed": bool(chip["signed"]), "typical": found.pop("typical", None)}
        adcs = self.spec.adcs
        chip["adcs"] = None if adcs is None else replace(adcs, **found)
        self.spec = replace(self.spec, **chip)
        self.dac = replace(self.dac, full_scale=self.spec.input_scale)
        self.clipped_share, self.positions = share, int(positions)

    def activity(self, name: str, x: Tensor, y: Tensor) -> LayerActivity:
        """Return what one pass costs per image, averaged over the images in `x`.

        Args:
            name: of the layer.
            x: inputs of the layer.
            y: its outputs, whose shape tells the number of positions.
        """
        spec, grid, read = self.spec, self.tiling.grid, self.spec.cell.read
        positions, outputs = self.product.positions(y), self.product.outputs
        codes = self.dac.codes(x.detach().abs() if spec.signed else x.detach()).double()
        reads, polarities = positions * grid.rows.tiles, 2 if spec.signed else 1
        windows = polarities * self.coding.slices
        energy, driven = self._drivers(codes)
        events = Events(
            tile_reads=positions * len(grid.shapes) * windows,
            row_drives=driven / len(x),
            integrations=reads * outputs,
            conversions=reads * outputs,
            accumulations=reads * outputs,
            activations=positions * outputs,
            buffer_bits_read=positions * self.product.fresh_inputs * read.input_bits,
            buffer_bits_written=y[0].numel() * read.input_bits,
            cell_reads=positions * self.product.rows * outputs * windows,
            array_energy=energy / len(x),
        )
        return LayerActivity(
            name=name, tiles=self.tiles, positions=positions * polarities, events=events
        )

    def _drivers(self, codes: Tensor) -> tuple[float, float]:
        """Return what all reads of codes take from the drivers, in J, and how many they drive."""
        grid, layout, groups = self.tiling.grid, self.spec.layout, self.product.groups
        rows = self.product.unrolled(codes).flatten(0, 1).unflatten(1, (groups, -1))
        energy, starts = 0.0, self.coding.starts().to(rows)
        for drive, lasts in self.coding.waves(rows):
            for group, load in enumerate(self.load):
                x = grid.rows.split(drive[:, group])
                energy += lasts * crossbar.read_energy(
                    torch.einsum("rti,rtj->tij", x, x), load, self.spec.cell.read
                )
        driven = float(starts[rows.long()].sum())
        ends = 2 if layout.wires is not None and layout.wires.both_sides else 1
        return energy, driven * len(grid.columns) / groups * ends

    def acting_mean(self) -> Tensor:
        """Return the mean of each weight as it acts, in weight units, behind wires if there are."""
        return self.tiling.gather(self.mean.double()) / self.spec.input_scale

    def programmed_sigma(self, read_noise: float) -> Tensor:
        """Return each weight's σ in use, in weight units, of the product's weight shape.

        Args:
            read_noise: equivalent spread of the read noise over weight_max, from the mapping.
        """
        sigma = (self.deviation.square() + (read_noise * self.spec.weight_max) ** 2).sqrt()
        return sigma.T.reshape(self.product.weight_shape)
