"""The network, its collapsed form and its ONNX file compute the same."""

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from srfusion_training.export import generator as export_generator
from srfusion_training.export import radius, session
from srfusion_training.nets import compact as networks
from srfusion_training.train import checkpoints, optimizers


def made(shape: networks.GeneratorShape = networks.GeneratorShape(16, 3, 32)) -> networks.Generator:
    """A network of random weights, biases included, as large in the tail as elsewhere."""
    torch.manual_seed(3)
    network = networks.Generator(shape)
    with torch.no_grad():
        for block in (network.head, network.tail, *network.body):
            block.bias.normal_(std=0.05)
        network.tail.expand.mul_(5.0)
    return network.eval()


@torch.no_grad()
def test_collapsing_changes_nothing() -> None:
    network = made()
    plain = networks.collapse(network)
    x = torch.rand(2, 3, 13, 9)
    assert torch.allclose(network(x), plain(x), atol=1e-5)
    assert networks.parameter_count(plain) < networks.parameter_count(network)


@torch.no_grad()
def test_flattening_changes_nothing_and_can_be_repeated() -> None:
    network = made()
    flat = networks.flattened(network)
    x = torch.rand(2, 3, 13, 9)
    assert flat.shape.expansion == 0
    assert torch.allclose(network(x), flat(x), atol=1e-5)
    assert torch.equal(flat(x), networks.flattened(flat)(x))
    assert torch.equal(flat(x), networks.collapse(flat)(x))


@pytest.mark.parametrize("rows, columns", [(16, 144), (48, 16)])
def test_a_step_of_muon_has_singular_values_near_one(rows: int, columns: int) -> None:
    torch.manual_seed(5)
    kernel = torch.nn.Parameter(torch.zeros(rows, columns // 4, 2, 2))
    # A gradient whose directions differ a thousandfold in size.
    u, _, v = torch.linalg.svd(torch.randn(rows, columns), full_matrices=False)
    kernel.grad = (u * torch.logspace(-3, 0, u.shape[1]) @ v).reshape(kernel.shape)
    optimizers.Muon([kernel], lr=0.5).step()
    length = 0.5 * max(1.0, rows / columns) ** 0.5
    moved = torch.linalg.svdvals(-kernel.detach().reshape(rows, columns)) / length
    assert moved.max() < 1.3
    assert moved.median() > 0.6, "weak directions move as far as strong ones"


def test_muon_refuses_a_bias() -> None:
    with pytest.raises(ValueError, match="shape"):
        optimizers.Muon([torch.nn.Parameter(torch.zeros(4))])


@torch.no_grad()
def test_without_detail_the_output_is_nearest_neighbour() -> None:
    network = made()
    network.tail.project.zero_()
    network.tail.bias.zero_()
    x = torch.rand(1, 3, 6, 7)
    assert torch.equal(network(x), F.interpolate(x, scale_factor=4, mode="nearest"))


def test_onnx_computes_what_pytorch_does() -> None:
    network = made()
    model = export_generator.to_onnx(networks.collapse(network), "random")
    assert export_generator.parity(model, network) < 1e-4


def test_the_file_keeps_the_contract() -> None:
    model = export_generator.to_onnx(networks.collapse(made()), "random")
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]
    assert [value.name for value in model.graph.input] == ["input"]
    assert [value.name for value in model.graph.output] == ["output"]
    dims = [axis.dim_param or axis.dim_value for axis in model.graph.input[0].type.tensor_type.shape.dim]
    assert dims == ["n", 3, "h", "w"]
    assert not any(onnx.external_data_helper.uses_external_data(tensor) for tensor in model.graph.initializer)


@pytest.mark.parametrize("convolutions", [1, 4])
def test_the_radius_is_the_number_of_convolutions(convolutions: int) -> None:
    shape = networks.GeneratorShape(16, convolutions, 32)
    model = export_generator.to_onnx(networks.collapse(made(shape)), "random")
    assert radius.receptive_radius(model) == shape.radius == convolutions + 2


def test_the_default_fits_the_budget() -> None:
    shape = networks.GeneratorShape()
    plain = networks.PlainGenerator(shape)
    weights = sum(layer.weight.numel() for layer in (plain.head, plain.tail, *plain.body))
    assert shape.multiply_adds == weights <= 120_000


def test_a_tile_with_context_equals_the_whole() -> None:
    network = networks.collapse(made())
    run = session.session(export_generator.to_onnx(network, "random"))
    radius = network.shape.radius
    x = np.random.default_rng(1).random((1, 3, 40, 40), dtype=np.float32)
    whole = run.run(None, {"input": x})[0]
    tile = run.run(None, {"input": x[..., 15 - radius : 25 + radius, 12 - radius : 22 + radius]})[0]
    cut = tile[..., radius * 4 : -radius * 4, radius * 4 : -radius * 4]
    assert np.abs(cut - whole[..., 60:100, 48:88]).max() < 1e-5


def test_the_mean_of_networks_is_that_of_their_kernels() -> None:
    torch.manual_seed(3)
    shape = networks.GeneratorShape(4, 2, 8, 1, False)
    blocks, plain = networks.Generator(shape).eval(), networks.flattened(networks.Generator(shape)).eval()
    mean = checkpoints.mean_network([blocks, plain])
    kernels = [network.body[1].kernel() for network in (blocks, plain)]
    assert torch.allclose(mean.body[1].kernel(), sum(kernels) / 2, atol=1e-6)
    picture = torch.rand(1, 1, 9, 11)
    assert torch.allclose(checkpoints.mean_network([blocks, blocks])(picture), blocks(picture), atol=1e-5)
    with pytest.raises(ValueError, match="several shapes"):
        checkpoints.mean_network([plain, networks.Generator(networks.GeneratorShape(5, 2, 8, 1, False))])
