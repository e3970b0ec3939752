"""What is raised for a file that is no model, or not a whole one."""


class ModelFileError(ValueError):
    """A file does not hold a model that can be loaded.

    Parameters
    ----------
    path : str or Path
        The file.
    reason : str
        What is wrong with it.
    remedy : str
        What to do about it.
    """

    def __init__(self, path, reason, remedy):
        super().__init__(f"{str(path)!r} cannot be loaded: {reason}; {remedy}")
        self.path, self.reason, self.remedy = path, reason, remedy

    def __reduce__(self):
        return type(self), (self.path, self.reason, self.remedy)
