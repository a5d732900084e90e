"""A finished run at work elsewhere: files for other runtimes.

graph      network, preparation and temperature in one module: uint8 images -> logits, probabilities
formats    ONNX and OpenVINO: write a graph, read it back, run it
int8       post-training quantization
check      equality with torch, and what int8 costs
export     `fertrain export`: these together
"""
