import torch
from torch import nn


class Squeeze(nn.Module):
    def __init__(self, in_channels, ratio=4):
        super().__init__()
        self.adaptive_avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(in_channels, in_channels // ratio, 1)
        self.relu = nn.ReLU(inplace=True)
        self.fc2 = nn.Conv2d(in_channels // ratio, in_channels, 1)
        self.sigmoid = nn.Sigmoid()

    def forward(self, x):
        y = self.adaptive_avgpool(x)
        y = self.fc1(y)
        y = self.relu(y)
        y = self.fc2(y)
        y = self.sigmoid(y)
        return x * y


class SENet(nn.Module):
    """SENet(width=8, classes=5).

    Takes batches of image (3x16x16); returns fc (5).
    """

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(inplace=True),
        )
        self.conv = nn.Conv2d(8, 8, 3, padding=1)
        self.batchnorm = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)
        self.squeeze = Squeeze(8)
        self.param = nn.Parameter(torch.zeros(8, 1, 1))
        self.relu_2 = nn.ReLU(inplace=True)
        self.conv_2 = nn.Conv2d(8, 8, 3, padding=1)
        self.batchnorm_2 = nn.BatchNorm2d(8)
        self.relu_3 = nn.ReLU(inplace=True)
        self.squeeze_2 = Squeeze(8)
        self.param_2 = nn.Parameter(torch.zeros(8, 1, 1))
        self.relu_4 = nn.ReLU(inplace=True)
        self.register_buffer("shift", torch.zeros(8, 1, 1))
        self.silu = nn.SiLU(inplace=True)
        self.hardswish = nn.Hardswish()
        self.adaptive_avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8, 5)
        nn.init.constant_(self.param, val=1e-06)
        nn.init.constant_(self.param_2, val=1e-06)
        nn.init.constant_(self.shift, val=0.5)

    def forward(self, x):
        stem = self.stem(x)
        x = self.conv(stem)
        x = self.batchnorm(x)
        x = self.relu(x)
        x = self.squeeze(x)
        relu_2 = self.relu_2(stem + (x * self.param))
        del x
        x = self.conv_2(relu_2)
        x = self.batchnorm_2(x)
        x = self.relu_3(x)
        x = self.squeeze_2(x)
        relu_4 = self.relu_4(relu_2 + (x * self.param_2))
        del relu_2, x
        x = relu_4 + stem
        del relu_4, stem
        x = self.silu(x + self.shift)
        x = self.hardswish(x)
        x = self.adaptive_avgpool(x)
        return self.fc(torch.flatten(x, 1))
