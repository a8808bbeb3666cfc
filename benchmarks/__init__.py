"""minigrad beside hand-written NumPy and its peers, on one clock. `make bench` runs it.

harness.py    what a workload is, rounds in turn, ratios, and no timing before all agree
hand.py       backpropagation written by hand in NumPy: the limit for a tape, and the plain way
peers.py      the same networks in PyTorch, JAX and HIPS autograd
networks.py   workloads: training steps of networks
scalars.py    workloads: graphs of single numbers, and gradients beside their functions
processes.py  memory and import time, each in a process of its own
curves.py     what a gradient costs as the problem grows; time to accuracy
results.py    the JSON file: written whole or not at all, read, checked, printed as a table
pictures.py   the pictures of the book's performance page
"""
