"""Training of one run: from settings to a run folder.

resolve     names in a config -> objects; combinations checked before anything is read
experiment  `run(RunConfig(...))`: data, loop, evaluation, report
data        images and their normalization
batches     the batches of each step
loop        phases, epochs, steps; independent of the method
optim       optimizers, schedules, SAM, moving average
checkpoint  an interrupted run resumes to bit-identical weights
loggers     TensorBoard and Weights & Biases
"""
