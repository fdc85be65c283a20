import torch
from torch import nn


class ConvBN(nn.Module):
    def __init__(self, in_channels, out, kernel, stride=1, padding=0):
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels,
            out,
            kernel,
            stride=stride,
            padding=padding,
            bias=False,
        )
        self.bn = nn.BatchNorm2d(out, eps=0.001)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.conv(x)
        x = self.bn(x)
        return self.relu(x)


class Inception(nn.Module):
    def __init__(self, in_channels, c1, r3, c3, r5, c5, proj):
        super().__init__()
        self.branch1 = ConvBN(in_channels, c1, 1)
        self.branch2 = nn.Sequential(
            ConvBN(in_channels, r3, 1),
            ConvBN(r3, c3, 3, padding=1),
        )
        self.branch3 = nn.Sequential(
            ConvBN(in_channels, r5, 1),
            ConvBN(r5, c5, 3, padding=1),
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1, ceil_mode=True),
            ConvBN(in_channels, proj, 1),
        )

    def forward(self, x):
        branch1 = self.branch1(x)
        branch2 = self.branch2(x)
        branch3 = self.branch3(x)
        branch4 = self.branch4(x)
        return torch.cat((branch1, branch2, branch3, branch4), 1)


class Aux(nn.Module):
    def __init__(self, in_channels, classes):
        super().__init__()
        self.adaptive_avgpool = nn.AdaptiveAvgPool2d(4)
        self.conv = ConvBN(in_channels, 128, 1)
        self.fc1 = nn.Linear(2048, 1024)
        self.relu = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(0.7)
        self.fc2 = nn.Linear(1024, classes)

    def forward(self, x):
        x = self.adaptive_avgpool(x)
        x = self.conv(x)
        x = self.fc1(torch.flatten(x, 1))
        x = self.relu(x)
        x = self.dropout(x)
        return self.fc2(x)


class GoogLeNet(nn.Module):
    """GoogLeNet(classes=1000): Szegedy et al., 2014.

    Takes batches of image (3x224x224); returns fc (1000), aux1 (1000), aux2 (1000).
    """

    def __init__(self):
        super().__init__()
        self.conv1 = ConvBN(3, 64, 7, stride=2, padding=3)
        self.maxpool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.conv2 = ConvBN(64, 64, 1)
        self.conv3 = ConvBN(64, 192, 3, padding=1)
        self.maxpool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception3a = Inception(192, 64, 96, 128, 16, 32, 32)
        self.inception3b = Inception(256, 128, 128, 192, 32, 96, 64)
        self.maxpool3 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception4a = Inception(480, 192, 96, 208, 16, 48, 64)
        self.aux1 = Aux(512, 1000)
        self.inception4b = Inception(512, 160, 112, 224, 24, 64, 64)
        self.inception4c = Inception(512, 128, 128, 256, 24, 64, 64)
        self.inception4d = Inception(512, 112, 144, 288, 32, 64, 64)
        self.aux2 = Aux(528, 1000)
        self.inception4e = Inception(528, 256, 160, 320, 32, 128, 128)
        self.maxpool4 = nn.MaxPool2d(2, ceil_mode=True)
        self.inception5a = Inception(832, 256, 160, 320, 32, 128, 128)
        self.inception5b = Inception(832, 384, 192, 384, 48, 128, 128)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(0.2)
        self.fc = nn.Linear(1024, 1000)

    def forward(self, x):
        x = self.conv1(x)
        x = self.maxpool1(x)
        x = self.conv2(x)
        x = self.conv3(x)
        x = self.maxpool2(x)
        x = self.inception3a(x)
        x = self.inception3b(x)
        x = self.maxpool3(x)
        inception4a = self.inception4a(x)
        del x
        aux1 = self.aux1(inception4a) if self.training else None
        x = self.inception4b(inception4a)
        del inception4a
        x = self.inception4c(x)
        inception4d = self.inception4d(x)
        del x
        aux2 = self.aux2(inception4d) if self.training else None
        x = self.inception4e(inception4d)
        del inception4d
        x = self.maxpool4(x)
        x = self.inception5a(x)
        x = self.inception5b(x)
        x = self.avgpool(x)
        x = self.dropout(torch.flatten(x, 1))
        fc = self.fc(x)
        if torch.jit.is_scripting() or self.training:
            return fc, aux1, aux2
        return fc
