"""The packed file: a policy with every number that a model needs under it, in one safetensors file.

*container* knows safetensors, *seal* the digest over all bytes, *manifest* what the metadata says,
*expected* which tensors a weight takes, *content* and *writing* the way out, *reading* and
*checking* the way in, *room* how long the header may get. Nothing in here runs a model.
"""
