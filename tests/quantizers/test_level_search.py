"""The search for a table, a scale and a shift against trying everything."""

import pytest
import torch

from mpsearch.core.formats.levels import AdaLogFormat, SulqFormat, TanFormat
from mpsearch.core.formats.twin_log import TwinLogFormat
from mpsearch.quantizers.adalog import AdaLog
from mpsearch.quantizers.sulq import Sulq
from mpsearch.quantizers.tan import Tan
from mpsearch.quantizers.twin_log import TwinLog
from tests.quantizers.level_cases import after_gelu, attention, loss, normal


def least(x, tables, low, scales=150):
    """Least relative error of all numbers over all tables and a fine grid of scales."""
    x = x.double().flatten()
    best = torch.inf
    for levels in tables:
        for share in torch.logspace(-1.6, 0.1, scales, dtype=torch.float64):
            own = levels * share * (x.max() - low) + low
            near = own[torch.bucketize(x, (own[1:] + own[:-1]) / 2)]
            best = min(best, float((near - x).square().sum()))
    return best / float(x.square().sum())


@pytest.mark.parametrize(("quantizer", "kind"), [
    (AdaLog(), AdaLogFormat), (Sulq(), SulqFormat), (Tan(), TanFormat)])
@pytest.mark.parametrize("make", [attention, after_gelu])
def test_the_search_comes_close_to_trying_everything(quantizer, kind, make):
    x, fmt = make().flatten()[:4000], kind(bits=4)
    low = float(x.min().clamp(max=0))
    assert loss(x, fmt) < 1.01 * least(x, quantizer.tables(fmt)[::3], low)


def test_a_sample_of_many_rows_chooses_the_table_as_well():
    x = normal((2000, 40)) * (1 + normal((2000, 1)).abs())
    fmt = TwinLogFormat(bits=4)
    alone = min(_loss_with(x, fmt, table) for table in range(13))
    assert loss(x, fmt) < 1.01 * alone


def _loss_with(x, fmt, table):
    class One(TwinLog):
        def tables(self, fmt):
            return TwinLog.tables(TwinLog(), fmt)[table : table + 1]

    quantizer = One()
    (params,) = quantizer.fit(x, [fmt])
    rest = quantizer.decode(quantizer.encode(x, params, fmt), params, fmt) - x
    return float(rest.square().sum() / x.square().sum())
