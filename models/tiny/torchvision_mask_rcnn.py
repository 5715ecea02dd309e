"""Write a Mask R-CNN of torchvision's architecture with random weights, small, and what PyTorch finds with it in one picture.

    python models/tiny/torchvision_mask_rcnn.py [FOLDER]

Needs ``torch``, ``torchvision`` of the same release, ``onnx`` and ``numpy``. Writes ``shapes/mask-rcnn.onnx`` and ``shapes/mask-rcnn.json`` in FOLDER, this file's
folder by default. tests/masks.rs has the engine find the same: that the export of the real architecture is known and read as it is meant, whatever its weights.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
import torchvision
from torch import nn
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.ops import MultiScaleRoIAlign

#: Height and width of the picture, and the channels of everything.
SIZE, CHANNELS = (96, 128), 8
#: As tests/masks.rs has it: dark, with a bright rectangle.
DARK, BRIGHT, COLUMNS, ROWS = 50, 230, (40, 80), (24, 72)


class Backbone(nn.Sequential):
    """Three convolutions with stride, in place of a ResNet."""

    def __init__(self) -> None:
        steps = []
        for before in (3, CHANNELS, CHANNELS):
            steps += [nn.Conv2d(before, CHANNELS, 3, 2, 1), nn.ReLU()]
        super().__init__(*steps)
        self.out_channels = CHANNELS


class Exported(nn.Module):
    """One picture in a batch in, four tensors out, as exports of torchvision's detectors are wrapped."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        found = self.model([image[0]])[0]
        return found["boxes"], found["labels"], found["scores"], found["masks"]


def network() -> Exported:
    torch.manual_seed(7)
    side = 32
    model = MaskRCNN(
        Backbone(), min_size=SIZE[0], max_size=SIZE[1], box_score_thresh=0.3, box_nms_thresh=0.3, box_detections_per_img=8,
        rpn_pre_nms_top_n_test=64, rpn_post_nms_top_n_test=16,
        rpn_anchor_generator=AnchorGenerator(sizes=((side,),), aspect_ratios=((0.5, 1.0, 2.0),)),
        box_roi_pool=MultiScaleRoIAlign(featmap_names=["0"], output_size=7, sampling_ratio=2), box_head=TwoMLPHead(CHANNELS * 49, 32),
        box_predictor=FastRCNNPredictor(32, 2),
        mask_roi_pool=MultiScaleRoIAlign(featmap_names=["0"], output_size=14, sampling_ratio=2), mask_head=MaskRCNNHeads(CHANNELS, (CHANNELS, CHANNELS), 1),
        mask_predictor=MaskRCNNPredictor(CHANNELS, CHANNELS, 2))
    # So that what it is least unsure of counts as found.
    with torch.no_grad():
        model.roi_heads.box_predictor.cls_score.bias.copy_(torch.tensor([-1.0, 1.0]))
    return Exported(model).eval()


def picture() -> torch.Tensor:
    image = torch.full((1, 3, *SIZE), DARK / 255)
    image[:, :, ROWS[0]:ROWS[1], COLUMNS[0]:COLUMNS[1]] = BRIGHT / 255
    return image


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent) / "shapes"
    model, image = network(), picture()
    with torch.no_grad():
        boxes, labels, scores, masks = model(image)
    file = folder / "mask-rcnn.onnx"
    axes = {name: {0: "found"} for name in ("boxes", "labels", "scores", "masks")}
    torch.onnx.export(model, (image,), str(file), input_names=["image"], output_names=list(axes), dynamic_axes=axes, opset_version=17, dynamo=False)
    found = [{"box": [round(value, 3) for value in box.tolist()], "label": int(label), "score": round(float(score), 4)}
             for box, label, score in zip(boxes, labels, scores)]
    assert masks.shape == (len(found), 1, *SIZE)
    (folder / "mask-rcnn.json").write_text(json.dumps({"torch": torch.__version__, "torchvision": torchvision.__version__, "found": found}, indent=1) + "\n")
    print(f"{file}: {file.stat().st_size} bytes, {len(found)} found")


if __name__ == "__main__":
    main()
