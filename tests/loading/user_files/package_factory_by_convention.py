# ruff: noqa
# settings: {"target": "shop.networks"}
# expect: model Sequential
# expect: batches 3
# expect: argument [32, 4] float32
# expect: loss projection is projection (random projection of the output)
# expect: assumed no data was found: `input` is made up, random normal numbers of shape [32, 4], shaped for `0`
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output

