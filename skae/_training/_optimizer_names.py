"""Which optimisers have a name: known without torch, to check parameters."""

#: Name of each, and of its class in `torch.optim`. All of them treat every weight by
#: itself, so that they can be given all weights as one vector.
OPTIMIZERS = {
    "adadelta": "Adadelta",
    "adagrad": "Adagrad",
    "adam": "Adam",
    "adamax": "Adamax",
    "adamw": "AdamW",
    "nadam": "NAdam",
    "radam": "RAdam",
    "rmsprop": "RMSprop",
    "sgd": "SGD",
}
