"""Logic that knows nothing of Reef, so that plain unit tests can run it."""


def greeting(name, times):
    return f"Hello {name}, for the {times}. time"
