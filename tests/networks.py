"""Tiny ONNX networks, written byte by byte."""


def field(number, value):
    """One field of a protobuf message: bytes and text with their length, whole numbers as they are."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def tensor_type(name, *sides):
    """A named float tensor of this shape (ValueInfoProto)."""
    shape = b"".join(field(1, field(1, side)) for side in sides)
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, shape)))


def mean_color(path, side=32):
    """An ONNX network that computes the mean color of a face: one GlobalAveragePool."""
    node = field(1, "face") + field(2, "mean") + field(4, "GlobalAveragePool")
    graph = field(1, node) + field(2, "mean_color")
    graph += field(11, tensor_type("face", 1, 3, side, side)) + field(12, tensor_type("mean", 1, 3, 1, 1))
    path.write_bytes(field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 13)))
    return path
