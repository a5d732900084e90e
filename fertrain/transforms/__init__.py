"""Preprocessing and augmentation of network inputs.

input_spec  size, channels, mean, std, preprocessing: stored with the weights
augment     augmentations of whole batches, drawn from an explicit generator
mixup       images and targets blended in pairs: mixup, cutmix
"""
