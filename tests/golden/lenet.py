import torch
from torch import nn


class Subsample(nn.Module):
    def __init__(self, in_channels):
        super().__init__()
        self.avgpool = nn.AvgPool2d(2)
        self.coefficient = nn.Parameter(torch.zeros(in_channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(in_channels, 1, 1))
        nn.init.constant_(self.coefficient, val=1.0)

    def forward(self, x):
        x = self.avgpool(x)
        x = x * self.coefficient
        return x + self.bias


class LeNet(nn.Module):
    """LeNet(caffe=False, classes=10): LeCun, Bottou, Bengio and Haffner, 1998.

    Takes batches of image (1x32x32); returns f7 (10).
    """

    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 6, 5)
        self.s2 = Subsample(6)
        self.c3 = nn.Conv2d(6, 16, 5)
        self.s4 = Subsample(16)
        self.c5 = nn.Conv2d(16, 120, 5)
        self.f6 = nn.Linear(120, 84)
        self.f7 = nn.Linear(84, 10)

    def forward(self, x):
        x = self.c1(x)
        x = self.s2(1.7159 * torch.tanh(0.6666666666666666 * x))
        x = self.c3(1.7159 * torch.tanh(0.6666666666666666 * x))
        x = self.s4(1.7159 * torch.tanh(0.6666666666666666 * x))
        x = self.c5(1.7159 * torch.tanh(0.6666666666666666 * x))
        x = self.f6(torch.flatten(1.7159 * torch.tanh(0.6666666666666666 * x), 1))
        return self.f7(1.7159 * torch.tanh(0.6666666666666666 * x))
