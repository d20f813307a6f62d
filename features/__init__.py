"""The MFCC front end and the augmentation used in training."""

from .augment import Augment, AugmentConfig, spec_augment, warp_spectrum
from .mfcc import Mfcc, MfccConfig

__all__ = ["Augment", "AugmentConfig", "Mfcc", "MfccConfig", "spec_augment", "warp_spectrum"]
