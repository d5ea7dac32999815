"""Healthy models of other packages; one that is not installed is skipped with a printed line.

All import without torchvision and install beside the torch that is already there: `pip install -e .[bench]`.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from types import ModuleType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradcheck_cli.loading.base import Batch, Outcome
from zoo.batches import image_pairs, images, masks, next_tokens, values, vectors
from zoo.cases import CLASSIFY, PER_TOKEN, REGRESS, Case, custom, healthy
from zoo.healthy_graphs import graph


def _package(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ImportError:
        print(f"skipped: package {name} is not installed")
        return None


class Called(nn.Module):
    """A package's model behind one positional input; `pick` takes the tensor out of what it returns."""

    def __init__(self, inner: nn.Module, pick: Callable[[object], Tensor] = lambda out: out, *extra: object):
        super().__init__()
        self.inner, self.pick, self.extra = inner, pick, extra

    def forward(self, *args: Tensor) -> Tensor:
        return self.pick(self.inner(*args, *self.extra))


def _transformer_cases(x: ModuleType) -> list[Case]:
    ids = next_tokens()

    def decoder(**options: object) -> nn.Module:
        return x.TransformerWrapper(
            num_tokens=200, max_seq_len=64, attn_layers=x.Decoder(dim=64, depth=4, heads=4, attn_dim_head=16, **options)
        )

    vit = {"image_size": 32, "patch_size": 8, "num_classes": 10}
    return [
        healthy("x-decoder", "package", decoder, ids, PER_TOKEN, mechanism="4"),
        healthy("x-decoder-rotary-glu", "package", lambda: decoder(rotary_pos_emb=True, ff_glu=True), ids, PER_TOKEN),
        healthy("x-decoder-rmsnorm-alibi", "package", lambda: decoder(use_rmsnorm=True, alibi_pos_bias=True), ids, PER_TOKEN),
        healthy("x-decoder-sandwich", "package", lambda: decoder(sandwich_norm=True), ids, PER_TOKEN),
        healthy(
            "x-vit", "package",
            lambda: x.ViTransformerWrapper(attn_layers=x.Encoder(dim=64, depth=3, heads=4, attn_dim_head=16), **vit),
            images(), CLASSIFY,
        ),
    ]  # fmt: skip


def _ode_case(ode: ModuleType) -> list[Case]:
    class Field(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(32, 48), nn.Tanh(), nn.Linear(48, 32))

        def forward(self, _t: Tensor, h: Tensor) -> Tensor:
            return self.net(h)

    class NeuralODE(nn.Module):
        def __init__(self):
            super().__init__()
            self.field, self.head = Field(), nn.Linear(32, 10)

        def forward(self, x: Tensor) -> Tensor:
            times = torch.tensor([0.0, 1.0])
            return self.head(ode.odeint(self.field, x, times, method="rk4", options={"step_size": 0.25})[-1])

    return [healthy("neural-ode", "package", NeuralODE, vectors(), CLASSIFY, mechanism="12")]


def _noise(model: nn.Module, batch: Batch) -> Outcome:
    x = batch.args[0]
    step, noise = torch.randint(0, 1000, (len(x),)), torch.randn_like(x)
    level = torch.cos(step / 1000 * math.pi / 2).view(-1, 1, 1, 1)
    extra = {"class_labels": batch.target} if type(model).__name__.startswith("DiT") else {}
    output = model(level * x + (1 - level**2).sqrt() * noise, step, **extra).sample
    return Outcome(loss=F.mse_loss(output, noise), output=output, target=noise)


def _reconstruction(model: nn.Module, batch: Batch) -> Outcome:
    x = batch.args[0]
    posterior = model.encode(x).latent_dist
    made = model.decode(posterior.sample()).sample
    return Outcome(loss=F.mse_loss(made, x) + 1e-4 * posterior.kl().mean(), output=made, target=x)


def _diffusion_cases(d: ModuleType) -> list[Case]:
    unet = {
        "sample_size": 16, "block_out_channels": (16, 32), "layers_per_block": 1, "norm_num_groups": 4,
        "down_block_types": ("DownBlock2D", "AttnDownBlock2D"), "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
        "attention_head_dim": 8,
    }  # fmt: skip
    dit = {
        "num_attention_heads": 4, "attention_head_dim": 12, "in_channels": 3, "num_layers": 3, "sample_size": 16,
        "patch_size": 4, "num_embeds_ada_norm": 1000, "norm_num_groups": 4, "out_channels": 3,
    }  # fmt: skip
    vae = {
        "down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2,
        "block_out_channels": (16, 32), "norm_num_groups": 4,
    }  # fmt: skip
    small = images(6, size=16)
    return [
        healthy("diffusers-unet", "package", lambda: d.UNet2DModel(**unet), small, custom(_noise, "ddpm"), mechanism="3"),
        healthy(
            "diffusers-dit", "package", lambda: d.DiTTransformer2DModel(**dit), small, custom(_noise, "ddpm"), mechanism="4"
        ),
        healthy("diffusers-vae", "package", lambda: d.AutoencoderKL(**vae), small, custom(_reconstruction, "elbo")),
    ]


