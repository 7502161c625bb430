"""The rules of tickets: pure; time, ids, numbers and keys are arguments."""
