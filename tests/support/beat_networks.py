"""ONNX networks with the signature of Beat This!, made without training: logits from rises of the mels.

A beat is a rise of the lowest bands, as of a bass drum. A downbeat is a beat after which the highest bands keep
sounding, as after a cymbal.
"""

import numpy as np

FRAMES, MELS = 1_500, 128
LOW, HIGH = (0, 5), (90, 128)
FLOAT, DOUBLE = 1, 11


def beat_network(
    shape=("n", "frames", MELS),
    names=("spect", "beat", "downbeat"),
    kind=FLOAT,
    opset=17,
    beat_gain=2.0,
    last_axis=False,
    across=False,
) -> bytes:
    """The file of a network: float32 [n, frames, 128] -> two of float32 [n, frames].

    Args:
      shape: shape of its input, names for free axes.
      names: names of its input and outputs.
      kind: ONNX's number of the type of all of them.
      opset: version of ONNX's operators.
      beat_gain: factor of the logits of beats.
      last_axis: whether outputs have a last axis of 1.
      across: whether logits depend on the other chunks of a batch.
    """
    from onnx import helper, numpy_helper

    spect, beat, downbeat = names
    dtype = np.float64 if kind == DOUBLE else np.float32
    constants = {
        "axis": [2],
        "time": [1],
        "low from": [LOW[0]],
        "low to": [LOW[1]],
        "high from": [HIGH[0]],
        "high to": [HIGH[1]],
        "pads": [0, 8, 0, 8],
        **{f"from {move}": [8 + move] for move in (-3, -2, 1, 6)},
        **{f"to {move}": [move - 8] for move in (-3, -2, 1, 6)},
    }
    numbers = {"gain": beat_gain, "bias": -3.0 * beat_gain, "down gain": 4.0, "down bias": -4.0 * 3.2}
    initializers = [numpy_helper.from_array(np.array(value, np.int64), name) for name, value in constants.items()]
    initializers += [numpy_helper.from_array(np.array(value, dtype), name) for name, value in numbers.items()]

    def rise(band, before, after):
        return [
            *(
                helper.make_node("Slice", [f"{band} padded", f"from {m}", f"to {m}", "time"], [f"{band} {m}"])
                for m in (before, after)
            ),
            helper.make_node("Sub", [f"{band} {after}", f"{band} {before}"], [f"{band} rise"]),
        ]

    def mean(band):
        return [
            helper.make_node("Slice", [spect, f"{band} from", f"{band} to", "axis"], [f"{band} bands"]),
            helper.make_node("ReduceMean", [f"{band} bands"], [band], axes=[2], keepdims=0),
            helper.make_node("Pad", [band, "pads"], [f"{band} padded"]),
        ]

    nodes = [
        *mean("low"),
        *mean("high"),
        *rise("low", -2, 1),
        *rise("high", -3, 6),
        helper.make_node("Mul", ["low rise", "gain"], ["scaled"]),
        helper.make_node("Add", ["scaled", "bias"], ["beat logit"]),
        helper.make_node("Mul", ["high rise", "down gain"], ["down scaled"]),
        helper.make_node("Add", ["down scaled", "down bias"], ["down logit"]),
        helper.make_node("Min", ["beat logit", "down logit"], ["both"]),
    ]
    if across:
        nodes += [
            helper.make_node("ReduceMean", ["both"], ["mean"], axes=[0], keepdims=1),
            helper.make_node("Sub", ["both", "mean"], ["all"]),
        ]
    last = {beat: "beat logit", downbeat: "all" if across else "both"}
    for name, source in last.items():
        shape_of = ["Unsqueeze", [source, "axis"]] if last_axis else ["Identity", [source]]
        nodes.append(helper.make_node(*shape_of, [name]))
    outputs = [helper.make_tensor_value_info(name, kind, None) for name in (beat, downbeat)]
    graph = helper.make_graph(
        nodes, "beats", [helper.make_tensor_value_info(spect, kind, shape)], outputs, initializers
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    return bytes(model.SerializeToString())
