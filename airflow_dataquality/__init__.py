"""Stage, check and exchange: data reaches analysts only after it passed its checks."""

__version__ = "0.1.0"
