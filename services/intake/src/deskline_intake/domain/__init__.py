"""What intake decides about a mail: pure functions of bytes, with no I/O and no clock."""
