"""One thread for torch: small tensors gain nothing from more, and a busy machine loses."""

try:
    import torch
except ImportError:
    pass
else:
    torch.set_num_threads(1)
