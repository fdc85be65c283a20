"""Transforms of images: decoding, resizing, cropping, augmentation and normalisation."""
