"""Work by the clock: the minute's tick, and the arq worker that nudges it."""
