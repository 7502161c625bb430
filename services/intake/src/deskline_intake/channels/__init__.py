"""The customers' doors: they take a message over, store it and decide nothing."""
