"""What a user can cause: one message that says what to do, and an exit status."""

STATUS_FAILED = 1
STATUS_WRONG = 2
STATUS_TIMEOUT = 124
STATUS_INTERRUPTED = 130


class Stop(Exception):
    """Ends the command with this message."""

    def __init__(self, message, status=STATUS_WRONG):
        super().__init__(message)
        self.status = status
