"""The commands of `rmset`, one module a family, in the order in which a data set comes to be."""