def _graph_cases(g: ModuleType) -> list[Case]:
    class Net(nn.Module):
        def __init__(self, layer: Callable[[int, int], nn.Module]):
            super().__init__()
            self.first, self.second = layer(16, 32), layer(32, 4)

        def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
            edges = adjacency.nonzero().T
            return self.second(F.relu(self.first(x, edges)), edges)

    nets = {
        "gcn": g.GCNConv, "gat": lambda a, b: g.GATConv(a, b, heads=4, concat=False), "sage": g.SAGEConv,
        "transformer": g.TransformerConv,
        "gin": lambda a, b: g.GINConv(nn.Sequential(nn.Linear(a, b), nn.ReLU(), nn.Linear(b, b))),
    }  # fmt: skip
    return [
        healthy(f"pyg-{name}", "package", lambda layer=layer: Net(layer), graph(), CLASSIFY) for name, layer in nets.items()
    ]


def _medical_cases(m: ModuleType) -> list[Case]:
    flat = {"spatial_dims": 2, "in_channels": 3, "out_channels": 4}
    unet = {"channels": (8, 16, 32), "strides": (2, 2), "num_res_units": 2}
    attention = {"channels": (8, 16, 32), "strides": (2, 2)}
    basic = {"features": (8, 8, 16, 16, 32, 8)}
    dense = {"init_features": 16, "growth_rate": 8, "block_config": (2, 2, 2)}
    return [
        healthy("monai-unet", "package", lambda: m.UNet(**flat, **unet), masks(), CLASSIFY, mechanism="3"),
        healthy("monai-attention-unet", "package", lambda: m.AttentionUnet(**flat, **attention), masks(), CLASSIFY,
                mechanism="3"),
        healthy("monai-basic-unet", "package", lambda: m.BasicUNet(**flat, **basic), masks(), CLASSIFY, mechanism="3"),
        healthy("monai-segresnet", "package", lambda: m.SegResNet(**flat, init_filters=8), masks(), CLASSIFY),
        healthy(
            "monai-densenet", "package", lambda: m.DenseNet(**{**flat, "out_channels": 10}, **dense), images(12), CLASSIFY
        ),
        healthy("monai-autoencoder", "package",
                lambda: m.AutoEncoder(**{**flat, "out_channels": 3}, channels=(8, 16, 32), strides=(2, 2, 2)),
                image_pairs(), REGRESS, mechanism="3"),
    ]  # fmt: skip


def _flow(model: nn.Module, batch: Batch) -> Outcome:
    loss = model.forward_kld(batch.args[0])
    return Outcome(loss=loss, output=loss)


def _flow_case(nf: ModuleType) -> list[Case]:
    def make() -> nn.Module:
        flows = []
        for _ in range(6):
            flows.append(nf.flows.AffineCouplingBlock(nf.nets.MLP([4, 32, 32, 8], init_zeros=True)))
            flows.append(nf.flows.Permute(8, mode="swap"))
        return nf.NormalizingFlow(nf.distributions.base.DiagGaussian(8), flows)

    return [healthy("normflows-real-nvp", "package", make, values(features=8), custom(_flow, "kld"), mechanism="1")]


def _linear_attention_case(la: ModuleType) -> list[Case]:
    def make() -> nn.Module:
        return la.LinearAttentionTransformerLM(num_tokens=200, dim=64, heads=4, depth=2, max_seq_len=32, causal=True)

    return [healthy("linear-attention-lm", "package", make, next_tokens(), PER_TOKEN, mechanism="4")]


def _efficientnet_case(e: ModuleType) -> list[Case]:
    def make() -> nn.Module:
        return e.EfficientNet.from_name("efficientnet-b0", num_classes=10, image_size=64)

    return [healthy("efficientnet-b0", "package", make, images(8, size=64), CLASSIFY, mechanism="3,6")]


def _quantise_case(v: ModuleType) -> list[Case]:
    class Coder(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.decoder = nn.Sequential(nn.Linear(32, 48), nn.ReLU(), nn.Linear(48, 16)), nn.Linear(16, 32)
            self.codes = v.VectorQuantize(dim=16, codebook_size=64)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            z, _, extra = self.codes(self.encoder(x))
            return self.decoder(z), extra

    def compute(model: nn.Module, batch: Batch) -> Outcome:
        made, extra = model(batch.args[0])
        loss = F.mse_loss(made, batch.args[0]) + extra.sum()
        return Outcome(loss=loss, output=made, target=batch.args[0])

    return [healthy("vector-quantize", "package", Coder, values(), custom(compute, "vq"))]


_MAKERS: dict[str, Callable[[ModuleType], list[Case]]] = {
    "x_transformers": _transformer_cases,
    "efficientnet_pytorch": _efficientnet_case,
    "torchdiffeq": _ode_case,
    "diffusers": _diffusion_cases,
    "torch_geometric.nn": _graph_cases,
    "linear_attention_transformer": _linear_attention_case,
    "monai.networks.nets": _medical_cases,
    "normflows": _flow_case,
    "vector_quantize_pytorch": _quantise_case,
}
CASES: tuple[Case, ...] = tuple(
    case for name, maker in _MAKERS.items() if (package := _package(name)) is not None for case in maker(package)
)
