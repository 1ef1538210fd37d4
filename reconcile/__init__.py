"""HOW: the loop Intent → Plan → Apply → Observe → Converge and what it remembers."""
