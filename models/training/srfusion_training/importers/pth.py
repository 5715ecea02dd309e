"""Turn public checkpoints of ESRGAN, Real-ESRGAN and SRVGGNetCompact (.pth) into ONNX with an entry in models.toml.

Architecture and size are read from the names and shapes of the weights. Three generations of names are known for ESRGAN's
network: ``model.1.sub.0.RDB1.conv1.0`` (2018), ``RRDB_trunk.0.RDB1.conv1`` (2019) and ``body.0.rdb1.conv1`` (BasicSR).
Only tensors are read from the file (``weights_only``): a checkpoint from somewhere cannot run code here.
"""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..nets.compact import SCALE
from ..nets.rrdb import RRDB, RRDBShape
from ..nets.srvgg import Compact

_TRUNK_2018 = re.compile(r"^model\.1\.sub\.(\d+)\.(?:RDB(\d)\.conv(\d)\.0\.)?(weight|bias)$")
_BLOCK_2019 = re.compile(r"^RRDB_trunk\.(\d+)\.RDB(\d)\.conv(\d)\.(weight|bias)$")
_OUTER_2018 = {"0": "conv_first", "3": "conv_up1", "6": "conv_up2", "8": "conv_hr", "10": "conv_last"}
_OUTER_2019 = {
    "conv_first": "conv_first", "trunk_conv": "conv_body", "upconv1": "conv_up1",
    "upconv2": "conv_up2", "HRconv": "conv_hr", "conv_last": "conv_last",
}


def read_state(file: Path | str) -> dict[str, torch.Tensor]:
    """The weights of a checkpoint: the averaged ones where it has both (``params_ema``), without a ``module.`` in front."""
    if not Path(file).exists():
        raise FileNotFoundError(f"{file}: no such checkpoint")
    try:
        content: Any = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(f"{file}: holds more than tensors, which is not loaded ({str(error).splitlines()[0]})") from error
    for key in ("params_ema", "params", "state_dict"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
            break
    if not isinstance(content, dict) or not any(isinstance(value, torch.Tensor) for value in content.values()):
        raise ValueError(f"{file}: holds no weights, neither at the top nor under params_ema, params or state_dict")
    return {key.removeprefix("module."): value for key, value in content.items() if isinstance(value, torch.Tensor)}


def modern_names(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """ESRGAN's weights under the names that :class:`RRDB` uses; names of other networks are left as they are."""
    result: dict[str, torch.Tensor] = {}
    for key, value in state.items():
        name, _, kind = key.rpartition(".")
        if found := _TRUNK_2018.match(key):
            block, dense, layer, kind = found.groups()
            key = f"body.{block}.rdb{dense}.conv{layer}.{kind}" if dense else f"conv_body.{kind}"
        elif found := _BLOCK_2019.match(key):
            block, dense, layer, kind = found.groups()
            key = f"body.{block}.rdb{dense}.conv{layer}.{kind}"
        elif name.startswith("model.") and name[6:] in _OUTER_2018:
            key = f"{_OUTER_2018[name[6:]]}.{kind}"
        elif name in _OUTER_2019:
            key = f"{_OUTER_2019[name]}.{kind}"
        result[key] = value
    return result


def network_of(state: dict[str, torch.Tensor], activation: str = "relu") -> nn.Module:
    """The network whose weights ``state`` holds, with them. ``activation`` is that of an SRVGGNetCompact without slopes.

    ValueError if the names are of no known network, or it is not one for RGB and x4.
    """
    state = {key: value.float() for key, value in modern_names(state).items()}
    network: nn.Module
    if "conv_first.weight" in state and any(".rdb1." in key for key in state):
        first = state["conv_first.weight"]
        if first.shape[1] != 3:
            raise ValueError(f"the first convolution takes {first.shape[1]} channels (a x1 or x2 network), only x{SCALE} is used here")
        blocks = 1 + max(int(found.group(1)) for key in state if (found := re.match(r"^body\.(\d+)\.", key)))
        network = RRDB(RRDBShape(first.shape[0], blocks, state["body.0.rdb1.conv1.weight"].shape[0]))
    elif "body.0.weight" in state and state["body.0.weight"].dim() == 4:
        last = max(int(found.group(1)) for key in state if (found := re.match(r"^body\.(\d+)\.weight$", key)))
        outputs = state[f"body.{last}.weight"].shape[0]
        if outputs != 3 * SCALE**2:
            raise ValueError(f"the last convolution gives {outputs} channels, {3 * SCALE**2} are needed for RGB and x{SCALE}")
        slopes = "body.1.weight" in state and state["body.1.weight"].dim() == 1
        network = Compact(state["body.0.weight"].shape[0], last // 2 - 1, "prelu" if slopes else activation)
    else:
        some = ", ".join(sorted(state)[:4])
        raise ValueError(f"the weights are of no known network (ESRGAN's RRDB, SRVGGNetCompact); their names begin with {some}")
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f"the weights do not fit {type(network).__name__}: {' '.join(str(error).split())[:300]}") from error
    return network.eval()
