"""A network of which branches, heads and hidden units can be left out. Loaded by path."""

from networks import CLASSES
from torch import nn
from torch.nn import functional as F  # noqa: N812


class PreNorm(nn.Module):
    """Attention and an MLP, each added to a stream of 8 numbers; some of their units kept."""

    def __init__(self, heads=4, hidden=12, mlp_norm=False):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(8), nn.LayerNorm(8)
        self.qkv, self.proj = nn.Linear(8, heads * 12), nn.Linear(heads * 4, 8)
        self.fc1, self.fc2 = nn.Linear(8, hidden), nn.Linear(hidden, 8)
        self.between = nn.LayerNorm(hidden) if mlp_norm else nn.Identity()
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x):
        x = x + self.attend(self.norm1(x))
        x = x + self.fc2(self.between(F.gelu(self.fc1(self.norm2(x)))))
        return self.head(x.mean(1))

    def attend(self, x):
        n, tokens, _ = x.shape
        qkv = self.qkv(x).reshape(n, tokens, 3, self.heads, 4).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        y = F.scaled_dot_product_attention(q, k, v)
        return self.proj(y.transpose(1, 2).reshape(n, tokens, self.heads * 4))
